"""What tests of changing contracts share: a shop with one source, and its contract in several versions."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from flows.cli import main
from tests.crash_parts import HEADER, make_shop

FIRST = HEADER + "o1,2026-01-10,north,10.00\no2,2026-02-11,south,2.50\n"
SECOND = HEADER + "o3,2026-02-12,south,1.25\no4,2026-03-01,north,4.00\n"


def contract_of(folder: Path) -> Path:
    return folder / "lake" / "contracts" / "orders.yaml"


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Rewrites a file; each text that is to be replaced must be there."""
    text = path.read_text("utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text, "utf-8")


def simple_shop(folder: Path, *files: str) -> Path:
    """A shop whose models read order_id, sold_on, region and amount_eur, without checks across tables."""
    shop = make_shop(folder, *files)
    for path in (shop / "checks" / "pipeline").iterdir():
        path.unlink()
    return shop


def sluice(folder: Path, *arguments: str) -> str:
    """Runs the command line in this process and gives what it printed; it must have gone well."""
    code, said = sluice_said(folder, *arguments)
    assert code == 0, said
    return said


def sluice_said(folder: Path, *arguments: str) -> tuple[int, str]:
    """Runs the command line in this process and gives its exit code and all it said."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    with redirect_stdout(said), redirect_stderr(said):
        code = main([*arguments, "--project", str(folder), "--quiet"])
    said.seek(0)
    return code, said.read()


def ask(folder: Path, query: str, *options: str) -> list[dict[str, Any]]:
    """Asks the current release, or with `--as-of` an older one, and gives the rows."""
    found: list[dict[str, Any]] = json.loads(sluice(folder, "sql", query, "--json", *options))
    return found
