"""The demo data through the sales contract and the real landing: the ledger is what the generator announced."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lake.demo.sales import PlantedFaults, write_sales
from lake.engine import EngineLimits, Session
from lake.landing.batch import identify
from lake.landing.committing import commit
from lake.landing.judging import prepare, show_candidate
from lake.ledger import BatchRecord
from lake.odcs.reader import read_contract
from lake.quarantine import quarantine_sql
from lake.run import begin_run
from lake.sources.files import file_deliveries
from lake.table_versions import Store
from tests.landing_parts import visit

CONTRACT = Path(__file__).parents[1] / "lake" / "contracts" / "sales.yaml"


@dataclass(frozen=True)
class Landed:
    """A landed delivery: what was planted in it, what the ledger says, and the session with its raw table."""

    planted: PlantedFaults
    record: BatchRecord
    session: Session
    store: Store


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    root = tmp_path_factory.mktemp("project")
    with Session(EngineLimits("512MB", 2)) as demo:
        planted = write_sales(demo, root / "lake" / "data" / "inbox" / "sales", rows=20_000, seed=5)
    with Session(EngineLimits("512MB", 2)) as session:
        store, run, contract = Store(str(root / "lake" / "data"), {}), begin_run("test"), read_contract(CONTRACT)
        (delivery,) = file_deliveries(visit(contract, root))
        prepared = prepare(session, store, identify(contract, delivery, run), run)
        show_candidate(session, prepared)
        yield Landed(planted, commit(store, prepared, run), session, store)


def test_sales_landing_ledger_is_what_was_planted(landed: Landed) -> None:
    """Read, accepted, quarantined and duplicate are the generator's own counts."""
    planted, record = landed.planted, landed.record
    repeats = planted.by_fault["repeat"]
    assert (record.read_count, record.accepted_count) == (planted.line_count, planted.good_count)
    assert (record.quarantined_count, record.duplicate_count) == (sum(planted.by_fault.values()) - repeats, repeats)


def test_sales_landing_quarantines_each_fault_under_its_category(landed: Landed) -> None:
    """Each planted fault stands in quarantine under the category it was announced with, in its exact number."""
    query = f"select category, count(*) from ({quarantine_sql(landed.store)}) group by category"
    assert dict(landed.session.rows(query)) == landed.planted.by_category


def test_sales_landing_keeps_every_paisa_of_the_good_lines(landed: Landed) -> None:
    """Raw holds the good lines' units and revenue, exactly."""
    query = "select count(*), sum(units), sum(revenue_inr) from raw.sales"
    planted = landed.planted
    assert landed.session.rows(query) == [(planted.good_count, planted.good_unit_count, planted.good_revenue_inr)]
