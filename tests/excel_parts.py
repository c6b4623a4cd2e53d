"""Workbooks for tests, written cell by cell as Excel writes them, so that any cell of any kind can be had."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

NAMESPACE = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CONTENT_TYPES = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">
<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>
<Default Extension="xml" ContentType="application/xml"/>
<Override PartName="/xl/workbook.xml"
 ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>
</Types>"""
PACKAGE = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">
<Relationship Id="rId1" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>"""
STYLES = f"""<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<styleSheet {NAMESPACE}><cellXfs count="4"><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/>
<xf numFmtId="22" applyNumberFormat="1"/><xf numFmtId="46" applyNumberFormat="1"/></cellXfs></styleSheet>"""
DAY, INSTANT, DURATION = 1, 2, 3


@dataclass(frozen=True)
class Cell:
    """One cell as it stands in the file: its value, its type (`n`, `b`, `e`, `str`, `d`), its style."""

    value: str
    kind: str = "n"
    style: int = 0


def day(serial: float) -> Cell:
    """A cell that Excel shows as a date; `serial` are days since 1899-12-30."""
    return Cell(repr(serial), style=DAY)


def instant(serial: float) -> Cell:
    """A cell that Excel shows as date and time."""
    return Cell(repr(serial), style=INSTANT)


def error(word: str) -> Cell:
    """A cell that Excel shows as an error."""
    return Cell(word, "e")


Row = Sequence["Cell | str | int | float | bool | None"]


def write_workbook(
    path: Path, *sheets: tuple[str, Sequence[Row]], merged: Sequence[str] = (), first_row: int = 1
) -> Path:
    """Writes a workbook: each sheet a name and its rows; `merged` ranges go to the first. Texts are inline."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("[Content_Types].xml", CONTENT_TYPES)
        book.writestr("_rels/.rels", PACKAGE)
        book.writestr("xl/styles.xml", STYLES)
        names = "".join(
            f'<sheet name="{escape(name)}" sheetId="{n}" r:id="rId{n}"/>' for n, (name, _) in enumerate(sheets, 1)
        )
        book.writestr(
            "xl/workbook.xml", f'<workbook {NAMESPACE} xmlns:r="{RELATIONS}"><sheets>{names}</sheets></workbook>'
        )
        targets = "".join(
            f'<Relationship Id="rId{n}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{n}.xml"/>'
            for n in range(1, len(sheets) + 1)
        )
        targets += f'<Relationship Id="rIdS" Type="{RELATIONS}/styles" Target="styles.xml"/>'
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{targets}</Relationships>',
        )
        for number, (_, rows) in enumerate(sheets, 1):
            ranges = "".join(f'<mergeCell ref="{each}"/>' for each in merged) if number == 1 else ""
            tail = f"<mergeCells>{ranges}</mergeCells>" if ranges else ""
            with book.open(f"xl/worksheets/sheet{number}.xml", "w") as sheet:
                sheet.write(f"<worksheet {NAMESPACE}><sheetData>".encode())
                for place, row in enumerate(rows, first_row):
                    sheet.write(_row(place, row).encode())
                sheet.write(f"</sheetData>{tail}</worksheet>".encode())
    return path


def _row(place: int, row: Row) -> str:
    cells = "".join(_cell(f"{_letters(column)}{place}", value) for column, value in enumerate(row) if value is not None)
    return f'<row r="{place}">{cells}</row>' if cells else ""


def _cell(name: str, value: "Cell | str | int | float | bool") -> str:
    if isinstance(value, Cell):
        return f'<c r="{name}" t="{value.kind}" s="{value.style}"><v>{escape(value.value)}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{name}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c r="{name}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f'<c r="{name}"><v>{value!r}</v></c>'


def _letters(column: int) -> str:
    return (_letters(column // 26 - 1) if column >= 26 else "") + chr(ord("A") + column % 26)
