"""What the spool outlives: senders who go, folders in the way, two processes at one key, hostile bodies and names."""

import gzip
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session
from lake.errors import SettingsError, SourceError
from lake.receiving.bodies import split_body, unzip_body
from lake.receiving.claims import stands, take_key
from lake.receiving.frames import Head, encode_frame
from lake.receiving.incoming import LONGEST_NAME, IncomingFile, safe_name, sweep_incoming, whole_files
from lake.receiving.register import FILE, Claim, opened_register
from lake.receiving.segments import SegmentWriter, name_segment, segments_folder
from lake.receiving.source import pushed_deliveries
from lake.receiving.spool import Post
from lake.receiving.whereabouts import find_waiting
from lake.run import system_clock
from lake.table_versions import Store
from tests.landing_parts import SHOP, land
from tests.receiving_parts import SOURCE, keep, pushed, segments, spooling, taken
from tests.service_parts import make_project

MOST_BYTES = 10 << 20


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def folder(project: Path) -> Path:
    return project / "spool"


def test_receiving_goes_on_when_a_sender_has_gone(project: Path, folder: Path) -> None:
    """A request that nobody waits for any more is not kept, and stops nobody else's."""
    with spooling(folder) as spool:
        gone = [spool.keep(Post(SOURCE, [b"gone"])) for _ in range(50)]
        went = [each.cancel() for each in gone]
        assert not keep(spool, "a").is_repeat
        assert spool.is_taking
    assert taken(project).count("gone") == went.count(False)


def test_receiving_goes_on_when_a_segment_cannot_be_renamed(project: Path, folder: Path) -> None:
    """A segment that a landing asks for and that cannot be handed over is let go of; other rows are taken on."""
    with spooling(folder) as spool:
        keep(spool, "a")
        (path,) = segments(folder, ".open")
        path.with_suffix(".closed").mkdir()
        path.with_suffix(".wanted").touch()
        while path.with_suffix(".wanted").exists() and len(segments(folder, ".open")) == 1:
            keep(spool, "b")
        path.with_suffix(".closed").rmdir()
        keep(spool, "c")
        assert spool.is_taking
    rows = taken(project)
    assert (rows[0], rows[-1], set(rows[1:-1])) == ("a", "c", {"b"})


def test_receiving_segments_land_in_the_order_of_their_rows(project: Path, folder: Path) -> None:
    """However many segments are begun within a second, what was posted later lands later."""
    with spooling(folder, segment_bytes=1) as spool:
        for number in range(40):
            keep(spool, f"{number:02}")
    assert len(segments(folder, ".closed")) == 40
    assert taken(project) == [f"{number:02}" for number in range(40)]


def test_receiving_of_two_landings_none_overtakes_the_other(project: Path, folder: Path) -> None:
    """While one has rows in its hands, a second lands none that were posted later: the older would be the newest."""
    with spooling(folder, segment_bytes=1) as spool:
        keep(spool, "a")
        keep(spool, "b")
    mine = pushed_deliveries(pushed(project))
    first = next(mine)
    assert taken(project) == []
    first.settle("landed", None)
    assert next(mine).path.read_text() == "b\n"
    mine.close()
    assert taken(project) == ["b"]
    for name in ("20260101T000000Z-00000000-0", "20260101T000001Z-00000000-0"):
        path = folder / SOURCE / "files" / name / "a.csv"
        path.parent.mkdir(parents=True)
        path.write_text(name)
    mine = pushed_deliveries(pushed(project))
    assert next(mine).path.parent.name == "20260101T000000Z-00000000-0"
    assert taken(project) == []
    mine.close()
    assert taken(project) == ["20260101T000000Z-00000000-0", "20260101T000001Z-00000000-0"]


def test_receiving_finds_a_key_whose_segment_is_closed_meanwhile(folder: Path) -> None:
    """A repeat that comes while the first request is kept elsewhere, and its segment closed, is never a new request."""
    source_folder = segments_folder(folder, SOURCE)
    claim = Claim("1", "")
    with opened_register(folder) as register, ThreadPoolExecutor(1) as pool:
        for _ in range(60):
            writer = SegmentWriter(source_folder, name_segment(system_clock()))
            receipt = writer.next_receipt()
            begun = threading.Event()

            def finish(writer: SegmentWriter = writer, receipt: str = receipt, begun=begun) -> None:
                begun.wait()
                writer.append(encode_frame(Head(receipt, 1, 2, "", "k", "1"), b"a\n"))
                writer.close()

            done = pool.submit(finish)
            begun.set()
            while not done.done() or not _stands(register, folder, receipt):
                assert _stands(register, folder, receipt) is not False
            assert find_waiting(folder, receipt).receipt == receipt
            with register.together():
                register.claim(SOURCE, "k", Claim("1", receipt), "")
                assert take_key(register, folder, SOURCE, "k", claim, "") == receipt


def _stands(register, folder: Path, receipt: str) -> bool | None:
    """Whether a receipt's rows are kept; None while another is at it."""
    try:
        return stands(register, folder, SOURCE, receipt)
    except SourceError as busy:
        assert busy.code == "key-busy"
        return None


def test_receiving_register_is_for_its_own_user(folder: Path) -> None:
    """Digests of keys and names of uploaded files are read by the service's own user alone."""
    with spooling(folder) as spool:
        keep(spool, "a", key="k", body="1")
        assert {path.stat().st_mode & 0o777 for path in folder.glob(f"{FILE}*")} == {0o600}


def test_receiving_unzips_many_members_in_no_time() -> None:
    """A body of half a million empty members is unpacked member by member, not copied whole for each."""
    member = gzip.compress(b"", mtime=0)
    packed = member * (MOST_BYTES // len(member)) + gzip.compress(b"[]") + gzip.compress(b" ")
    assert unzip_body(packed, MOST_BYTES) == b"[] "
    with pytest.raises(SourceError, match="it ends too early"):
        unzip_body(packed[:-1], MOST_BYTES)


def test_receiving_takes_no_pieces_of_a_broken_record() -> None:
    """A record over several lines that is no JSON is refused whole; records a line spoil their own line only."""
    with pytest.raises(SourceError, match=r"line 3, column 14.*\[body-not-json\]"):
        split_body(b'{\n "visit_id": "V-1",\n "paid": 1.5,,\n "note": "x"\n}', "application/json", 100)
    assert len(split_body(b'{"visit_id": "V-1"}\n{"visit_id": \n', "application/json", 100)) == 2


def test_receiving_counts_rows_before_it_keeps_them() -> None:
    """An array of millions is refused at the first row too many, whatever follows."""
    with pytest.raises(SourceError, match=r"more than the 100 rows.*\[rows-too-many\]"):
        split_body(b"[" + b"1," * 101 + b"broken", "application/json", 100)


@pytest.mark.parametrize("name", ["\u9801" * 400 + ".csv", "a" * 400 + ".csv", "\u00e9" * 119 + ".csv"])
def test_receiving_names_fit_any_disk(folder: Path, name: str) -> None:
    """A long name is cut by its bytes, whatever it is written in, and keeps its format."""
    assert len(safe_name(name).encode()) <= LONGEST_NAME
    IncomingFile(folder, SOURCE, name, 100, system_clock).drop()


def test_receiving_sweeps_no_upload_that_still_comes(folder: Path) -> None:
    """What a crash left is removed after a day; an upload that takes longer, or a clock set forward, harms nothing."""
    file = IncomingFile(folder, SOURCE, "a.csv", 100, system_clock)
    file.write(b"visit_id\n")
    left = folder / SOURCE / "files" / ".left"
    left.mkdir()
    (left / "b.csv").write_bytes(b"x")
    sweep_incoming(folder, SOURCE, system_clock() + timedelta(days=2))
    assert not left.exists()
    with opened_register(folder) as register:
        kept = file.finish(register, "")
    assert [path.name for path in whole_files(folder, SOURCE)] == [kept.receipt]


def test_receiving_removes_what_a_killed_landing_left_empty(project: Path, folder: Path) -> None:
    """A landing that was killed between removing a file and its folder leaves nothing for ever."""
    empty = folder / SOURCE / "files" / "20260101T000000Z-0000000000000000-0"
    empty.mkdir(parents=True)
    assert taken(project) == []
    assert not empty.exists()


def test_receiving_knows_no_receipt_that_is_none(folder: Path) -> None:
    """Whatever is asked for in a receipt's place is not known; no disk is asked for a name it cannot have."""
    folder.mkdir()
    for wrong in ("20260101T000000Z-0000000000000000-" + "9" * 5000, "\u0660" * 8 + "T000000Z-0000000000000000-1"):
        with pytest.raises(SourceError, match="receipt-unknown"):
            find_waiting(folder, wrong)


def test_receiving_frees_the_register_when_its_disk_was_full(folder: Path) -> None:
    """A claim that could not be written leaves no transaction open, which would keep every other process waiting."""
    with opened_register(folder) as register:
        pages = register._rows.execute("pragma page_count").fetchone()[0]
        register._rows.execute(f"pragma max_page_count = {pages}")
        with pytest.raises(SettingsError, match=r"full.*\[register-unusable\]"), register.together():
            for number in range(1000):
                register.claim(SOURCE, f"{number:064}", Claim("1", f"r-{number}"), "")
        with opened_register(folder) as other, other.together():
            assert other.find_claim(SOURCE, f"{0:064}") is None


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_landing_says_when_its_memory_is_short(tmp_path: Path, name: str) -> None:
    """A delivery that the engine's memory does not hold is no fault of its sender: it waits until there is more."""
    path, store = tmp_path / name, Store(str(tmp_path / "lake"), {})
    path.write_bytes(b'{"id": "a", "day": "2026-01-02", "note": [' + b"1," * 2_000_000 + b"1]}")
    contract = replace(SHOP, server=replace(SHOP.server, format=path.suffix[1:]))
    with (
        Session(EngineLimits(memory="60MB", threads=1), store) as session,
        pytest.raises(SettingsError, match="memory-exhausted"),
    ):
        land(store, path, contract, session=session)
