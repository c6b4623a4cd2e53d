"""Uploads in a folder: taken when complete, by one worker, landed once, then moved to where one sees their fate."""

import fcntl
import os
import resource
import signal
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.cli import main
from flows.rework import admit_batch, refuse_batch
from flows.workplace import Workplace
from lake.errors import SourceError
from lake.project import open_project
from lake.sources.uploads import find_uploads, upload_deliveries
from tests.excel_parts import day, write_workbook
from tests.landing_parts import visit
from tests.upload_parts import HEADER, batches, land_here, landed, make_shop, order, start, take, tree, upload

GATED = '    quality:\n      - {type: custom, name: worth-it, engine: soda, implementation: "avg(amount_eur) > 1"}\n'


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return make_shop(tmp_path / "shop")


def orders_contract(shop: Path):
    return open_project(shop).contracts()["orders"]


def test_uploads_are_landed_and_moved(shop):
    """What landed is in done, under the day and its folder; all formats land side by side."""
    upload(shop, "a.csv", "a1", "a2")
    upload(shop, "team/b.csv", "b1")
    cells = [HEADER.strip().split(","), ["c1", day(46032), "north", 2.5]]
    write_workbook(shop / "inbox" / "c.xlsx", ("S", cells))
    (shop / "inbox" / "d.jsonl").write_text(
        '{"order_id": "d1", "sold_on": "2026-01-10", "region": "n", "amount_eur": 1}\n'
    )
    with zipfile.ZipFile(shop / "inbox" / "e.zip", "w") as opened:
        opened.writestr("in/e.csv", HEADER + order("e1"))
    outcome = land_here(shop)
    assert outcome.failure is None
    assert (outcome.sources[0].batches, outcome.sources[0].accepted) == (5, 6)
    assert landed(shop) == ["a1", "a2", "b1", "c1", "d1", "e1"]
    assert tree(shop) == [f"done/DAY/{name}" for name in ("a.csv", "c.xlsx", "d.jsonl", "e.zip", "team/b.csv")]
    assert land_here(shop).sources[0].batches == 0


def test_uploads_refused_have_their_reason_beside_them(shop):
    """A file that cannot be taken is in refused with what, why, which batch and what to do; others land."""
    upload(shop, "a.csv", "a1")
    (shop / "inbox" / "bad.csv").write_text("what,is,this\n1,2,3\n")
    (shop / "inbox" / "bad.zip").write_bytes(b"no zip")
    outcome = land_here(shop)
    assert outcome.failure is not None
    assert outcome.failure.code == "header-unknown"
    assert landed(shop) == ["a1"]
    refused = [f"refused/DAY/bad.{end}" for end in ("csv", "csv.reason.txt", "zip", "zip.reason.txt")]
    assert tree(shop) == ["done/DAY/a.csv", *refused]
    reason = next((shop / "inbox" / "refused").rglob("bad.csv.reason.txt")).read_text()
    batch = next(record.batch_id for record in batches(shop) if record.origin == "inbox/bad.csv")
    assert "inbox/bad.csv was refused" in reason
    assert "none of the contract's columns: 'what, is, this'" in reason
    assert f"Batch:  {batch}" in reason
    assert f"sluice batch reland {batch[:12]}" in reason
    assert take(shop) is None


def test_uploads_archive_of_good_and_bad_files_is_refused_with_what_landed(shop):
    """The good members land, the archive goes to refused, and its reason names the bad one."""
    with zipfile.ZipFile(shop / "inbox" / "x.zip", "w") as opened:
        opened.writestr("good.csv", HEADER + order("a1"))
        opened.writestr("bad.csv", "what\n1\n")
    take(shop)
    assert landed(shop) == ["a1"]
    assert tree(shop) == ["refused/DAY/x.zip", "refused/DAY/x.zip.reason.txt"]
    reason = next((shop / "inbox" / "refused").rglob("x.zip.reason.txt")).read_text()
    assert "What:   inbox/x.zip!bad.csv" in reason
    assert "The other 1 of the files in it landed" in reason


def test_uploads_same_content_lands_once_and_same_name_keeps_both(shop):
    """Content uploaded again is moved and adds nothing; another file of that name is kept beside the first."""
    for content in (["a1"], ["a1"], ["a2"]):
        upload(shop, "a.csv.csv", *content)
        assert take(shop) is None
    assert landed(shop) == ["a1", "a2"]
    assert tree(shop) == ["done/DAY/a.2.csv.csv", "done/DAY/a.3.csv.csv", "done/DAY/a.csv.csv"]
    assert len(batches(shop)) == 2


@pytest.mark.parametrize(
    "name",
    [".a.csv", "a.csv.part", "a.csv.tmp", "a.csv.crdownload", "~$a.xlsx", "a.csv.reason.txt", ".team/a.csv"],
)
def test_uploads_that_are_unfinished_by_name_stay(shop, name):
    """Hidden files, those of browsers and copiers, and locks of Office are no deliveries."""
    upload(shop, name, "a1")
    assert take(shop) is None
    assert tree(shop) == [name]


def test_uploads_still_growing_are_left_for_the_next_visit(shop):
    """A file that changes during the pause is not taken; the others are, and it is once it rests."""
    growing, resting = upload(shop, "a.csv", "a1"), upload(shop, "b.csv", "b1")
    contract = orders_contract(shop)

    def grow(_seconds: float) -> None:
        with growing.open("a") as file:
            file.write(order("a2"))

    seen = list(upload_deliveries(replace(visit(contract, shop), pause=grow)))
    assert [each.path for each in seen] == [resting]
    take(shop)
    assert landed(shop) == ["a1", "a2", "b1"]


@pytest.mark.parametrize("year", [1971, 2120])
def test_uploads_need_no_right_clock(shop, year):
    """A file from the future or the past is taken whatever the machine's clock says."""
    path = upload(shop, "a.csv", "a1")
    moment = datetime(2200 - (year - 1971), 1, 1, tzinfo=UTC).timestamp()
    os.utime(path, (moment, moment))
    assert take(shop, clock=lambda: datetime(year, 6, 1, tzinfo=UTC)) is None
    assert landed(shop) == ["a1"]
    assert [path.parent.name for path in (shop / "inbox").rglob("a.csv")] == [f"{year}-06-01"]


def test_uploads_pause_is_the_contract_s(tmp_path):
    """`settleSeconds` says how long the two looks are apart; nothing to look at costs no pause."""
    shop = make_shop(tmp_path / "shop", settleSeconds=0.25)
    paused: list[float] = []
    given = replace(visit(orders_contract(shop), shop), pause=paused.append)
    assert list(upload_deliveries(given)) == []
    assert paused == []
    upload(shop, "a.csv", "a1")
    list(upload_deliveries(given))
    assert paused == [0.25]


def test_uploads_that_another_worker_has_are_left_alone(shop):
    """A file whose lock is held is left, and so is what comes after it: it would land first; the lock goes with its
    holder."""
    path = upload(shop, "b.csv", "b1")
    upload(shop, "a.csv", "a1")
    upload(shop, "c.csv", "c1")
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        take(shop)
        assert (landed(shop), tree(shop)) == (["a1"], ["b.csv", "c.csv", "done/DAY/a.csv"])
    take(shop)
    assert (landed(shop), tree(shop)) == (["a1", "b1", "c1"], [f"done/DAY/{name}.csv" for name in "abc"])


def test_uploads_replaced_while_landing_are_both_landed(shop):
    """A file that takes the name of one that is being landed is not moved in its stead; the next visit lands it."""
    path = upload(shop, "a.csv", "a1")

    def replace_it(event) -> None:
        if event.kind == "batch-landed":
            new = path.with_name(".new")
            new.write_text(HEADER + order("a2"))
            new.replace(path)

    take(shop, observers=(replace_it,))
    assert (landed(shop), tree(shop)) == (["a1"], ["a.csv"])
    take(shop)
    assert (landed(shop), tree(shop)) == (["a1", "a2"], ["done/DAY/a.csv"])


def test_uploads_written_to_while_read_are_left_and_land_whole(shop):
    """A file that grows under the reader's hands is not landed in part and stays until it rests."""
    path = upload(shop, "a.csv", "a1")

    for delivery in upload_deliveries(visit(orders_contract(shop), shop)):
        with path.open("a") as file:
            file.write(order("a2"))
        delivery.settle("refused", "file-changed")
    assert tree(shop) == ["a.csv"]
    take(shop)
    assert (landed(shop), tree(shop)) == (["a1", "a2"], ["done/DAY/a.csv"])


@pytest.mark.parametrize("decision", ["admit", "refuse", "mend"])
def test_uploads_held_stay_until_they_are_decided(tmp_path, decision):
    """A held file is left in the inbox and not read again; the visit after the decision moves it."""
    shop = make_shop(tmp_path / "shop")
    contract = shop / "lake" / "contracts" / "orders.yaml"
    text = contract.read_text()
    contract.write_text(text.replace("    properties:\n", f"{GATED}    properties:\n"))
    (shop / "inbox" / "a.csv").write_text(HEADER + order("a1", "0.01"))
    assert take(shop).code == "batch-held"
    seen: list = []
    assert take(shop, observers=(seen.append,)) is None
    assert not [event for event in seen if event.kind.startswith("batch-")]
    assert tree(shop) == ["a.csv"]
    workplace, batch = Workplace(shop, is_quiet=True), batches(shop)[0].batch_id
    if decision == "admit":
        admit_batch(workplace, batch)
    elif decision == "refuse":
        refuse_batch(workplace, batch, "not ours")
    else:
        contract.write_text(text)
    take(shop)
    expected = {"refuse": ["refused/DAY/a.csv", "refused/DAY/a.csv.reason.txt"]}
    assert tree(shop) == expected.get(decision, ["done/DAY/a.csv"])
    assert landed(shop) == ([] if decision == "refuse" else ["a1"])


def killed(shop: Path, *arguments: str) -> None:
    child = start(shop, *arguments)
    _, said = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, said


def test_uploads_killed_between_landing_and_moving_are_moved_by_the_next(shop):
    """A worker dies with the batch landed, or another refused, and the file in the inbox: the next visit moves both."""
    upload(shop, "a.csv", "a1")
    killed(shop, "--kill-at-move")
    (shop / "inbox" / "b.csv").write_text("what\n1\n")
    with zipfile.ZipFile(shop / "inbox" / "c.zip", "w") as opened:
        opened.writestr("c1.csv", HEADER + order("c1"))
        opened.writestr("c2.csv", HEADER + order("c2"))
    killed(shop, "--kill-at-event", "batch-refused")
    assert (landed(shop), len(batches(shop))) == (["a1"], 2)
    killed(shop, "--kill-at-event", "batch-landed")
    assert take(shop) is None
    assert landed(shop) == ["a1", "c1", "c2"]
    refused = [path for path in tree(shop) if path.startswith("refused/")]
    assert [path for path in tree(shop) if not path.startswith("refused/")] == ["done/DAY/a.csv", "done/DAY/c.zip"]
    assert refused == ["refused/DAY/b.csv", "refused/DAY/b.csv.reason.txt"]
    assert sorted(record.status for record in batches(shop)) == ["landed", "landed", "landed", "refused"]


def test_uploads_two_workers_share_an_inbox(shop):
    """Two real processes over many files: each lands once, each is moved once."""
    names = [f"a{number:02}" for number in range(12)]
    for name in names:
        upload(shop, f"{name}.csv", name)
    children = [start(shop), start(shop)]
    for child in children:
        out, said = child.communicate(timeout=120)
        assert child.returncode == 0, said
        assert '"error": null' in out, out
    assert landed(shop) == names
    assert tree(shop) == [f"done/DAY/{name}.csv" for name in names]
    assert len(batches(shop)) == len(names)


@contextmanager
def room_for(most_bytes: int) -> Iterator[None]:
    """Lets no file grow beyond some bytes: the kernel refuses to write more, as a full disk does."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


@pytest.mark.parametrize("most_bytes", [4_000, 20_000, 80_000])  # stops the archive, lake.duckdb, the raw table
def test_uploads_full_disk_lands_nothing_by_halves_and_blames_nobody(shop, capsys, most_bytes):
    """With no room to write the run says so, the file stays, no batch is refused; with room it lands."""
    names = [f"o{number * 7919 % 100_003:06}" for number in range(30_000)]
    upload(shop, "a.csv", *names)
    with room_for(most_bytes):
        assert main(["land", "--project", str(shop)]) == 1
    assert "[disk-full]" in capsys.readouterr().err
    assert (landed(shop), tree(shop), batches(shop)) == ([], ["a.csv"], [])
    assert take(shop) is None
    assert (landed(shop), tree(shop)) == (sorted(names), ["done/DAY/a.csv"])


def test_uploads_that_cannot_be_moved_are_told_after_all_have_landed(shop):
    """Where done cannot be made, everything lands, the run fails and says so; the next visit moves them."""
    upload(shop, "a.csv", "a1")
    upload(shop, "b.csv", "b1")
    (shop / "inbox" / "done").write_text("a file where the folder should be")
    outcome = land_here(shop)
    assert outcome.failure is not None
    assert outcome.failure.code == "upload-stuck"
    assert landed(shop) == ["a1", "b1"]
    (shop / "inbox" / "done").unlink()
    assert take(shop) is None
    assert tree(shop) == ["done/DAY/a.csv", "done/DAY/b.csv"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("inbox", ["a.csv", "b.tsv", "deep/a.csv"]),
        ("inbox/", ["a.csv", "b.tsv", "deep/a.csv"]),
        ("inbox/*.csv", ["a.csv"]),
        ("inbox/**/*.csv", ["a.csv", "deep/a.csv"]),
        ("inbox/a.csv", ["a.csv"]),
        ("inbox/later.csv", []),
    ],
)
def test_uploads_are_found_by_folder_pattern_and_name(tmp_path, path, found):
    """What a path means is the same as for files that are not moved; what was put away is never found again."""
    shop = make_shop(tmp_path / "shop", path)
    for name in ("a.csv", "b.tsv", "deep/a.csv", "done/2026-01-01/a.csv", "refused/2026-01-01/a.csv"):
        upload(shop, name, "a1")
    root, paths = find_uploads(visit(orders_contract(shop), shop))
    assert root == shop / "inbox"
    assert [path.relative_to(root).as_posix() for path in paths] == found


def test_uploads_into_no_folder_are_an_error(tmp_path):
    """A folder that is not there is a slip, not an empty inbox."""
    shop = make_shop(tmp_path / "shop", "inbux")
    with pytest.raises(SourceError, match="takes uploads from 'inbux'"):
        list(upload_deliveries(visit(orders_contract(shop), shop)))


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_uploads_killed_anywhere_by_three_workers(shop):
    """Three workers that are killed again and again, while files arrive: in the end each order is there once."""
    names: list[str] = []
    for turn in range(8):
        children = [start(shop) for _ in range(3)]
        for number in range(4):
            names.append(f"t{turn:02}n{number}")
            upload(shop, f".{names[-1]}", names[-1]).rename(shop / "inbox" / f"{names[-1]}.csv")
        for place, child in enumerate(children):
            try:
                child.wait(timeout=0.1 + 0.35 * ((turn + place) % 5))
            except subprocess.TimeoutExpired:
                child.kill()
            child.communicate()
    assert take(shop) is None
    assert landed(shop) == sorted(names)
    assert tree(shop) == sorted(f"done/DAY/{name}.csv" for name in names)
