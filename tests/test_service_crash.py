"""The promise at 202, kept through kill -9: every answered row lands exactly once, and readers count them by polars."""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import httpx
import polars as pl
import pytest

from lake.settings import Settings
from lake.tables import read_version
from tests.service_parts import HANDOVER_SECONDS, Served, land, make_project, row, served

SENDERS = 4
ROWS = 20
KILLS = 8
LIVES_SECONDS = (0.1, 0.9)
ANSWERS_SECONDS = 120.0


class Storm:
    """Clients that post without pause, each row with a number of its own, and remember what was answered with 202.

    A request that was not answered is sent again, with its key, until it is.
    """

    def __init__(self, urls: list[str]) -> None:
        self.urls, self.answered, self.receipts = urls, list[str](), Counter[str]()
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(SENDERS)
        self._senders = [self._pool.submit(self._send, sender) for sender in range(SENDERS)]

    def rage(self, answers: int) -> None:
        """Goes on until so many more requests have been answered."""
        wanted, end = len(self.receipts) + answers, time.monotonic() + ANSWERS_SECONDS
        while len(self.receipts) < wanted:
            assert time.monotonic() < end, "the service answers no more"
            time.sleep(0.01)

    def stop(self) -> None:
        self._over.set()
        for sender in self._senders:
            sender.result(120)
        self._pool.shutdown()

    def _send(self, sender: int) -> None:
        turn = 0
        with httpx.Client(timeout=20) as client:
            while not self._over.is_set():
                names, key = [f"{sender}-{turn}-{place}" for place in range(ROWS)], str(uuid4())
                answer = self._sent(client, [row(name) for name in names], key)
                self.answered += names
                self.receipts[answer["receipt"]] += 1
                turn += 1

    def _sent(self, client: httpx.Client, rows: list[dict], key: str) -> dict:
        while True:
            url = random.choice(self.urls)
            try:
                answer = client.post(f"{url}/v1/visits", json=rows, headers={"Idempotency-Key": key})
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if answer.status_code == 202:
                return answer.json()
            assert answer.status_code in (409, 503), answer.text
            assert answer.json()["code"] in ("key-busy", "spool-closed"), answer.text
            time.sleep(0.05)


def visits(project: Path) -> pl.DataFrame:
    """What raw holds, read by polars from the very files."""
    found = read_version(Settings.read(project).store, "raw.visits")
    assert found is not None
    return pl.concat([pl.read_parquet(file.path) for file in found.files])


def expect_each_once(project: Path, storm: Storm) -> None:
    landed = visits(project)["visit_id"]
    assert landed.n_unique() == landed.len()
    assert sorted(landed) == sorted(f"V-{name}" for name in storm.answered)
    assert set(storm.receipts.values()) == {1}
    assert not list((project / "lake" / "data" / "spool" / "visits" / "segments").glob("[!.]*[!n]"))


def test_service_killed_once_has_all_it_answered(tmp_path: Path) -> None:
    """After kill -9 amid a storm and a restart, what was answered lands once, and keys still bring their receipts."""
    project = make_project(tmp_path)
    urls: list[str] = []
    with served(project) as first:
        urls.append(first.url)
        storm = Storm(urls)
        storm.rage(5 * SENDERS)
        first.kill()
    with served(project) as second:
        urls[:] = [second.url]
        storm.rage(SENDERS)
        storm.stop()
        land(project)
    expect_each_once(project, storm)


@pytest.mark.soak
def test_service_killed_again_and_again_loses_nothing(tmp_path: Path) -> None:
    """Killed at any moment of a storm, landed now and then while it runs: each answered row is in raw exactly once."""
    project, urls, chance = make_project(tmp_path), [], random.Random(7)
    storm = None
    for number in range(KILLS):
        with served(project) as service:
            urls[:] = [service.url]
            storm = storm or Storm(urls)
            time.sleep(chance.uniform(*LIVES_SECONDS))
            if number % 3 == 1:
                land(project)
            service.kill()
    assert storm is not None
    with served(project) as service:
        urls[:] = [service.url]
        storm.stop()
        land(project)
    expect_each_once(project, storm)


@pytest.mark.soak
def test_two_services_and_two_landings_share_one_spool(tmp_path: Path) -> None:
    """Two services take the same keys in turn, one is killed now and then, landings run beside: each row lands once."""
    project, urls = make_project(tmp_path), []
    is_over = threading.Event()

    def land_on() -> None:
        while not is_over.wait(0.3):
            land(project)

    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        steady, other = (stack.enter_context(served(project)) for _ in range(2))
        urls[:] = [steady.url, other.url]
        storm, landings = Storm(urls), [pool.submit(land_on) for _ in range(2)]
        for _ in range(3):
            time.sleep(2)
            other = _replaced(other, project, stack, urls)
        storm.stop()
        is_over.set()
        for landing in landings:
            landing.result(2 * HANDOVER_SECONDS)
        land(project)
    expect_each_once(project, storm)


def _replaced(service: Served, project: Path, stack: ExitStack, urls: list[str]) -> Served:
    service.kill()
    fresh = stack.enter_context(served(project))
    urls[1] = fresh.url
    return fresh
