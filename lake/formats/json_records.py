"""JSON: one array of records, one record, or a record a line (JSONL)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lake.archive import WorkingFile
from lake.engine import Session, literal, quote, room_for_engine
from lake.errors import SourceError
from lake.formats.lines import load_lines
from lake.formats.reading import UNKNOWN_KEYS, Located

MOST_BYTES_A_RECORD = 64 << 20
MOST_TOLD = 3  # pages without records, or unknown keys, that a message names
MOST_LOOKED_AT = 1000  # unknown keys of a record; of more it is not asked which are null
NOT_JSON = ("not-json", "DATA_FORMAT_ERROR", "The line is no JSON object.")


@dataclass(frozen=True)
class JsonReading:
    """JSON records in the table `records` (`line`, `text`, `is_object`), and where each column stands in a record.

    `others` are received columns that stand elsewhere, as SQL over that table: `UNKNOWN_KEYS`, or what a message has
    beside its value.
    """

    records: str
    pointers: Mapping[str, str]
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """The received columns: keys, and paths that the contract names, such as `customer.email`."""
        return (*self.pointers, *self.others)

    def select(self) -> str:
        """Gives SQL for one text column per received column; nested values stay JSON text."""
        if not self.columns:
            return f"select text from {self.records} where is_object order by rowid"
        paths = ", ".join(literal(pointer) for pointer in self.pointers.values())
        fields = [f"fields[{place}] as {quote(name)}" for place, name in enumerate(self.pointers, 1)]
        others = "".join(f", {sql} as {quote(name)}" for name, sql in self.others.items())
        return f"""
            select {", ".join([*fields, *(quote(name) for name in self.others)])} from (
                select json_extract_string(text, [{paths}]::varchar[]) as fields{others}
                from {self.records} where is_object order by rowid
            )
        """

    def sample(self) -> str:
        """Gives what `select` gives: it leaves nothing behind."""
        return self.select()

    def locate(self, session: Session, loaded: str) -> Located:
        """Says where the rows stand; what is no JSON object is broken."""
        rule, category, message = NOT_JSON
        session.execute(
            f"""
            create or replace table {self.records}_objects as
            select line, row_number() over (order by line) - 1 as ordinal from {self.records} where is_object;
            create or replace table {self.records}_broken as
            select line as _line, '{rule}' as rule, '{category}' as category, '{message}' as message, text as raw_data
            from {self.records} where not is_object
            """
        )
        return Located(
            f"select rows.*, rows.rowid as _ordinal, objects.line as _line from {loaded} as rows "
            f"join {self.records}_objects as objects on objects.ordinal = rows.rowid",
            f"{self.records}_broken",
        )

    def careful(self, session: Session) -> "JsonReading":  # noqa: ARG002  # the protocol's
        """Gives itself: every line is accounted for already."""
        return self

    def raw_data(self, session: Session, wanted: str, target: str) -> None:
        """Creates `target` (`_line`, `raw_data`) for the wanted lines."""
        session.execute(
            f"create or replace table {target} as select line as _line, text as raw_data from {self.records} "
            f"where line in (select _line from {wanted})"
        )


def read_json_lines(
    session: Session, file: WorkingFile, *, expected: tuple[str, ...], prefix: str, most_others: int | None = None
) -> JsonReading:
    """Opens a file with one JSON object a line; blank lines are no records.

    Where more keys than `most_others` are not expected, none of them is a column, but each its record's fault; None:
    however many there are.
    """
    load_lines(session, file.path, f"{prefix}_lines")
    session.execute(
        f"""
        create or replace table {prefix}_json as
        select
            line,
            text,
            coalesce({is_object_sql("text")}, false) as is_object,
        from {prefix}_lines where trim(text) <> '' order by line
        """
    )
    return with_columns(session, f"{prefix}_json", expected, most_others)


def read_json(
    session: Session, file: WorkingFile, *, expected: tuple[str, ...], prefix: str, origin: str
) -> JsonReading:
    """Opens a file that holds one JSON array of records, or one record; `line` is the number of the record.

    Raises SourceError when the file is not well-formed JSON: nothing of it can be told apart then.
    """
    with _well_formed(session, origin):
        session.execute(
            f"""
            create or replace table {prefix}_json as
            select row_number() over () as line, cast(json as varchar) as text, json_type(json) = 'OBJECT' as is_object
            from read_json_objects(
                {literal(str(file.path))}, format = 'auto', maximum_object_size = {MOST_BYTES_A_RECORD}
            )
            """
        )
    return with_columns(session, f"{prefix}_json", expected)


def read_json_pages(
    session: Session, file: WorkingFile, *, expected: tuple[str, ...], record_path: str, prefix: str, origin: str
) -> JsonReading:
    """Opens a file of one JSON value after the other, each a page: `record_path` leads to a page's records.

    There stands an array of records, one record, or null for none; with an empty path that is the page itself.
    `line` is the number of the record in the file. Raises SourceError when a page is no well-formed JSON or has no
    records where they should be.
    """
    pointer = json_pointer(*record_path.split(".")) if record_path else ""
    form = "unstructured" if record_path else "auto"  # auto takes a single array apart while it reads it
    options = f"format = '{form}', maximum_object_size = {max(MOST_BYTES_A_RECORD, file.byte_count)}"
    with _well_formed(session, origin):
        session.execute(
            f"""
            create or replace table {prefix}_pages as
            select json_type(json, {literal(pointer)}) as kind, json_extract(json, {literal(pointer)}) as found
            from read_json_objects({literal(str(file.path))}, {options})
            """
        )
    _expect_records(session, f"{prefix}_pages", record_path, origin)
    session.execute(
        f"""
        create or replace table {prefix}_json as
        select
            row_number() over () as line,
            cast(record as varchar) as text,
            coalesce(json_type(record) = 'OBJECT', false) as is_object,
        from (
            select unnest(
                case kind when 'ARRAY' then cast(found as json[]) when 'NULL' then [] else [found] end
            ) as record
            from {prefix}_pages
        )
        """
    )
    return with_columns(session, f"{prefix}_json", expected)


def _expect_records(session: Session, pages: str, record_path: str, origin: str) -> None:
    if not record_path:
        return
    wrong = session.rows(
        f"select place, kind from (select row_number() over () as place, kind from {pages}) "
        f"where kind is null or kind not in ('ARRAY', 'OBJECT', 'NULL') order by place limit {MOST_TOLD}"
    )
    if wrong:
        told = ", ".join(f"page {place} has {'nothing' if kind is None else f'a {kind}'}" for place, kind in wrong)
        raise SourceError(
            "record-path-missing",
            f"{origin} has no records at {record_path!r}: {told} there.",
            cure="Mend `recordPath` in the contract, then `sluice batch reland`; or have the provider mend the answer.",
        )


@contextmanager
def _well_formed(session: Session, origin: str) -> Iterator[None]:
    """Raises SourceError when the engine cannot read a file as JSON."""
    try:
        with room_for_engine(session.scratch):
            yield
    except session.failure as error:
        raise SourceError(
            "json-malformed",
            f"{origin} is no well-formed JSON: {str(error).splitlines()[0]}",
            cure="Deliver it again, or as JSON lines, where one bad record spoils no other.",
        ) from error


def json_pointer(*keys: str) -> str:
    """Gives the JSON pointer (RFC 6901) of a key inside keys; any character may stand in a key."""
    return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in keys)


def with_columns(
    session: Session, records: str, expected: tuple[str, ...], most_others: int | None = None
) -> JsonReading:
    """Gives the reading of a table of records, with the columns that its objects have; see `read_json_lines`."""
    keys = {
        row[0]
        for row in session.rows(f"select distinct unnest(json_keys(case when is_object then text end)) from {records}")
    }
    nested = {name: json_pointer(*name.split(".")) for name in expected if "." in name and name.split(".")[0] in keys}
    inside = {name.split(".")[0] for name in nested}
    known = {name: json_pointer(name) for name in expected if name in keys}
    others = sorted(keys - set(known) - inside)
    if most_others is not None and len(others) > most_others:
        return JsonReading(records, known | nested, {UNKNOWN_KEYS: _unknown_keys({*known, *inside})})
    names = _told_apart(map(_shown, others), [*known, *nested])
    extra = {name: json_pointer(key) for name, key in zip(names, others, strict=True)}
    return JsonReading(records, known | nested | extra)


def _told_apart(names: Iterable[str], taken: Iterable[str]) -> Iterator[str]:
    """Gives names that no other one is, as SQL sees it: it tells none apart that differ in case only."""
    plain = {name.casefold() for name in taken}
    for name in names:
        own = name
        while own.casefold() in plain:
            own += "_received"
        plain.add(own.casefold())
        yield own


def _unknown_keys(known: set[str]) -> str:
    """Gives SQL for the first keys of a record that are not known and not null, as one text."""
    unknown = unknown_keys_sql("text", "json_keys(text)", sorted(known))
    return f"nullif(array_to_string(({unknown})[:{MOST_TOLD}], ', '), '')"


def is_object_sql(text: str) -> str:
    """Gives SQL for whether a text is a JSON object: it is parsed once, for what that takes is nine times its size."""
    blanks = "' ' || chr(9) || chr(10) || chr(13)"
    return f"json_valid({text}) and starts_with(ltrim({text}, {blanks}), '{{')"


def unknown_keys_sql(text: str, keys: str, known: Sequence[str]) -> str:
    """Gives SQL for the list of those of an object's `keys` that are not known and whose values are not null.

    The record is parsed once for all its values, not once for each. Where a key stands twice, and where there are a
    great many, null values are not told from others.
    """
    named = ", ".join(literal(key) for key in known)
    is_unknown = f"not list_contains([{named}]::varchar[], {{}})"
    unknown = f"list_filter({keys}, lambda key: {is_unknown.format('key')})"
    entries = f"""map_entries(from_json({text}, '"MAP(VARCHAR, JSON)"'))"""
    present = f"lambda entry: entry.value is not null and {is_unknown.format('entry.key')}"
    return f"""
        case
            when len({unknown}) = 0 then []
            when len({unknown}) > {MOST_LOOKED_AT} or len(list_distinct({keys})) < len({keys}) then {unknown}
            else list_transform(list_filter({entries}, {present}), lambda entry: entry.key)
        end
    """


def _shown(key: str) -> str:
    """Gives a key as a column may be named."""
    return key.replace("\0", "\\0") or "(empty)"
