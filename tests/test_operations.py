"""What an operator reads in a session: shown again, it is what has been written since."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from lake.engine import EngineLimits, Session
from lake.ledger import BATCHES, EVENTS, write_events
from lake.operations import MASK, show_operations
from lake.quarantine import QUARANTINE
from lake.run import begin_run
from lake.staged_files import stage_files
from lake.table_versions import Store
from lake.tables import append_files
from tests.landing_parts import HEADER, land

SUBJECTS = "select subject from ops.audit_log order by subject"


def test_operations_shown_again_are_the_newest(tmp_path: Path) -> None:
    """Events written since are there, and stay so when a newer Sluice has added a column beneath them."""
    store, run = Store(str(tmp_path), {}), begin_run("tester")
    with Session(EngineLimits("300MB"), store) as session:
        show_operations(session, store, {})
        assert session.rows(SUBJECTS) == []
        for place, subject in enumerate("ab", 1):
            run.note("thing-done", subject)
            write_events(session, store, run)
            show_operations(session, store, {})
            assert len(session.rows(SUBJECTS)) == place
        more = "select * replace ('c' as subject), 1 as newer from ops._events limit 1"
        append_files(store, EVENTS, stage_files(session, store, EVENTS, more))
        show_operations(session, store, {})
        assert session.rows(SUBJECTS) == [("a",), ("b",), ("c",)]


def test_operations_shown_again_mask_what_is_restricted_now(tmp_path: Path) -> None:
    """A field that was declared restricted since is masked from then on."""
    with Session(EngineLimits("300MB"), Store(str(tmp_path), {})) as session:
        show_operations(session, Store(str(tmp_path), {}), {})
        show_operations(session, Store(str(tmp_path), {}), {"people": ["name"]})
        (sql,) = session.rows("select sql from duckdb_views() where view_name = 'quarantine'")[0]
    assert MASK in sql


def at_each_reading(act: Callable[[], object]) -> Callable[[FrameType, str, object], None]:
    """Gives a profiler that does something right before each reading of the ledger or the quarantine."""

    def profile(frame: FrameType, event: str, _argument: object) -> None:
        is_reading = event == "call" and frame.f_code.co_name == "read_version"
        if is_reading and frame.f_locals["name"] in (BATCHES, QUARANTINE):
            sys.setprofile(None)
            act()
            sys.setprofile(profile)

    return profile


def test_operations_are_of_one_moment(tmp_path: Path) -> None:
    """Whatever others land while the views are made: what the ledger says of a batch is what the quarantine shows."""
    store, files = Store(str(tmp_path / "lake"), {}), iter(range(100))

    def land_another() -> None:
        path = tmp_path / f"{next(files)}.csv"
        path.write_text(f"{HEADER}{path.stem},never,North,1,1.00,x\n")
        land(Store(store.uri, {}), path)

    with Session(EngineLimits("300MB"), store) as session:
        land_another()
        sys.setprofile(at_each_reading(land_another))
        try:
            show_operations(session, store, {})
        finally:
            sys.setprofile(None)
        said = session.rows("select batch_id, quarantined_count from ops.ingestion_log order by all")
        shown = session.rows("select batch_id, count(*) from ops.quarantine group by all order by all")
    assert next(files) > len(["before", "meanwhile"])
    assert said == shown
