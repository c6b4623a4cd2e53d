"""Buckets as sources: every object once, whole and of one version, whatever the store or the workers go through."""

import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.contract import Server
from lake.errors import ContractError, SettingsError, SourceError
from lake.objects import Objects
from lake.project import open_project
from lake.secrets import Secrets
from lake.sources.bucket import glob_expression, object_deliveries, open_bucket
from lake.sources.bucket_uploads import CLAIMS
from tests.landing_parts import visit
from tests.store_parts import KEY_ID, SECRET, _wait_for, free_port, make_bucket
from tests.upload_parts import HEADER, batches, landed, make_shop, order, start, take

SERVER = """{{server: drop, type: s3, location: "{location}", endpointUrl: "{endpoint}", format: csv,
     customProperties: [{options}]}}"""


class Drop:
    """A shop whose source is a bucket of a real S3 server, and what one does with such a bucket."""

    def __init__(self, folder: Path, endpoint: str, pattern: str = "drop/", **options: str) -> None:
        self.endpoint, self.bucket = endpoint, make_bucket(endpoint)
        listed = ", ".join(f"{{property: {name}, value: {value}}}" for name, value in options.items())
        location = f"s3://{self.bucket}/{pattern}"
        server = SERVER.format(location=location, endpoint=endpoint, options=listed)
        self.shop = make_shop(folder, server=server)
        (folder / ".env").write_text(f"AWS_ACCESS_KEY_ID={KEY_ID}\nAWS_SECRET_ACCESS_KEY={json.dumps(SECRET)}\n")

    @property
    def contract(self):
        return open_project(self.shop).contracts()["orders"]

    @property
    def objects(self) -> Objects:
        told = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, "aws_region": "us-east-1"}
        told |= {"aws_endpoint": self.endpoint, "aws_allow_http": "true"}
        return Objects(f"s3://{self.bucket}", told)

    def put(self, key: str, *orders: str) -> None:
        self.objects.put(key, (HEADER + "".join(order(each) for each in orders)).encode())

    def put_bytes(self, content: bytes) -> None:
        self.objects.put("drop/a.csv", content)

    def found(self) -> list[str]:
        found = (each.key.split("/") for each in self.objects.list())
        return sorted("/".join("DAY" if part[:3] == "202" else part for part in key) for key in found)

    def visit(self, **changes):
        secrets = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET}
        return replace(visit(self.contract, self.shop, secrets=secrets), **changes)


@pytest.fixture
def drop(tmp_path: Path, s3_endpoint: str) -> Drop:
    return Drop(tmp_path / "shop", s3_endpoint)


def read_all(source: Iterator) -> dict[str, bytes]:
    return {each.origin: each.path.read_bytes() for each in source}


def test_buckets_objects_land_once_by_tag(drop):
    """Objects below the prefix land in the order of their keys; untouched ones are not read again, changed ones are."""
    drop.put("drop/a.csv", "a1")
    drop.put("drop/deep/b.csv", "b1")
    drop.put("other/c.csv", "c1")
    drop.put("drop/.hidden.csv", "h1")
    assert take(drop.shop) is None
    assert landed(drop.shop) == ["a1", "b1"]
    assert sorted(record.origin for record in batches(drop.shop)) == [
        f"s3://{drop.bucket}/drop/a.csv",
        f"s3://{drop.bucket}/drop/deep/b.csv",
    ]
    seen: list = []
    assert take(drop.shop, observers=(seen.append,)) is None
    assert not [event for event in seen if event.kind.startswith("batch-")]
    drop.put("drop/a.csv", "a1", "a2")
    assert take(drop.shop) is None
    assert landed(drop.shop) == ["a1", "a2", "b1"]


def test_buckets_archives_land_by_member(drop, tmp_path):
    """A zip in a bucket is the same as one in a folder, and nothing of it stays on disk."""
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        opened.writestr("in/a.csv", HEADER + order("a1"))
        opened.writestr("b.csv", HEADER + order("b1"))
    drop.objects.put("drop/x.zip", tmp_path / "x.zip")
    assert take(drop.shop) is None
    assert landed(drop.shop) == ["a1", "b1"]
    assert take(drop.shop) is None
    given = drop.visit()
    assert len(read_all(object_deliveries(given))) == 2
    assert list(given.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("pattern", "fits", "not_"),
    [
        ("*.csv", ["a.csv"], ["a.tsv", "b/a.csv"]),
        ("**/*.csv", ["a.csv", "b/c/a.csv"], ["a.tsv"]),
        ("b/*/a.csv", ["b/c/a.csv"], ["b/a.csv", "b/c/d/a.csv"]),
        ("b/**", ["b/a", "b/c/d"], ["c/a"]),
        ("20[0-9]?.csv", ["2020.csv"], ["202.csv", "20/1.csv"]),
    ],
)
def test_buckets_patterns_are_those_of_files(pattern, fits, not_):
    """A star stops at a slash, two stars do not."""
    found = glob_expression(pattern)
    assert [key for key in [*fits, *not_] if found.fullmatch(key)] == fits


@pytest.mark.parametrize(
    ("location", "root", "pattern"),
    [
        ("s3://b/drop/2026/*.csv", "s3://b/drop/2026", "*.csv"),
        ("s3://b/*/x.csv", "s3://b", "*/x.csv"),
        ("s3://b/drop/x.csv", "s3://b/drop", "x.csv"),
        ("s3://b/drop/", "s3://b/drop", None),
        ("s3://b/drop", "s3://b/drop", None),
        ("s3://b", "s3://b", None),
    ],
)
def test_buckets_location_is_a_prefix_and_a_pattern(location, root, pattern):
    """What stands before the first wildcard is listed, the rest is matched."""
    found = open_bucket(Server("s3", location, "csv", {"credentials": "none"}), Secrets({}.get))
    assert (found.root, found.pattern) == (root, pattern)


def test_buckets_empty_prefix_is_nothing_and_a_named_object_is_awaited(tmp_path, s3_endpoint):
    """Nothing below a prefix is no error; an object that the contract names and that is not there is one."""
    empty = Drop(tmp_path / "empty", s3_endpoint)
    assert list(object_deliveries(empty.visit())) == []
    named = Drop(tmp_path / "named", s3_endpoint, "drop/today.csv")
    with pytest.raises(SourceError, match="there is no such object"):
        list(object_deliveries(named.visit()))


def test_buckets_missing_bucket_and_secret_are_told(drop):
    """A bucket that is not there is the source's fault, a secret that is not set the operator's; both by name."""
    contract = drop.contract
    lost = replace(contract, server=replace(contract.server, path="s3://no-such-bucket-here/drop/"))
    with pytest.raises(SourceError, match="There is no bucket for s3://no-such-bucket-here"):
        list(object_deliveries(drop.visit(contract=lost)))
    with pytest.raises(SettingsError, match="'AWS_ACCESS_KEY_ID' is not set"):
        list(object_deliveries(drop.visit(secrets=Secrets({}.get))))


def test_buckets_secrets_have_the_names_that_the_contract_gives(tmp_path, s3_endpoint):
    """Custom properties name the secrets; what they hold is in no message and no event."""
    names = {"accessKeyIdSecret": "DROP_KEY", "secretAccessKeySecret": "DROP_SECRET"}
    drop = Drop(tmp_path / "shop", s3_endpoint, **names)
    drop.put("drop/a.csv", "a1")
    given = Secrets({"DROP_KEY": "AKIAOTHER", "DROP_SECRET": "planted-secret"}.get)
    assert len(list(object_deliveries(drop.visit(secrets=given)))) == 1
    assert given.redact("AKIAOTHER planted-secret") == "*** ***"


@pytest.mark.parametrize(
    ("server", "match"),
    [
        ("{server: s, type: s3, location: 'https://b/x', format: csv}", "no place in an object store"),
        ("{server: s, type: s3, location: 's3://b/x', format: csv, delimiter: new_line}", "means nothing for format"),
        ("{server: s, type: s3, location: 's3://b/x', format: csv, endpointUrl: 'b.example'}", "endpointUrl"),
        ("{server: s, type: s3, location: 's3://b/x', format: doc}", "cannot be read"),
        (
            "{server: s, type: s3, location: 's3://b', format: csv, customProperties: [{property: intake, value: x}]}",
            "'intake' is 'x'",
        ),
    ],
)
def test_buckets_contract_faults_are_named(tmp_path, server, match):
    """What a server of type s3 cannot be is refused when the contract is read."""
    with pytest.raises(ContractError, match=match):
        open_project(make_shop(tmp_path / "shop", server=server)).contracts()


def test_buckets_json_documents_are_parted_as_the_standard_says(tmp_path):
    """ODCS's own key `delimiter` says how JSON stands in an object."""
    for number, (written, form) in enumerate({"new_line": "jsonl", "array": "json"}.items()):
        server = f"{{server: s, type: s3, location: 's3://b/x', format: json, delimiter: {written}}}"
        found = open_project(make_shop(tmp_path / str(number), server=server)).contracts()["orders"]
        assert found.server.format == form


def test_buckets_object_replaced_while_read_is_of_one_version(drop):
    """An object that is replaced in the middle of being read is read again: never a mixture of two."""
    drop.objects.put("drop/a.csv", b"a" * (20 << 20))
    given, paused = drop.visit(), []
    with amid_reading(given.scratch / "a.csv", lambda: drop.put_bytes(b"b" * (20 << 20))) as first_read:

        def pause(seconds: float) -> None:
            paused.append(seconds)
            first_read()

        source = object_deliveries(replace(given, pause=pause))
        found = next(source)
    assert (set(found.path.read_bytes()), found.path.stat().st_size) == ({ord("b")}, 20 << 20)
    assert found.state == drop.objects.tag("drop/a.csv")
    assert paused == [1.0]
    source.close()


def test_buckets_object_replaced_while_landing_does_not_take_the_place_of_what_replaced_it(drop):
    """What another run has landed from the same place meanwhile is the newer, and the newest in raw."""
    drop.put("drop/a.csv", "a1")
    seen = []

    def replace_and_land(event) -> None:
        seen.append(event.kind)
        if event.kind == "batch-judged" and seen.count("batch-judged") == 1:
            drop.put("drop/a.csv", "a2")
            assert take(drop.shop) is None

    assert take(drop.shop, observers=(replace_and_land,)) is None
    assert (landed(drop.shop), seen.count("landing-overtaken")) == (["a2"], 1)
    assert take(drop.shop) is None
    assert landed(drop.shop) == ["a2"]


@contextmanager
def amid_reading(target: Path, act: Callable[[], object]) -> Iterator[Callable[[], None]]:
    """Does something when the first megabyte of an object has come, and lets no more come before that is done.

    Gives what is to be called when the first reading has ended: the next finds an ordinary file.
    """
    os.mkfifo(target)

    def read() -> None:
        with target.open("rb") as pipe:
            pipe.read(1 << 20)
            act()
            while pipe.read(1 << 20):
                continue

    reader = threading.Thread(target=read)
    reader.start()

    def end() -> None:
        reader.join()
        target.unlink()

    yield end
    reader.join()


def serve(port: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait_for(server, port)
    return server


def test_buckets_server_dies_mid_download_and_comes_back(tmp_path):
    """A store that is killed in the middle of an object and starts again costs a pause; the bytes are whole.

    The same server then knows no key any more: told without the secret, and nothing is refused in the ledger.
    """
    port = free_port()
    servers = [serve(port)]
    try:
        drop = Drop(tmp_path / "shop", f"http://127.0.0.1:{port}")
        body = bytes(range(256)) * (160 << 10)  # 40 MB, five parts
        drop.objects.put("drop/a.csv", body)
        given, paused = drop.visit(), []

        def come_back(seconds: float) -> None:
            paused.append(seconds)
            first_read()
            servers.append(serve(port))
            urllib.request.urlopen(urllib.request.Request(f"{drop.endpoint}/{drop.bucket}", method="PUT"), timeout=30)
            drop.objects.put("drop/a.csv", body)

        with amid_reading(given.scratch / "a.csv", servers[0].kill) as first_read:
            source = object_deliveries(replace(given, pause=come_back))
            found = next(source)
        assert found.path.read_bytes() == body
        source.close()
        assert paused == [1.0]
        lock_out(drop.endpoint)
        with pytest.raises(SourceError, match=r"refuses these credentials") as refused:
            list(object_deliveries(drop.visit()))
        assert SECRET not in str(refused.value)
        failure = take(drop.shop)
        assert failure is not None
        assert (failure.code, batches(drop.shop)) == ("bucket-unreadable", [])
    finally:
        for server in servers:
            server.kill()
            server.wait()


def lock_out(endpoint: str) -> None:
    """Makes the server ask for known keys from now on."""
    asked = urllib.request.Request(
        f"{endpoint}/moto-api/reset-auth", data=b"0", method="POST", headers={"Content-Type": "text/plain"}
    )
    urllib.request.urlopen(asked, timeout=30)


def test_buckets_uploads_are_moved_with_their_reasons(tmp_path, s3_endpoint):
    """Landed objects go to done, refused ones to refused with a reason beside them; content again adds nothing."""
    drop = Drop(tmp_path / "shop", s3_endpoint, intake="uploads")
    drop.put("drop/a.csv", "a1")
    drop.put("drop/again/a.csv", "a1")
    drop.objects.put("drop/bad.csv", b"what\n1\n")
    drop.put("drop/x.csv.part", "x1")
    failure = take(drop.shop)
    assert failure is not None
    assert failure.code == "header-unknown"
    assert landed(drop.shop) == ["a1"]
    assert drop.found() == [
        "drop/done/DAY/a.csv",
        "drop/done/DAY/again/a.csv",
        "drop/refused/DAY/bad.csv",
        "drop/refused/DAY/bad.csv.reason.txt",
        "drop/x.csv.part",
    ]
    drop.put("drop/a.csv", "a2")
    assert take(drop.shop) is None
    assert (landed(drop.shop), len(drop.found())) == (["a1", "a2"], 6)
    assert "drop/done/DAY/a.2.csv" in drop.found()


def test_buckets_upload_replaced_while_landing_stays_and_lands(tmp_path, s3_endpoint):
    """An object that was written over while its first version landed is left for the next visit."""
    drop = Drop(tmp_path / "shop", s3_endpoint, intake="uploads")
    drop.put("drop/a.csv", "a1")

    def write_over(event) -> None:
        if event.kind == "batch-landed" and landed(drop.shop) == ["a1"]:
            drop.put("drop/a.csv", "a2")

    assert take(drop.shop, observers=(write_over,)) is None
    assert (landed(drop.shop), drop.found()) == (["a1"], ["drop/a.csv"])
    assert take(drop.shop) is None
    assert (landed(drop.shop), drop.found()) == (["a1", "a2"], ["drop/done/DAY/a.csv"])


def test_buckets_claim_of_a_dead_worker_runs_out(tmp_path, s3_endpoint):
    """A worker killed between landing and moving leaves a claim: others wait for its end, then move the object, and
    take none before it that comes after."""
    drop = Drop(tmp_path / "shop", s3_endpoint, intake="uploads")
    drop.put("drop/a.csv", "a1")
    child = start(drop.shop, "--kill-at-event", "batch-landed")
    _, said = child.communicate(timeout=120)
    assert child.returncode == -signal.SIGKILL, said
    claims = [key for key in drop.found() if CLAIMS in key]
    assert claims == ["drop/.claims/a.csv"]
    drop.put("drop/b.csv", "b1")
    assert take(drop.shop) is None
    assert drop.found() == ["drop/.claims/a.csv", "drop/a.csv", "drop/b.csv"]
    later = datetime.now(UTC) + timedelta(minutes=16)
    assert take(drop.shop, clock=lambda: later) is None
    assert (landed(drop.shop), drop.found()) == (["a1", "b1"], ["drop/done/DAY/a.csv", "drop/done/DAY/b.csv"])


def test_buckets_two_workers_share_a_prefix(tmp_path, s3_endpoint):
    """Two real processes over one prefix: each object lands once and is moved once."""
    drop = Drop(tmp_path / "shop", s3_endpoint, intake="uploads")
    names = [f"a{number}" for number in range(6)]
    for name in names:
        drop.put(f"drop/{name}.csv", name)
    children = [start(drop.shop), start(drop.shop)]
    for child in children:
        out, said = child.communicate(timeout=120)
        assert child.returncode == 0, said
        assert '"error": null' in out, out
    assert landed(drop.shop) == names
    assert drop.found() == [f"drop/done/DAY/{name}.csv" for name in names]
