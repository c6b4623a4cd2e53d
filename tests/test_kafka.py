"""A topic read into a real lake: every message once, from the lake's own offsets; what is no record in quarantine."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE, Consumer, Message, TopicPartition

from flows.cli import main
from flows.landing import land_sources, visit_sources
from flows.rework import reland_batch
from flows.steps import plain_step
from flows.workplace import Workplace
from lake.errors import ContractError
from lake.odcs.reader import read_contract
from lake.project import open_project
from lake.run import Event, begin_run
from lake.sources.kafka.message_file import MessageFile
from tests.crash_parts import run_here, settings_of
from tests.http_parts import ask
from tests.kafka_parts import ASIDE, Cluster, clustering, landed, orders, read, write_contract
from tests.platform_parts import FIRST, clock_at

IDS = "select order_id from raw.orders order by all"
BATCHES = "select origin, kind, read_count, accepted_count from ops.ingestion_log order by ended_at"
INSTANT = 1_767_225_600_123  # milliseconds: 2026-01-01T00:00:00.123Z
REFUSED = "select line, rule, details, raw_data from ops.quarantine order by line"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with clustering() as started:
        yield started


def ok(folder: Path, *observers) -> None:
    outcome = run_here(folder, observers=observers)
    assert outcome.is_ok, outcome.failure


def ids(count: int) -> list[tuple[str]]:
    return [(order["order_id"],) for order in orders(count)]


def test_kafka_lands_each_message_once(tmp_path: Path, cluster: Cluster) -> None:
    """Messages of several partitions are rows; the next visit brings only what came since, a third one nothing."""
    topic = cluster.make_topic("once", 3)
    for partition in range(3):
        cluster.send(topic, orders(100, partition * 100), partition)
    write_contract(tmp_path, cluster.host, topic=topic)
    ok(tmp_path)
    assert ask(tmp_path, IDS) == ids(300)
    cluster.send(topic, orders(7, 300), 1)
    ok(tmp_path)
    seen: list[Event] = []
    ok(tmp_path, seen.append)
    assert ask(tmp_path, IDS) == ids(307)
    first = ("once[0]@0-99,[1]@0-99,[2]@0-99", "stream", 300, 300)
    assert ask(tmp_path, BATCHES) == [first, ("once[1]@100-106", "stream", 7, 7)]
    assert not [event.kind for event in seen if event.kind.startswith(("source-", "batch-"))]


def test_kafka_every_row_leads_to_its_message(tmp_path: Path, cluster: Cluster) -> None:
    """`_source` names partitions and offsets, and lines count them end to end; columns hold the rest if asked for; the
    archive holds the bytes as they came."""
    topic = cluster.make_topic("traced", 2)
    cluster.send(topic, orders(10), 0, key=b"k", headers=[("trace", b"t1"), ("trace", b"t2")], timestamp=INSTANT)
    cluster.send(topic, [b'{ "order_id": "spaced",\n "amount": 1.50 }'], 1)
    path = write_contract(tmp_path, cluster.host, ASIDE, topic=topic)
    ok(tmp_path)
    rows = ask(tmp_path, "select * from (from raw.orders order by _line)")
    found = ask(tmp_path, "select order_id, sent_in, sent_as, _line, _source from raw.orders order by _line")
    source = "traced[0]@0-9,[1]@0-0"
    assert found == [(f"o{n:06}", 0, n, n + 1, source) for n in range(10)] + [("spaced", 1, 0, 11, source)]
    query = "select distinct sent_at, sent_key, sent_with from raw.orders where sent_in = 0"
    at = datetime(2026, 1, 1, 0, 0, 0, 123000, UTC)
    ((sent_at, key, headers),) = ask(tmp_path, query)
    assert (sent_at, key) == (at, "k")
    assert json.loads(headers) == [{"key": "trace", "value": "t1"}, {"key": "trace", "value": "t2"}]
    assert len(rows) == 11
    (delivery,) = list(read(path, tmp_path / "scratch"))
    assert (
        pl.read_parquet(delivery.path).filter(partition=1)["value"][0] == b'{ "order_id": "spaced",\n "amount": 1.50 }'
    )


def test_kafka_poison_is_quarantined_with_its_place(tmp_path: Path, cluster: Cluster) -> None:
    """No JSON, other encodings, JSON that is no object, an empty value, a tombstone and a bad record are refused one by
    one, each with partition and offset; the messages around them land, whatever time their sender thinks it is."""
    topic = cluster.make_topic("poison", 2)
    bad = [b"no json", '{"order_id":"ü"}'.encode("utf-16"), b"[1]", b'"text"', b"", None, b'{"order_id": "\xff"}']
    cluster.send(topic, [*orders(2), *bad, *orders(1, 2)], 1)
    cluster.send(
        topic, [{"order_id": "o9", "amount": "much"}, b"\xef\xbb\xbf" + json.dumps(orders(4)[3]).encode()], 0,
        timestamp=2**62,
    )  # fmt: skip
    write_contract(tmp_path, cluster.host, topic=topic)
    ok(tmp_path)
    assert ask(tmp_path, IDS) == ids(4)
    found = ask(tmp_path, REFUSED)
    assert found[0] == (1, "type", "amount is not of type decimal(12,2).", '{"order_id": "o9", "amount": "much"}')
    why = {
        "no JSON object": [2, 4, 5], "not UTF-8": [3, 8], "empty": [6], "no value (a tombstone)": [7],
    }  # fmt: skip
    expected = {offset: words for words, offsets in why.items() for offset in offsets}
    assert [(line, rule) for line, rule, *_ in found[1:]] == [(3 + offset, "not-json") for offset in range(2, 9)]
    for line, _, details, _ in found[1:]:
        assert details.startswith(f"[1]@{line - 3}: ") and expected[line - 3] in details
    assert [found[place][3] for place in (1, 3, 5, 6)] == ["no json", "[1]", "", "null"]
    assert found[7][3] == r'{"order_id": "\xFF"}'.replace('"', r"\x22") or "xFF" in found[7][3]


def test_kafka_header_whose_name_is_no_text_stops_nothing(tmp_path: Path, cluster: Cluster) -> None:
    """A message with a header that the client cannot give lands without its headers, and those after it land."""
    topic = cluster.make_topic("odd")
    cluster.send(topic, orders(30), headers=[("a", b"b")])
    assert cluster.order(f"odd {topic} " + json.dumps(orders(1)[0], separators=(",", ":"))) == "0"
    cluster.send(topic, orders(1, 1), headers=[("a", b"b")])
    (delivery,) = list(read(write_contract(tmp_path, cluster.host, topic=topic), tmp_path))
    known = [{"key": "a", "value": b"b"}]
    assert pl.read_parquet(delivery.path)["headers"].to_list()[29:] == [known, None, known]


def test_kafka_one_message_answers_for_no_other(tmp_path: Path, cluster: Cluster) -> None:
    """A key that the contract does not know, or lacks, is its own message's: with `quarantine` those beside it land."""
    topic = cluster.make_topic("alien")
    cluster.send(topic, [{"order_id": "a", "amount": "1", "colour": "red"}, {"order_id": "b"}, *orders(1)])
    path = write_contract(tmp_path, cluster.host, topic=topic)
    path.write_text(path.read_text().replace("value: evolve", "value: quarantine"))
    ok(tmp_path)
    assert ask(tmp_path, IDS) == ids(1)
    assert [row[:2] for row in ask(tmp_path, REFUSED)] == [(1, "schema-drift"), (2, "required")]


def test_kafka_repeats_are_counted_whatever_their_offset(tmp_path: Path, cluster: Cluster) -> None:
    """The same record sent again is a duplicate, though its offset differs; with other content it is a version."""
    topic = cluster.make_topic("repeats")
    cluster.send(topic, [*orders(3), *orders(3), {"order_id": "o000001", "amount": "9.99"}])
    write_contract(tmp_path, cluster.host, ASIDE, topic=topic)
    ok(tmp_path)
    cluster.send(topic, orders(1))
    ok(tmp_path)
    counts = "select read_count, accepted_count, duplicate_count from ops.ingestion_log order by ended_at"
    assert ask(tmp_path, counts) == [(7, 4, 3), (1, 0, 1)]
    assert ask(tmp_path, "select order_id, sent_as from raw.orders order by sent_as")[-1] == ("o000001", 6)


def test_kafka_batches_are_bounded(tmp_path: Path, cluster: Cluster) -> None:
    """A backlog comes in batches of no more than the contract's messages, or about its bytes, each with its offsets."""
    topic = cluster.make_topic("bounded", 2)
    cluster.send(topic, orders(250), 0)
    cluster.send(topic, orders(250, 250), 1)
    by_count = list(read(write_contract(tmp_path, cluster.host, topic=topic, messagesPerBatch=100), tmp_path / "a"))
    assert [len(pl.read_parquet(delivery.path)) for delivery in by_count] == [100] * 5
    assert json.loads(by_count[-1].position["offsets"]) == {"0": 250, "1": 250}
    assert [delivery.position["ordinal"] for delivery in by_count] == ["1", "2", "3", "4", "5"]
    assert len({delivery.batch_id for delivery in by_count}) == 5
    large = [{"order_id": f"large{number}", "amount": "1", "note": "x" * 60_000} for number in range(60)]
    cluster.send(cluster.make_topic("large"), large)
    by_size = list(read(write_contract(tmp_path, cluster.host, topic="large", bytesPerBatch=900_000), tmp_path / "b"))
    counts = [len(pl.read_parquet(delivery.path)) for delivery in by_size]
    assert sum(counts) == 60
    assert max(counts) <= 16


def test_kafka_first_visit_begins_where_the_contract_says(tmp_path: Path, cluster: Cluster) -> None:
    """`startFrom: latest` leaves out what was there, and nothing that comes later, though the first visit was empty."""
    topic = cluster.make_topic("latest")
    cluster.send(topic, orders(5))
    write_contract(tmp_path, cluster.host, topic=topic, startFrom="latest")
    ok(tmp_path)
    cluster.send(topic, orders(3, 5))
    ok(tmp_path)
    assert ask(tmp_path, IDS) == ids(8)[5:]
    assert [row[2] for row in ask(tmp_path, BATCHES)] == [0, 3]


def test_kafka_new_partitions_are_read_from_their_beginning(tmp_path: Path, cluster: Cluster) -> None:
    """A partition that the lake has not read from yet is read from its first message; the others go on."""
    topic = cluster.make_topic("grown", 2)
    cluster.send(topic, orders(4), 0)
    cluster.send(topic, orders(4, 4), 1)
    path = write_contract(tmp_path, cluster.host, topic=topic)
    (whole,) = list(read(path, tmp_path / "a"))
    before = landed(read_contract(path), {**whole.position, "offsets": '{"0": 3}'})
    (delivery,) = list(read(path, tmp_path / "b", known=before))
    assert delivery.origin == "grown[0]@3-3,[1]@0-3"
    assert (delivery.position["ordinal"], delivery.position["offsets"]) == ("2", '{"0": 4, "1": 4}')


def test_kafka_group_is_told_what_is_in_the_lake(tmp_path: Path, cluster: Cluster) -> None:
    """The consumer group of the contract has the lake's offsets once they are committed, and nobody reads by it."""
    topic = cluster.make_topic("told")
    cluster.send(topic, orders(6))
    write_contract(tmp_path, cluster.host, topic=topic, group="shop-lake")
    ok(tmp_path)
    consumer = Consumer({"bootstrap.servers": cluster.host, "group.id": "shop-lake", "log_level": 0})
    (place,) = consumer.committed([TopicPartition(topic, 0)], timeout=10)
    assert place.offset == 6
    consumer.commit(offsets=[TopicPartition(topic, 0, 2)], asynchronous=False)
    consumer.close()
    ok(tmp_path)
    assert ask(tmp_path, IDS) == ids(6)


def test_kafka_reland_needs_no_broker(tmp_path: Path) -> None:
    """A batch goes through today's contract again from the archive alone, with the same lines."""
    with clustering() as own:
        cluster_topic = own.make_topic("again")
        own.send(cluster_topic, [{"order_id": "a", "amount": "1.5"}, b"poison", {"order_id": "b", "price": "2.5"}])
        path = write_contract(tmp_path, own.host, topic="again")
        ok(tmp_path)
    assert ask(tmp_path, "select order_id, _line from raw.orders") == [("a", 1)]
    path.write_text(path.read_text().replace("name: amount,", "name: amount, physicalName: price,"))
    (batch,) = [row[0] for row in ask(tmp_path, "select batch_id from ops.ingestion_log")]
    reland_batch(Workplace(tmp_path, is_quiet=True), batch)
    assert [row[:2] for row in ask(tmp_path, REFUSED)] == [(1, "required"), (2, "not-json")]
    assert ask(tmp_path, BATCHES) == [("again[0]@0-2", "stream", 3, 1)]


def test_kafka_other_topic_is_begun_as_the_contract_says(tmp_path: Path, cluster: Cluster) -> None:
    """A contract that names another topic now: that one is read from its beginning, under the next numbers."""
    for topic in ("old", "new"):
        cluster.send(cluster.make_topic(topic), orders(2, 0 if topic == "old" else 2))
        write_contract(tmp_path, cluster.host, topic=topic)
        ok(tmp_path)
    assert ask(tmp_path, IDS) == ids(4)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({}, "'topic' is missing"),
        ({"topic": "or ders"}, "'topic' is 'or ders'"),
        ({"topic": "o", "startFrom": "middle"}, "Use one of: earliest, latest"),
        ({"topic": "o", "securityProtocol": "SASL_SSL"}, "'userSecret' is missing"),
        ({"topic": "o", "userSecret": "A"}, "'userSecret' means nothing where 'securityProtocol' is 'PLAINTEXT'"),
        ({"topic": "o", "securityProtocol": "SSL", "keySecret": "A"}, "'keySecret' says nothing without"),
        ({"topic": "o", "messagesPerBatch": 0}, "'messagesPerBatch' is '0'"),
    ],
)
def test_kafka_contract_that_cannot_be_is_refused(tmp_path: Path, server, told: str) -> None:
    """What is missing, idle or impossible is told with its line before any broker is asked."""
    path = write_contract(tmp_path, "localhost:9092", **server)
    with pytest.raises(ContractError, match=told) as raised:
        read_contract(path)
    assert raised.value.line is not None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("host: localhost:9092", "host: kafka://localhost", "Key 'host' is 'kafka://localhost'"),
        ("format: json", "format: avro", "messages are read as JSON only"),
        ('"kafka:offset"', '"kafka:ofset"', "Did you mean 'kafka:offset'"),
        (
            "{property: delivery, value: stream}",
            "{property: loadMode, value: replace}",
            "no message is the whole table",
        ),
    ],
)
def test_kafka_contract_whose_parts_do_not_fit_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    """The address, the format, the columns and the load mode must go with a topic."""
    path = write_contract(tmp_path, "localhost:9092", ASIDE, topic="orders")
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ContractError, match=told):
        read_contract(path)


def test_kafka_draft_lands_what_it_was_drawn_from(tmp_path: Path, cluster: Cluster) -> None:
    """`sluice draft kafka://…` names types and key as the messages show them, and the contract lands them as it is."""
    topic = cluster.make_topic("shop.drafted", 2)
    values = [{**order, "at": "2026-01-01T00:00:00Z", "lines": [{"sku": "a"}]} for order in orders(50)]
    cluster.send(topic, values[:25], 0)
    cluster.send(topic, [*values[25:], b"poison"], 1)
    assert main(["--project", str(tmp_path), "draft", f"kafka://{cluster.host}/{topic}"]) == 0
    contract = read_contract(tmp_path / "lake/contracts/drafted.yaml")
    kinds = {column.name: column.sql_type for column in contract.columns}
    assert (kinds["order_id"], kinds["at"], contract.key) == ("varchar", "timestamptz", ("order_id",))
    assert kinds["amount"].startswith("decimal")
    assert (contract.server.kind, contract.server.options["topic"], contract.delivery) == ("kafka", topic, "stream")
    ok(tmp_path)
    assert ask(tmp_path, "select count(*), count(distinct order_id) from raw.drafted") == [(50, 50)]


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("kafka://127.0.0.1:1/", "'topic' is"),
        ("kafka://127.0.0.1/orders", "Key 'host' is '127.0.0.1'"),
        ("kafka://127.0.0.1:1/orders?securityProtocol=TLS", "'securityProtocol' is 'TLS'"),
        ("kafka://127.0.0.1:1/orders?pasword=geheim", "'pasword'"),
        ("kafka://me:geheim@127.0.0.1:1/orders", "Key 'host' is '***@127.0.0.1:1'"),
    ],
)
def test_kafka_draft_of_an_address_that_cannot_be(tmp_path: Path, capsys, address: str, told: str) -> None:
    """What is wrong with the address of a topic is told before any broker is asked, a password in it never."""
    assert main(["--project", str(tmp_path), "draft", address]) == 1
    said = capsys.readouterr().err
    assert told in said and "geheim" not in said


def test_kafka_watch_lets_messages_gather(tmp_path: Path, cluster: Cluster) -> None:
    """Looks in a loop land the first messages at once, then a batch when it is full or old enough; those that land
    nothing write nothing. `sluice land` never waits."""
    topic = cluster.make_topic("gathering")
    server = {"topic": topic, "messagesPerBatch": 10, "batchAge": "10 seconds"}
    write_contract(tmp_path, cluster.host, **server)
    sent = 0
    counts = []
    for second, more in [(0, 3), (5, 3), (6, 0), (7, 8), (12, 4), (18, 0), (9000, 1), (0, 1)]:
        cluster.send(topic, orders(more, sent))
        sent += more
        run = begin_run("tester", clock=clock_at(FIRST + timedelta(seconds=second)))
        found, failure = visit_sources(
            open_project(tmp_path), settings_of(tmp_path), run, (), plain_step, may_wait=True
        )
        assert failure is None
        counts.append(sum(source.read for source in found.sources) if found else None)
    assert counts == [3, None, None, 11, None, 4, 1, 1]
    cluster.send(topic, orders(1, sent))
    land_sources(open_project(tmp_path), settings_of(tmp_path), begin_run("tester"), (), plain_step)
    assert ask(tmp_path, "select sum(accepted_count) from ops.ingestion_log") == [(sent + 1,)]
    assert ask(tmp_path, "select count(distinct run_id) from ops.audit_log") == [(6,)]


def test_kafka_message_without_a_time_has_none(tmp_path: Path) -> None:
    """Where the sender told no time, or one that no column can hold, there is null and no moment of 1969."""
    times = ((TIMESTAMP_NOT_AVAILABLE, -1), (TIMESTAMP_CREATE_TIME, 2**62), (TIMESTAMP_CREATE_TIME, -(2**63)))
    messages = [Message("t", 0, place, value=b"{}", timestamp=at) for place, at in enumerate((*times, (1, INSTANT)))]
    file = MessageFile(tmp_path / "file.parquet", {0: len(messages)})
    file.add(messages)
    file.close("t")
    at = datetime(2026, 1, 1, 0, 0, 0, 123000, UTC)
    assert pl.read_parquet(file.path)["timestamp"].to_list() == [None, None, None, at]
