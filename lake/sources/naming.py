"""What a file's name says of it: format, and whether it is a delivery at all."""

from collections.abc import Mapping
from pathlib import Path

from lake.compression import COMPRESSIONS

FORMATS: Mapping[str, str] = {
    ".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet",
    ".xlsx": "xlsx", ".xlsm": "xlsx", ".xlsb": "xlsb", ".xls": "xls", ".ods": "ods",
}  # fmt: skip
UNFINISHED = {".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp"}
LOCK_FILES = "~$"  # how Office calls the file beside an open workbook


def format_of(path: Path) -> str | None:
    """Gives the format of a file by its name, compressed or not; None when its ending tells none."""
    plain = path.with_suffix("") if path.suffix.lower() in COMPRESSIONS else path
    return FORMATS.get(plain.suffix.lower())


def is_unfinished(name: str) -> bool:
    """Says whether a name is that of a file which is hidden, still being written, or a lock."""
    return name.startswith((".", LOCK_FILES)) or Path(name).suffix.lower() in UNFINISHED
