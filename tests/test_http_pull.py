"""A pull into a real lake: what is new, once, from where raw stands; killed, raced, broken off, and read on."""

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from flows.pipeline import run_pipeline
from flows.rework import admit_batch, refuse_batch
from flows.steps import plain_step
from flows.workplace import Workplace
from lake.project import open_project
from lake.run import Event, begin_run
from tests.api_server import Api, Fault, reading, readings, serving
from tests.crash_parts import copy_shop, finish, kill_in_second_batch, settings_of, start_run
from tests.http_parts import CURSOR, SINCE, SIZED, WATERMARK, ask, run_project, write_contract
from tests.warm_parts import run_warm

INCREMENTAL = {**CURSOR, **SIZED, **SINCE}
BATCHES = (
    "select kind, status, read_count, accepted_count, duplicate_count, watermark from ops.ingestion_log "
    "order by ended_at"
)


@pytest.fixture
def api():
    with serving(readings(25)) as opened:
        yield opened


def project(folder: Path, api: Api, server=None, table=WATERMARK, path: str = "/cursor/readings.json") -> Path:
    write_contract(folder, api.url(path), INCREMENTAL if server is None else server, table)
    return folder


def ids(folder: Path) -> list[str]:
    return [row[0] for row in ask(folder, "select reading_id from raw.readings order by all")]


def sinces(api: Api) -> list[str | None]:
    return [asked.parameters.get("since") for asked in api.asked if "cursor" not in asked.parameters]


def ok(folder: Path, *observers) -> None:
    outcome = run_project(folder, *observers)
    assert outcome.is_ok, outcome.failure


def test_http_pull_lands_typed_columns_of_nested_records(tmp_path: Path, api: Api) -> None:
    """Keys inside keys are columns, instants are UTC, decimals exact; every row says where it came from."""
    folder = project(tmp_path, api)
    ok(folder)

    assert ids(folder) == [record["reading_id"] for record in api.records]
    found = ask(folder, "select meter_id, site, cast(kwh as varchar), epoch(read_at), _line, _source from raw.readings")
    assert found[24][:5] == ("m0", "Pune", "24.024", 1767312000.0, 25)
    assert found[0][5] == f"{api.url('/cursor/readings.json')}?limit=10"
    assert ask(folder, BATCHES) == [("pull", "landed", 25, 25, 0, "2026-01-02 00:00:00+00")]


def test_http_pull_asks_from_the_watermark_less_the_lateness(tmp_path: Path, api: Api) -> None:
    """The first pull takes all; the next asks from the greatest watermark less three hours: a late row inside that is
    picked up, repeats are counted as duplicates, nothing is missing."""
    folder = project(tmp_path, api)
    ok(folder)
    api.records += [*readings(5, 25), reading(24, reading_id="late", read_at="2026-01-01T21:30:00Z")]
    api.records.sort(key=lambda record: record["read_at"])
    ok(folder)

    assert sinces(api) == [None, "2026-01-01T21:00:00Z"]
    assert set(ids(folder)) == {record["reading_id"] for record in api.records}
    assert ask(folder, BATCHES)[1] == ("pull", "landed", 10, 6, 4, "2026-01-02 05:00:00+00")


def test_http_pull_quiet_source_lands_nothing(tmp_path: Path, api: Api) -> None:
    """The same answer again, and no answer at all: no batch, no move, a word in the audit log."""
    folder, seen = project(tmp_path, api), []
    ok(folder)
    ok(folder, seen.append)
    ok(folder, seen.append)  # the overlap once more, byte for byte
    assert [event.kind for event in seen if event.kind.startswith("source-")].count("source-unchanged") == 1
    assert len(ask(folder, BATCHES)) == 2
    api.records = []
    seen.clear()
    ok(folder, seen.append)
    assert "source-empty" in [event.kind for event in seen]
    api.records = readings(26)
    ok(folder)
    assert sinces(api)[-2:] == ["2026-01-01T21:00:00Z"] * 2
    assert len(ids(folder)) == 26


def test_http_pull_of_an_api_with_nothing_yet_can_be_read(tmp_path: Path, api: Api) -> None:
    """Before the first record the raw table is there, typed and empty, run after run."""
    api.records = []
    folder = project(tmp_path, api)
    for _ in range(2):
        ok(folder)
        assert ask(folder, "select count(*), any_value(typeof(kwh)) from raw.readings") == [(0, None)]
    api.records = readings(3)
    ok(folder)
    assert len(ids(folder)) == 3


def test_http_pull_full_answer_unchanged_lands_nothing(tmp_path: Path, api: Api) -> None:
    """Without `sinceParam` all is pulled; the same bytes land nothing, in one batch or several, a change does."""
    folder = project(tmp_path, api, {**CURSOR, **SIZED, "pagesPerBatch": 1}, {"driftPolicy": "evolve"})
    seen: list[Event] = []
    ok(folder)
    ok(folder, seen.append)
    assert [event.kind for event in seen if event.kind.startswith("source-")] == ["source-unchanged", "source-pulled"]
    assert [row[2] for row in ask(folder, BATCHES)] == [10, 10, 5]

    api.records[12] = reading(12, kwh="9.999")
    ok(folder)
    assert [row[2:5] for row in ask(folder, BATCHES)][3:] == [(10, 1, 9), (5, 0, 5)]
    api.records[12] = reading(12)
    ok(folder)
    newest = "select arg_max(kwh, _ingested_at) from raw.readings where reading_id = 'r000012'"
    assert [str(row[0]) for row in ask(folder, newest)] == ["12.012"]


def test_http_pull_whole_table_is_one_batch(tmp_path: Path, api: Api) -> None:
    """`loadMode: replace`: all pages are one batch, whatever its size; one that breaks off replaces nothing."""
    server = {**CURSOR, **SIZED, "pagesPerBatch": 1}
    folder = project(tmp_path, api, server, {"driftPolicy": "evolve", "loadMode": "replace"})
    ok(folder)
    api.records = readings(22, 5)
    stop_at = iter([False, False, True])
    api.accepts = lambda _asked: not next(stop_at)
    assert not run_project(folder).is_ok
    assert len(ids(folder)) == 25
    api.accepts = lambda _asked: True
    ok(folder)
    assert ids(folder) == [record["reading_id"] for record in api.records]
    assert [row[2] for row in ask(folder, BATCHES)] == [25, 22]


def test_http_pull_since_is_of_the_api_alone(tmp_path: Path, api: Api) -> None:
    """A file dropped beside the API, with a later moment than the API has come to, must not move what it is asked."""
    folder = project(tmp_path, api)
    path = folder / "lake" / "contracts" / "readings.yaml"
    dropped = "servers:\n  - {server: drop, type: local, path: drop, format: json}\n"
    path.write_text(path.read_text().replace("servers:\n", dropped))
    (folder / "drop").mkdir()
    (folder / "drop" / "late.json").write_text(json.dumps([{**reading(900), "read_at": "2027-01-01T00:00:00Z"}]))
    ok(folder)
    api.records += readings(30)[25:]
    ok(folder)
    assert sinces(api) == [None, "2026-01-01T21:00:00Z"]
    assert len(ids(folder)) == 31


def test_http_pull_clock_does_not_move_since(tmp_path: Path, api: Api) -> None:
    """A watermark far from the run's clock: `since` is raw's, and only `until` is the run's instant."""
    api.records = readings(5, 24 * 28 * 13)  # months after the clock of the tests' machine, or before: all the same
    for record in api.records:
        record["read_at"] = record["read_at"].replace("2026-14", "2099-01")
    assert api.records[0]["read_at"] == "2099-01-01T00:00:00Z"
    until = {**INCREMENTAL, "untilParam": "to", "sinceFormat": "epoch-seconds"}
    folder = project(tmp_path, api, until)
    ok(folder)
    ok(folder)
    assert api.asked[-1].parameters["since"] == "4070912400"  # 2099-01-01T01:00:00Z
    assert int(api.asked[-1].parameters["to"]) < 4070912400


def test_http_pull_clock_set_back_or_forth_leaves_no_gap(tmp_path: Path, api: Api) -> None:
    """Runs whose clocks are years ahead and years behind: each asks from raw's watermark, every record is there."""
    folder = project(tmp_path, api)
    for number, year in enumerate((2040, 1999, 2031)):
        api.records = readings(25 + 10 * number)
        run = begin_run("tester", clock=lambda year=year: datetime(year, 6, 1, tzinfo=UTC))
        assert run_pipeline(open_project(folder), settings_of(folder), run, [], [], plain_step).is_ok
    assert sinces(api) == [None, "2026-01-01T21:00:00Z", "2026-01-02T07:00:00Z"]
    assert ids(folder) == [record["reading_id"] for record in api.records]


def test_http_pull_starts_where_the_contract_says(tmp_path: Path, api: Api) -> None:
    """`startAt` is asked for while nothing has landed, in the form the API wants."""
    folder = project(
        tmp_path, api, {**INCREMENTAL, "startAt": "2026-01-01T20:00:00+01:00", "sinceFormat": "%Y-%m-%dT%H"}
    )
    ok(folder)
    assert sinces(api) == ["2026-01-01T19"]
    assert len(ids(folder)) == 6


def test_http_pull_whole_numbers_are_watermarks(tmp_path: Path, api: Api) -> None:
    """A growing number: 9 is less than 10, whatever their letters say."""
    for number, record in enumerate(api.records):
        record["read_at"] = str(number)
    table = {"watermark": "read_at", "driftPolicy": "evolve"}
    contract = project(tmp_path, api, {**INCREMENTAL, "pagesPerBatch": 1}, table) / "lake/contracts/readings.yaml"
    contract.write_text(
        contract.read_text().replace("read_at, logicalType: timestamp", "read_at, logicalType: integer")
    )
    api.records = api.records[:12]
    ok(tmp_path)
    ok(tmp_path)
    assert [asked.parameters.get("since") for asked in api.asked][-1] == "11"


def test_http_pull_reland_reads_the_archived_pages(tmp_path: Path, api: Api) -> None:
    """A batch of several pages, nested and paged, goes through today's contract again, from the archive alone."""
    folder = project(tmp_path, api)
    contract = folder / "lake/contracts/readings.yaml"
    right = contract.read_text()
    contract.write_text(right.replace("physicalName: meter.site.name", "physicalName: meter.site.nam"))
    ok(folder)
    contract.write_text(right)
    (batch,) = [row[0] for row in ask(folder, "select batch_id from ops.ingestion_log")]
    api.stop()
    done = run_warm("flows.cli:main", "--project", str(folder), "batch", "reland", batch, "--json")
    api.start()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[0]["accepted_count"] == 25
    assert json.loads(json.loads(done.stdout)[0]["position"])["ordinal"] == "1"
    ok(folder)
    assert ask(folder, "select count(*), count(site) from raw.readings") == [(25, 25)]


def test_http_pull_malformed_page_is_refused_and_kept(tmp_path: Path, api: Api) -> None:
    """A page without records where they should be: the run fails naming it, its bytes are a refused batch, once; what
    came before is in raw, and the next run reads on behind it."""
    folder = project(tmp_path, api, {**INCREMENTAL, "pagesPerBatch": 1})
    good = api.answer
    api.page_of = lambda asked: (b'{"error": "quota"}', {}) if asked.parameters.get("cursor") == "c20" else good(asked)
    for _ in range(2):
        failure = run_project(folder).failure
        assert failure is not None and failure.code == "api-page-malformed"
        assert "cursor=c20" in failure.message and '\'{"error": "quota"}\'' in failure.message
    found = ask(folder, "select status, read_count, error from ops.ingestion_log order by ended_at")
    assert [row[:2] for row in found] == [("landed", 10), ("landed", 10), ("refused", None)]
    assert "has nothing where its records should be ('data.items'); its keys are error" in found[2][2]
    api.page_of = good
    ok(folder)
    assert ids(folder) == [record["reading_id"] for record in api.records]
    assert [row[2] for row in ask(folder, BATCHES) if row[1] == "landed"] == [10, 10, 5]


def test_http_pull_reads_on_where_it_broke_off(tmp_path: Path, api: Api) -> None:
    """An API that fails in the middle: what arrived is in raw, and the next run asks for the next page, with the same
    `since`, though raw's watermark has moved."""
    folder = project(tmp_path, api, {**INCREMENTAL, "pagesPerBatch": 1})
    ok(folder)
    api.records += readings(40, 25)
    api.records.reverse()  # newest first: the watermark is past everything after the first page
    asked_before = len(api.asked)
    stop_at = iter([False, False, True])
    api.accepts = lambda _asked: not next(stop_at)
    failure = run_project(folder).failure
    assert failure is not None and failure.code == "api-refused"
    api.accepts = lambda _asked: True
    ok(folder)
    asked = [(a.parameters.get("since"), a.parameters.get("cursor")) for a in api.asked[asked_before:]]
    since = "2026-01-01T21:00:00Z"
    assert asked == [(since, cursor) for cursor in (None, "c10", "c20", "c20", "c30", "c40")]
    assert sorted(set(ids(folder))) == sorted(record["reading_id"] for record in api.records)


def test_http_pull_begins_anew_when_its_place_is_gone(tmp_path: Path, api: Api) -> None:
    """A cursor the API does not know any more: the set is read from its first page, with its own `since`."""
    folder = project(tmp_path, api, {**INCREMENTAL, "pagesPerBatch": 1})
    stop_at = iter([False, False, True])
    api.accepts = lambda _asked: not next(stop_at)
    assert not run_project(folder).is_ok
    api.accepts = lambda _asked: True
    api.plan = [Fault(410, body=b"this cursor has ended")]
    seen: list[Event] = []
    ok(folder, seen.append)
    assert "pull-begun-anew" in [event.kind for event in seen]
    assert ids(folder) == [record["reading_id"] for record in api.records]
    assert sinces(api) == [None, None]


@pytest.mark.parametrize("decision", ["admit", "refuse"])
def test_http_pull_held_batch_stops_the_source_until_it_is_decided(tmp_path: Path, api: Api, decision: str) -> None:
    """A batch that the raw gate holds is not read past; admitted, its place counts; refused, it is pulled again."""
    folder = project(tmp_path, api, {**INCREMENTAL, "pagesPerBatch": 1})
    contract = folder / "lake/contracts/readings.yaml"
    text = contract.read_text()
    rule = "    quality: [{type: custom, name: enough, engine: soda, implementation: 'avg(kwh) > 5'}]\n    properties:"
    contract.write_text(text.replace("    properties:", rule, 1))
    assert not run_project(folder).is_ok  # the first ten average 4.5
    ok(folder)
    assert len(api.asked) == 2  # the page, and the one behind it that showed that the batch was whole
    (held,) = ask(folder, "select batch_id from ops.ingestion_log where status = 'held'")
    if decision == "admit":
        admit_batch(Workplace(folder, is_quiet=True), held[0])
    else:
        refuse_batch(Workplace(folder, is_quiet=True), held[0], "not enough")
        contract.write_text(text)
    ok(folder)
    assert ids(folder) == [record["reading_id"] for record in api.records]


def test_http_pull_killed_reads_on_without_gap_or_double(tmp_path: Path, api: Api) -> None:
    """A run killed by the kernel in the middle of its second batch: the next one gives the server's own records."""
    folder = project(tmp_path / "begun", api, {**INCREMENTAL, "pagesPerBatch": 1})
    kill_in_second_batch(folder, tmp_path / "undisturbed")
    ok(folder)
    assert ids(folder) == [record["reading_id"] for record in api.records]
    found = ask(folder, "select read_count, accepted_count, duplicate_count from ops.ingestion_log order by ended_at")
    assert found == [(10, 10, 0), (10, 10, 0), (5, 5, 0)]


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_http_pull_killed_all_over_a_run(tmp_path: Path, api: Api) -> None:
    """Killed at a dozen events all over a run."""
    begun = project(tmp_path / "begun", api, {**INCREMENTAL, "pagesPerBatch": 1})
    seen: list[Event] = []
    ok(copy_shop(begun, tmp_path / "undisturbed"), seen.append)
    for place in range(1, len(seen) + 1, len(seen) // 12):
        folder = copy_shop(begun, tmp_path / f"at-{place}")
        start_run(folder, "--kill-at-event", str(place)).communicate()
        ok(folder)
        assert ids(folder) == [record["reading_id"] for record in api.records], seen[place - 1].kind
        shutil.rmtree(folder)


def test_http_pull_two_runs_at_once_land_each_batch_once(tmp_path: Path, api: Api) -> None:
    """Two processes that pull the same API at the same moment: every record once, every batch once."""
    folder = project(tmp_path, api, {**INCREMENTAL, "pagesPerBatch": 1})
    start = tmp_path / "start"
    children = [start_run(folder, "--start", str(start)) for _ in range(2)]
    start.touch()
    assert [finish(child)["error"] for child in children] == [None, None]
    ok(folder)
    assert ids(folder) == [record["reading_id"] for record in api.records]
    ordinals = (
        "select count(*), count(distinct batch_id), sum(accepted_count) from ops.ingestion_log where status = 'landed'"
    )
    landed, distinct, accepted = ask(folder, ordinals)[0]
    assert (landed, accepted) == (distinct, 25)


def test_http_pull_secrets_are_in_no_output(tmp_path: Path, api: Api) -> None:
    """After a bad and a good run with a key in the query: no file of the project, nothing said, no table holds it."""
    key = "k3y-of/the-weather"
    auth = {"auth": "query-key", "keyName": "apikey", "keySecret": "WEATHER_KEY", "pagesPerBatch": 1}
    folder = project(tmp_path, api, {**INCREMENTAL, **auth})
    api.plan = [Fault(503, {"Retry-After": "0"}, f"you sent {key} and {quote(key, safe='')}".encode())]
    stop_at = iter([False, False, True])
    api.accepts = lambda _asked: not next(stop_at)
    command = ["flows.cli:main", "--project", str(folder), "run", "--log-json"]
    environment = {**os.environ, "WEATHER_KEY": key}
    failed = run_warm(*command, environment=environment)
    assert failed.returncode == 1
    api.accepts = lambda asked: asked.parameters["apikey"] == key
    done = run_warm(*command, environment=environment)
    assert done.returncode == 0, done.stderr
    said = "".join((failed.stdout, failed.stderr, done.stdout, done.stderr)).encode()
    said += b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    for table in ("ops.ingestion_log", "ops.audit_log", "ops.quarantine", "raw.readings"):
        said += json.dumps(ask(folder, f"from {table}"), default=str).encode()
    assert ids(folder) == [record["reading_id"] for record in api.records]
    assert b"answered 503" in said and b"not for you" in said
    assert key.encode() not in said and quote(key, safe="").encode() not in said


PEAK = """
import re
from pathlib import Path
from tests.http_parts import *

folder = Path({folder!r})
contract = read_contract(folder / "lake/contracts/readings.yaml")
visit = Visit(contract, folder, folder, begin_run("t"), Secrets({{}}.get), lambda _: None)

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

before = peak()
size = [delivery.path.stat().st_size for delivery in pull_deliveries(visit)]
print(size[0], peak() - before)
"""


@pytest.mark.parametrize("form", ["json", "csv"])
def test_http_pull_larger_than_memory_streams(tmp_path: Path, api: Api, form: str) -> None:
    """One answer far beyond what is read at once goes to disk in pieces: the process keeps its size."""
    line = json.dumps(reading(1)).encode()
    lines, joint, around = {
        "json": ([line] * 500_000, b",\n", (b"[", b"]")),
        "csv": ([b"reading_id,kwh"] + [b'"a,b",' + b"1" * 90] * 600_000, b"\n", (b"", b"\n")),
    }[form]
    body = around[0] + joint.join(lines) + around[1]
    api.page_of = lambda _asked: (body, {})
    project(tmp_path, api, {"format": form}, {"driftPolicy": "evolve"}, f"/all/readings.{form}")
    script = PEAK.format(folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    size, grown = map(int, done.stdout.split())
    assert size == len(body) > 57_000_000
    assert grown * 1024 < size / 2
