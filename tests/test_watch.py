"""Landing on demand and in a loop: what arrives lands, what fails is told once, and stopping is polite."""

import json
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from flows.cli import main
from flows.landing import visit_sources
from flows.steps import plain_step
from lake.project import open_project
from lake.run import begin_run
from lake.tables import read_version
from tests.crash_parts import settings_of, store_of
from tests.upload_parts import batches, land_here, landed, make_shop, sluice, tree, upload
from tests.warm_parts import WarmProcess

PATIENCE_SECONDS = 60
LOOKS = 60


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_shop(tmp_path / "shop")


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@contextmanager
def watching(shop: Path, *arguments: str) -> Iterator[WarmProcess]:
    child = sluice(shop, "watch", "--every", "0.2s", *arguments)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def look(shop: Path, known: str | None = None, sources: tuple[str, ...] = ()):
    run = begin_run("tester")
    return visit_sources(open_project(shop), settings_of(shop), run, sources, plain_step, known_failure=known)


def versions(shop: Path) -> dict[str, int]:
    found = {name: read_version(store_of(shop), name) for name in ("raw.orders", "ops.events", "ops.batches")}
    return {name: table.version for name, table in found.items() if table is not None}


def test_land_lands_and_builds_nothing(shop, capsys):
    """`sluice land` takes what came through the gates, refreshes ops and lake.duckdb, and says so as JSON."""
    upload(shop, "a.csv", "a1", "a2")
    (shop / "sql" / "marts").mkdir(parents=True)
    (shop / "sql" / "marts" / "broken.sql").write_text("a model that is none keeps no data out")
    assert main(["land", "--project", str(shop), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["sources"][0]["accepted"], told["release"], told["is_ok"]) == (2, None, True)
    with duckdb.connect(str(shop / "lake" / "data" / "lake.duckdb"), read_only=True) as client:
        assert client.sql("select status, accepted_count from ops.ingestion_log").fetchall() == [("landed", 2)]
        events = client.sql("select event from ops.audit_log").fetchall()
    assert ("upload-moved",) in events


def test_land_goes_on_after_a_source_that_fails(shop, capsys):
    """A source that cannot be read stops no other; the exit code is 1 and the reason is told."""
    text = (shop / "lake" / "contracts" / "orders.yaml").read_text()
    for name in ("another", "zoo"):
        other = text.replace("id: orders", f"id: {name}").replace("name: orders", f"name: {name}")
        (shop / "lake" / "contracts" / f"{name}.yaml").write_text(other.replace("path: 'inbox'", "path: 'gone'"))
    upload(shop, "a.csv", "a1")
    assert main(["land", "--project", str(shop), "--quiet"]) == 1
    assert "[source-missing]" in capsys.readouterr().err
    assert landed(shop) == ["a1"]
    assert main(["land", "orders", "--project", str(shop), "--quiet"]) == 0
    assert main(["land", "order", "--project", str(shop), "--quiet"]) == 1
    assert "Did you mean 'orders'" in capsys.readouterr().err


def test_watch_writes_nothing_when_nothing_comes(shop):
    """A look that finds nothing, or fails as before, leaves every table as it was; a new failure is written once."""
    upload(shop, "a.csv", "a1")
    outcome, failure = look(shop)
    assert (outcome.sources[0].batches, failure) == (1, None)
    before = versions(shop)
    assert [look(shop) for _ in range(3)] == [(None, None)] * 3
    assert versions(shop) == before
    (shop / "inbox").rename(shop / "away")
    outcome, failure = look(shop)
    assert (outcome.failure, failure.code) == (failure, "source-missing")
    before = versions(shop)
    assert look(shop, str(failure))[0] is None
    assert versions(shop) == before


def test_watch_asks_an_api_only_by_name(shop):
    """A loop over all sources leaves alone what should not be asked every few seconds."""
    contract = shop / "lake" / "contracts" / "orders.yaml"
    text = contract.read_text()
    unread = "type: kinesis, region: 'eu-west-1', format: json"
    contract.write_text(text.replace("type: local, path: 'inbox', format: csv", unread))
    assert look(shop) == (None, None)
    outcome, failure = look(shop, sources=("orders",))
    assert (outcome.failure.code, failure.code) == ("source-unknown", "source-unknown")


def test_watch_lands_what_arrives_and_stops_politely(shop):
    """It outlives a refused file, a broken contract and a folder that is gone for a while; SIGTERM ends it with 0."""
    contract = shop / "lake" / "contracts" / "orders.yaml"
    with watching(shop) as child:
        upload(shop, ".a", "a1").rename(shop / "inbox" / "a.csv")
        until(lambda: (shop / "inbox" / "done").exists())
        (shop / "inbox" / "bad.csv").write_text("what\n1\n")
        until(lambda: bool(list((shop / "inbox").rglob("bad.csv.reason.txt"))))
        text = contract.read_text()
        contract.write_text("what: is this\n")
        time.sleep(0.6)
        contract.write_text(text)
        upload(shop, ".b", "b1").rename(shop / "inbox" / "b.csv")
        until(lambda: bool(list((shop / "inbox" / "done").rglob("b.csv"))))
        child.send_signal(signal.SIGTERM)
        out, said = child.communicate(timeout=PATIENCE_SECONDS)
    assert child.returncode == 0, said
    assert "Traceback" not in said
    assert said.count("[header-unknown] Watching goes on") == 1
    assert said.count("Stopping when this delivery is done") == 1
    assert "1 batch landed" in out
    assert landed(shop) == ["a1", "b1"]


def test_watch_killed_in_the_middle_is_made_good_by_the_next(shop):
    """kill -9 while it works: the next look lands what is left, once."""
    names = [f"a{number:02}" for number in range(8)]
    for name in names:
        upload(shop, f"{name}.csv", name)
    with watching(shop) as child:
        until(lambda: (shop / "inbox" / "done").exists())
        child.kill()
        child.communicate()
    left = len(list((shop / "inbox").glob("*.csv")))
    assert land_here(shop).failure is None
    assert landed(shop) == names
    assert tree(shop) == [f"done/DAY/{name}.csv" for name in names]
    assert left <= len(names)
    assert len(batches(shop)) == len(names)


def test_watch_once_says_what_failed_by_its_exit_code(shop, capsys):
    """`--once` is one look for scripts: 0 when all is well, 1 and the reason when not."""
    upload(shop, "a.csv", "a1")
    assert main(["watch", "--once", "--project", str(shop), "--quiet"]) == 0
    assert "1 batch landed" in capsys.readouterr().out
    assert main(["watch", "--once", "--project", str(shop), "--quiet"]) == 0
    assert capsys.readouterr().out == ""
    (shop / "inbox" / "bad.csv").write_text("what\n1\n")
    assert main(["watch", "--once", "--project", str(shop), "--quiet"]) == 1
    assert "[header-unknown]" in capsys.readouterr().err
    assert main(["watch", "--every", "soon", "--project", str(shop)]) == 2


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_watch_keeps_its_memory(shop):
    """After dozens of looks that land something, the process is as large as after the first."""
    with watching(shop) as child:
        sizes = []
        for number in range(LOOKS):
            upload(shop, f".a{number}", f"a{number}").rename(shop / "inbox" / f"a{number}.csv")
            until(lambda name=f"a{number}.csv": bool(list((shop / "inbox").glob(f"done/*/{name}"))))
            sizes.append(int(Path(f"/proc/{child.pid}/statm").read_text().split()[1]) * resource.getpagesize())
    assert sizes[-1] < sizes[LOOKS // 4] + (32 << 20), [size >> 20 for size in sizes[::10]]
    assert len(landed(shop)) == LOOKS
