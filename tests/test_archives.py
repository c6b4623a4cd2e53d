"""Archives: every member lands once as a batch of its own; what cannot be taken is refused whole, never lost."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from lake.archive_places import open_archive
from lake.engine import EngineLimits, Session
from lake.errors import SourceError
from lake.landing.batch import identify
from lake.landing.committing import commit, is_landed, set_aside
from lake.landing.judging import prepare
from lake.landing.relanding import find_batch, judge_again, recall
from lake.ledger import find_batches, sweep_commits
from lake.run import Run
from lake.sources.archives import split_origin
from lake.sources.files import file_deliveries
from lake.table_versions import Store
from tests.excel_parts import day, write_workbook
from tests.landing_parts import HEADER, SHOP, begin, contract_with, raw_rows, visit

PAST = (1_700_000_000, 1_700_000_000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "lake"), {})


def contract(**options: str):
    return contract_with(server=replace(SHOP.server, path="inbox", options=options))


def rows(*names: str) -> bytes:
    return (HEADER + "".join(f"{name},2024-01-05,North,3,2.50,x\n" for name in names)).encode()


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return path


def tarred(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("outside.csv")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        opened.addfile(link)
    return out.getvalue()


def land_all(store: Store, project: Path, contract=None, run: Run | None = None) -> list[str]:
    """Lands what is in the inbox as a run does; gives the origins that were landed, or `refused: why`."""
    contract, run, said = contract or globals()["contract"](), run or begin(), []
    with Session(EngineLimits()) as session:
        sweep_commits(session, store, [contract.source])
        known = {record.batch_id: record for record in find_batches(session, store, contract.source)}
        given = replace(visit(contract, project, known=known), run=run)
        for delivery in file_deliveries(given):
            batch = identify(contract, delivery, run)
            if is_landed(store, batch):
                continue
            try:
                commit(store, prepare(session, store, batch, run), run)
                said.append(delivery.origin)
            except SourceError as refusal:
                set_aside(session, store, batch, run, "refused", refusal.message)
                said.append(f"refused: {refusal}")
        sweep_commits(session, store, [contract.source])
    return said


TARS: dict[str, Callable[[bytes], bytes]] = {
    "x.tar": lambda tar: tar,
    "x.tar.gz": gzip.compress,
    "x.tgz": gzip.compress,
    "x.tar.bz2": bz2.compress,
    "x.tar.xz": lzma.compress,
    "x.tar.zst": lambda tar: zstandard.ZstdCompressor().compress(tar),
}


@pytest.mark.parametrize("name", ["x.zip", *TARS])
def test_archives_members_land_each_as_a_batch(tmp_path, store, name):
    """Nested folders, formats and compressed members land; hidden files do not; unknown ones are told; once only."""
    workbook = write_workbook(
        tmp_path / "w.xlsx", ("S", [HEADER.strip().split(","), ["e1", day(45296), "North", 1, 1]])
    )
    members = {
        "a.csv": rows("a1", "a2"),
        "deep/er/b.csv.gz": gzip.compress(rows("b1")),
        "w.xlsx": workbook.read_bytes(),
        "__MACOSX/a.csv": b"junk",
        ".hidden.csv": b"junk",
        "readme.md": b"see a.csv",
    }
    path = tmp_path / "inbox" / name
    if name == "x.zip":
        zipped(path, members)
    else:
        path.parent.mkdir()
        path.write_bytes(TARS[name](tarred(members)))
    seen: list = []
    origins = [f"inbox/{name}!{member}" for member in ("a.csv", "deep/er/b.csv.gz", "w.xlsx")]
    assert land_all(store, tmp_path, run=begin(seen.append)) == origins
    assert [(event.kind, event.details["member"]) for event in seen if event.kind == "member-skipped"] == [
        ("member-skipped", "readme.md")
    ]
    assert [row[0] for row in raw_rows(store, "sale_id")] == ["a1", "a2", "b1", "e1"]
    assert land_all(store, tmp_path) == []
    kept = list((tmp_path / "lake" / "_archive").rglob("*.zst"))
    assert len(kept) == 1


def test_archives_members_are_landed_again_from_the_archive(tmp_path, store):
    """Reland takes the member out of the archived bytes, when the file is long gone."""
    path = zipped(tmp_path / "inbox" / "x!.zip", {"in/a!.csv": rows("a1"), "b.csv": rows("b1")})
    land_all(store, tmp_path)
    path.unlink()
    with Session(EngineLimits()) as session:
        for member, name in (("in/a!.csv", "a1"), ("b.csv", "b1")):
            origin = f"inbox/x!.zip!{member}"
            record = next(found for found in find_batches(session, store) if found.origin == origin)
            run = begin()
            batch = recall(session, store, contract(), find_batch(session, store, record.batch_id), run)
            prepared = judge_again(session, store, batch, run)
            commit(store, prepared, run)
            assert (prepared.accepted_count, batch.batch_id, batch.delivery.origin) == (1, record.batch_id, origin)
            assert [row[0] for row in raw_rows(store, "sale_id")] == ["a1", "b1"]
            assert raw_rows(store, "_run_id, sale_id").count((run.id, name)) == 1


def bad_sum(path: Path) -> None:
    """Changes one byte of the second member's content."""
    zipped(path, {"a.csv": rows("a1"), "b.csv": rows("b1")}, zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b"b1,2024", b"b2,2024"))


def locked(path: Path) -> None:
    """Sets the flag that says a member has a password, in both places where it stands."""
    zipped(path, {"a.csv": rows("a1")})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def cut_zip(path: Path) -> None:
    zipped(path, {"a.csv": rows("a1")})
    path.write_bytes(path.read_bytes()[:-30])


def repeated(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("a.csv", rows("a1"))
        with pytest.warns(UserWarning, match="Duplicate name"):
            opened.writestr("a.csv", rows("a2"))


def bomb(path: Path) -> None:
    zipped(path, {"a.csv": rows("a1"), "b.csv": b"0" * 3_000_000})


def written(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


CUT_TAR = tarred({"a.csv": rows("a1"), "b.csv": rows("b1")})[:2048]


@pytest.mark.parametrize(
    ("name", "make", "match"),
    [
        ("x.zip", bad_sum, "archive-damaged"),
        ("x.zip", cut_zip, "archive-damaged"),
        ("x.zip", written(b"not a zip"), "archive-damaged"),
        ("x.zip", locked, "archive-encrypted"),
        ("x.zip", repeated, "archive-damaged"),
        ("x.zip", bomb, "archive-too-large"),
        ("x.zip", lambda path: zipped(path, {"a.exe": b"x", "in.zip": b"x"}), "archive-without-data"),
        ("x.zip", lambda path: zipped(path, {}), "archive-without-data"),
        ("x.tar.gz", written(gzip.compress(tarred({"a.csv": b"0" * 3_000_000}))), "archive-too-large"),
        ("x.tar", written(CUT_TAR), "archive-damaged"),
        ("x.tar.gz", written(gzip.compress(CUT_TAR)), "archive-damaged"),
        ("x.tgz", written(gzip.compress(tarred({"a.csv": rows("a1")}))[:-20]), "archive-damaged"),
        ("x.tar.xz", written(lzma.compress(tarred({"a.csv": rows("a1")}))[:-20]), "archive-damaged"),
        ("x.tar.zst", written(zstandard.compress(tarred({"a.csv": rows("a1")}))[:-20]), "archive-damaged"),
        ("x.tar", written(b""), "archive-damaged"),
    ],
)
def test_archives_that_cannot_be_taken_are_refused_whole(tmp_path, store, name, make, match):
    """Damaged, locked, ambiguous or too large: nothing of it lands, its bytes are kept, and it is not tried again."""
    (tmp_path / "inbox").mkdir()
    path = tmp_path / "inbox" / name
    make(path)
    limited = contract(mostUnpackedBytes="1000000")
    said = land_all(store, tmp_path, limited)
    assert len(said) == 1
    assert said[0].startswith("refused: ")
    assert said[0].endswith(f"[{match}]")
    assert raw_rows(store) == []
    with Session(EngineLimits()) as session:
        record = find_batches(session, store)[0]
        assert (record.origin, record.status) == (f"inbox/{name}", "refused")
        assert open_archive(store).has(record.checksum)
        with pytest.raises(SourceError, match="refused whole"):
            recall(session, store, limited, record, begin())


def test_archives_same_member_in_two_archives_is_a_duplicate(tmp_path, store):
    """Another archive is another delivery; rows that are there already are counted as duplicates."""
    zipped(tmp_path / "inbox" / "x.zip", {"a.csv": rows("a1")})
    zipped(tmp_path / "inbox" / "y.zip", {"a.csv": rows("a1"), "b.csv": rows("b1")})
    assert len(land_all(store, tmp_path)) == 3
    assert [row[0] for row in raw_rows(store, "sale_id")] == ["a1", "b1"]
    with Session(EngineLimits()) as session:
        assert sum(record.duplicate_count or 0 for record in find_batches(session, store)) == 1


def test_archives_names_that_climb_reach_nothing(tmp_path, store):
    """A member called ../../a.csv is unpacked under a name of ours, inside the scratch folder."""
    zipped(tmp_path / "inbox" / "x.zip", {"../../climbed.csv": rows("a1"), "/abs.csv": rows("b1")})
    assert land_all(store, tmp_path) == ["inbox/x.zip!../../climbed.csv", "inbox/x.zip!/abs.csv"]
    assert not list(tmp_path.parent.glob("climbed.csv"))


def test_archives_origin_is_split_at_the_archive():
    """The mark may stand in names, too."""
    assert split_origin("in!box/x!y.tar.gz!a!b.csv") == ("in!box/x!y.tar.gz", "a!b.csv")
    assert split_origin("plain!.csv") == ("plain!.csv", "")


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
@pytest.mark.parametrize("harm", ["none", "cut", "changed"])
def test_archives_compressed_file_is_whole_or_refused(tmp_path, store, suffix, harm):
    """A compressed file that was cut short or changed on its way never lands as a shorter one."""
    body = rows(*(f"a{number}" for number in range(20_000)))
    content = {"." + "gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": checked}[suffix](body)
    middle = len(content) // 2
    harmed = {
        "none": content,
        "cut": content[:-10],
        "changed": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
    }
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / f"a.csv{suffix}").write_bytes(harmed[harm])
    said = land_all(store, tmp_path)
    assert len(raw_rows(store, "sale_id")) == (20_000 if harm == "none" else 0)
    assert said[0].endswith(f"a.csv{suffix}" if harm == "none" else "[file-unreadable]")


def checked(body: bytes) -> bytes:
    """Two frames, one with its length and one without, both with a checksum."""
    packer = zstandard.ZstdCompressor(write_checksum=True)
    stream = packer.compressobj()
    middle = len(body) // 2
    return packer.compress(body[:middle]) + stream.compress(body[middle:]) + stream.flush()
