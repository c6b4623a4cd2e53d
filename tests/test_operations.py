"""What an operator reads in a session: shown again, it is what has been written since."""

from pathlib import Path

from lake.engine import EngineLimits, Session
from lake.ledger import EVENTS, write_events
from lake.operations import MASK, show_operations
from lake.run import begin_run
from lake.staged_files import stage_files
from lake.table_versions import Store
from lake.tables import append_files

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
