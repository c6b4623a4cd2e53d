"""CSV and TSV: DuckDB's parallel reader, and a careful second way for files whose lines do not add up.

The fast way trusts that every record is one line, and proves it: header + records read + records refused must equal the
number of lines in the file. Where that fails (line breaks inside quotes, blank lines, a quote that is never closed,
mixed line ends), the careful way finds the records by the quotes that open and close fields and reads them again, each
with its own line. A quote in the middle of a field is a character like any other, in both ways.
"""

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path

from lake.archive import WorkingFile, measure_file
from lake.engine import Session, literal, quote
from lake.errors import SourceError
from lake.formats.header import check_header, name_columns, spell_as
from lake.formats.lines import json_of, load_lines, pick_lines, write_texts
from lake.formats.reading import Located

HEADER_BYTES = 1 << 20
LONGEST_LINE = 16 << 20
BUFFER_BYTES = 2 * LONGEST_LINE  # DuckDB would take sixteen lines of that size: too much to share out or to hold
LINE_FEEDS = r"new_line = '\n'"  # how the files end their lines that we write ourselves
MOST_ROUNDS = 20  # how many never-closed quotes are told apart before what follows is one broken record
BROKEN_RULES = {
    "MISSING COLUMNS": ("too-few-fields", "SCHEMA_MISMATCH", "The line has too few fields."),
    "TOO MANY COLUMNS": ("too-many-fields", "SCHEMA_MISMATCH", "The line has too many fields."),
    "UNQUOTED VALUE": ("broken-quotes", "DATA_FORMAT_ERROR", "A quote is not closed, or text follows a closing quote."),
    "INVALID ENCODING": ("bad-encoding", "DATA_FORMAT_ERROR", "The line is not in the declared encoding."),
    "LINE SIZE OVER MAXIMUM": ("line-too-long", "DATA_FORMAT_ERROR", "The line is too long."),
    "CAST": ("unreadable", "DATA_FORMAT_ERROR", "The line cannot be read."),
}
STRAY_RETURN = ("stray-carriage-return", "DATA_FORMAT_ERROR", "A carriage return stands outside quotes.")
INSIDE = '(?:[^"]|"")*'  # what may stand between the quotes of a field
UNCLOSED = ("broken-quotes", "DATA_FORMAT_ERROR", "A quote is opened and never closed.")


@dataclass(frozen=True)
class DelimitedReading:
    """One delimited file. `records` names the table of the careful way (`ordinal`, `line`, `text`), else None."""

    file: WorkingFile
    columns: tuple[str, ...]
    delimiter: str
    header_lines: int
    prefix: str
    records: str | None = None

    def select(self) -> str:
        """Gives SQL for one text column per received column."""
        rejects = f"store_rejects = true, rejects_table = '{self._rejects}', rejects_scan = '{self._rejects}_scan'"
        options = f"ignore_errors = true, rejects_limit = 0, {rejects}"
        options += f", {LINE_FEEDS}" if self.records else ""
        return f"select * from {self._read_csv(self.file.path, self.header_lines, options)}"

    def sample(self) -> str:
        """Gives SQL for a look at the first rows; what it refuses is noted elsewhere."""
        return replace(self, prefix=f"{self.prefix}_sample").select()

    def locate(self, session: Session, loaded: str) -> Located | None:
        """Says where the rows stand, or None when header, rows and refused records are not all the lines."""
        if self.file.byte_count == 0:
            aside = None if self.records is None else f"{self.records.removesuffix('_records')}_aside"
            return Located(f"select *, 0 as _ordinal, 0 as _line from {loaded}", aside)
        rows = session.value(f"select count(*) from {loaded}")
        refused = session.value(f"select count(distinct line) from {self._rejects}")
        if self.records is None:
            if self.header_lines + rows + refused != self.file.line_count:
                return None
            return self._by_position(session, loaded, refused)
        return self._by_record(session, loaded)

    def careful(self, session: Session) -> "DelimitedReading":
        """Gives the reading that finds records by the quotes that open and close fields."""
        load_lines(session, _with_line_feeds(self.file, session.scratch), f"{self.prefix}_lines", ends="\n")
        _set_bad_encoding_aside(session, self.prefix)
        _find_turns(session, self.prefix, self.delimiter)
        for _ in range(MOST_ROUNDS):
            _find_records(session, self.prefix, self.header_lines)
            if not _set_unclosed_aside(session, self.prefix):
                break
        _set_unsound_aside(session, self.prefix, self.delimiter)
        target = session.scratch / f"{Path(self.prefix).name}.records.csv"
        reader = session.reader(f"select text from {self.prefix}_records order by ordinal")
        write_texts(target, b"", (batch.column(0) for batch in reader))
        return replace(
            self,
            file=measure_file(target),
            header_lines=0,
            records=f"{self.prefix}_records",
            prefix=f"{self.prefix}_again",
        )

    def raw_data(self, session: Session, wanted: str, target: str) -> None:
        """Creates `target` (`_line`, `raw_data`) for the wanted lines."""
        lines = session.arrow(f"select distinct _line from {wanted} order by _line")["_line"]
        if self.records is None:
            picked = pick_lines(self.file, lines)
        else:
            picked = session.arrow(
                f"select line, text from {self.records} where line in (select _line from {wanted}) order by line"
            )
        small = session.scratch / f"{Path(target).name}.picked.csv"
        write_texts(small, b"", iter(picked["text"].chunks))
        session.register("picked_lines", picked.select(["line"]))
        fields = self._read_csv(small, 0, f"ignore_errors = false, {LINE_FEEDS}")
        session.execute(
            f"""
            create or replace table {target}_numbers as select line from picked_lines;
            create or replace table {target}_fields as from {fields};
            create or replace table {target} as
            select numbers.line as _line, {json_of(self.columns)} as raw_data
            from {target}_fields as fields positional join {target}_numbers as numbers
            """
        )

    @property
    def _rejects(self) -> str:
        return f"{self.prefix}_rejects".replace(".", "_").replace('"', "")

    def _read_csv(self, path: Path, header_lines: int, more: str) -> str:
        if path.stat().st_size == 0:
            empty = ", ".join(f"null::varchar as {quote(name)}" for name in self.columns)
            return f"(select {empty} where false)"
        columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in self.columns)
        return (
            f"read_csv({literal(str(path))}, auto_detect = false, header = {'true' if header_lines else 'false'}, "
            f"columns = {{{columns}}}, delim = {literal(self.delimiter)}, quote = '\"', escape = '\"', nullstr = '', "
            f"max_line_size = {LONGEST_LINE}, buffer_size = {BUFFER_BYTES}, {more})"
        )

    def _by_position(self, session: Session, loaded: str, refused: int) -> Located:
        first = self.header_lines + 1
        if refused == 0:
            return Located(f"select *, rowid as _ordinal, rowid + {first} as _line from {loaded}")
        shifts, broken = f"{self.prefix}_shifts", f"{self.prefix}_broken"
        session.execute(
            f"""
            create or replace table {shifts} as
            select line - row_number() over (order by line) + 1 as from_line, row_number() over (order by line) as shift
            from (select distinct line from {self._rejects});
            create or replace table {shifts} as
            select from_line, max(shift) as shift from {shifts} group by from_line
            union all select -1 as from_line, 0 as shift;
            create or replace table {broken} as {self._broken_select("line")}
            """
        )
        return Located(
            f"select rows.*, rows.rowid as _ordinal, rows.rowid + {first} + shift as _line "
            f"from {loaded} as rows asof join {shifts} as shifts on rows.rowid + {first} >= from_line",
            broken,
        )

    def _by_record(self, session: Session, loaded: str) -> Located:
        records, broken, kept = self.records, f"{self.prefix}_broken", f"{self.prefix}_kept"
        aside = f"{str(self.records).removesuffix('_records')}_aside"
        session.execute(
            f"""
            create or replace table {kept} as
            select line, row_number() over (order by ordinal) - 1 as ordinal from {records}
            where ordinal + 1 not in (select line from {self._rejects});
            create or replace table {broken} as
            select records.line as _line, refused.* exclude (_line) replace (records.text as raw_data)
            from ({self._broken_select("line")}) as refused
            join {records} as records on records.ordinal + 1 = refused._line
            union all
            from {aside}
            """
        )
        return Located(
            f"select rows.*, rows.rowid as _ordinal, kept.line as _line "
            f"from {loaded} as rows join {kept} as kept on kept.ordinal = rows.rowid",
            broken,
        )

    def _broken_select(self, line: str) -> str:
        cases = {
            field: " ".join(f"when '{kind}' then {literal(words[index])}" for kind, words in BROKEN_RULES.items())
            for index, field in enumerate(("rule", "category", "message"))
        }
        return f"""
            select
                {line}::bigint as _line,
                case error_type::varchar {cases["rule"]} end as rule,
                case error_type::varchar {cases["category"]} end as category,
                case error_type::varchar {cases["message"]} end as message,
                trim(csv_line, chr(10) || chr(13)) as raw_data,
            from {self._rejects}
            qualify row_number() over (partition by line order by byte_position) = 1
        """


def read_delimited(
    file: WorkingFile, *, expected: tuple[str, ...], delimiter: str | None, has_header: bool, prefix: str, origin: str
) -> DelimitedReading:
    """Opens a delimited file by its header; `expected` are the source names that the contract knows.

    Raises SourceError when the file is empty, its header repeats a name, or holds none of the expected ones.
    """
    if file.byte_count == 0:
        raise SourceError("file-empty", f"{origin} is empty: it has not even a header.", cure="Deliver it again.")
    header = _header_line(file.path)
    marks = (delimiter,) if delimiter else tuple(",;\t|")
    spelled = {mark: spell_as(_fields(header, mark), expected) for mark in marks}
    separator = max(marks, key=lambda mark: len(set(spelled[mark]) & set(expected)))
    if not has_header:
        return DelimitedReading(file, expected, separator, 0, prefix)
    names = spelled[separator]
    check_header(names, expected, origin=origin)
    return DelimitedReading(file, names, separator, 1, prefix)


def _header_line(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    text = start.decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n", 1)[0]


def _fields(header: str, delimiter: str) -> tuple[str, ...]:
    return name_columns(next(csv.reader([header], delimiter=delimiter), []))


def _with_line_feeds(file: WorkingFile, scratch: Path) -> Path:
    """Gives a copy without a byte order mark, whose lines end in a line feed.

    Carriage returns become line feeds only where the file has no line feed at all; else one may stand inside quotes.
    """
    target = scratch / f"{file.path.name}.lines"
    with file.path.open("rb") as source, target.open("wb") as out:
        start = source.read(HEADER_BYTES).removeprefix(b"\xef\xbb\xbf")
        while start:
            out.write(start if file.newline_count else start.replace(b"\r", b"\n"))
            start = source.read(HEADER_BYTES)
    return target


def _patterns(delimiter: str) -> tuple[str, str, str]:
    """Gives patterns: of a field, of a line that leaves a quote open, and of one that leaves it open if it was."""
    mark, spaces = re.escape(delimiter), "" if delimiter == " " else " *"  # DuckDB takes spaces around quotes
    field = f'(?:{spaces}"{INSIDE}"{spaces}|{spaces}(?:[^" {mark}\\r\\n][^{mark}\\r\\n]*)?)'
    rest = f'(?:[^" {mark}][^{mark}]*)?{mark}'
    opens = f'(?:{spaces}(?:"{INSIDE}"{spaces})?{rest})*{spaces}"{INSIDE}'
    return field, opens, f'{INSIDE}(?:"{spaces}{rest}{opens})?'


def _find_turns(session: Session, prefix: str, delimiter: str) -> None:
    """Creates `<prefix>_turns`: for each line whether a quote is open behind it, if none and if one was open before."""
    _, opens, goes_on = _patterns(delimiter)
    session.execute(
        f"""
        create or replace table {prefix}_turns as
        select
            line,
            contains(text, '"') and regexp_full_match(text, {literal(opens)}) as opens,
            not contains(text, '"') or regexp_full_match(text, {literal(goes_on)}) as goes_on,
        from {prefix}_lines
        """
    )


def _find_records(session: Session, prefix: str, header_lines: int) -> None:
    """Creates `<prefix>_records` (`ordinal`, `line`, `text`) from the lines that are not set aside.

    A record goes on while a quote is open; blank lines between records are none. A line that opens or closes whatever
    was before settles that; from there on the lines that turn it are counted.
    """
    session.execute(
        f"""
        create or replace table {prefix}_parity as
        select
            line,
            (turns + coalesce(last_value(settled ignore nulls) over (order by line), 0)) % 2 = 1 as is_open,
        from (
            select line, turns, case when opens = goes_on then (opens::int + turns) % 2 end as settled
            from (
                select line, opens, goes_on, sum((opens and not goes_on)::int) over (order by line) as turns
                from {prefix}_turns
                where line > {header_lines} and line not in (select _line from {prefix}_aside)
            )
        );
        create or replace table {prefix}_starts as
        select line, is_open, sum(starts) over (order by line) as record
        from (
            select line, is_open, (not coalesce(lag(is_open) over (order by line), false))::int as starts
            from {prefix}_parity
        );
        create or replace table {prefix}_records as
        select row_number() over (order by line) - 1 as ordinal, line, text, is_open
        from (
            select
                min(starts.line) as line,
                rtrim(string_agg(lines.text, chr(10) order by starts.line), chr(13)) as text,
                arg_max(is_open, starts.line) as is_open,
            from {prefix}_starts as starts
            join {prefix}_lines as lines on lines.line = starts.line
            group by record
        )
        where text <> ''
        """
    )


def _set_unclosed_aside(session: Session, prefix: str) -> bool:
    """Moves the first line of a record that never closes out of the way; says whether there was one."""
    found = session.rows(f"select line from {prefix}_records where is_open")
    if not found:
        return False
    rule, category, message = UNCLOSED
    session.execute(
        f"insert into {prefix}_aside select line, '{rule}', '{category}', '{message}', text from {prefix}_lines "
        f"where line = {found[0][0]}"
    )
    return True


def _set_bad_encoding_aside(session: Session, prefix: str) -> None:
    """Creates `<prefix>_aside` (`_line, rule, category, message, raw_data`) with the lines that are not UTF-8."""
    rule, category, message = BROKEN_RULES["INVALID ENCODING"]
    session.execute(
        f"""
        create or replace table {prefix}_aside as
        select line as _line, '{rule}' as rule, '{category}' as category, '{message}' as message, text as raw_data
        from {prefix}_lines where contains(text, chr(65533))
        """
    )


def _set_unsound_aside(session: Session, prefix: str, delimiter: str) -> None:
    """Moves records that are not fields between delimiters out of the way: the parser loses count there."""
    field, _, _ = _patterns(delimiter)
    sound = f"regexp_full_match(text, {literal(f'{field}(?:{re.escape(delimiter)}{field})*')})"
    stray = f"(contains(text, '\"') or contains(text, chr(13))) and not {sound}"
    is_outside = "contains(regexp_replace(text, '\"[^\"]*\"', '', 'g'), chr(13))"
    words = [
        f"case when {is_outside} then {literal(out)} else {literal(within)} end"
        for out, within in zip(STRAY_RETURN, BROKEN_RULES["UNQUOTED VALUE"], strict=True)
    ]
    session.execute(
        f"""
        insert into {prefix}_aside
        select line, {", ".join(words)}, text from {prefix}_records where {stray};
        create or replace table {prefix}_records as
        select row_number() over (order by line) - 1 as ordinal, line, text, is_open
        from {prefix}_records where not ({stray})
        """
    )
