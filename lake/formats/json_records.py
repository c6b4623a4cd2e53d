"""JSON: one array of records, one record, or a record a line (JSONL)."""

from collections.abc import Mapping
from dataclasses import dataclass

from lake.archive import WorkingFile
from lake.engine import Session, literal, quote
from lake.errors import SourceError
from lake.formats.lines import load_lines
from lake.formats.reading import Located

MOST_BYTES_A_RECORD = 64 << 20
NOT_JSON = ("not-json", "DATA_FORMAT_ERROR", "The line is no JSON object.")


@dataclass(frozen=True)
class JsonReading:
    """JSON records in the table `records` (`line`, `text`, `is_object`), and where each column stands in a record."""

    records: str
    pointers: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The received columns: keys, and paths that the contract names, such as `customer.email`."""
        return tuple(self.pointers)

    def select(self) -> str:
        """Gives SQL for one text column per received column; nested values stay JSON text."""
        if not self.columns:
            return f"select text from {self.records} where false"
        paths = ", ".join(literal(pointer) for pointer in self.pointers.values())
        fields = ", ".join(f"fields[{place}] as {quote(name)}" for place, name in enumerate(self.columns, 1))
        return f"""
            select {fields} from (
                select json_extract_string(text, [{paths}]) as fields from {self.records} where is_object order by rowid
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


def read_json_lines(session: Session, file: WorkingFile, *, expected: tuple[str, ...], prefix: str) -> JsonReading:
    """Opens a file with one JSON object a line; blank lines are no records."""
    load_lines(session, file.path, f"{prefix}_lines")
    session.execute(
        f"""
        create or replace table {prefix}_json as
        select
            line,
            text,
            coalesce(json_valid(text) and json_type(try_cast(text as json)) = 'OBJECT', false) as is_object,
        from {prefix}_lines where trim(text) <> '' order by line
        """
    )
    return _with_columns(session, f"{prefix}_json", expected)


def read_json(
    session: Session, file: WorkingFile, *, expected: tuple[str, ...], prefix: str, origin: str
) -> JsonReading:
    """Opens a file that holds one JSON array of records, or one record; `line` is the number of the record.

    Raises SourceError when the file is not well-formed JSON: nothing of it can be told apart then.
    """
    try:
        session.execute(
            f"""
            create or replace table {prefix}_json as
            select row_number() over () as line, cast(json as varchar) as text, json_type(json) = 'OBJECT' as is_object
            from read_json_objects(
                {literal(str(file.path))}, format = 'auto', maximum_object_size = {MOST_BYTES_A_RECORD}
            )
            """
        )
    except session.failure as error:
        raise SourceError(
            "json-malformed",
            f"{origin} is no well-formed JSON: {str(error).splitlines()[0]}",
            cure="Deliver it again, or as JSON lines, where one bad record spoils no other.",
        ) from error
    return _with_columns(session, f"{prefix}_json", expected)


def json_pointer(*keys: str) -> str:
    """Gives the JSON pointer (RFC 6901) of a key inside keys; any character may stand in a key."""
    return "".join(f"/{key.replace('~', '~0').replace('/', '~1')}" for key in keys)


def _with_columns(session: Session, records: str, expected: tuple[str, ...]) -> JsonReading:
    keys = {
        row[0]
        for row in session.rows(
            f"select distinct unnest(json_keys(case when is_object then try_cast(text as json) end)) from {records}"
        )
    }
    nested = {name: json_pointer(*name.split(".")) for name in expected if "." in name and name.split(".")[0] in keys}
    inside = {name.split(".")[0] for name in nested}
    known = {name: json_pointer(name) for name in expected if name in keys}
    extra = {_shown(key): json_pointer(key) for key in sorted(keys - set(known) - inside)}
    return JsonReading(records, known | nested | extra)


def _shown(key: str) -> str:
    """Gives a key as a column may be named."""
    return key.replace("\0", "\\0") or "(empty)"
