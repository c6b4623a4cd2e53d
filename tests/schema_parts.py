"""What the tests of operational schemas share: drafting from a schema's text, and landing rows under the draft."""

import csv
import json
from pathlib import Path
from typing import Any

from lake.contract import Contract
from lake.drafting.from_schema import SchemaPlace, draft_from_schema
from lake.engine import Session
from lake.odcs.reader import read_contract
from lake.schemas.reading import find_table, read_schema
from lake.schemas.table import OperationalTable
from lake.table_versions import Store
from tests.landing_parts import land


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def tables(folder: Path, name: str, text: str, dialect: str = "postgres") -> dict[str, OperationalTable]:
    return {table.name: table for table in read_schema(write(folder, name, text), dialect=dialect)}


def draft_text(folder: Path, name: str, text: str, table: str = "", dialect: str = "postgres") -> str:
    found = read_schema(write(folder, name, text), dialect=dialect, table=table)
    return draft_from_schema(find_table(found, table), SchemaPlace(name, dialect))


def drafted(folder: Path, name: str, text: str, table: str = "", dialect: str = "postgres") -> Contract:
    """Drafts from a schema into the project `folder`, and reads the contract back."""
    return read_contract(write(folder, "lake/contracts/drafted.yaml", draft_text(folder, name, text, table, dialect)))


def types(contract: Contract) -> dict[str, str]:
    return {column.name: column.sql_type for column in contract.columns}


def land_csv(session: Session, folder: Path, contract: Contract, rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Lands rows as CSV, None being an empty field; gives how many were accepted and quarantined."""
    path = folder / "delivery.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return _landed(session, folder, contract, path)


def land_json(session: Session, folder: Path, contract: Contract, rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Lands rows as JSON lines; gives how many were accepted and quarantined."""
    path = folder / "delivery.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return _landed(session, folder, contract, path)


def _landed(session: Session, folder: Path, contract: Contract, path: Path) -> tuple[int, int]:
    prepared = land(Store(str(folder / "lake"), {}), path, contract, session=session)
    assert prepared is not None
    assert prepared.read_count == prepared.accepted_count + prepared.quarantined_count + prepared.duplicate_count
    return prepared.accepted_count, prepared.quarantined_count
