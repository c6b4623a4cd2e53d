"""The spool: what was acknowledged is there, once, whatever was torn, killed, full or repeated."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lake.errors import SettingsError, SourceError
from lake.receiving.bodies import split_body
from lake.receiving.frames import Head, encode_frame, read_frames, read_heads
from lake.receiving.register import KEPT_DAYS, opened_register
from lake.receiving.segments import SegmentWriter
from lake.receiving.source import pushed_deliveries
from lake.receiving.spool import Kept, Post
from lake.sources.delivery import Delivery
from tests.receiving_parts import SOURCE, keep, pushed, segments, spooling, taken
from tests.service_parts import make_project


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "spool"


def test_receiving_rows_are_handed_over_once_and_in_order(project: Path, folder: Path) -> None:
    """A landing asks the serving process for its segment and gets all rows in order; the next one gets none of them."""
    with spooling(folder) as spool:
        keep(spool, "a", "b")
        keep(spool, "c")
        assert taken(project) == ["a", "b", "c"]
        keep(spool, "d")
        assert taken(project) == ["d"]
        assert taken(project) == []
    assert segments(folder) == []


def test_receiving_what_a_landing_did_not_settle_is_given_again(project: Path, folder: Path) -> None:
    """Rows stay in the spool until their fate is in the ledger; the batch then has the same id."""
    with spooling(folder) as spool:
        keep(spool, "a")
    first = [delivery.batch_id for delivery in pushed_deliveries(pushed(project))]
    again = [delivery.batch_id for delivery in pushed_deliveries(pushed(project))]
    assert (first, taken(project), taken(project)) == (again, ["a"], [])


@pytest.mark.parametrize("damage", ["cut", "zeros", "noise"])
def test_receiving_a_torn_tail_is_cut_wherever_it_is_torn(project: Path, folder: Path, damage: str) -> None:
    """Of a segment whose writer died, the whole frames are landed, and of a torn one nothing, at every byte."""
    path, frames = _two_frames(folder)
    whole = path.read_bytes()
    shutil.rmtree(folder / SOURCE)
    for kept in range(len(frames[0]), len(whole), 7):
        rest = len(whole) - kept
        tail = {"cut": b"", "zeros": b"\0" * rest, "noise": b'"{\n' * rest}[damage]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(whole[:kept] + tail)
        assert taken(project) == ["a", "b"], kept
        assert segments(folder, ".open") == segments(folder, ".closed") == []


def _two_frames(folder: Path) -> tuple[Path, list[bytes]]:
    frames = [encode_frame(Head(f"r-{n}", 2, 4, ""), rows) for n, rows in enumerate([b"a\nb\n", b"c\nd\n"])]
    writer = SegmentWriter(folder / SOURCE / "segments", "20260101T000000Z-0000000000000000")
    for frame in frames:
        writer.append(frame)
    writer.close()
    return writer.path.with_suffix(".closed").rename(writer.path), frames


def test_receiving_what_was_torn_is_not_thrown_away(project: Path, folder: Path) -> None:
    """Bytes that were cut off stay beside the segment, for its own user alone, and the run says so."""
    path, _ = _two_frames(folder)
    other = path.with_name("20260101T000000Z-0000000000000001.open")
    other.write_bytes(path.read_bytes()[:-1])
    whole = visit_events(project)
    torn = other.with_suffix(".torn")
    assert [event.details["byte_count"] for event in whole] == [len(torn.read_bytes())]
    assert torn.stat().st_mode & 0o777 == 0o600


def visit_events(project: Path) -> list:
    seen = pushed(project)
    for delivery in pushed_deliveries(seen):
        delivery.settle("landed", None)
    return [event for event in seen.run.events if event.kind == "segment-torn"]


def test_receiving_a_live_writers_segment_is_not_taken(project: Path, folder: Path) -> None:
    """A segment whose writer lives and does not answer is left alone; it is taken once its writer is gone."""
    writer = SegmentWriter(folder / SOURCE / "segments", "20260101T000000Z-0000000000000000")
    writer.append(encode_frame(Head("r-1", 1, 2, ""), b"a\n"))
    hurried = replace(pushed(project), pause=lambda _seconds: None)
    assert list(pushed_deliveries(hurried)) == []
    assert writer.is_wanted
    writer.close()
    assert taken(project) == ["a"]
    assert segments(folder) == []


def test_receiving_two_landings_share_the_spool(project: Path, folder: Path) -> None:
    """A segment that one landing has is not given to another."""
    with spooling(folder) as spool:
        keep(spool, "a")
    mine = pushed_deliveries(pushed(project))
    held = next(mine)
    assert taken(project) == []
    held.settle("landed", None)
    assert list(mine) == []


def test_receiving_a_segment_is_closed_when_it_is_full(project: Path, folder: Path) -> None:
    """Beyond its size a segment is closed, and a landing gets one delivery for each."""
    with spooling(folder, segment_bytes=300) as spool:
        for number in range(6):
            keep(spool, f"{number}" * 100)
    assert len(segments(folder, ".closed")) == 3
    assert len(taken(project)) == 6


def test_receiving_a_key_brings_one_receipt(project: Path, folder: Path) -> None:
    """A key is known at once, by another process, after a restart, and after its rows have landed."""
    with spooling(folder) as one, spooling(folder) as other:
        first = keep(one, "a", key="k", body="1")
        assert keep(one, "a", key="k", body="1") == Kept(first.receipt, is_repeat=True)
        assert keep(other, "a", key="k", body="1") == Kept(first.receipt, is_repeat=True)
        with pytest.raises(SourceError, match=r"came with another body before.*\[key-reused\]"):
            keep(other, "b", key="k", body="2")
        assert keep(one, "a", key="l", body="1").receipt != first.receipt
    with spooling(folder) as spool:
        assert keep(spool, "a", key="k", body="1").receipt == first.receipt
        assert taken(project) == ["a", "a"]
        assert keep(spool, "a", key="k", body="1").receipt == first.receipt
        assert taken(project) == []


def test_receiving_a_key_that_comes_twice_at_once_is_taken_once(project: Path, folder: Path) -> None:
    """Requests that are written together are told apart as well: one receipt, and the other body is refused."""
    with spooling(folder) as spool:
        posts = [Post(SOURCE, [b"a"], "k", "1"), Post(SOURCE, [b"a"], "k", "1"), Post(SOURCE, [b"b"], "k", "2")] * 20
        waiting = [spool.keep(post) for post in posts]
        receipts = {each.result(10).receipt for each in waiting if each.exception(10) is None}
        refused = [each for each in waiting if isinstance(each.exception(10), SourceError)]
    assert (len(receipts), len(refused), taken(project)) == (1, 20, ["a"])


def test_receiving_keys_are_learnt_again_from_the_segments(folder: Path) -> None:
    """Without its register, the spool still knows the keys of what waits in it."""
    with spooling(folder) as spool:
        first = keep(spool, "a", key="k", body="1")
    for path in folder.glob("register.sqlite*"):
        path.unlink()
    with spooling(folder) as spool:
        assert keep(spool, "a", key="k", body="1") == Kept(first.receipt, is_repeat=True)


def test_receiving_a_claim_without_rows_is_none(project: Path, folder: Path) -> None:
    """When a process dies between claiming a key and keeping its rows, the next request of that key is kept."""
    with spooling(folder) as spool:
        first = keep(spool, "a", key="k", body="1")
    (path,) = segments(folder)
    path.write_bytes(path.read_bytes()[:-1])
    with spooling(folder) as spool:
        again = keep(spool, "b", key="k", body="2")
    assert not again.is_repeat
    assert again.receipt != first.receipt
    assert taken(project) == ["b"]


def test_receiving_a_key_that_another_process_is_at_is_busy(folder: Path) -> None:
    """While another live process has claimed a key and not yet kept its rows, a repeat is asked to wait."""
    with spooling(folder) as spool:
        first = keep(spool, "a", key="k", body="1")
        (path,) = segments(folder, ".open")
        with path.open("r+b") as file:  # as if the frame were still on its way
            file.truncate(0)
        with spooling(folder) as other, pytest.raises(SourceError, match=r"being taken just now.*\[key-busy\]"):
            keep(other, "a", key="k", body="1")
        assert first.receipt.startswith(path.stem)


def test_receiving_forgets_keys_after_their_time(folder: Path) -> None:
    """Receipts and keys are known for some days after their rows have landed, and not for ever."""
    with spooling(folder) as spool:
        receipt = keep(spool, "a", key="k", body="1").receipt
    assert taken(folder.parent) == ["a"]
    with opened_register(folder) as register:
        settled = register.find_settled(receipt)
        assert settled is not None and settled.fate == "landed"
        register.forget(settled.settled_at)
        assert register.find_claim(SOURCE, "k") is not None
        register.forget(datetime(2999, 1, 1, tzinfo=UTC).isoformat())
        assert (register.find_claim(SOURCE, "k"), register.find_settled(receipt)) == (None, None)
    assert KEPT_DAYS >= 1


def test_receiving_refuses_when_the_folder_is_gone_and_goes_on_when_it_is_back(project: Path, folder: Path) -> None:
    """A spool that cannot be written to refuses in words, and takes rows again once it can."""
    with spooling(folder) as spool:
        (folder / SOURCE).write_text("in the way")
        with pytest.raises(SettingsError, match=r"cannot be written.*\[spool-unwritable\]"):
            keep(spool, "a", key="k", body="1")
        (folder / SOURCE).unlink()
        assert not keep(spool, "a", key="k", body="1").is_repeat
    assert taken(project) == ["a"]


def test_receiving_after_its_end_nothing_is_taken(folder: Path) -> None:
    """A spool that was closed says so; no request waits for ever."""
    with spooling(folder) as spool:
        keep(spool, "a")
    with pytest.raises(SettingsError, match=r"stopping.*\[spool-closed\]"):
        keep(spool, "b")


def test_receiving_frames_read_back_what_was_written(tmp_path: Path) -> None:
    """Frames give back head and rows; heads can be read without the rows."""
    heads = [Head(f"r-{n}", n, n * 10, "now", "k" * n, "b") for n in range(1, 40)]
    path = tmp_path / "segment"
    path.write_bytes(b"".join(encode_frame(head, b"x" * head.byte_count) for head in heads))
    with path.open("rb") as file:
        assert list(read_heads(file)) == heads
        assert [(frame.head, len(rows)) for frame, rows in read_frames(file)] == [(h, h.byte_count) for h in heads]


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ('[1.10, 12345678901234567890.123456789012345, "a\\nb", {"a": [1,\n 2]}, null]', 5),
        ('{"a": 1.10}', 1),
        (f"[{'9' * 5000}, 1]", 2),
    ],
)
def test_receiving_rows_are_the_very_text_that_was_sent(body: str, count: int) -> None:
    """No number is read and written anew, no escape is touched: a row says what its sender wrote."""
    rows = split_body(body.encode(), "application/json", 100)
    joined = ", ".join(each.decode() for each in rows)
    assert (len(rows), joined) == (count, body.removeprefix("[").removesuffix("]").replace("\n", " "))


def test_receiving_delivers_what_the_archive_will_hold(project: Path, folder: Path) -> None:
    """A delivery is JSON lines of its own, with no trace of the frames, known by its segment."""
    with spooling(folder) as spool:
        keep(spool, '{"visit_id": "é"}')
    found: list[Delivery] = []
    for delivery in pushed_deliveries(pushed(project)):
        assert delivery.path.read_text("utf-8") == '{"visit_id": "é"}\n'
        found.append(delivery)
    assert (found[0].format, found[0].kind, found[0].origin) == (
        "jsonl",
        "posted",
        f"/v1/visits/{segments(folder)[0].stem}",
    )
