"""Workbooks (xlsx, xlsb, xls, ods): one sheet, its cells as text, so that one contract judges every format alike.

A sheet is read thrice: as text, as numbers, and for which cells are numbers. The library's text of a number is cut
after nine decimals; its number is exact, and is written here with the 15 digits that Excel itself keeps. So 0.1 stays
0.1, 3 has no point, and a text such as 0012 stays what it is. See docs/decisions/excel-by-calamine.md.
"""

import zipfile
from dataclasses import dataclass

import fastexcel
import numpy as np
import pyarrow as pa

from lake.archive import WorkingFile
from lake.engine import Session, literal, quote
from lake.errors import SourceError
from lake.formats.header import check_header, name_columns, spell_as
from lake.formats.lines import json_of
from lake.formats.reading import Located

WORKBOOKS = ("xlsx", "xlsb", "xls", "ods")
ROWS_A_BATCH = 65_536
MOST_UNPACKED_BYTES = 2 << 30  # a million rows of thirty cells; unless the contract's server says otherwise
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # the stream in which Office keeps a workbook with a password
OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
HEAD_BYTES = 1 << 20
MOST_SHEETS_TOLD = 20
ERROR_CELL = ("error-cell", "DATA_FORMAT_ERROR")
ERRORS = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
    "GettingData": "#GETTING_DATA",
}
# A number as people write it: no exponent, no noise beyond what Excel keeps.
NUMBER = """
    case
        when not contains({digits}, 'e') then {digits}
        when abs({value}) between 1e-37 and 1 then rtrim(cast(cast({digits} as decimal(38, 37)) as varchar), '0')
        when abs({value}) < 1e37 then cast(cast({digits} as decimal(38, 0)) as varchar)
        else {digits}
    end
"""
# A date is told with its midnight, and a time of day with the day that Excel counts from.
MOMENT = (
    "case when regexp_full_match({text}, '\\d{{4}}-\\d\\d-\\d\\d 00:00:00') then left({text}, 10) "
    "when starts_with({text}, '1899-12-31 ') then substr({text}, 12) else {text} end"
)


@dataclass(frozen=True)
class ExcelReading:
    """One sheet in the table `<prefix>_cells` (`line`, one text column per place, `error`); `line` is the sheet's row.

    `places` says in which column of that table each received column stands.
    """

    prefix: str
    columns: tuple[str, ...]
    places: tuple[int, ...]

    def select(self) -> str:
        """Gives SQL for one text column per received column; rows without any value are no records."""
        return f"select {self._fields()} from {self._rows} where error is null order by line"

    def sample(self) -> str:
        """Gives what `select` gives: it leaves nothing behind."""
        return self.select()

    def locate(self, session: Session, loaded: str) -> Located:
        """Says where the rows stand; those with an error cell are broken."""
        rule, category = ERROR_CELL
        session.execute(
            f"""
            create or replace table {self.prefix}_places as
            select line, row_number() over (order by line) - 1 as ordinal from {self._rows} where error is null;
            create or replace table {self.prefix}_broken as
            select line as _line, '{rule}' as rule, '{category}' as category,
                'A cell holds the error ' || error || '.' as message, raw_data
            from (select line, error, {json_of(self.columns)} as raw_data
                  from (select line, error, {self._fields()} from {self._rows} where error is not null))
            """
        )
        return Located(
            f"select rows.*, rows.rowid as _ordinal, places.line as _line from {loaded} as rows "
            f"join {self.prefix}_places as places on places.ordinal = rows.rowid",
            f"{self.prefix}_broken",
        )

    def careful(self, session: Session) -> "ExcelReading":  # noqa: ARG002  # the protocol's
        """Gives itself: every row is accounted for already."""
        return self

    def raw_data(self, session: Session, wanted: str, target: str) -> None:
        """Creates `target` (`_line`, `raw_data`) for the wanted rows."""
        session.execute(
            f"create or replace table {target} as select line as _line, {json_of(self.columns)} as raw_data "
            f"from (select line, {self._fields()} from {self._rows}) where line in (select _line from {wanted})"
        )

    @property
    def _rows(self) -> str:
        found = ", ".join(f"c{place}" for place in self.places)
        return f"(from {self.prefix}_cells where coalesce({found}) is not null)"

    def _fields(self) -> str:
        return ", ".join(f"c{place} as {quote(name)}" for place, name in zip(self.places, self.columns, strict=True))


@dataclass(frozen=True)
class SheetChoice:
    """Which sheet (None: the first), on which of its rows the names stand, and whether there are names at all.

    `most_bytes` is what the workbook may unpack to: its cells are held in memory.
    """

    sheet: str | None = None
    header_row: int = 1
    has_header: bool = True
    most_bytes: int = MOST_UNPACKED_BYTES


def read_excel(
    session: Session, file: WorkingFile, choice: SheetChoice, *, expected: tuple[str, ...], prefix: str, origin: str
) -> ExcelReading:
    """Opens one sheet of a workbook; `expected` are the source names that the contract knows.

    Raises SourceError when the workbook is broken or has a password, lacks the sheet, or the header is none.
    """
    _expect_size(file, choice.most_bytes, origin)
    width = _load_sheet(session, file, choice.sheet, f"{prefix}_sheet", origin)
    first = choice.header_row + 1 if choice.has_header else choice.header_row
    if width == 0:
        raise SourceError("file-empty", f"The sheet in {origin} is empty.", cure="Deliver it again.")
    _make_text(session, prefix, width, first)
    if not choice.has_header:
        return ExcelReading(prefix, expected[:width], tuple(range(min(width, len(expected)))))
    found = session.rows(f"from {prefix}_text where line = {choice.header_row}")
    cells = found[0][2:] if found else ()
    if not any(cells):
        raise SourceError(
            "file-empty",
            f"Row {choice.header_row} of the sheet in {origin} is empty: there are no column names.",
            cure="Deliver it again, or say by `headerRow` in the contract's server on which row they stand.",
            line=choice.header_row,
        )
    filled = _filled(session, prefix, width)
    places = tuple(place for place in range(width) if cells[place] or filled[place])
    names = name_columns(cells)
    columns = spell_as([names[place] for place in places], expected)
    check_header(columns, expected, origin=origin, line=choice.header_row)
    return ExcelReading(prefix, columns, places)


def _expect_size(file: WorkingFile, most_bytes: int, origin: str) -> None:
    """Raises SourceError when a workbook that is a zip says that it unpacks to more than is allowed."""
    try:
        with zipfile.ZipFile(file.path) as parts:
            size = sum(part.file_size for part in parts.infolist())
    except zipfile.BadZipFile:
        size = file.byte_count
    if size > most_bytes:
        raise SourceError(
            "workbook-too-large",
            f"{origin} unpacks to {size:,} bytes; the limit is {most_bytes:,} bytes.",
            cure="Deliver it in parts or as CSV, or raise `mostUnpackedBytes` of the contract's server.",
        )


def _load_sheet(session: Session, file: WorkingFile, sheet: str | None, table: str, origin: str) -> int:
    """Creates a table of a sheet (`line`, for each place `t` text, `b` whether a number, `f` number); gives its width.

    The table `<table>_errors` (`line`, `place`, `word`) has the cells that hold an error.
    """
    link = session.scratch / f"{file.path.name}.book"  # without a telling ending the library looks at the content
    link.unlink(missing_ok=True)
    link.symlink_to(file.path.resolve())
    try:
        book = fastexcel.read_excel(str(link))
        name = _pick_sheet(book.sheet_names, sheet, origin)
        texts, errors = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="string").to_arrow_with_errors()
        kinds = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="boolean").to_arrow()
        numbers = book.load_sheet(name, header_row=None, skip_rows=0, dtypes="float").to_arrow()
    except fastexcel.FastExcelError as error:
        raise _unreadable(file, origin, error) from error
    places = range(texts.num_columns)
    lines = pa.array(np.arange(1, texts.num_rows + 1, dtype=np.int64))
    columns = [lines, *(part.column(place) for part in (texts, kinds, numbers) for place in places)]
    whole = pa.table(columns, names=["line", *(f"{letter}{place}" for letter in "tbf" for place in places)])
    session.create_from(table, pa.RecordBatchReader.from_batches(whole.schema, whole.to_batches(ROWS_A_BATCH)))
    found = [] if errors is None else errors.errors
    wrong = pa.table(
        {
            "line": pa.array([error.position[0] + 1 for error in found], pa.int64()),
            "place": pa.array([error.position[1] for error in found], pa.int64()),
            "word": pa.array([_error_word(error.detail) for error in found], pa.string()),
        }
    )
    session.create_from(f"{table}_errors", wrong.to_reader())
    return int(texts.num_columns)


def _pick_sheet(names: list[str], wanted: str | None, origin: str) -> str:
    if wanted is None and names:
        return names[0]
    if wanted in names:
        return wanted
    told = ", ".join(repr(name) for name in names[:MOST_SHEETS_TOLD]) or "none"
    raise SourceError(
        "sheet-missing",
        f"{origin} has no sheet {wanted!r}; it has {told}.",
        cure="Name one of them under `sheet` in the contract's server, or deliver the right workbook.",
    )


def _error_word(detail: str) -> str:
    """Gives an error as Excel shows it, from the library's words such as `Expected string but got 'Error(NA)'`."""
    inner = detail.rpartition("Error(")[2].partition(")")[0]
    return ERRORS.get(inner, "#ERROR")


def _make_text(session: Session, prefix: str, width: int, first: int) -> None:
    """Creates `<prefix>_text` (`line`, `error`, `c0`…) of a sheet, and `<prefix>_cells` from its first record on."""
    cells = ", ".join(f"{_cell_sql(place)} as c{place}" for place in range(width))
    session.execute(
        f"""
        create or replace table {prefix}_text as
        select line, errors.word as error, {cells}
        from {prefix}_sheet
        left join (
            select line, min(word) as word, map_from_entries(list((place, word))) as words
            from {prefix}_sheet_errors group by line
        ) as errors using (line)
        order by line;
        create or replace view {prefix}_cells as from {prefix}_text where line >= {first};
        """
    )


def _cell_sql(place: int) -> str:
    number = NUMBER.format(digits=f"printf('%.15g', f{place})", value=f"f{place}")
    return (
        f"case when t{place} is null then errors.words[{place}] "
        f"when b{place} is not null and t{place} not in ('true', 'false') then {number} "
        f"when t{place} = '' then null else {MOMENT.format(text=f't{place}')} end"
    )


def _filled(session: Session, prefix: str, width: int) -> list[bool]:
    """Says of each column of a sheet whether it has any value below the header."""
    counts = ", ".join(f"count(c{place}) > 0" for place in range(width))
    return list(session.rows(f"select {counts} from {prefix}_cells")[0])


def _unreadable(file: WorkingFile, origin: str, error: Exception) -> SourceError:
    with file.path.open("rb") as opened:
        head = opened.read(HEAD_BYTES)
        opened.seek(max(0, file.byte_count - HEAD_BYTES))
        is_encrypted = head.startswith(OLE_MAGIC) and ENCRYPTED in head + opened.read(HEAD_BYTES)
    if is_encrypted or "password" in str(error).lower():
        return SourceError(
            "workbook-encrypted",
            f"{origin} is protected by a password.",
            cure="Deliver it without one; to protect it on its way, encrypt the way.",
        )
    why = str(error).splitlines()[0].removeprefix("calamine error: ").replace(literal(str(file.path)), origin)
    return SourceError(
        "workbook-malformed", f"{origin} is no readable workbook: {why}.", cure="Deliver it whole again."
    )
