"""What became of a batch: one answer, that raw and ledger agree on, whatever clocks say and whoever else decides."""

import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from flows.rework import admit_batch, refuse_batch
from flows.workplace import Workplace
from lake.contract import Contract
from lake.engine import EngineLimits, Session
from lake.errors import CommitConflict, TableError
from lake.landing.batch import Batch, PreparedBatch, identify
from lake.landing.committing import commit, expect_new, set_aside
from lake.landing.judging import judge, prepare
from lake.landing.relanding import find_batch, judge_again, judge_replay, make_replay, recall
from lake.ledger import find_batches, sweep_commits
from lake.project import open_project
from lake.quarantine import quarantine_view_sql
from lake.run import Event, Run, begin_run
from lake.sources.files import file_delivery
from lake.table_versions import Store
from tests.conftest import FIRST_INSTANT
from tests.crash_parts import SECOND_FILE, make_shop, run_here, store_of
from tests.landing_parts import HEADER, SHOP, begin, contract_with, raw_rows
from tests.shop_project import deliver_worthless_orders, write_shop

GOOD, BAD = "a1,2024-01-05,North,3,2.50,x\n", "a2,never,South,1,1.00,\n"


@pytest.fixture
def session(store):
    with Session(EngineLimits(memory="300MB", threads=2), store) as opened:
        yield opened


def run_at(instant: datetime) -> Run:
    """A run on a machine whose clock stands still."""
    return begin_run("tester", clock=lambda: instant)


def receive(folder: Path, name: str, *rows: str, run: Run, contract: Contract = SHOP) -> Batch:
    path = folder / name
    path.write_text(HEADER + "".join(rows))
    return identify(contract, file_delivery(contract, path, folder), run)


def balanced(session: Session, store: Store) -> dict[str, tuple[int, ...]]:
    """Gives the counts of every landed batch, once raw and quarantine have been seen to say the same."""
    in_raw = [row[0] for row in raw_rows(store, "_batch_id")]
    refused = [row[0] for row in session.rows(f"select batch_id from ({quarantine_view_sql(store)})")]
    found = {}
    for record in find_batches(session, store):
        if record.status == "landed":
            assert record.accepted_count == in_raw.count(record.batch_id), record
            if record.kind != "replay":
                assert record.read_count == record.accepted_count + refused.count(record.batch_id), record
            found[record.batch_id] = (record.read_count, record.accepted_count)
    assert {*in_raw} <= found.keys(), "what is in raw has landed"
    return found


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(hours=1)], ids=["still", "back"])
def test_a_batch_in_raw_has_landed_whatever_the_clocks_say(tmp_path, session, store, behind):
    """Held by one machine and landed by another whose clock is behind, or at the same microsecond: it has landed."""
    run = run_at(FIRST_INSTANT)
    batch = receive(tmp_path, "in.csv", GOOD, BAD, run=run)
    prepare(session, store, batch, run)
    set_aside(session, store, batch, run, "held", "too many bad rows")
    slow = run_at(FIRST_INSTANT - behind)
    again = recall(session, store, SHOP, find_batch(session, store, batch.batch_id), slow)
    commit(store, prepare(session, store, again, slow), slow)
    sweep_commits(session, store, ["shop"])
    assert balanced(session, store) == {batch.batch_id: (2, 1)}


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(hours=1)], ids=["still", "back"])
def test_the_last_decision_counts_whatever_the_clocks_say(tmp_path, session, store, behind):
    """A batch that is held, refused and held again has the state that was written last."""
    batch = receive(tmp_path, "in.csv", GOOD, run=run_at(FIRST_INSTANT))
    for number, status in enumerate(("held", "refused", "held", "refused")):
        set_aside(session, store, batch, run_at(FIRST_INSTANT - number * behind), status, status)
        assert find_batch(session, store, batch.batch_id).status == status


def test_the_last_landing_counts_though_the_clock_went_back(tmp_path, session, store):
    """A batch landed again on a machine whose clock is behind is told by its last landing, which raw has."""
    run, behind = run_at(FIRST_INSTANT), run_at(FIRST_INSTANT - timedelta(days=1))
    batch = receive(tmp_path, "in.csv", GOOD, BAD, run=run)
    commit(store, prepare(session, store, batch, run), run)
    sweep_commits(session, store, ["shop"])
    columns = [replace(each, sql_type="varchar") if each.name == "note" else each for each in SHOP.columns]
    contract = contract_with(columns=tuple(columns), rules=(), version="1.1.0")
    strict = contract_with(
        columns=tuple(replace(each, minimum="4") if each.name == "units" else each for each in columns)
    )
    for judged, accepted in ((strict, 0), (contract, 1)):
        again = recall(session, store, judged, find_batch(session, store, batch.batch_id), behind)
        commit(store, judge_again(session, store, again, behind), behind)
        sweep_commits(session, store, ["shop"])
        assert balanced(session, store) == {batch.batch_id: (2, accepted)}


def test_a_row_that_came_later_is_the_newer_though_the_clock_went_back(tmp_path, session, store):
    """Of two versions of a row the one that landed last has the later instant: models go by that."""
    contract = contract_with(duplicates="latest-wins")
    for number, price in enumerate(("1.00", "2.00", "3.00")):
        run = run_at(FIRST_INSTANT - number * timedelta(hours=1))
        batch = receive(tmp_path, f"{number}.csv", f"a1,2024-01-05,North,3,{price},x\n", run=run, contract=contract)
        commit(store, prepare(session, store, batch, run), run)
    rows = raw_rows(store, "_ingested_at, price_eur")
    assert [f"{price}" for _, price in rows] == ["1.00", "2.00", "3.00"]
    assert len({instant for instant, _ in rows}) == 3
    sweep_commits(session, store, ["shop"])
    assert all(record.started_at <= record.ended_at for record in find_batches(session, store))


def test_a_batch_landed_again_keeps_its_place_among_the_others(tmp_path, session, store):
    """What has been corrected since does not come back when the older batch goes through the contract once more."""
    contract = contract_with(duplicates="latest-wins")
    batches = []
    for price in ("1.00", "2.00"):
        run = begin()
        batches.append(receive(tmp_path, "in.csv", f"a1,2024-01-05,North,3,{price},x\n", run=run, contract=contract))
        commit(store, prepare(session, store, batches[-1], run), run)
        sweep_commits(session, store, ["shop"])
    before = raw_rows(store, "_ingested_at, price_eur")
    for _ in range(2):
        run = begin()
        again = recall(session, store, contract, find_batch(session, store, batches[0].batch_id), run)
        commit(store, judge_again(session, store, again, run), run)
        sweep_commits(session, store, ["shop"])
        assert raw_rows(store, "_ingested_at, price_eur") == before


def test_a_batch_landed_again_keeps_its_place_though_the_ledger_has_not_heard_of_it(tmp_path, session, store):
    """Held, admitted by another who has not told the ledger yet, then landed again: it stays where it was admitted."""
    contract, batches = contract_with(duplicates="latest-wins"), []
    for price in ("1.00", "2.00"):
        run, row = begin(), f"a1,2024-01-05,North,3,{price},x\n"
        batches.append(receive(tmp_path, f"{price}.csv", row, run=run, contract=contract))
        prepared = prepare(session, store, batches[-1], run)
        if price == "1.00":
            set_aside(session, store, batches[0], run, "held", "by chance")
            held = find_batch(session, store, batches[0].batch_id)
        commit(store, prepared, run)
    before = raw_rows(store, "_ingested_at, price_eur")
    again = recall(session, store, contract, held, begin())
    commit(store, judge_again(session, store, again, run), run)
    assert raw_rows(store, "_ingested_at, price_eur") == before
    sweep_commits(session, store, ["shop"])
    assert [f"{price}" for _, price in sorted(before)] == ["1.00", "2.00"]


def test_who_admits_what_has_landed_meanwhile_lands_nothing(tmp_path, session, store):
    """Two people who admit one batch: the second is told, and the ledger says what the first has landed."""
    run = begin()
    batch = receive(tmp_path, "in.csv", GOOD, BAD, run=run)
    prepare(session, store, batch, run)
    set_aside(session, store, batch, run, "held", "too many bad rows")
    record = find_batch(session, store, batch.batch_id)
    commit(store, judge(session, store, recall(session, store, SHOP, record, run), run), run)
    with pytest.raises(CommitConflict, match="has landed in.csv"):
        expect_new(store, judge(session, store, recall(session, store, SHOP, record, run), run))
    set_aside(session, store, batch, run, "refused", "said by a third")
    sweep_commits(session, store, ["shop"])
    assert balanced(session, store) == {batch.batch_id: (2, 1)}


def test_what_landed_before_its_contract_was_renamed_is_in_the_ledger(tmp_path, session, store):
    """A run that died before the ledger heard of its batch, and a contract that then lands elsewhere, lose no batch."""
    run = begin()
    for name, row in (("first.csv", GOOD), ("second.csv", GOOD.replace("a1", "a9"))):
        assert sweep_commits(session, store, ["shop_v2"], with_former=True) == 0
        batch = receive(tmp_path, name, row, run=run)
        commit(store, prepare(session, store, batch, run), run)
        if name == "first.csv":
            sweep_commits(session, store, ["shop"])
    assert sweep_commits(session, store, ["shop_v2"], with_former=True) == 1
    assert len(balanced(session, store)) == 2


def replayed(session: Session, store: Store, batch: Batch, contract: Contract) -> PreparedBatch:
    run = begin()
    made = make_replay(session, store, contract, find_batch(session, store, batch.batch_id), None, run)
    return judge_replay(session, store, made, run)


def test_a_replay_lands_once_and_may_come_again_when_it_came_to_nothing(tmp_path, session, store):
    """Of two replays of the same records one lands; one of which no record was accepted may come again."""
    run = begin()
    batch = receive(tmp_path, "in.csv", GOOD, "a3,2024-01-05,West,1,1.00,\n", run=run)
    commit(store, prepare(session, store, batch, run), run)
    sweep_commits(session, store, ["shop"])
    commit(store, replayed(session, store, batch, SHOP), run)
    sweep_commits(session, store, ["shop"])
    wider = contract_with(columns=tuple(replace(each, enum=()) for each in SHOP.columns), version="1.1.0")
    commit(store, replayed(session, store, batch, wider), run)
    with pytest.raises(CommitConflict, match="has landed replay of"):  # the ledger has not heard of the first yet
        replayed(session, store, batch, wider)
    sweep_commits(session, store, ["shop"])
    assert sorted(balanced(session, store).values()) == [(1, 1), (2, 1)]


def test_no_record_is_put_right_by_two_replays_at_once(tmp_path, session, store):
    """Of two people who mend the same record in this moment the second is told; the record is in raw once."""
    run, mended = begin(), tmp_path / "mended.csv"
    batch = receive(tmp_path, "in.csv", GOOD, "a3,2024-01-05,West,1,1.00,\n", BAD, run=run)
    commit(store, prepare(session, store, batch, run), run)
    sweep_commits(session, store, ["shop"])
    record = find_batch(session, store, batch.batch_id)
    mended.write_text("line,region,day\n3,North,2024-01-05\n4,North,2024-01-06\n")
    mine = make_replay(session, store, SHOP, record, mended, run)
    mended.write_text("line,region,units\n3,South,2\n")
    with Session(EngineLimits(memory="300MB", threads=2), store) as other:
        commit(store, judge_replay(other, store, make_replay(other, store, SHOP, record, mended, run), run), run)
    with pytest.raises(CommitConflict, match="has landed replay of"):
        judge_replay(session, store, mine, run)
    assert raw_rows(store, "sale_id, region") == [("a1", "North"), ("a3", "South")]


WIDER = contract_with(columns=tuple(replace(each, enum=()) for each in SHOP.columns), version="1.1.0")


def land_and_replay(session: Session, store: Store, folder: Path) -> PreparedBatch:
    """Lands three records of which two are bad, and replays them under a contract that takes one of the two."""
    run = begin()
    batch = receive(folder, "in.csv", GOOD, "a3,2024-01-05,West,1,1.00,\n", BAD, run=run)
    commit(store, prepare(session, store, batch, run), run)
    sweep_commits(session, store, ["shop"])
    made = replayed(session, store, batch, WIDER)
    commit(store, made, run)
    sweep_commits(session, store, ["shop"])
    return made


def test_a_replay_can_be_landed_again_and_what_it_settled_stays_settled(tmp_path, session, store):
    """A replay is JSON lines, whatever its source delivers, and says again which records it has put right."""
    run = begin()
    first = land_and_replay(session, store, tmp_path)
    settled = f"select line, replayed_at is not null from ({quarantine_view_sql(store)}) order by line"
    assert session.rows(settled) == [(3, True), (4, False)]
    record = find_batch(session, store, first.batch.batch_id)
    commit(store, judge_again(session, store, recall(session, store, WIDER, record, run), run), run)
    sweep_commits(session, store, ["shop"])
    settled = f"select line, replayed_at is not null from ({quarantine_view_sql(store)}) order by line"
    assert session.rows(settled) == [(3, True), (4, False)]
    assert sorted(balanced(session, store).values()) == [(2, 1), (3, 1)]


def test_a_replay_is_carried_over_to_another_versions_table(tmp_path, session, store):
    """Mended records are carried as the others are, and the records that they put right are settled there, too."""
    run = begin()
    land_and_replay(session, store, tmp_path)
    second = replace(SHOP, source="shop_v2", version="2.0.0", columns=WIDER.columns[:2] + SHOP.columns[2:])
    for record in find_batches(session, store, "shop"):
        contract = second if record.kind == "file" else replace(WIDER, source="shop_v2")
        commit(store, prepare(session, store, recall(session, store, contract, record, run), run), run)
    sweep_commits(session, store, ["shop_v2"])
    assert raw_rows(store, "sale_id, _line", "shop_v2") == raw_rows(store, "sale_id, _line")
    settled = f"select source, line, replayed_at is not null from ({quarantine_view_sql(store)}) order by all"
    assert session.rows(settled) == [(source, line, line == 3) for source in ("shop", "shop_v2") for line in (3, 4)]


def test_who_admits_again_after_a_kill_is_told_that_it_has_landed(tmp_path):
    """An admission killed between its commit and the ledger has happened: the ledger hears of it first."""
    shop = write_shop(tmp_path / "shop")
    deliver_worthless_orders(shop)
    held = run_here(shop).sources[0].held_batches[0]
    store, contract = store_of(shop), open_project(shop).contracts()["orders"]
    with Session(EngineLimits(), store) as session:
        run = begin()
        again = recall(session, store, contract, find_batch(session, store, held), run)
        landed = judge(session, store, again, run)
        commit(store, landed, run)
    for decide in (admit_batch, lambda workplace, batch: refuse_batch(workplace, batch, "too late")):
        with pytest.raises(TableError, match="is landed, not held"):
            decide(Workplace(shop, is_quiet=True), held)
    with Session(EngineLimits(), store) as session:
        assert find_batch(session, store_of(shop), held).accepted_count == landed.accepted_count > 0


def test_a_file_that_was_written_anew_while_it_was_read_lands_the_next_time(tmp_path):
    """Sent once more with the same content under the reader's hands: not landed then, and not refused for ever."""
    shop = make_shop(tmp_path / "shop", SECOND_FILE)
    path = next((shop / "inbox").iterdir())

    def write_anew(event: Event) -> None:
        if event.kind == "schema-drifted":
            os.utime(path)

    outcome = run_here(shop, observers=(write_anew,))
    assert outcome.failure is not None
    assert (outcome.failure.code, outcome.sources[0].batches) == ("file-changed", 0)
    again = run_here(shop)
    assert (again.failure, again.sources[0].read) == (None, 5)
