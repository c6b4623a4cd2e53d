"""A real S3 server for tests, a bucket for each, and lakes in them."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from lake.httpfs import reach_statements
from lake.objects import Objects
from lake.settings import Settings
from lake.table_versions import Store

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
KEY_ID, SECRET = "AKIATESTSLUICE", "planted/secret+of the=bucket"

# The same test on a folder and on a bucket; at length where the bucket takes more than a moment.
both = pytest.mark.parametrize("store", ["local", "s3"], indirect=True)
IN_BUCKET_AT_LENGTH = ("local", pytest.param("s3", marks=pytest.mark.soak))
in_a_folder = pytest.mark.parametrize(
    "where", ["local"], indirect=True
)  # a run on a bucket takes several times as long
both_at_length = pytest.mark.parametrize("store", IN_BUCKET_AT_LENGTH, indirect=True)


@contextmanager
def serving_s3() -> Iterator[str]:
    """Gives the address of an S3 server in a process of its own."""
    port = free_port()
    command = [sys.executable, "-m", "tests.s3_server", str(port)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MOTO_DISABLE_GLOBAL_CORS": "true"}
    server = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(server: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"moto_server did not start: {server.poll()}")


def make_bucket(endpoint: str) -> str:
    """Makes a bucket and gives its name."""
    name = f"lake-{secrets.token_hex(6)}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/{name}", method="PUT"), timeout=30)
    return name


def store_settings(endpoint: str) -> dict[str, str]:
    """Gives what the environment or `.env` must say to reach the server."""
    return {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": endpoint}


def make_store(endpoint: str, folder: Path, prefix: str = "team/lake") -> Store:
    """Gives a lake in a bucket of its own, as the settings of a project describe it."""
    write_env(folder, f"s3://{make_bucket(endpoint)}/{prefix}", endpoint)
    return Settings.read(folder).store


def write_env(folder: Path, uri: str, endpoint: str) -> None:
    """Puts a project's lake into a bucket."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = {"LAKE_URI": uri} | store_settings(endpoint)
    (folder / ".env").write_text("".join(f"{name}={json.dumps(value)}\n" for name, value in lines.items()))


def put_in_bucket(folder: Path, endpoint: str) -> Path:
    """Gives a project a lake in a bucket of its own, instead of the folder it would have."""
    write_env(folder, f"s3://{make_bucket(endpoint)}/lake", endpoint)
    return folder


def lake_keys(store: Store, below: str = "") -> list[str]:
    """Gives the paths of all files of a lake, below its root."""
    if "://" in store.uri:
        return sorted(found.key for found in Objects(store.uri, store.options).list(below))
    root = Path(store.uri)
    return sorted(path.relative_to(root).as_posix() for path in (root / below).rglob("*") if path.is_file())


def lake_bytes(store: Store, key: str) -> bytes:
    """Gives one file of a lake."""
    if "://" in store.uri:
        return b"".join(Objects(store.uri, store.options).chunks(key))
    return Path(store.uri, key).read_bytes()


def as_next_run(store: Store) -> Store:
    """Gives the same lake as the next run opens it, which knows nothing of what was read in this one."""
    return replace(store)


def forget(store: Store, below: str) -> None:
    """Removes all files of a lake below a path, as somebody with other tools might."""
    for key in lake_keys(store, below):
        if "://" in store.uri:
            Objects(store.uri, store.options).delete(key)
        else:
            Path(store.uri, key).unlink()


def open_catalogue(path: Path, store: Store, config: Mapping[str, Any] | None = None) -> duckdb.DuckDBPyConnection:
    """Opens a `lake.duckdb` as any client does; for a lake in a bucket that client is told how to reach it."""
    client = duckdb.connect(str(path), read_only=True, config=dict(config or {}))
    for statement in reach_statements(store):
        client.execute(statement)
    return client


def copy_lake(store: Store) -> str:
    """Copies a lake in a bucket to another prefix of it, and gives that place."""
    uri = f"{store.uri.rsplit('/', 1)[0]}/{secrets.token_hex(6)}"
    source, target = Objects(store.uri, store.options), Objects(uri, store.options)
    for found in source.list():
        target.put(found.key, b"".join(source.chunks(found.key)))
    return uri


def move_lake(folder: Path, uri: str) -> None:
    """Tells a project that its lake is elsewhere in the same store."""
    env = folder / ".env"
    env.write_text(re.sub(r"(?m)^LAKE_URI=.*$", f'LAKE_URI="{uri}"', env.read_text()))
