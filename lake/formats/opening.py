"""Picks the reading for a delivery's format."""

from collections.abc import Mapping

from lake.archive import WorkingFile
from lake.contract import Contract
from lake.engine import Session
from lake.errors import SourceError
from lake.formats.delimited import read_delimited
from lake.formats.excel import MOST_UNPACKED_BYTES, WORKBOOKS, SheetChoice, read_excel
from lake.formats.json_records import read_json, read_json_lines, read_json_pages
from lake.formats.messages import MESSAGES, read_messages
from lake.formats.parquet import read_parquet
from lake.formats.reading import Reading
from lake.sources.delivery import ALONE, PULL, Delivery

DELIMITERS: Mapping[str, str | None] = {"csv": None, "tsv": "\t"}
PREFIX = "landing.file"
MOST_NEW_KEYS = 1000  # of records that anybody may send: more at once are no new columns, but a mistake


def open_reading(session: Session, contract: Contract, delivery: Delivery, file: WorkingFile) -> Reading:
    """Gives the reading of a delivery's working file; raises SourceError when the format is not known."""
    expected = tuple(column.source_name for column in contract.columns)
    options = contract.server.options
    most_others = None if delivery.kind not in ALONE else MOST_NEW_KEYS if contract.drift == "evolve" else 0
    if delivery.format in DELIMITERS:
        return read_delimited(
            file,
            expected=expected,
            delimiter=DELIMITERS[delivery.format] or options.get("delimiter"),
            has_header=options.get("header", "true").lower() != "false",
            prefix=PREFIX,
            origin=delivery.origin,
        )
    if delivery.format == "jsonl":
        return read_json_lines(session, file, expected=expected, prefix=PREFIX, most_others=most_others)
    if delivery.format == "json" and ("recordPath" in options or delivery.kind == PULL):
        path = options.get("recordPath", "")
        return read_json_pages(
            session, file, expected=expected, record_path=path, prefix=PREFIX, origin=delivery.origin
        )
    if delivery.format == "json":
        return read_json(session, file, expected=expected, prefix=PREFIX, origin=delivery.origin)
    if delivery.format == MESSAGES:
        return read_messages(session, file, expected=expected, prefix=PREFIX, most_others=most_others)
    if delivery.format == "parquet":
        return read_parquet(session, file, origin=delivery.origin, expected=expected)
    if delivery.format in WORKBOOKS:
        choice = SheetChoice(
            sheet=options.get("sheet"),
            header_row=int(options.get("headerRow", 1)),
            has_header=options.get("header", "true").lower() != "false",
            most_bytes=int(options.get("mostUnpackedBytes", MOST_UNPACKED_BYTES)),
        )
        return read_excel(session, file, choice, expected=expected, prefix=PREFIX, origin=delivery.origin)
    raise SourceError(
        "format-unknown",
        f"{delivery.origin} is of the format {delivery.format!r}, which has no reading.",
        cure="Deliver csv, tsv, json, jsonl, parquet or xlsx, plain, compressed, or in a zip or tar.",
    )
