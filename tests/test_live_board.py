"""What the live page is told, without a browser: of a lake that cannot be read, and of what is landed meanwhile."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from flows.service.doors import Doors
from flows.service.live import LiveBoard, seen_by
from lake.project import open_project
from lake.receiving.records import record_judge
from lake.receiving.spool import Post, Spool
from lake.receiving.verdicts import Fault, RowFaults, Verdicts
from lake.settings import Settings
from tests.service_parts import land, make_project

BEGAN = datetime.now(UTC)
BAD = Verdicts(1, (RowFaults(2, (Fault("came_on", "DATA_FORMAT_ERROR", "came_on is not of type date."),)),))
LINES = (b'{"visit_id": "a", "came_on": "2026-01-02"}', b'{"visit_id": "b", "came_on": "never"}')


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now

    def go_on(self) -> None:
        self.now += timedelta(seconds=10)


def open_board(project: Path, clock: Clock) -> LiveBoard:
    return LiveBoard(Doors(open_project(project), record_judge), Settings.read(project), clock)


def test_live_board_forgets_what_the_lake_tells(tmp_path: Path) -> None:
    """An error is told once: as waiting until its rows are landed, then by the lake."""
    project, clock = make_project(tmp_path), Clock()
    board = open_board(project, clock)
    spool = Spool(Settings.read(project).spool, clock)
    board.note("visits", spool.keep(Post("visits", LINES)).result().receipt, BAD)
    waiting = board.state()
    spool.close()
    land(project)
    clock.go_on()
    landed = board.state()
    assert [(error.is_waiting, error.field) for error in waiting.errors] == [(True, "came_on")]
    assert (waiting.sources[0].waiting_bad, waiting.sources[0].hour_bad) == (1, 0)
    assert [(error.is_waiting, error.field) for error in landed.errors] == [(False, "came_on")]
    assert (landed.sources[0].waiting_bad, landed.sources[0].hour_good, landed.sources[0].hour_bad) == (0, 1, 1)


def test_live_board_outlives_a_lake_that_cannot_be_read(tmp_path: Path) -> None:
    """A lake that is broken or away is told, and what was known stays."""
    project, clock = make_project(tmp_path), Clock()
    board = open_board(project, clock)
    assert board.state().trouble == ""
    log = project / "lake" / "data" / "ops" / "batches" / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json").write_text("broken")
    clock.go_on()
    state = board.state()
    assert state.trouble.startswith("The lake cannot be read")
    assert [source.name for source in state.sources] == ["visits"]


def test_live_board_is_looked_up_every_few_seconds_only(tmp_path: Path) -> None:
    """However many look at once, the lake is read once."""
    board = open_board(make_project(tmp_path), Clock())
    assert board.state() is board.state()


def test_live_board_shows_a_key_its_sources(tmp_path: Path) -> None:
    """Sources and errors of others are not shown."""
    board = open_board(make_project(tmp_path), Clock())
    board.note("visits", "20260101T000000Z-0000000000000000-1", BAD)
    assert seen_by(board.state(), {"visits": False}).sources == ()


def test_live_board_tells_no_restricted_value(tmp_path: Path) -> None:
    """What stands in a restricted column of a bad row is neither in what is told at once nor in what the lake tells."""
    project, clock = make_project(tmp_path), Clock()
    path = project / "lake" / "contracts" / "visits.yaml"
    path.write_text(path.read_text().replace("What was said.", "What was said., classification: restricted"))
    contract = open_project(project).contracts()["visits"]
    line = b'{"visit_id": "a", "came_on": "planted-day", "note": "planted-secret"}'
    board, spool = open_board(project, clock), Spool(Settings.read(project).spool, clock)
    judge = record_judge(contract)
    board.note("visits", spool.keep(Post("visits", (line,))).result().receipt, judge((line,)))
    told = repr(board.state())
    judge.close()
    spool.close()
    land(project)
    clock.go_on()
    told += repr(board.state())
    assert contract.column("note").privacy == "restricted"
    assert "came_on is not of type date" in told and "planted" not in told
