"""What goes wrong with brokers: gone, refused, killed in between, two at once, messages deleted, a topic made anew."""

import contextlib
import json
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from flows.cli import main
from lake.errors import SourceError
from lake.odcs.reader import read_contract
from lake.run import Event, begin_run
from tests.crash_parts import copy_shop, finish, kill_in_second_batch, run_here, start_run
from tests.http_parts import ask
from tests.kafka_parts import Cluster, clustering, landed, orders, read, refusing_broker, write_contract

IDS = "select order_id from raw.orders order by all"
PASSWORD = "pa55-w0rd-of/the-shop"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustering() as started:
        yield started


def ids(folder: Path) -> list[str]:
    return [row[0] for row in ask(folder, IDS)]


def ok(folder: Path, *observers) -> None:
    outcome = run_here(folder, observers=observers)
    assert outcome.is_ok, outcome.failure


def sent(count: int) -> list[str]:
    return [order["order_id"] for order in orders(count)]


def fill(cluster: Cluster, topic: str, count: int) -> str:
    """Sends orders to three partitions in turn."""
    cluster.make_topic(topic, 3)
    for partition in range(3):
        cluster.send(topic, orders(count)[partition::3], partition)
    return topic


def test_kafka_faults_nobody_there(tmp_path: Path) -> None:
    """No broker answers: the visit ends with who did not and why, after the time it was given."""
    path = write_contract(tmp_path, "127.0.0.1:1", topic="orders", giveUpAfter="1 second")
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1 did not answer within 1 seconds") as raised:
        list(read(path, tmp_path))
    assert (raised.value.code, raised.value.path) == ("kafka-unreachable", path)


def test_kafka_faults_missing_topic(tmp_path: Path, cluster: Cluster) -> None:
    """A topic that is not there is named, and not made."""
    path = write_contract(tmp_path, cluster.host, topic="nowhere")
    for _ in range(2):
        with pytest.raises(SourceError, match="There is no topic 'nowhere'") as raised:
            list(read(path, tmp_path))
        assert raised.value.code == "topic-missing"


def test_kafka_faults_broker_gone_between_batches(tmp_path: Path) -> None:
    """A broker that dies for good: what had come is given and counts; the next visit goes on from there."""
    with clustering() as own:
        own.make_topic("dies", 6)  # with more in it than is fetched ahead
        for partition in range(6):
            large = ({"order_id": f"{n}", "amount": "1", "note": "x" * 60_000} for n in range(75))
            own.send("dies", large, partition)
        path = write_contract(tmp_path, own.host, topic="dies", messagesPerBatch=50, giveUpAfter="1 second")
        given = []
        with pytest.raises(SourceError, match="did not answer within 1 seconds"):
            for delivery in read(path, tmp_path):
                given.append(delivery)
                own.kill()
                delivery.settle("landed", None)  # nobody hears it, and nobody waits for that
    counts = sum(json.loads(given[-1].position["offsets"]).values())
    assert 50 <= counts < 450
    assert [delivery.position["ordinal"] for delivery in given] == [str(n + 1) for n in range(len(given))]


def test_kafka_faults_broker_down_for_a_while(tmp_path: Path, cluster: Cluster) -> None:
    """A broker that is down when the visit begins, and up again within seconds, is waited for."""
    topic = fill(cluster, "down", 60)
    write_contract(tmp_path, cluster.host, topic=topic)
    cluster.order("down")
    up = threading.Timer(1.5, cluster.order, ["up"])
    up.start()
    ok(tmp_path)
    up.join()
    assert ids(tmp_path) == sent(60)


def test_kafka_faults_deleted_messages_are_told(tmp_path: Path, cluster: Cluster) -> None:
    """Messages that the topic deleted before they were read: refused naming the offsets; with the contract's leave the
    visit goes on from the earliest, and the audit log keeps the gap."""
    topic = cluster.make_topic("short")
    cluster.send(topic, orders(10))
    write_contract(tmp_path, cluster.host, topic=topic)
    ok(tmp_path)
    before = ids(tmp_path)
    cluster.send(topic, ({"order_id": f"p{n}", "amount": "1", "note": "x" * 60_000} for n in range(120)))
    failure = run_here(tmp_path).failure
    assert failure is not None and failure.code == "offsets-lost"
    assert "short[0]@10-" in failure.message and "whenOffsetsLost: earliest" in failure.cure
    write_contract(tmp_path, cluster.host, topic=topic, whenOffsetsLost="earliest")
    ok(tmp_path)
    ((gap, details),) = ask(tmp_path, "select record_count, details from ops.audit_log where event = 'offsets-lost'")
    told = json.loads(details)
    assert (told["partition"], told["first"], told["last"]) == (0, 10, 9 + gap)
    assert ids(tmp_path) == before + sorted(f"p{n}" for n in range(gap, 120))


def test_kafka_faults_topic_made_anew_is_recognised(tmp_path: Path, cluster: Cluster) -> None:
    """Offsets that went backwards, partitions that are gone, another cluster: refused; with leave, begun anew."""
    topic = fill(cluster, "anew", 30)
    path = write_contract(tmp_path, cluster.host, topic=topic)
    (whole,) = list(read(path, tmp_path / "a"))
    cases = {
        "partition 1 ends at 10, and was read up to 11": {"offsets": '{"0": 10, "1": 11, "2": 10}'},
        "partition 3 is gone": {"offsets": '{"0": 10, "1": 10, "2": 10, "3": 0}'},
        "the cluster was another and is mock": {"cluster": "another"},
    }
    for told, change in cases.items():
        known = landed(read_contract(path), {**whole.position, **change})
        with pytest.raises(SourceError, match=told) as raised:
            list(read(path, tmp_path / "b", known))
        assert raised.value.code == "topic-remade"
    path = write_contract(tmp_path, cluster.host, topic=topic, whenOffsetsLost="earliest")
    run = begin_run("tester")
    (delivery,) = list(read(path, tmp_path / "c", known, run))
    assert delivery.origin == whole.origin
    assert "topic-remade" in [event.kind for event in run.events]


def test_kafka_faults_killed_run_is_read_on(tmp_path: Path, cluster: Cluster) -> None:
    """A run killed by the kernel in the middle of its second batch: the next one has every message, once."""
    topic = fill(cluster, "killed", 90)
    folder = tmp_path / "begun"
    write_contract(folder, cluster.host, topic=topic, messagesPerBatch=30)
    kill_in_second_batch(folder, tmp_path / "undisturbed")
    ok(folder)
    assert ids(folder) == sent(90)
    assert ask(folder, "select sum(read_count), sum(duplicate_count) from ops.ingestion_log") == [(90, 0)]


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_kafka_faults_killed_at_every_step(tmp_path: Path, cluster: Cluster) -> None:
    """Killed at events all over a run of three batches: every message once, whatever the moment."""
    topic = fill(cluster, "everywhere", 90)
    begun = tmp_path / "begun"
    write_contract(begun, cluster.host, topic=topic, messagesPerBatch=30)
    seen: list[Event] = []
    ok(copy_shop(begun, tmp_path / "undisturbed"), seen.append)
    for place in range(1, len(seen) + 1, max(1, len(seen) // 12)):
        folder = copy_shop(begun, tmp_path / f"at-{place}")
        start_run(folder, "--kill-at-event", str(place)).communicate()
        ok(folder)
        assert ids(folder) == sent(90), seen[place - 1].kind
        shutil.rmtree(folder)


@pytest.mark.soak
@pytest.mark.timeout(300)
def test_kafka_faults_killed_again_and_again_while_messages_come(tmp_path: Path, cluster: Cluster) -> None:
    """While a producer goes on, workers, now and then two at once, are killed at moments of chance: in the end every
    message is in raw once, counted by another library than ours."""
    topic = cluster.make_topic("soaked", 3)
    write_contract(tmp_path, cluster.host, topic=topic, messagesPerBatch=200)
    chance = random.Random(20261121)
    count = 0
    for turn in range(12):
        for _ in range(3):
            more = chance.randrange(1, 300)
            cluster.send(topic, orders(more, count), chance.randrange(3))
            count += more
        workers = [start_run(tmp_path) for _ in range(1 + turn % 2)]
        coming = threading.Thread(target=cluster.send, args=(topic, orders(100, count), turn % 3))
        coming.start()
        count += 100
        for worker in workers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.communicate(timeout=chance.uniform(0.8, 4))
            worker.kill()
            worker.communicate()
        coming.join()
    ok(tmp_path)
    landed_ids = pl.read_delta(str(tmp_path / "lake/data/raw/orders"))["order_id"]
    assert (len(landed_ids), landed_ids.n_unique()) == (count, count)
    (counts,) = ask(tmp_path, "select sum(read_count), sum(duplicate_count) from ops.ingestion_log")
    assert counts == (count, 0)


PEAK = """
import re
from tests.kafka_parts import *

folder = Path({folder!r})
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
sizes = [delivery.path.stat().st_size for delivery in read(folder / "lake/contracts/orders.yaml", folder)]
print(sum(sizes), peak() - before)
"""


@pytest.mark.soak
def test_kafka_faults_backlog_larger_than_memory_streams(tmp_path: Path) -> None:
    """A backlog of 280 MB goes to disk as it comes: the process grows by what is fetched ahead, not by what waits."""
    with clustering() as own:
        own.make_topic("backlog", 64)
        for partition in range(64):
            own.send("backlog", ({"order_id": f"{n}", "note": "x" * 20_000} for n in range(220)), partition)
        write_contract(tmp_path, own.host, topic="backlog", bytesPerBatch=16_000_000)
        script = PEAK.format(folder=str(tmp_path))
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    size, grown = map(int, done.stdout.split())
    assert size > 280_000_000
    assert grown * 1024 < size / 2


def test_kafka_faults_message_larger_than_a_fetch(tmp_path: Path, cluster: Cluster) -> None:
    """A message larger than what is fetched at once lands like any other."""
    topic = cluster.make_topic("huge")
    cluster.send(topic, [{"order_id": "huge", "amount": "1", "note": "x" * 900_000}, *orders(1)])
    path = write_contract(tmp_path, cluster.host, topic=topic, bytesPerBatch=1000)
    sizes = [pl.read_parquet(delivery.path)["value"].bin.size().to_list() for delivery in read(path, tmp_path)]
    assert [size > 900_000 for found in sizes for size in found] == [True, False]


def test_kafka_faults_two_runs_at_once(tmp_path: Path, cluster: Cluster) -> None:
    """Two processes that read one topic at the same moment: every message once, every batch once."""
    topic = fill(cluster, "raced", 90)
    write_contract(tmp_path, cluster.host, topic=topic, messagesPerBatch=45)
    start = tmp_path / "start"
    children = [start_run(tmp_path, "--start", str(start)) for _ in range(2)]
    start.touch()
    assert [finish(child)["error"] for child in children] == [None, None]
    ok(tmp_path)
    assert ids(tmp_path) == sent(90)
    query = "select count(*), count(distinct batch_id), sum(read_count), sum(accepted_count) from ops.ingestion_log"
    assert ask(tmp_path, query) == [(2, 2, 90, 90)]


def test_kafka_faults_sign_in_tells_no_secret(tmp_path: Path, capfd, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that refuses the sign-in, and repeats the password while at it: the run fails at once, with a cure, and
    neither what is said nor any file of the project holds the password."""
    monkeypatch.setenv("SHOP_USER", "lake-user")
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    with refusing_broker(f"no {PASSWORD}, wrong") as host:
        server = {"securityProtocol": "SASL_PLAINTEXT", "userSecret": "SHOP_USER", "passwordSecret": "SHOP_PASSWORD"}
        write_contract(tmp_path, host, topic="orders", **server)
        assert main(["--project", str(tmp_path), "run", "--log-json"]) == 1
    said = "".join(capfd.readouterr())
    assert "kafka-sign-in-refused" in said and "no ***, wrong" in said
    said += "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    assert PASSWORD not in said


def test_kafka_faults_missing_secret_is_named(tmp_path: Path) -> None:
    """A secret that is not set is named before any broker is asked."""
    server = {"securityProtocol": "SASL_SSL", "userSecret": "SHOP_USER", "passwordSecret": "SHOP_PASSWORD"}
    path = write_contract(tmp_path, "127.0.0.1:1", topic="orders", **server)
    with pytest.raises(Exception, match="The secret 'SHOP_PASSWORD' is not set"):
        list(read(path, tmp_path, secrets={"SHOP_USER": "u"}))


def test_kafka_faults_bad_certificate_is_told(tmp_path: Path) -> None:
    """A certificate that is none ends the visit with what is wrong, not with the text of the key."""
    server = {"securityProtocol": "SSL", "certificateSecret": "CERTIFICATE", "keySecret": "PRIVATE"}
    path = write_contract(tmp_path, "127.0.0.1:1", topic="orders", **server)
    secrets = {"CERTIFICATE": "no certificate", "PRIVATE": "n0-private-key"}
    with pytest.raises(SourceError, match="The sign-in cannot be prepared") as raised:
        list(read(path, tmp_path, secrets=secrets))
    assert "n0-private-key" not in str(raised.value)
