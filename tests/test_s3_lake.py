"""A project whose lake is a bucket: every command, and what happens when the store or the line to it fails."""

import json
import re
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from flows.cli import main
from lake.archive import fetch, keep, receive
from lake.engine import EngineLimits, Session
from lake.errors import CommitConflict, SettingsError, SluiceError, SourceError, TableError
from lake.objects import Objects
from lake.settings import Settings
from lake.sources.delivery import Delivery
from lake.staged_files import stage_files
from lake.store_probe import MARKER, expect_conditional
from lake.table_versions import Store
from lake.tables import append_files, commit_files, read_version
from tests.crash_parts import FIRST_FILE, SECOND_FILE, deliver, lake_state, make_shop, run_here
from tests.landing_parts import raw_rows
from tests.proxy_parts import Fault, line_to
from tests.shop_project import deliver_worthless_orders, write_shop
from tests.store_parts import (
    SECRET,
    both,
    free_port,
    lake_bytes,
    lake_keys,
    make_store,
    open_catalogue,
    put_in_bucket,
    write_env,
)

FEW_SECONDS = 15.0
NO_SERVER = "http://127.0.0.1:9/api"
MEGABYTE = 1 << 20
GROWTH_OF_AN_UPLOAD = 150 * MEGABYTE  # twelve parts of 5 MB on their way, and what a process takes anyway


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Prefect server is at hand, whatever runs on this machine."""
    monkeypatch.setenv("PREFECT_API_URL", NO_SERVER)


@pytest.fixture
def s3_store(s3_endpoint: str, tmp_path: Path) -> Store:
    """An empty lake in a bucket of its own."""
    return make_store(s3_endpoint, tmp_path / "settings")


def through(store: Store, endpoint: str) -> Store:
    """The same lake by another line."""
    secret = {**store.secret, "endpoint": endpoint.removeprefix("http://")}
    return Store(store.uri, {**store.options, "aws_endpoint": endpoint}, secret)


class Commands:
    """The command line in a project, as a person uses it; keeps all it printed."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys, self.printed = folder, capsys, ""

    def ok(self, *arguments: str) -> str:
        return self.end(0, *arguments)

    def end(self, wanted: int, *arguments: str) -> str:
        code = main([*arguments, "--project", str(self.folder)])
        told = self._capsys.readouterr()
        self.printed += told.out + told.err
        assert code == wanted, told.err
        return told.out

    def json(self, *arguments: str) -> list[dict[str, object]]:
        return json.loads(self.ok(*arguments, "--json"), parse_float=Decimal)  # type: ignore[no-any-return]

    def total(self) -> object:
        return self.json("sql", "select sum(amount) as total from marts.daily_orders")[0]["total"]


def test_s3_lake_every_command_works_on_it(tmp_path: Path, s3_endpoint: str, capsys, monkeypatch) -> None:
    """Run, ask, replay, reland, hold and admit, roll back and resume, maintain: on a bucket as in a folder."""
    monkeypatch.setenv("SLUICE_LONGEST_RUN_HOURS", "1")
    folder = put_in_bucket(write_shop(tmp_path / "shop"), s3_endpoint)
    store = Settings.read(folder).store
    shop = Commands(folder, capsys)
    shop.ok("run")
    assert shop.total() == Decimal("35.75")
    (batch,) = shop.json("batch", "list")
    mended = tmp_path / "mended.csv"
    mended.write_text("line,ordered_on\n5,2026-11-21\n")
    assert shop.json("quarantine", "replay", str(batch["batch_id"]), "--with", str(mended))[0]["accepted_count"] == 1
    deliver_worthless_orders(folder)
    shop.end(1, "run")  # a held batch fails the run that met it
    (held,) = shop.json("batch", "list", "--status", "held")
    shop.ok("batch", "admit", str(held["batch_id"]))
    shop.ok("run")
    assert shop.total() == Decimal("37.75")
    shop.ok("release", "rollback", "1")
    assert shop.total() == Decimal("35.75")
    shop.ok("release", "resume")
    shop.ok("batch", "reland", str(batch["batch_id"]))
    shop.ok("run")
    assert shop.total() == Decimal("37.75")
    shop.ok("maintain")
    assert shop.total() == Decimal("37.75")
    local = {path.name for path in (folder / "lake" / "data").iterdir()}
    assert local <= {".journal", "lake.duckdb", "sluice.log", "outbox", "pages"}
    with open_catalogue(folder / "lake" / "data" / "lake.duckdb", store) as client:
        assert client.sql("select sum(amount) from marts.daily_orders").fetchall() == [(Decimal("37.75"),)]
        assert client.sql("select count(*) from ops.audit_log").fetchall() > [(20,)]
    check_hidden(folder, store, shop.printed)


def test_s3_lake_copied_from_a_folder_is_the_same_lake(tmp_path: Path, s3_endpoint: str) -> None:
    """The files of a lake in a folder, copied into a bucket, are that lake: same state, and the next run goes on."""
    shop = make_shop(tmp_path / "shop", FIRST_FILE)
    assert run_here(shop).is_ok
    folder, state = Settings.read(shop).store, lake_state(shop)
    put_in_bucket(shop, s3_endpoint)
    bucket = Settings.read(shop).store
    for key in lake_keys(folder):
        Objects(bucket.uri, bucket.options).put(key, lake_bytes(folder, key))
    assert lake_state(shop) == state
    deliver(shop, SECOND_FILE)
    outcome = run_here(shop)
    assert (outcome.is_ok, outcome.is_new_release, outcome.sources[0].batches) == (True, True, 1)


def check_hidden(folder: Path, store: Store, printed: str) -> None:
    """The secret is nowhere but in `.env`: not in what was printed, written or put into the lake."""
    written = {path for path in folder.rglob("*") if path.is_file() and path.name != ".env"}
    assert written
    assert [path for path in written if SECRET.encode() in path.read_bytes()] == []
    assert [key for key in lake_keys(store) if SECRET.encode() in lake_bytes(store, key)] == []
    assert SECRET not in printed


def test_s3_lake_sql_shows_no_secret(tmp_path: Path, s3_endpoint: str, capsys) -> None:
    """Whoever may ask the lake does not learn the key by asking."""
    shop = Commands(put_in_bucket(write_shop(tmp_path / "shop"), s3_endpoint), capsys)
    shop.ok("run", "-q")
    assert "redacted" in shop.ok("sql", "from duckdb_secrets()")
    for query in ("from duckdb_secrets(redact = false)", "from read_parquet('s3://nowhere/else.parquet')"):
        shop.end(1, "sql", query)
    assert SECRET not in shop.printed


def test_s3_lake_needs_a_store_that_refuses_to_overwrite(s3_endpoint: str, s3_store: Store) -> None:
    """A store that forgets the condition of a write is refused before anything is landed; an honest one is not."""
    with line_to(s3_endpoint, "forget-condition", "^PUT") as line:
        with pytest.raises(SettingsError, match="writes over objects that it was told to leave alone"):
            expect_conditional(through(s3_store, line.endpoint))
    with line_to(s3_endpoint) as line:
        expect_conditional(through(s3_store, line.endpoint))
        expect_conditional(through(s3_store, line.endpoint))
        assert [asked.split()[0] for asked in line.seen() if MARKER in asked] == ["PUT", "PUT"]


def test_s3_lake_run_stops_at_an_unconditional_store(tmp_path: Path, s3_endpoint: str, capsys) -> None:
    """The run says so in one line, exits with 1, and has written nothing but the object it asked with."""
    folder = write_shop(tmp_path / "shop")
    with line_to(s3_endpoint, "forget-condition") as line:
        put_in_bucket(folder, line.endpoint)
        assert main(["run", "-q", "--project", str(folder)]) == 1
        said = capsys.readouterr().err.splitlines()
        assert lake_keys(Settings.read(folder).store) == [MARKER]
    assert len(said) == 1
    assert said[0].endswith("[store-unconditional]")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("bucket", "store-bucket-missing"),
        ("refuse", "store-refused"),
        ("dead", "store-unreachable"),
        ("be-silent", "store-unreachable"),
        ("cut-before", "store-unreachable"),
    ],
)
def test_s3_lake_says_within_seconds_why_a_store_cannot_be_used(s3_endpoint, s3_store, fault, code) -> None:
    """No bucket, wrong keys, nobody there, no answer, a cut line: a run knows within seconds, and names the cure."""
    with line_to(s3_endpoint, fault if fault not in ("bucket", "dead") else "none") as line:
        store = through(s3_store, f"http://127.0.0.1:{free_port()}" if fault == "dead" else line.endpoint)
        if fault == "bucket":
            store = Store("s3://never-made/lake", s3_store.options, s3_store.secret)
        begun = time.monotonic()
        with pytest.raises(TableError, match=r"bucket|credentials|did not answer") as raised:
            expect_conditional(store)
    assert raised.value.code == code
    assert raised.value.cure
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert time.monotonic() - begun < FEW_SECONDS


@pytest.mark.parametrize(("fault", "code"), [("bucket", "store-bucket-missing"), ("dead", "store-unreachable")])
def test_s3_lake_readers_are_told_the_same(tmp_path: Path, s3_endpoint: str, capsys, fault: str, code: str) -> None:
    """`sluice sql` on a lake that cannot be reached ends within seconds, with one line."""
    folder = write_shop(tmp_path / "shop")
    dead = f"http://127.0.0.1:{free_port()}"
    write_env(folder, "s3://never-made/lake", s3_endpoint if fault == "bucket" else dead)
    begun = time.monotonic()
    assert main(["sql", "select 1", "--project", str(folder)]) == 1
    assert time.monotonic() - begun < FEW_SECONDS
    (said,) = capsys.readouterr().err.splitlines()
    assert said.endswith(f"[{code}]")


@pytest.mark.parametrize("library", ["delta", "duckdb"])
def test_s3_lake_that_fails_in_the_middle_is_the_stores_fault(s3_endpoint, s3_store, library) -> None:
    """Whichever library meets the failure, the error is that of a store, and no bug or model's."""
    with Session(EngineLimits(), s3_store) as session:
        commit_files(
            s3_store, "raw.x", stage_files(session, s3_store, "raw.x", "select 1 as id"), expected_version=None
        )
    found = read_version(s3_store, "raw.x")
    assert found is not None
    with line_to(s3_endpoint, "cut-before") as line:
        store = through(s3_store, line.endpoint)
        with Session(EngineLimits(), store) as session:
            with pytest.raises(TableError, match="did not answer as it should") as raised:
                if library == "delta":
                    read_version(store, "raw.x")
                else:
                    session.rows(f"from read_parquet('{found.files[0].path}')")
    assert raised.value.code == "store-unreachable"
    assert "\x1b" not in str(raised.value)


def test_s3_lake_log_is_read_once_in_a_run(s3_endpoint: str, s3_store: Store) -> None:
    """A run that has read a table fetches only newer entries of its log, however often it asks; buckets are slow."""

    def append(number: int) -> None:
        append_files(s3_store, "raw.x", stage_files(session, s3_store, "raw.x", f"select {number} as id"))

    with line_to(s3_endpoint) as line, Session(EngineLimits(), s3_store) as session:
        store = through(s3_store, line.endpoint)
        append(1)
        assert read_version(store, "raw.x").version == 1
        asked = len(line.seen())
        assert [read_version(store, "raw.x").version for _ in range(9)] == [1] * 9
        append(2)
        assert [read_version(store, "raw.x").version for _ in range(9)] == [2] * 9
        fetched = {request[-7:] for request in line.seen()[asked:] if re.search(r"_delta_log/0+\d\.json", request)}
        assert fetched == {"02.json"}


TABLES = ("raw/orders", "ops/quarantine", "marts/by_month", "_releases")
# Whether a commit was made whose answer never came is for each kind of table to find out; one not made is only missing.
CUTS = [*((table, "cut-after") for table in TABLES), (TABLES[0], "cut-before")]


@pytest.mark.parametrize(
    ("table", "fault"), [CUTS[0], *(pytest.param(*cut, marks=pytest.mark.soak) for cut in CUTS[1:])]
)
def test_s3_lake_line_cut_at_a_commit_loses_and_doubles_nothing(tmp_path, s3_endpoint, table, fault) -> None:
    """A commit whose answer never came, whether the store has it or not, counts once after at most one more run."""
    expected = make_shop(tmp_path / "expected", FIRST_FILE)  # in a folder: the lakes are the same
    assert run_here(expected).is_ok
    shop = make_shop(tmp_path / "shop", FIRST_FILE)
    commit = f"^PUT .*/{table}/_delta_log/0+1\\.json"
    with line_to(s3_endpoint, fault, commit, times=1) as line:
        put_in_bucket(shop, line.endpoint)
        outcome = run_here(shop)
        assert [asked for asked in line.seen() if re.search(commit, asked)]
        if not outcome.is_ok:
            assert isinstance(outcome.failure, SluiceError)
            assert run_here(shop).is_ok
        assert lake_state(shop) == lake_state(expected)


def test_s3_lake_line_cut_while_archiving_lands_nothing(tmp_path: Path, s3_endpoint: str) -> None:
    """Without its bytes in the archive no batch lands; when the line is back the next run lands it."""
    shop = make_shop(tmp_path / "shop", FIRST_FILE)
    with line_to(s3_endpoint, "cut-before", "^PUT .*/_archive/") as line:
        put_in_bucket(shop, line.endpoint)
        outcome = run_here(shop)
        assert getattr(outcome.failure, "code", None) == "store-unreachable"
        assert read_version(Settings.read(shop).store, "raw.orders") is None
        line.have(Fault())
        assert run_here(shop).is_ok
        assert len(lake_keys(Settings.read(shop).store, "_archive")) == 1


@pytest.mark.parametrize(
    ("fault", "code"), [("forget-condition", "store-unconditional"), ("dead", "store-unreachable")]
)
def test_s3_lake_that_cannot_be_used_is_told_to_people(tmp_path: Path, s3_endpoint: str, fault: str, code: str) -> None:
    """A scheduled run that finds no usable store fails with that reason, and its people get a mail."""
    shop = make_shop(tmp_path / "shop", FIRST_FILE)
    with line_to(s3_endpoint, fault if fault != "dead" else "none") as line:
        put_in_bucket(shop, line.endpoint)
        if fault == "dead":
            write_env(shop, Settings.read(shop).uri, f"http://127.0.0.1:{free_port()}")
        failure = run_here(shop).failure
    assert failure is not None
    assert failure.code == code
    (mail,) = (shop / "lake" / "data" / "outbox").glob("*.eml")
    assert "A pipeline run failed" in mail.read_text()
    assert SECRET not in mail.read_text()


def test_s3_lake_settings_ask_no_metadata_service(tmp_path: Path, s3_endpoint: str, monkeypatch) -> None:
    """A whole run asks nobody for credentials or region: the service that clouds have for it hears nothing."""
    shop = put_in_bucket(make_shop(tmp_path / "shop", FIRST_FILE), s3_endpoint)
    with line_to(s3_endpoint, "refuse") as service:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.endpoint)
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", service.endpoint)
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.endpoint}/credentials")
        code = "import sys, pathlib, tests.crash_parts as c; assert c.run_here(pathlib.Path(sys.argv[1])).is_ok"
        subprocess.run([sys.executable, "-c", code, str(shop)], check=True, timeout=120)
        assert service.seen() == []
        probing = "import sys, deltalake; deltalake.DeltaTable(sys.argv[1])"
        subprocess.run([sys.executable, "-c", probing, "s3://never-made/x"], capture_output=True, timeout=120)
        assert service.seen() != [], "without keys the library asks: this test would notice"


def test_s3_lake_of_several_commits_at_once_one_wins(s3_store: Store) -> None:
    """Six writers on one version: one commits, the others are told; appends of all arrive."""
    with Session(EngineLimits(), s3_store) as session:
        first, *staged = (stage_files(session, s3_store, "raw.x", f"select {n} as id") for n in range(7))
        version = commit_files(s3_store, "raw.x", first, expected_version=None)
        more = [stage_files(session, s3_store, "raw.x", f"select {n} as id") for n in range(10, 16)]
    told: list[str] = []

    def write(number: int) -> None:
        try:
            commit_files(s3_store, "raw.x", staged[number], expected_version=version, replace="everything")
            told.append("won")
        except CommitConflict as error:
            told.append(error.code)
        append_files(s3_store, "raw.x", more[number])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == ["commit-conflict"] * 5 + ["won"]
    assert {row[0] for row in raw_rows(s3_store, "id", "x")} >= set(range(10, 16))


def test_s3_lake_many_partitions_fit_a_small_memory(s3_store: Store) -> None:
    """A hundred partitions are written at once with 100 MB: uploads hold back no more than they need."""
    with Session(EngineLimits("100MB", 2), s3_store) as session:
        query = "select i as id, i % 100 as part, hash(i)::varchar as text from range(300000) t(i)"
        staged = stage_files(session, s3_store, "marts.x", query, partition=["part"])
    assert (staged.row_count, len({file.partition_values["part"] for file in staged.files})) == (300_000, 100)


@both
def test_s3_archive_gives_back_what_it_was_given(tmp_path: Path, store: Store) -> None:
    """Bytes come back as received, twice kept is once there, and bytes that are not there are missed by name."""
    path = tmp_path / "in.csv"
    path.write_bytes(b"\x00\xff any bytes" * 100_000)
    delivery = Delivery("in.csv", path, "csv")
    receipt = receive(delivery)
    for _ in range(2):
        keep(delivery, receipt, store)
    assert len(lake_keys(store)) == 1
    assert fetch(store, receipt.digest, tmp_path / "back.csv").read_bytes() == path.read_bytes()
    with pytest.raises(TableError, match="The archive holds no bytes of abc"):
        fetch(store, "abc", tmp_path / "none.csv")


@both
@pytest.mark.parametrize("size", [10, 40 * MEGABYTE])
def test_s3_archive_keeps_nothing_of_a_file_that_changes(tmp_path: Path, store: Store, size: int) -> None:
    """Whatever its size, a file that was written to since it was received leaves no bytes, nor part of an upload."""
    path = tmp_path / "in.csv"
    path.write_bytes(random_bytes(size))
    delivery = Delivery("in.csv", path, "csv")
    receipt = receive(delivery)
    path.write_bytes(random_bytes(size))
    with pytest.raises(SourceError, match="was written to while it was being read"):
        keep(delivery, receipt, store)
    assert lake_keys(store) == []


def random_bytes(size: int) -> bytes:
    """Bytes that do not compress."""
    import secrets

    return secrets.token_bytes(size)


@pytest.mark.soak
def test_s3_archive_takes_a_large_file_in_little_memory(tmp_path: Path, s3_endpoint: str) -> None:
    """A file of 220 MB is archived and brought back by a process that grows by far less."""
    folder = tmp_path / "settings"
    make_store(s3_endpoint, folder)
    code = """
import resource, secrets, sys
from pathlib import Path
from lake.archive import fetch, keep, receive
from lake.settings import Settings
from lake.sources.delivery import Delivery
folder = Path(sys.argv[1])
block = secrets.token_bytes(1 << 20)
with (folder / "big").open("wb") as out:
    for number in range(220):
        out.write(number.to_bytes(8, "big") + block[number:] + block[:number])
store, delivery = Settings.read(folder).store, Delivery("big", folder / "big", "csv")
receipt = receive(delivery)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
keep(delivery, receipt, store)
fetch(store, receipt.digest, folder / "back")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
assert receive(Delivery("back", folder / "back", "csv")).digest == receipt.digest
"""
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < GROWTH_OF_AN_UPLOAD
