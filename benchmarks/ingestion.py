"""Rows a second that the ingestion service accepts, beside a bare FastAPI endpoint that only parses them.

    python benchmarks/ingestion.py [--rows 100] [--connections 16] [--seconds 5] [--repeats 3] [--keyed]

The real service, its judge, disk and group commit included, and the bare endpoint take the same bodies in turn, over
connections that are kept, from a client on the same machine. Machines are noisy: the best of the repeats and the ratio
of pairs count. Rows are those of the contract `expenses`, all of them good.
"""

import argparse
import asyncio
import json
import os
import re
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
UNLIMITED = {"SLUICE_REQUESTS_PER_MINUTE": "1000000000", "SLUICE_ROWS_PER_MINUTE": "1000000000"}
WARM_UP_SECONDS = 1.0
HEAD = "POST /v1/expenses HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n"
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Load:
    """What is sent: rows a body, on how many connections, for how long, with an Idempotency-Key each or not."""

    rows: int
    connections: int
    seconds: float
    keyed: bool


@dataclass(frozen=True)
class Figures:
    """What came of it: rows a second, seconds an answer took, processor seconds of the server for 100 000 rows."""

    rows_per_second: float
    seconds: Sequence[float]
    cpu_per_100k: float

    def line(self) -> str:
        """Gives the figures as a line of the table."""
        ranked = sorted(self.seconds)
        middle, late = statistics.median(ranked), ranked[int(len(ranked) * 0.99)]
        return f"{self.rows_per_second:>12,.0f} {middle * 1000:>8.1f} {late * 1000:>8.1f} {self.cpu_per_100k:>8.2f}"


def main() -> None:
    """Loads both servers in turn, several times, and prints every pair and the best."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keyed", action="store_true", help="an Idempotency-Key with each request")
    parser.add_argument("--without-rules", action="store_true", help="the contract without its three row rules")
    asked = parser.parse_args()
    load = Load(asked.rows, asked.connections, asked.seconds, asked.keyed)
    print(f"{'':<8} {'rows/s':>12} {'p50 ms':>8} {'p99 ms':>8} {'cpu s/100k':>8}")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        project = make_project(Path(folder), with_rules=not asked.without_rules)
        found: dict[str, list[Figures]] = {"service": [], "bare": []}
        for _ in range(asked.repeats):
            for name, start in (("service", lambda: serving(project)), ("bare", serving_bare)):
                with start() as (port, process):
                    uvloop.run(storm(port, Load(load.rows, load.connections, WARM_UP_SECONDS, load.keyed)))
                    found[name].append(measured(port, process, load))
                print(f"{name:<8} {found[name][-1].line()}", flush=True)
    best = {name: max(figures, key=lambda each: each.rows_per_second) for name, figures in found.items()}
    ratio = best["service"].rows_per_second / best["bare"].rows_per_second
    print(f"best: service {best['service'].rows_per_second:,.0f} rows/s, {ratio:.2f} of the bare endpoint's")


def make_project(folder: Path, *, with_rules: bool = True) -> Path:
    """Makes a project of one contract in a folder, with its row rules or without."""
    for below in ("lake/contracts", "sql", "checks", "reports/pages"):
        (folder / below).mkdir(parents=True)
    contract = (ROOT / "lake" / "contracts" / "expenses.yaml").read_text("utf-8")
    kept = contract if with_rules else contract.partition("    quality:\n")[0]
    (folder / "lake" / "contracts" / "expenses.yaml").write_text(kept, encoding="utf-8")
    (folder / "prefect.yaml").write_text("deployments: []\n", encoding="utf-8")
    return folder


@contextmanager
def serving(project: Path) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The real service, and its port."""
    command = [sys.executable, "-m", "flows", "serve", "--project", str(project), "--port", "0", "--open"]
    with running(command) as process:
        line = process.stdout.readline() if process.stdout else ""
        yield int(line.rpartition(":")[2].partition("/")[0]), process


@contextmanager
def serving_bare() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """The bare endpoint, and its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with running([sys.executable, str(ROOT / "benchmarks" / "bare_ingestion.py"), str(port)]) as process:
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            with socket.socket() as tried:
                if tried.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port, process


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process, ended when left."""
    environment = os.environ | UNLIMITED | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def measured(port: int, process: subprocess.Popen[str], load: Load) -> Figures:
    """Loads a server for a while, and gives what it did."""
    cpu, begun = cpu_seconds(process.pid), time.perf_counter()
    seconds = uvloop.run(storm(port, load))
    rows = len(seconds) * load.rows
    passed = time.perf_counter() - begun
    return Figures(rows / passed, seconds, (cpu_seconds(process.pid) - cpu) / rows * 100_000)


def cpu_seconds(pid: int) -> float:
    """Gives what a process has used of the processor."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def storm(port: int, load: Load) -> list[float]:
    """Sends on every connection, one request after the other; gives how long each took."""
    numbers, until = count(), time.perf_counter() + load.seconds
    found = await asyncio.gather(*(sender(port, load, numbers, until) for _ in range(load.connections)))
    return [seconds for each in found for seconds in each]


async def sender(port: int, load: Load, numbers: Iterator[int], until: float) -> list[float]:
    """One connection that is kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body, seconds = body_of(load.rows), list[float]()
    while time.perf_counter() < until:
        key = f"Idempotency-Key: {os.getpid()}-{next(numbers)}-{until}\r\n" if load.keyed else ""
        begun = time.perf_counter()
        writer.write(HEAD.format(len(body), key).encode() + body)
        head = await reader.readuntil(b"\r\n\r\n")
        length = LENGTH.search(head)
        assert head.startswith(b"HTTP/1.1 202") and length is not None, head
        await reader.readexactly(int(length.group(1)))
        seconds.append(time.perf_counter() - begun)
    writer.close()
    return seconds


def body_of(rows: int) -> bytes:
    """Gives a body of so many good rows."""
    return json.dumps(
        [
            {
                "expense_id": f"EXP-{number:09}",
                "department_id": "ICU",
                "category": "travel",
                "spent_on": "2025-03-01",
                "amount_inr": 1250.5,
                "currency": "INR",
                "receipt_number": f"R-{number}",
                "claimed_by": f"EMP-{number:05}",
            }
            for number in range(rows)
        ]
    ).encode()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    main()
