"""What a project says of itself, written down for readers: tables, columns, metrics, sources, pages, schedules, alerts.

A description is one event per kind of part, and is written again only when it changed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from flows.job import Job
from flows.metrics import metric_rows
from lake.contract import Contract
from lake.durations import duration_seconds
from lake.errors import SettingsError
from lake.ledger import events_sql
from lake.marked_yaml import NotYaml, read_yaml
from lake.platform_views import DESCRIBED
from lake.project import Project
from reports.alerts import AlertRule, find_alerts
from reports.page import Page, find_pages
from sql.inputs import reference_tables
from sql.models import Model

Rows = list[dict[str, Any]]
REFERENCE_WORDS = "reference.yml"  # in the folder of reference tables: what they are
TABLE_NAME = re.compile(r"\b(?:raw|staging|intermediate|marts|reference|ops)\.[a-z_]\w*")


def describe_project(job: Job, models: Mapping[str, Model]) -> None:
    """Notes what changed in what the project says of its parts since it was last written down."""
    known = dict(
        job.session.rows(
            f"""
            select subject, max_by(details ->> 'digest', "at") from ({events_sql(job.store)})
            where event = '{DESCRIBED}' group by subject
            """
        )
    )
    for part, rows in description(job.project, models).items():
        digest = sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
        if known.get(part) != digest:
            job.run.note(DESCRIBED, part, len(rows), digest=digest, rows=rows)


def description(project: Project, models: Mapping[str, Model]) -> Mapping[str, Rows]:
    """Gives the rows that describe each kind of part of a project, in an order that does not change by itself."""
    contracts = project.sound_contracts()
    references = sorted(reference_tables(project.reference_dir))
    words = _read_yaml(project.reference_dir / REFERENCE_WORDS)
    return {
        "tables": [
            *(_source_table(contract, project.root) for contract in contracts.values()),
            *(_reference_table(name, words.get(name.partition(".")[2]) or {}, project) for name in references),
            *(_model_table(model, project.root) for model in models.values()),
        ],
        "columns": [row for contract in contracts.values() for row in _columns(contract)],
        "metrics": metric_rows(models),
        "sources": [_source(contract) for contract in contracts.values()],
        "pages": [_page(page) for page in find_pages(project.pages_dir).values()],
        "schedules": schedules(project.root),
        "alert_rules": [_rule(rule) for rule in find_alerts(project.alerts_dir).values()],
    }


def schedules(root: Path) -> Rows:
    """Gives the cron schedules of a project's `prefect.yaml`, none when there is no such file.

    Raises SettingsError when it is no YAML.
    """
    deployments = _read_yaml(root / "prefect.yaml").get("deployments") or []
    return [_schedule(deployment, cron) for deployment in deployments for cron in _crons(deployment)]


def _read_yaml(path: Path) -> Mapping[str, Any]:
    """Gives what a file maps, nothing when there is no such file; raises SettingsError when it is no YAML."""
    if not path.is_file():
        return {}
    try:
        return read_yaml(path.read_text(encoding="utf-8")).value or {}
    except NotYaml as error:
        message = f"It is no YAML: {error.problem}."
        raise SettingsError("description-unreadable", message, cure="Mend it.", path=path, line=error.line) from error


def _crons(deployment: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    listed = deployment.get("schedules") or [deployment.get("schedule") or {}]
    return (schedule for schedule in listed if schedule.get("cron") and schedule.get("active", True))


def _schedule(deployment: Mapping[str, Any], schedule: Mapping[str, Any]) -> dict[str, Any]:
    parameters = deployment.get("parameters") or {}
    return {
        "deployment": deployment["name"],
        "cron": schedule["cron"],
        "timezone": schedule.get("timezone") or "UTC",
        "description": " ".join(str(deployment.get("description") or "").split()),
        "entrypoint": deployment.get("entrypoint") or "",
        "marts": list(parameters.get("marts") or []),
        "pages": list(parameters.get("pages") or []),
    }


def _source_table(contract: Contract, root: Path) -> dict[str, Any]:
    return {
        "table_name": f"raw.{contract.source}",
        "layer": "raw",
        "description": contract.description,
        "grain": f"one row per {', '.join(contract.key)}" if contract.key else "one row per record received",
        "owner": contract.owner,
        "materialise": "table",
        "contract_version": contract.version,
        "path": _place(contract.path, root),
        "privacy": contract.privacy,
    }


def _reference_table(name: str, words: Mapping[str, str], project: Project) -> dict[str, Any]:
    return {
        "table_name": name,
        "layer": "reference",
        "materialise": "table",
        "path": _place(project.reference_dir / f"{name.partition('.')[2]}.csv", project.root),
        **{word: words.get(word) for word in ("description", "grain", "owner")},
    }


def _model_table(model: Model, root: Path) -> dict[str, Any]:
    return {
        "table_name": model.name,
        "layer": model.name.partition(".")[0],
        "description": model.header.description,
        "grain": model.header.grain,
        "owner": model.header.owner,
        "materialise": model.header.materialise,
        "path": _place(model.path, root),
    }


def _columns(contract: Contract) -> Rows:
    return [
        {
            "table_name": f"raw.{contract.source}",
            "column_name": column.name,
            "data_type": column.sql_type,
            "description": column.description,
            "privacy": column.privacy,
            "column_position": place,
            "is_required": column.required,
            "is_key": column.name in contract.key,
        }
        for place, column in enumerate(contract.columns, start=1)
    ]


def _source(contract: Contract) -> dict[str, Any]:
    return {
        "source": contract.source,
        "description": contract.description,
        "owner": contract.owner,
        "kind": ", ".join("push" if server.is_pushed else server.kind for server in contract.servers),
        "delivery": contract.delivery,
        "contract_version": contract.version,
        "allowed_lag_seconds": allowed_lag(contract),
    }


def allowed_lag(contract: Contract) -> float | None:
    """Gives how long a source may stay silent, in seconds: frequency and latency; None when it promised neither."""
    promised = [duration_seconds(contract.sla.get(name)) for name in ("frequency", "latency")]
    given = [seconds for seconds in promised if seconds is not None]
    return sum(given) if given else None


def _page(page: Page) -> dict[str, Any]:
    return {
        "page": page.name,
        "title": page.title,
        "description": page.description,
        "audience": page.audience,
        "owner": page.owner,
        "drawn": page.drawn,
        "mailed": page.mailed,
        "reads": sorted(set(TABLE_NAME.findall(page.source))),
    }


def _rule(rule: AlertRule) -> dict[str, Any]:
    return {
        "rule": rule.name,
        "title": rule.header.title,
        "severity": rule.header.severity,
        "description": rule.header.description.strip(),
        "recipients": list(rule.header.to),
    }


def _place(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
