"""Contracts as a person asks for them: listed, shown, held against the schemas of their systems."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lake.contract import Column, Contract
from lake.errors import ContractError
from lake.odcs.document import did_you_mean
from lake.project import Project
from lake.schemas.drift import Finding, schema_drift, shown_path


def find_contract(project: Project, source: str) -> Contract:
    """Gives the contract of a source; raises ContractError when there is none."""
    contracts = project.contracts()
    name = source.removeprefix("raw.")
    if name not in contracts:
        cure = did_you_mean(name, tuple(contracts), "" if contracts else "The project has none: see `sluice draft`.")
        raise ContractError("contract-unknown", f"There is no contract of '{source}'.", cure=cure)
    return contracts[name]


def contract_rows(project: Project) -> list[dict[str, object]]:
    """Gives one row per contract, in the order of their sources."""
    return [_row(project, contract) for _, contract in sorted(project.contracts().items())]


def _row(project: Project, contract: Contract) -> dict[str, object]:
    return {
        "source": contract.source,
        "version": contract.version,
        "table": f"raw.{contract.source}",
        "owner": contract.owner,
        "privacy": contract.privacy,
        "columns": len(contract.columns),
        "path": shown_path(contract.path, project.root),
    }


def contract_heading(project: Project, contract: Contract) -> Iterator[str]:
    """Gives what a contract says beside its columns, a line each."""
    yield f"{contract.source} {contract.version}: {contract.description}"
    yield f"  owner {contract.owner}; privacy {contract.privacy}; {contract.delivery} delivery"
    for server in contract.servers:
        how = "posted to" if server.is_pushed else f"from {server.kind}"
        yield f"  {how} {server.path} ({server.format})"
    yield f"  key {', '.join(contract.key) or 'none: the whole row'}; known keys {contract.duplicates}"
    late = "" if contract.lateness is None else f", at most {contract.lateness} late"
    yield f"  watermark {contract.watermark or 'none'}{late}; drift {contract.drift}; {len(contract.rules)} row rules"
    if contract.schema is not None:
        table = f"#{contract.schema.table}" if contract.schema.table else ""
        yield f"  held against {contract.schema.path}{table}"
    yield f"  {shown_path(contract.path, project.root)}"


def contract_record(project: Project, contract: Contract) -> dict[str, Any]:
    """Gives a contract with its columns and rules as JSON can hold it."""
    whole = asdict(contract)
    kept = ("description", "key", "duplicates", "drift", "partition", "watermark", "lateness", "delivery", "sla")
    return {
        **_row(project, contract),
        **{name: whole[name] for name in kept},
        "server": whole["server"],
        "servers": [asdict(server) for server in contract.servers],
        "schema": whole["schema"],
        "rules": [{"name": rule.name, "expression": rule.expression} for rule in contract.rules],
        "table_rules": [{"name": rule.name, "sodacl": rule.sodacl} for rule in contract.table_rules],
        "columns": [_column_row(contract, column) for column in contract.columns],
    }


def _column_row(contract: Contract, column: Column) -> dict[str, object]:
    return {
        "column": column.name,
        "source_name": column.source_name,
        "type": column.sql_type,
        "key": contract.key.index(column.name) + 1 if column.name in contract.key else None,
        "required": column.required,
        "allowed": _allowed(column),
        "privacy": column.privacy,
        "line": column.line,
        "description": column.description,
    }


def _allowed(column: Column) -> str:
    """Gives in a few words what a column's values are restricted to."""
    bounds = (("at least", column.minimum), ("at most", column.maximum), ("like", column.pattern))
    lengths = (("from length", column.min_length), ("to length", column.max_length))
    told = [f"{words} {value}" for words, value in (*bounds, *lengths) if value is not None]
    return "; ".join(
        [*([" | ".join(column.enum)] if column.enum else []), *told, *(["unique"] if column.unique else [])]
    )


def check_contracts(project: Project, sources: Sequence[str]) -> Mapping[str, tuple[Finding, ...]]:
    """Gives the findings by source, of those that name a schema.

    Raises ContractError for one that is asked for and names none.
    """
    chosen = [find_contract(project, source) for source in sources] or list(project.contracts().values())
    for contract in chosen if sources else ():
        if contract.schema is None:
            cure = "Write under the table 'authoritativeDefinitions: [{type: schema, url: db/schema.sql#table}]'."
            message = f"The contract of '{contract.source}' names no operational schema."
            raise ContractError("schema-unnamed", message, cure=cure, path=contract.path)
    return {found.source: schema_drift(found, project.root) for found in chosen if found.schema is not None}


def finding_lines(checked: Mapping[str, Sequence[Finding]]) -> Iterator[str]:
    """Gives what was found, a finding on three lines, and a last line for each source that agrees."""
    for source, findings in checked.items():
        for finding in findings:
            yield finding.message
            yield f"  {finding.contract_place} and {finding.schema_place}"
            yield f"  {finding.cure}"
        if not findings:
            yield f"{source}: agrees with its schema."
    if not checked:
        yield "No contract names an operational schema."
