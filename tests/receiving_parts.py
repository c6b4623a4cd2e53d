"""A spool as tests fill it, and as a landing empties it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from lake.odcs.reader import read_contract
from lake.receiving.source import pushed_deliveries
from lake.receiving.spool import Kept, Post, Spool
from lake.run import system_clock
from lake.sources.visit import Visit
from tests.landing_parts import visit

SOURCE = "visits"


@contextmanager
def spooling(folder: Path, **options) -> Iterator[Spool]:
    spool = Spool(folder, system_clock, **options)
    try:
        yield spool
    finally:
        spool.close()


def keep(spool: Spool, *rows: str, key: str = "", body: str = "") -> Kept:
    return spool.keep(Post(SOURCE, [each.encode() for each in rows], key, body)).result(10)


def pushed(project: Path) -> Visit:
    contract = read_contract(project / "lake" / "contracts" / "visits.yaml")
    assert contract.pushed is not None
    return replace(visit(contract.at(contract.pushed), project), spool=project / "spool", pause=threading.Event().wait)


def taken(project: Path, fate: str | None = "landed") -> list[str]:
    """The rows a landing is given, which it lets go of as landed, or (None) not at all, as if it were killed."""
    found: list[str] = []
    for delivery in pushed_deliveries(pushed(project)):
        found += delivery.path.read_text().splitlines()
        if fate is not None:
            delivery.settle(fate, None)
    return found


def segments(folder: Path, ending: str = "") -> list[Path]:
    return sorted((folder / SOURCE / "segments").glob(f"[!.]*{ending}"))
