"""Drafts a contract for a file nobody has described: types, formats, keys, enums and privacy as its rows suggest."""

import codecs
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lake.archive import BINARY_FORMATS, WorkingFile, make_working_file, receive
from lake.compression import compression_of
from lake.drafting.columns import Profile, profile_column
from lake.drafting.document import DraftedContract, custom, render_contract
from lake.drafting.row_properties import DraftedColumn, column_property
from lake.engine import Session, literal, quote
from lake.errors import SourceError
from lake.formats.delimited import read_delimited
from lake.formats.excel import WORKBOOKS, SheetChoice, read_excel
from lake.formats.json_records import JsonReading, read_json, read_json_lines
from lake.formats.parquet import read_parquet
from lake.formats.reading import Reading
from lake.naming import own_names, snake_case, sounds_personal
from lake.sources.delivery import Delivery
from lake.sources.naming import FORMATS, format_of

TABLE = "landing.draft"
PREFIX = "landing.draft_file"
FALLBACK_ENCODING = "cp1252"  # of files that are no UTF-8 the usual one, and it knows what latin-1 knows
CHUNK_BYTES = 1 << 20
KEY_WORDS = frozenset({"id", "no", "nr", "num", "number", "code", "key", "uuid", "sku", "ref", "reference"})
KEY_PARTNERS = frozenset({"line", "item", "seq", "sequence", "position", "row", "version", "date", "at", "on"})
MOST_KEY_CANDIDATES = 6
MOST_KEY_COLUMNS = 3
MAIL = r"[^@\s]+@[^@\s]+\.[^@\s]+"
MOSTLY = 0.9


@dataclass(frozen=True)
class DescribedRows:
    """What rows say of their columns: ODCS properties, the key by our names, and how each column looks."""

    row_count: int
    properties: tuple[Mapping[str, object], ...]
    key: tuple[str, ...]
    profiles: Mapping[str, Profile]


@dataclass(frozen=True)
class Opened:
    """A file as rows of text in the session: its columns, the format it has and what a reader must know."""

    columns: tuple[str, ...]
    format: str
    options: Mapping[str, str]


def draft_contract(
    session: Session,
    path: Path,
    *,
    name: str | None = None,
    server_path: str | None = None,
    editor_schema: str | None = None,
) -> str:
    """Gives the YAML of a contract for a file: CSV, TSV, JSON, JSONL or Parquet, plain or compressed.

    Takes the table's name and how the server names the file, by default the file's. What the contract says is true of
    every row of the file. Raises SourceError for a file that is missing, empty, without header or of no known format.
    """
    opened = open_file(session, path, TABLE)
    found = describe_rows(session, opened.columns, path)
    place = server_path or path.as_posix()
    draft = DraftedContract(
        name=name or snake_case(path.name.split(".", 1)[0]) or "source",
        origin=f"{found.row_count} rows of {place}",
        description=rows_description(f"{opened.format} files", found.key),
        server={"server": "files", "type": "local", "path": place, "format": opened.format, **options(opened.options)},
        properties=found.properties,
    )
    return render_contract(draft, editor_schema)


def rows_description(what: str, key: Sequence[str]) -> str:
    """Gives what one row is, by what was found to tell rows apart."""
    identity = f"each identified by {' and '.join(key)}" if key else "each a record by itself"
    return f"Rows as delivered in {what}, {identity}."


def options(found: Mapping[str, str]) -> dict[str, object]:
    """Gives what a reader must know as keys of a server."""
    encoding = {"encoding": found["encoding"]} if "encoding" in found else {}
    others = {name: value for name, value in found.items() if name != "encoding"}
    return {**encoding, **({"customProperties": custom(others)} if others else {})}


def describe_rows(
    session: Session, received: Sequence[str], path: Path, notes: Mapping[str, tuple[str, ...]] | None = None
) -> DescribedRows:
    """Gives what the rows of the drafting table say of its columns; `notes` are words about some of them.

    Raises SourceError when there is no row.
    """
    row_count = session.value(f"select count(*) from {TABLE}")
    if row_count == 0:
        raise SourceError("file-empty", f"{path.name} has no rows.", cure="Draft from a file with rows.", path=path)
    names = own_names(received)
    words = {column: frozenset(names[column].split("_")) for column in received}
    profiles = {column: profile_column(session, TABLE, column, words[column]) for column in received}
    key = find_key(session, row_count, profiles, words)
    properties = []
    for column in received:
        drafted = DraftedColumn(
            name=names[column],
            source_name=column,
            profile=profiles[column],
            is_required=profiles[column].filled == row_count,
            key_position=key.index(column) + 1 if column in key else None,
            is_restricted=_is_personal(session, column, names[column], profiles[column]),
            notes=(notes or {}).get(column, ()),
        )
        properties.append(column_property(drafted, row_count))
    return DescribedRows(row_count, tuple(properties), tuple(names[column] for column in key), profiles)


def open_file(session: Session, path: Path, table: str) -> Opened:
    """Loads a file as text into a table of the session, as a landing would read it."""
    if not path.is_file():
        raise SourceError("file-missing", f"There is no file '{path}'.", cure="Name one file.", path=path)
    form = format_of(path)
    if form is None:
        message = f"The ending of '{path.name}' names no format that can be read."
        cure = f"Use one of {', '.join(FORMATS)}, plain or with .gz or .zst."
        raise SourceError("format-unknown", message, cure=cure, path=path)
    delivery = Delivery(path.name, path, form, compression_of(path))
    file, found = _working_file(session, delivery)
    reading, more = _reading(session, file, delivery)
    session.execute(f"create or replace table {table} as {reading.select()}")
    if reading.locate(session, table) is None:
        session.execute(f"create or replace table {table} as {reading.careful(session).select()}")
    return Opened(reading.columns, form, {**found, **more})


def _working_file(session: Session, delivery: Delivery) -> tuple[WorkingFile, dict[str, str]]:
    receipt = receive(delivery)
    file = make_working_file(delivery, receipt, session.scratch, "utf-8")
    if file.byte_count == 0:
        raise SourceError(
            "file-empty", f"{delivery.origin} is empty.", cure="Draft from a file with rows.", path=delivery.path
        )
    if delivery.format in BINARY_FORMATS or _is_utf8(file.path):
        return file, {}
    file = make_working_file(delivery, receipt, session.scratch, FALLBACK_ENCODING)
    return file, {"encoding": FALLBACK_ENCODING}


def _is_utf8(path: Path) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _reading(session: Session, file: WorkingFile, delivery: Delivery) -> tuple[Reading, dict[str, str]]:
    if delivery.format == "parquet":
        return read_parquet(session, file, origin=delivery.origin), {}
    if delivery.format == "jsonl":
        return in_record_order(session, read_json_lines(session, file, expected=(), prefix=PREFIX)), {}
    if delivery.format == "json":
        found = read_json(session, file, expected=(), prefix=PREFIX, origin=delivery.origin)
        return in_record_order(session, found), {}
    if delivery.format in WORKBOOKS:
        return read_excel(session, file, SheetChoice(), expected=(), prefix=PREFIX, origin=delivery.origin), {}
    return _delimited(session, file, delivery)


def in_record_order(session: Session, reading: JsonReading) -> JsonReading:
    """Gives the columns in the order of the first record; raises SourceError when there is no record with keys."""
    if not reading.columns:
        raise SourceError("file-empty", "The file holds no JSON objects with keys.", cure="Is it a list of records?")
    first = session.value(f"select json_keys(text) from {reading.records} where is_object order by line limit 1")
    known = tuple(name for name in first if name in reading.columns)
    ordered = (*known, *(name for name in reading.columns if name not in known))
    return replace(reading, pointers={name: reading.pointers[name] for name in ordered})


def _delimited(session: Session, file: WorkingFile, delivery: Delivery) -> tuple[Reading, dict[str, str]]:
    forced = ", delim = '\t'" if delivery.format == "tsv" else ""
    try:
        delimiter, described = session.rows(
            f"select Delimiter, Columns from sniff_csv({literal(str(file.path))}, header = true{forced})"
        )[0]
    except session.failure as error:
        message = f"{delivery.origin} is no delimited file: {str(error).splitlines()[0]}"
        raise SourceError("csv-malformed", message, cure="Mend its lines or its ending.", path=delivery.path) from error
    names = tuple(str(column["name"]) for column in described)
    values = [name for name in names if re.fullmatch(r"[-+]?[\d.,:/-]*\d", name)]
    if values:
        message = f"The first line of {delivery.origin} holds '{values[0]}', a value where a name should be."
        cure = "Add a line with the names of the columns."
        raise SourceError("header-missing", message, cure=cure, path=delivery.path, line=1)
    reading = read_delimited(
        file, expected=names, delimiter=delimiter, has_header=True, prefix=PREFIX, origin=delivery.origin
    )
    usual = "\t" if delivery.format == "tsv" else ","
    return reading, {} if delimiter == usual else {"delimiter": delimiter}


def find_key(
    session: Session, row_count: int, profiles: Mapping[str, Profile], words: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    """Gives the fewest columns, named like identifiers, that tell all records apart; exact repeats do not count.

    Gives () when there are none: then the whole row is the record.
    """
    whole = [column for column, found in profiles.items() if found.filled == row_count and _can_identify(found)]
    named = [column for column in whole if words[column] & KEY_WORDS]
    partners = [column for column in whole if words[column] & KEY_PARTNERS and column not in named]
    candidates = [*named, *partners][:MOST_KEY_CANDIDATES]
    if row_count == 1 or not candidates:
        return ()
    records = session.value(f"select count(*) from (select distinct * from {TABLE})")
    for size in range(1, MOST_KEY_COLUMNS + 1):
        for columns in itertools.combinations(candidates, size):
            listed = ", ".join(quote(column) for column in columns)
            if (
                columns[0] in named
                and session.value(f"select count(*) from (select distinct {listed} from {TABLE})") == records
            ):
                return columns
    return ()


def _can_identify(profile: Profile) -> bool:
    return profile.kind in ("string", "integer", "date", "timestamp")


def _is_personal(session: Session, column: str, name: str, profile: Profile) -> bool:
    """Says whether a column looks as if it told who somebody is."""
    if profile.kind not in ("string", "integer", "date") or profile.filled == 0:
        return False
    if sounds_personal(name):
        return True
    mails = session.value(f"select count(*) from {TABLE} where regexp_full_match({quote(column)}, {literal(MAIL)})")
    return bool(mails >= profile.filled * MOSTLY)
