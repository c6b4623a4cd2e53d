"""Drafts contracts from an operational schema: what it promises, and what it cannot know as comments to fill in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from lake.drafting.document import DraftedContract, custom, render_contract, sentence, title
from lake.drafting.text import Noted
from lake.errors import ContractError
from lake.naming import own_names, snake_case, sounds_personal
from lake.odcs.columns import read_column
from lake.odcs.document import Part
from lake.schemas.properties import odcs_property
from lake.schemas.reading import JSON_ENDINGS, SQL_ENDINGS, USUAL_DIALECT
from lake.schemas.table import OperationalColumn, OperationalRule, OperationalTable

NO_KEY = ("json", "double", "float")
REFERENCE = re.compile(r"[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*")
TRUTH = {"1": "true", "0": "false", "t": "true", "f": "false"}


@dataclass(frozen=True)
class SchemaPlace:
    """How a contract names its operational schema: the file as the project sees it, and the dialect of SQL."""

    shown: str
    dialect: str = USUAL_DIALECT

    def url(self, table: OperationalTable) -> str:
        """Gives what a contract writes down to be held against a table later."""
        ending = Path(self.shown).suffix.lower()
        is_named = ending not in JSON_ENDINGS or len(table.aliases) > 1
        dialect = f"?dialect={self.dialect}" if ending in SQL_ENDINGS and self.dialect != USUAL_DIALECT else ""
        return f"{quote(self.shown)}{dialect}{f'#{quote(table.name)}' if is_named else ''}"


def draft_from_schema(
    table: OperationalTable, place: SchemaPlace, *, name: str | None = None, editor_schema: str | None = None
) -> str:
    """Gives the YAML of a contract that promises what the operational schema does.

    Raises ContractError, naming the schema's line, for a table whose own promises contradict each other.
    """
    is_json = Path(place.shown).suffix.lower() in JSON_ENDINGS
    source = name or snake_case(table.name) or "source"
    names = own_names([column.name for column in table.columns])
    rules, notes = schema_rules(table, names)
    form = "jsonl" if is_json else "csv"
    folder = Noted(f"inbox/{source}/*.{form}", ("where the data come from is not in the schema: fill in",))
    policy = ("a key that is optional may be missing from a whole delivery",)
    draft = DraftedContract(
        name=source,
        origin=f"'{table.name}' of {place.shown}",
        description=sentence(table.description or f"Rows of {table.name}, as the operational system holds them"),
        server={"server": "deliveries", "type": "local", "path": folder, "format": form},
        properties=schema_properties(table, names),
        extras={
            "authoritativeDefinitions": [{"url": place.url(table), "type": "schema"}],
            **({"quality": rules} if rules else {}),
        },
        promises={"driftPolicy": Noted("evolve", policy)} if is_json else {},
        notes=tuple(f"Not in this contract: {note}." for note in (*table.notes, *notes)),
    )
    return render_contract(draft, editor_schema)


def schema_properties(table: OperationalTable, names: Mapping[str, str]) -> list[Noted | dict[str, object]]:
    """Gives the columns of a table as properties of a contract, under names of ours."""
    return [_property(table, column, names) for column in table.columns]


def _property(
    table: OperationalTable, column: OperationalColumn, names: Mapping[str, str]
) -> Noted | dict[str, object]:
    name, notes = names[column.name], list(column.notes)
    written = odcs_property(column, name, sentence(column.description or title(name)))
    kind = read_column(Part(written, table.path, {(): column.line}), "internal").sql_type
    if column.name in table.key and kind not in NO_KEY:
        written |= {"primaryKey": True, "primaryKeyPosition": table.key.index(column.name) + 1}
    if column.default is not None:
        written, told = _with_default(table, column, written, kind)
        notes += told
    reference = ".".join(snake_case(part) for part in (column.refers_to or "").split("."))
    if REFERENCE.fullmatch(reference):
        written["relationships"] = [{"to": reference}]
    if sounds_personal(name):
        written["classification"] = Noted("restricted", ("it looks personal",))
    return Noted(written, tuple(sentence(note) for note in notes)) if notes else written


def _with_default(
    table: OperationalTable, column: OperationalColumn, written: dict[str, object], kind: str
) -> tuple[dict[str, object], list[str]]:
    """Lets a constant stand in for a missing value where the system would; an empty value of its own stays empty."""
    text = TRUTH.get(str(column.default), str(column.default)) if kind == "boolean" else str(column.default)
    told = [f"The system fills in {text} where nothing is given"]
    if not column.required or kind == "json":
        return written, told
    tried = {**written, "customProperties": custom({"defaultValue": text})}
    try:
        read_column(Part(tried, table.path, {(): column.line}), "internal")
    except ContractError as error:
        if error.code != "value-unfit":
            raise
        return written, told
    return tried, []


def schema_rules(
    table: OperationalTable, names: Mapping[str, str], *, has_lines: bool = True
) -> tuple[list[dict[str, object]], list[str]]:
    """Gives the rules over our names, and those that name what is no column; `has_lines` where people wrote them."""
    found: dict[str, dict[str, object]] = {}
    lost: list[str] = []
    for rule in table.rules:
        expression = _renamed(rule, {name.lower(): own for name, own in names.items()})
        if expression is None:
            lost.append(f"the check '{rule.expression}'" + (f" of line {rule.line}" if has_lines else ""))
            continue
        name = next(name for name in _candidates(rule.name) if name not in found)
        found[name] = {
            "name": name,
            "type": "custom",
            "engine": "duckdb",
            "description": (
                f"As {table.path.name} declares it on line {rule.line}." if has_lines else "As the database checks it."
            ),
            "implementation": expression,
        }
    return list(found.values()), lost


def _candidates(text: str) -> Iterator[str]:
    name = snake_case(text).replace("_", "-") or "rule"
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _renamed(rule: OperationalRule, names: Mapping[str, str]) -> str | None:
    """Gives a condition over our names; None when it names what is no column."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(rule.expression, dialect="duckdb")
    for column in tree.find_all(exp.Column):
        own = names.get(column.name.lower())
        if own is None:
            return None
        column.replace(exp.column(own))
    return tree.sql(dialect="duckdb")
