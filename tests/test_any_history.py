"""Any history of landings, decisions, upkeep, rollbacks and kills: raw and ledger agree on every record."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lake.archive_places import archive_key
from lake.contract import Contract
from lake.engine import EngineLimits, Session, scan_sql
from lake.errors import CommitConflict, SourceError, TableError
from lake.landing.batch import Batch, PreparedBatch, another_attempt, identify
from lake.landing.committing import commit, expect_new, is_landed, set_aside
from lake.landing.judging import judge, prepare
from lake.landing.relanding import judge_again, judge_replay, make_replay, recall
from lake.ledger import BatchRecord, batches_sql, find_batches, latest_batches_sql, sweep_commits
from lake.operations import show_operations
from lake.quarantine import QUARANTINE, open_quarantine_sql, quarantine_sql, quarantine_view_sql
from lake.releases import Publication, ReleasedTable, current_release, list_releases, publish, resume, rollback
from lake.run import Run, begin_run
from lake.sources.files import file_delivery
from lake.table_versions import Store
from lake.tables import append_files, expect_version, read_version
from lake.upkeep import join_small_files, tidy
from tests.chance import draw_seed
from tests.conftest import FIRST_INSTANT
from tests.landing_parts import HEADER, contract_with
from tests.store_parts import as_next_run

PROCESSES, STEPS, KILLED, FILES = 3, 100, 0.1, 10
LIMITS = EngineLimits(memory="200MB", threads=1)
LAX = contract_with(duplicates="latest-wins", drift="evolve")
STRICT = replace(LAX, version="1.1.0", digest="strict", rules=())
REGIONS = ("North", "South", "West", "")

ASIDE = 0.5  # of the deliveries are held or refused

Step = Iterator[None]


@dataclass
class World:
    """A lake, what is delivered to it, and the processes at work on it, each with its session and its own clock."""

    folder: Path
    store: Store
    sessions: list[Session]
    chance: random.Random
    paths: list[Path] = field(default_factory=list)
    replayed: set[str] = field(default_factory=set)
    instant: datetime = FIRST_INSTANT

    def run(self) -> Run:
        """Begins a run on a machine whose clock may be hours behind the others, and may stand still."""
        self.instant += timedelta(seconds=1)
        now = self.instant - timedelta(seconds=self.chance.choice([0, 5, 7200]))
        return begin_run("tester", clock=lambda: now)

    def contract(self) -> Contract:
        return self.chance.choice([LAX, STRICT])

    def deliver(self) -> Path:
        """Delivers a new file, of which some records are bad and some were there before; or names an earlier one."""
        if len(self.paths) >= FILES or (self.paths and self.chance.random() < 0.3):
            return self.chance.choice(self.paths)
        wide = ",colour" if self.chance.random() < 0.2 else ""
        rows = [
            f"a{self.chance.randrange(12)},2024-01-0{self.chance.randrange(1, 9)},{self.chance.choice(REGIONS)},"
            f"{self.chance.choice(['1', '2', 'x', '-1'])},{self.chance.randrange(3)}.00,{',red' if wide else ''}\n"
            for _ in range(self.chance.randrange(0, 8))
        ]
        path = self.folder / f"{len(self.paths):03}.csv"
        path.write_text(HEADER.replace("\n", f"{wide}\n") + "".join(rows))
        self.paths.append(path)
        return path

    def mend(self, session: Session, store: Store, record: BatchRecord) -> Path | None:
        """Mends some open records of a batch, one way or another; None: they are to come again as they were."""
        query = f"select line from ({open_quarantine_sql(store)}) where batch_id = ? and category <> 'DUPLICATE_RECORD'"
        lines = [line for (line,) in session.rows(f"{query} order by line", [record.batch_id])]
        mended = [line for line in lines if self.chance.random() < 0.5]
        if not mended or self.chance.random() < 0.5:
            return None
        rows = [f"{line},{self.chance.choice(REGIONS)},{self.chance.randrange(3)}\n" for line in mended]
        path = self.folder / "mended.csv"
        path.write_text("line,region,units\n" + "".join(rows))
        return path

    def choose(self, session: Session, store: Store, *statuses: str) -> BatchRecord | None:
        """Gives some batch that has one of these states by the ledger, which may be behind."""
        found = [record for record in find_batches(session, store) if record.status in statuses]
        return self.chance.choice(found) if found else None


def land(world: World, session: Session, store: Store) -> Step:
    """Lands a file as a run does; some are held or refused, some runs die between quarantine and raw."""
    contract, path, run = world.contract(), world.deliver(), world.run()
    yield from land_file(
        world, session, store, identify(contract, file_delivery(contract, path, world.folder), run), run
    )


def land_file(world: World, session: Session, store: Store, batch: Batch, run: Run) -> Step:
    while not is_landed(store, batch):
        with suppress(CommitConflict):
            prepared = prepare(session, store, batch, run)
            yield
            fate = world.chance.random()
            if fate < ASIDE and not is_landed(store, batch):
                yield
                set_aside(session, store, batch, run, world.chance.choice(["held", "held", "refused"]), "by chance")
                return
            yield from count(world, store, prepared, run)
            return
        batch = another_attempt(batch, run)


def count(world: World, store: Store, prepared: PreparedBatch, run: Run) -> Step:
    """Commits a batch; a process may have died right before the raw commit, when its quarantine rows were there."""
    if prepared.refused is not None and world.chance.random() < KILLED:
        append_files(store, QUARANTINE, prepared.refused)
        return
    commit(store, prepared, run)
    yield


def admit(world: World, session: Session, store: Store) -> Step:
    record, run = world.choose(session, store, "held"), world.run()
    yield
    if record is not None:
        prepared = judge(session, store, recall(session, store, world.contract(), record, run), run)
        yield
        expect_new(store, prepared)
        yield from count(world, store, prepared, run)


def refuse(world: World, session: Session, store: Store) -> Step:
    record, run = world.choose(session, store, "held"), world.run()
    if record is not None:
        batch = recall(session, store, LAX, record, run)
        yield
        set_aside(session, store, batch, run, "refused", "by a person")


def reland(world: World, session: Session, store: Store) -> Step:
    record, run = world.choose(session, store, "landed", "landed", "held"), world.run()
    if record is not None:
        prepared = judge_again(session, store, recall(session, store, world.contract(), record, run), run)
        yield
        yield from count(world, store, prepared, run)


def replay(world: World, session: Session, store: Store) -> Step:
    record, run = world.choose(session, store, "landed"), world.run()
    if record is not None:
        batch = make_replay(session, store, world.contract(), record, world.mend(session, store, record), run)
        yield
        world.replayed.add(batch.receipt.digest)
        prepared = judge_replay(session, store, batch, run)
        yield
        yield from count(world, store, prepared, run)


def look(_world: World, session: Session, store: Store) -> Step:
    """Reads as an operator does: what is said of a batch and what is shown of it are of one moment."""
    show_operations(session, store, {})
    said = "from ops.ingestion_log where status = 'landed' and kind = 'file'"
    refused = session.rows(f"select batch_id, quarantined_count + duplicate_count as count {said} and count > 0")
    shown = session.rows("select batch_id, count(*) from ops.quarantine group by 1")
    assert sorted(refused) == sorted(shown)
    yield


def sweep(_world: World, session: Session, store: Store) -> Step:
    sweep_commits(session, store, ["shop"])
    yield


def join(_world: World, session: Session, store: Store) -> Step:
    """Joins small files while others go on."""
    for name in ("ops.batches", QUARANTINE, "raw.shop"):
        found = read_version(store, name)
        yield
        if found is not None:
            join_small_files(session, store, found, found.files)


def release(world: World, session: Session, store: Store) -> Step:
    """Publishes raw as it is, or goes back to an older release and on again."""
    base, found, run = current_release(session, store), read_version(store, "raw.shop"), world.run()
    yield
    if base is not None and world.chance.random() < 0.3:
        rollback(session, store, world.chance.choice(list_releases(session, store)).id, run)
        yield
        resume(session, store, run)
    elif found is not None:
        table = ReleasedTable("raw.shop", "table", found.version, found.row_count, None, found.columns, {}, "code")
        publish(session, store, Publication([table], base, 1), run)


OPERATIONS: list[Callable[[World, Session, Store], Step]] = [
    *(
        land,
        land,
        land,
        land,
        admit,
        admit,
        admit,
        refuse,
        reland,
        reland,
        replay,
        replay,
        replay,
        sweep,
        sweep,
        look,
        join,
        release,
    )
]


def live(world: World, steps: int) -> None:
    """Lets processes work side by side, one step of one after a step of another; some die at any step."""
    active: dict[int, Step] = {}
    for _ in range(steps):
        place = world.chance.randrange(PROCESSES)
        if place not in active:
            active[place] = world.chance.choice(OPERATIONS)(world, world.sessions[place], as_next_run(world.store))
        try:
            next(active[place])
        except (StopIteration, CommitConflict, SourceError, TableError):
            del active[place]
        else:
            if world.chance.random() < KILLED:
                active.pop(place).close()  # type: ignore[attr-defined]
    active.clear()
    vacuum(world)


def vacuum(world: World) -> None:
    """Deletes, while nobody is at work, whatever no kept release names."""
    tidy(world.sessions[0], as_next_run(world.store), world.run(), keep_releases=2, keep_hours=0)


def settle(world: World) -> None:
    """Delivers every file once more to a run that nothing disturbs."""
    for path in world.paths:
        run, store = begin_run("tester", clock=lambda: FIRST_INSTANT), as_next_run(world.store)
        batch = identify(LAX, file_delivery(LAX, path, world.folder), run)
        if not is_landed(store, batch):
            commit(store, prepare(world.sessions[0], store, batch, run), run)
    sweep_commits(world.sessions[0], as_next_run(world.store), ["shop"])


def check(world: World) -> None:
    """Every record of every file is where the ledger says, once; readers see what was released."""
    session, store = world.sessions[0], as_next_run(world.store)
    raw = read_version(store, "raw.shop")
    assert raw is not None
    session.execute(
        f"create or replace view raw.shop as {scan_sql([f.path for f in raw.files], raw.columns, evolved=True)}"
    )
    batches = find_batches(session, store)
    landed = {record.batch_id: record for record in batches if record.status == "landed"}
    in_raw = dict(session.rows("select _batch_id, count(*) from raw.shop group by 1"))
    refused = dict(session.rows(f"select batch_id, count(*) from ({quarantine_view_sql(store)}) group by 1"))
    assert in_raw == {batch: record.accepted_count for batch, record in landed.items() if record.accepted_count}
    for record in landed.values():
        assert record.read_count == record.accepted_count + record.quarantined_count + record.duplicate_count
        if record.kind == "file":
            assert refused.pop(record.batch_id, 0) == record.quarantined_count + record.duplicate_count
    assert not refused, "only what counts is shown"
    settled = f"from ({quarantine_sql(store)}) semi join ({latest_batches_sql(store)}) using (attempt_id)"
    twice = f"select replay_of {settled} where replay_of is not null group by source, replay_of having count(*) > 1"
    assert session.rows(twice) == [], "no record is put right twice"
    assert session.value("select count(*) - count(distinct _record_id) from raw.shop") == 0
    delivered = {identify(LAX, file_delivery(LAX, path, world.folder), world.run()).batch_id for path in world.paths}
    assert delivered == {batch for batch, record in landed.items() if record.kind == "file"}
    check_order(session, store)
    check_archive(world, batches)
    check_release(session, store)


def check_order(session: Session, store: Store) -> None:
    """The instants of rows follow the order in which their batches first landed."""
    first = (
        f"select batch_id, min(table_version) as place from ({batches_sql(store)}) where status = 'landed' group by 1"
    )
    rows = session.rows(
        f"select place, min(_ingested_at), max(_ingested_at) from raw.shop join ({first}) on batch_id = _batch_id "
        "group by 1 order by 1"
    )
    instants = [instant for _, least, greatest in rows for instant in (least, greatest)]
    assert instants == sorted(instants)
    assert len({*instants}) == len(rows)


def check_archive(world: World, batches: list[BatchRecord]) -> None:
    """What is archived is in the ledger, but for replays that died; what is in the ledger is archived."""
    known = {record.checksum for record in batches}
    kept = {path.stem for path in Path(world.store.uri, "_archive").rglob("*.zst")}
    assert known <= kept <= known | world.replayed
    assert all(Path(world.store.uri, archive_key(digest)).stat().st_size for digest in kept)


def check_release(session: Session, store: Store) -> None:
    """What readers see can be read, and has the rows that were published."""
    newest = current_release(session, store)
    for table in () if newest is None else newest.tables.values():
        found = expect_version(store, table.name, table.version)
        scan = scan_sql([file.path for file in found.files], found.columns, evolved=found.evolved)
        assert session.value(f"select count(*) from ({scan})") == table.row_count


def check_history(folder: Path, seed: int) -> None:
    """Lets a world live by chance, and looks at what has become of it."""
    folder.mkdir()
    with ExitStack() as stack:
        sessions = [stack.enter_context(Session(LIMITS)) for _ in range(PROCESSES)]
        world = World(folder, Store(str(folder / "lake"), {}), sessions, random.Random(seed))
        live(world, STEPS)
        settle(world)
        check(world)


@pytest.mark.parametrize("seed", [1, 8])
def test_any_history_leaves_raw_and_ledger_agreed(tmp_path, seed) -> None:
    """Whatever was landed, held, replayed, joined, rolled back or killed: every record is counted once."""
    check_history(tmp_path / "world", seed)


@pytest.mark.soak
@pytest.mark.parametrize("place", range(12))
def test_any_history_leaves_raw_and_ledger_agreed_for_long(tmp_path, place) -> None:
    """The same for more histories; `CHANCE=fresh` draws others each time, and their folder tells their seed."""
    seed = draw_seed(place)
    check_history(tmp_path / str(seed), seed)
