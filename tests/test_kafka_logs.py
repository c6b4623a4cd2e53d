"""What a topic's log may look like, and how its brokers are reached, on a broker of the tests' own that shows it."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lake.errors import SourceError
from lake.odcs.reader import read_contract
from tests.kafka_log_parts import Log, serving_log
from tests.kafka_parts import landed, read, write_contract
from tests.test_channels import PASSWORD, make_certificate


def order(number: int) -> bytes:
    return json.dumps({"order_id": f"o{number}", "amount": "1.25"}).encode()


def messages(*offsets: int) -> dict[int, bytes]:
    return {offset: order(offset) for offset in offsets}


def visit(path: Path, folder: Path, position: dict[str, str] | None = None) -> tuple[list[int], dict[str, str]]:
    """Reads what there is after a position; gives the offsets of the messages, and the position behind them."""
    found: list[int] = []
    position = position or {}
    known = landed(read_contract(path), position) if position else {}
    for delivery in read(path, folder, known):
        found += pq.read_table(delivery.path)["offset"].to_pylist()
        position = dict(delivery.position)
    return found, position


def test_kafka_gaps_in_offsets_lose_nothing_and_stop_nothing(tmp_path: Path) -> None:
    """Offsets that compaction took, within a batch, at its end, between two, and where the lake stands, are no loss."""
    log = Log("orders")
    log.add(messages(100, 103, 107), last=109)
    log.add(messages(120))
    log.add(messages(121, 125), last=130)
    with serving_log(log) as host:
        path = write_contract(tmp_path, host, topic="orders", giveUpAfter="60 seconds")
        found, position = visit(path, tmp_path / "a")
        assert found == [100, 103, 107, 120, 121, 125]
        assert json.loads(position["offsets"]) == {"0": 131}
        assert visit(path, tmp_path / "b", position)[0] == []
        within = {**position, "offsets": json.dumps({"0": 104})}
        assert visit(path, tmp_path / "c", within)[0] == [107, 120, 121, 125]
        log.add(messages(140))
        assert visit(path, tmp_path / "d", position)[0] == [140]


def test_kafka_transactions_are_read_when_they_are_committed(tmp_path: Path) -> None:
    """Marks of transactions are no messages, aborted ones are none of ours, and an open one waits for its end."""
    log = Log("orders")
    log.add(messages(0, 1), producer=7)
    log.finish(7, is_commit=True)
    log.add(messages(3, 4, 5), producer=8)
    log.aborted.append((8, 3))
    log.finish(8, is_commit=False)
    log.stable = 7
    log.add(messages(7, 8), producer=9)
    log.add(messages(9))
    with serving_log(log) as host:
        path = write_contract(tmp_path, host, topic="orders", giveUpAfter="60 seconds")
        found, position = visit(path, tmp_path / "a")
        assert (found, json.loads(position["offsets"])) == ([0, 1], {"0": 7})
        assert visit(path, tmp_path / "b", position) == ([], position)
        log.finish(9, is_commit=True)
        log.stable = None
        found, position = visit(path, tmp_path / "c", position)
        assert (found, json.loads(position["offsets"])) == ([7, 8, 9], {"0": 11})


def test_kafka_signs_in_over_tls(tmp_path: Path) -> None:
    """Over TLS, by a certificate that the contract trusts, and signed in by name and password, messages must come;
    another certificate, and another password, must be told at once, with what to mend and without the password."""
    mine, other = make_certificate(tmp_path), make_certificate(tmp_path, address="127.0.0.2")
    log = Log("orders", user=f"\0shop\0{PASSWORD}".encode())
    log.add(messages(0, 1))
    secrets = {"CA": mine.file.read_text(), "USER": "shop", "PASSWORD": PASSWORD}
    named = {"caSecret": "CA", "userSecret": "USER", "passwordSecret": "PASSWORD", "securityProtocol": "SASL_SSL"}
    with serving_log(log, mine.context) as host:
        path = write_contract(tmp_path, host, topic="orders", giveUpAfter="60 seconds", **named)
        (delivery,) = read(path, tmp_path / "a", secrets=secrets)
        assert pq.read_table(delivery.path)["offset"].to_pylist() == [0, 1]
        with pytest.raises(SourceError, match="certificate that is not trusted.*Let 'caSecret' name") as untrusted:
            list(read(path, tmp_path / "b", secrets={**secrets, "CA": other.file.read_text()}))
        with pytest.raises(SourceError, match="refused the sign-in.*wrong name or password") as refused:
            list(read(path, tmp_path / "c", secrets={**secrets, "PASSWORD": "another-pa55word"}))
        assert {error.value.code for error in (untrusted, refused)} == {"kafka-sign-in-refused"}
        told = f"{untrusted.value} {refused.value}"
        assert PASSWORD not in told and "another-pa55word" not in told
