"""Replay, reland, admit and refuse: what was received once can be judged again, and lands once."""

import dataclasses

import pytest

from lake.contract import RowRule
from lake.engine import EngineLimits, Session
from lake.errors import SourceError, TableError
from lake.landing.batch import PreparedBatch, identify
from lake.landing.committing import commit, is_landed, set_aside
from lake.landing.judging import prepare
from lake.landing.relanding import find_batch, judge_again, judge_replay, make_replay, recall
from lake.ledger import find_batches, sweep_commits
from lake.quarantine import quarantine_view_sql
from lake.sources.files import file_delivery
from lake.tables import read_version
from lake.upkeep import join_small_files
from tests.landing_parts import HEADER, SHOP, begin, contract_with, counts, land, raw_rows
from tests.store_parts import both, both_at_length

ROWS = [
    "a1,2024-01-05,North,3,2.50,x\n",
    "a2,,South,1,1.00,\n",
    "a3,2024-01-05,West,1,1.00,\n",
    "a4,2024-01-05\n",
    "a1,2024-01-05,North,3,2.50,x\n",
]


@pytest.fixture
def session(store):
    with Session(EngineLimits(), store) as opened:
        yield opened


@pytest.fixture
def landed(tmp_path, store) -> PreparedBatch:
    path = tmp_path / "in.csv"
    path.write_text(HEADER + "".join(ROWS))
    prepared = land(store, path)
    assert counts(prepared) == (5, 1, 3, 1)
    path.unlink()
    assert prepared is not None
    return prepared


def replay(session, store, landed, mended=None, contract=SHOP) -> PreparedBatch | None:
    run = begin()
    batch = make_replay(session, store, contract, find_batch(session, store, landed.batch.batch_id[:8]), mended, run)
    if is_landed(store, batch):
        return None
    prepared = judge_replay(session, store, batch, run)
    commit(store, prepared, run)
    sweep_commits(session, store, [contract.source])
    return prepared


def open_lines(session, store) -> list[int]:
    query = f"select line from ({quarantine_view_sql(store)}) where replayed_at is null order by line"
    return [row[0] for row in session.rows(query)]


@both
def test_replay_lands_mended_records_once(tmp_path, session, store, landed):
    """Mended rows land, are marked as replayed, and a second replay finds nothing; quarantine keeps all."""
    mended = tmp_path / "mended.csv"
    mended.write_text("line,day,region\n3,2024-01-06,\n4,,South\n")
    mended.write_text("line,day,region\n3,2024-01-06,South\n4,2024-01-05,South\n")
    assert counts(replay(session, store, landed, mended)) == (2, 2, 0, 0)
    assert [row[0] for row in raw_rows(store, "sale_id")] == ["a1", "a2", "a3"]
    assert open_lines(session, store) == [5, 6]
    with pytest.raises(SourceError, match="mends line 3, 4, which is not open"):
        replay(session, store, landed, mended)
    rows = session.rows(
        f"select count(*), count(replayed_at), count(replay_run_id) from ({quarantine_view_sql(store)})"
    )
    assert rows == [(4, 2, 2)]


def test_replay_mends_a_broken_line_from_the_file(tmp_path, session, store, landed):
    """A line that was never JSON is replayed from the values of the mended file alone."""
    mended = tmp_path / "mended.csv"
    mended.write_text("line,id,day,region,units,price,note\n5,a4,2024-01-07,North,1,9.99,mended\n")
    assert counts(replay(session, store, landed, mended)) == (1, 1, 0, 0)
    assert raw_rows(store, "sale_id, note")[-1] == ("a4", "mended")


def test_replay_under_a_new_contract_needs_no_mending(session, store, landed):
    """When the contract was wrong, replaying the rows as they were lands them; what still fails stays open."""
    wider = [dataclasses.replace(column, enum=()) if column.enum else column for column in SHOP.columns]
    contract = contract_with(columns=tuple(wider), version="1.1.0")
    assert counts(replay(session, store, landed, contract=contract)) == (2, 1, 1, 0)
    assert open_lines(session, store) == [3, 5, 6]


def test_replay_mended_file_is_checked(tmp_path, session, store, landed):
    """A column that is not the source's, or a file that is not there, is named."""
    mended = tmp_path / "mended.csv"
    mended.write_text("line,dya\n3,x\n")
    with pytest.raises(SourceError, match="has the columns line, dya"):
        replay(session, store, landed, mended)
    with pytest.raises(SourceError, match="There is no file"):
        replay(session, store, landed, tmp_path / "none.csv")


@both
def test_reland_puts_the_archived_bytes_through_todays_contract(session, store, landed):
    """The batch's rows are replaced in one commit, and its ledger row is the new one."""
    run = begin()
    contract = contract_with(rules=(RowRule("few", "units < 3"),), version="2.0.0")
    batch = recall(session, store, contract, find_batch(session, store, landed.batch.batch_id[:8]), run)
    prepared = judge_again(session, store, batch, run)
    assert counts(prepared) == (5, 0, 5, 0)
    commit(store, prepared, run)
    sweep_commits(session, store, ["shop"])
    assert raw_rows(store, "sale_id") == []
    [record] = find_batches(session, store)
    assert (record.accepted_count, record.quarantined_count, record.contract_version) == (0, 5, "2.0.0")
    assert len(session.rows(f"from ({quarantine_view_sql(store)})")) == 5


@both_at_length
def test_reland_keeps_other_batches_in_the_same_files(tmp_path, session, store, landed):
    """Only the batch's own rows are replaced, also after files were joined."""
    (tmp_path / "more.csv").write_text(HEADER + "b1,2024-01-05,North,1,1.00,\n")
    land(store, tmp_path / "more.csv")
    found = read_version(store, "raw.shop")
    assert found is not None
    assert join_small_files(session, store, found, found.files)
    run = begin()
    batch = recall(session, store, SHOP, find_batch(session, store, landed.batch.batch_id), run)
    prepared = judge_again(session, store, batch, run)
    commit(store, prepared, run)
    assert [row[0] for row in raw_rows(store, "sale_id")] == ["a1", "b1"]


@both
def test_held_batches_can_be_admitted(tmp_path, session, store):
    """A batch set aside is not in raw; recalled from the archive, it lands and its state is landed."""
    run = begin()
    path = tmp_path / "held.csv"
    path.write_text(HEADER + ROWS[0])
    batch = identify(SHOP, file_delivery(SHOP, path, tmp_path), run)
    prepare(session, store, batch, run)
    set_aside(session, store, batch, run, "held", "row_count > 5")
    assert raw_rows(store, "sale_id") == []
    record = find_batch(session, store, batch.batch_id[:6])
    assert (record.status, record.error) == ("held", "row_count > 5")
    path.unlink()
    again = recall(session, store, SHOP, record, run)
    assert again.batch_id == batch.batch_id
    commit(store, prepare(session, store, again, run), run)
    sweep_commits(session, store, ["shop"])
    assert find_batch(session, store, batch.batch_id[:6]).status == "landed"
    assert [row[0] for row in raw_rows(store, "sale_id")] == ["a1"]


def test_batches_are_named_by_unique_prefixes(session, store, landed):
    """Too short or unknown prefixes are refused."""
    with pytest.raises(TableError, match="No batch starts with 'zzzz'"):
        find_batch(session, store, "zzzz")
    with pytest.raises(TableError, match="4 digits or more"):
        find_batch(session, store, landed.batch.batch_id[:2])
