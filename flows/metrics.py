"""`METRICS.md`: every number the models define, with its meaning, formula, grain, unit and owner."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lake.errors import ModelError
from lake.project import Project
from sql.models import Model, find_models

FILE = "METRICS.md"
HEAD = """# Metrics

Every number that the models of this project define, made by `sluice metrics` from the headers in `sql/`: change it
there. The same rows are the table `ops.metrics`.
"""


def metric_rows(models: Mapping[str, Model]) -> list[dict[str, Any]]:
    """Gives one row per metric of the models, in the order of the tables' names and then of their headers."""
    return [
        {
            "name": metric.name,
            "table_name": name,
            "description": metric.description,
            "formula": metric.formula,
            "unit": metric.unit,
            "grain": models[name].header.grain,
            "owner": metric.owner,
        }
        for name in sorted(models)
        for metric in models[name].header.metrics
    ]


def metrics_markdown(project: Project) -> str:
    """Gives the text of `METRICS.md`: a section per table, a line per metric."""
    models = find_models(project.sql_dir)
    sections = [HEAD]
    for name in sorted(models):
        rows = metric_rows({name: models[name]})
        if rows:
            sections.append(_section(models[name], rows))
    return "\n".join(sections)


def write_metrics(project: Project) -> Path:
    """Writes `METRICS.md` of a project anew and gives where it is."""
    path = project.root / FILE
    path.write_text(metrics_markdown(project), encoding="utf-8")
    return path


def expect_current_metrics(project: Project) -> None:
    """Raises ModelError when `METRICS.md` is not what the headers say now."""
    path = project.root / FILE
    if not path.is_file() or path.read_text(encoding="utf-8") != metrics_markdown(project):
        message = f"{FILE} is not what the headers of the models say."
        raise ModelError("metrics-stale", message, cure="Run `sluice metrics` and commit the file.", path=path)


def _section(model: Model, rows: list[dict[str, Any]]) -> str:
    lines = [
        f"## {model.name}",
        "",
        f"{_cell(model.header.description)} {_sentence(model.header.grain)}",
        "",
        "| metric | meaning | formula | unit | owner |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{row['name']}` | {_cell(row['description'])} | `{_cell(row['formula'])}` | {_cell(row['unit'])} "
        f"| {_cell(row['owner'])} |"
        for row in rows
    ]
    return "\n".join([*lines, ""])


def _sentence(grain: str) -> str:
    return f"{grain[:1].upper()}{grain[1:].rstrip('.')}."


def _cell(text: str) -> str:
    """A text that stays in its cell: no line breaks, and no bar that is read as the next cell."""
    return " ".join(text.split()).replace("|", "\\|")
