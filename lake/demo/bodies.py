"""Every body of work with demo data: which deliveries it gets, and how large each is of a demo of some size."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from lake.demo.commerce import commerce_tables
from lake.demo.events import events_tables
from lake.demo.footprint import footprint_tables
from lake.demo.meters import meter_tables
from lake.demo.people import people_tables
from lake.demo.planting import DemoTable, Planted, plant
from lake.demo.sales import write_sales
from lake.engine import Session

INBOX = Path("lake", "data", "inbox")
BEHIND_APIS = Path("lake", "data", "demo_apis")  # what a source gives by an API lies here, to be served from
SALES = "sales"
SALES_SHARE = 0.5  # of all rows of a demo


@dataclass(frozen=True)
class Body:
    """One body of work: its deliveries for a size, and that size for a demo of one row; `served` come by an API."""

    tables: Callable[[int], tuple[DemoTable, ...]]
    share: float
    served: Callable[[int], tuple[DemoTable, ...]] = lambda _rows: ()


BODIES: Mapping[str, Body] = {
    "people": Body(people_tables, 0.05),
    "commerce": Body(commerce_tables, 0.05),
    "footprint": Body(footprint_tables, 0.05, meter_tables),
    "events": Body(events_tables, 0.15),
}


@dataclass(frozen=True)
class DemoDelivery:
    """What one source was given: the file, its lines below the header, and how many of them have each fault.

    With `is_served` it is an API that has to give them, from the file.
    """

    source: str
    path: Path
    line_count: int
    by_fault: Mapping[str, int]
    is_served: bool = False


def deliver_demo(session: Session, root: Path, sources: Collection[str], *, rows: int, seed: int) -> list[DemoDelivery]:
    """Writes about `rows` lines into the inbox of a project, for those of its sources that have demo data.

    The same size and seed give the same bytes.
    """
    inbox, given = root / INBOX, []
    if SALES in sources:
        sales = write_sales(session, inbox / SALES, rows=int(rows * SALES_SHARE), seed=seed)
        given.append(DemoDelivery(SALES, sales.files[0], sales.line_count, sales.by_fault))
    for body in BODIES.values():
        size = int(rows * body.share)
        for folder, tables in ((INBOX, body.tables(size)), (BEHIND_APIS, body.served(size))):
            if all(table.source in sources for table in tables):
                planted = [plant(session, table, root / folder, seed=seed) for table in tables]
                given += [_delivery(found, is_served=folder == BEHIND_APIS) for found in planted]
    return given


def _delivery(planted: Planted, *, is_served: bool) -> DemoDelivery:
    return DemoDelivery(planted.source, planted.path, planted.line_count, planted.by_fault, is_served)
