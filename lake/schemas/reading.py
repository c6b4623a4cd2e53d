"""Picks the reader for an operational schema by its file's name, and the table that is meant in it."""

from collections.abc import Collection, Sequence
from pathlib import Path

from lake.errors import ContractError
from lake.odcs.document import did_you_mean
from lake.schemas.table import OperationalTable

SQL_ENDINGS = (".sql", ".ddl")
PRISMA_ENDINGS = (".prisma",)
JSON_ENDINGS = (".json", ".yaml", ".yml")
SCHEMA_ENDINGS = (*SQL_ENDINGS, *PRISMA_ENDINGS, *JSON_ENDINGS)
USUAL_DIALECT = "postgres"


def read_schema(
    path: Path, *, dialect: str = USUAL_DIALECT, table: str = "", whole: Collection[str] = ()
) -> tuple[OperationalTable, ...]:
    """Gives the tables of a schema file: SQL DDL, Prisma or JSON Schema.

    Raises ContractError for a file that is missing, of no known kind, cannot be read or holds no table.
    """
    ending = path.suffix.lower()
    if ending not in SCHEMA_ENDINGS:
        message = f"The ending of '{path.name}' names no schema that can be read."
        cure = f"Use one of {', '.join(SCHEMA_ENDINGS)}."
        raise ContractError("schema-kind-unknown", message, cure=cure, path=path)
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        cure = "Mend the path, which begins at the project folder; the file is text in UTF-8."
        raise ContractError("schema-missing", f"The schema cannot be read: {error}.", cure=cure, path=path) from error
    tables = _tables(path, text, dialect, table, whole)
    if not tables:
        cure = "It must declare at least one: 'create table …', 'model … {' or an object with properties."
        raise ContractError("schema-table-missing", f"{path.name} declares no table.", cure=cure, path=path, line=1)
    return tables


def _tables(path: Path, text: str, dialect: str, table: str, whole: Collection[str]) -> tuple[OperationalTable, ...]:
    ending = path.suffix.lower()
    if ending in SQL_ENDINGS:
        from lake.schemas.sql_ddl import read_sql_ddl  # sqlglot takes 0.1 s

        return read_sql_ddl(path, text, dialect)
    if ending in PRISMA_ENDINGS:
        from lake.schemas.prisma import read_prisma

        return read_prisma(path, text)
    from lake.schemas.json_schema import read_json_schema

    return read_json_schema(path, text, table, whole)


def find_table(tables: Sequence[OperationalTable], name: str) -> OperationalTable:
    """Gives the table of that name, or the only one; raises ContractError when it cannot be told which is meant."""
    if not name and len(tables) == 1:
        return tables[0]
    named = {alias.lower(): table for table in tables for alias in (*table.aliases, table.name)}
    if name.lower() in named:
        return named[name.lower()]
    known, path = [table.name for table in tables], tables[0].path
    if not name:
        message = f"{path.name} declares {len(tables)} tables: {', '.join(known)}."
        raise ContractError("schema-table-missing", message, cure="Say which one is meant.", path=path)
    message = f"{path.name} declares no table '{name}'."
    raise ContractError("schema-table-missing", message, cure=did_you_mean(name, known), path=path)
