"""What capturing changes costs: a bare psycopg2 reader, the same into files of history rows, and the whole landing.

    python -m benchmarks.capture [CHANGES]

All three read the same changes of one table from a private server, the bare one from a slot of its own that keeps them.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from select import select
from typing import Any

import psycopg2
from psycopg2.extras import LogicalReplicationConnection

from lake.odcs.reader import read_contract
from lake.sources.opening import open_source
from tests.capture_parts import Shop, make_shop
from tests.landing_parts import visit
from tests.postgres_parts import PASSWORD, REPLICATOR, Database, serving_postgres

CHANGES, ROUNDS, PER_TRANSACTION = 200_000, 3, 1000


def read_bare(database: Database, slot: str) -> int:
    """Reads all changes of a slot and keeps none, as the shortest loop would; says how many messages there were."""
    ((end,),) = database.rows("select (pg_current_wal_flush_lsn() - '0/0')::bigint")
    given: dict[str, Any] = {"host": database.host, "port": database.port, "dbname": database.name}
    opened = psycopg2.connect(
        **given, user=REPLICATOR, password=PASSWORD, connection_factory=LogicalReplicationConnection
    )
    cursor = opened.cursor()
    told = {"proto_version": "1", "publication_names": "sluice_items"}
    cursor.start_replication(slot_name=slot, options=told, status_interval=86_400)
    count = 0
    while cursor.wal_end < end:
        message = cursor.read_message()
        if message is None:
            select([cursor], [], [], 0.1)
            continue
        count += len(message.payload) > 0
    opened.close()
    return count


def read_files(shop: Shop, known: Any) -> int:
    """Reads the changes into deliveries, which nobody lands."""
    contract = read_contract(shop.contracts["items"])
    secrets = {"SHOP_PASSWORD": PASSWORD}
    scratch = Path(tempfile.mkdtemp())
    try:
        asked = visit(contract, shop.folder, scratch=scratch, secrets=secrets, known=known)
        return sum(delivery.path.stat().st_size for delivery in open_source(asked))
    finally:
        shutil.rmtree(scratch)


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    """Gives wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def main(count: int) -> None:
    """Times the three, one after the other, with as many new changes in each round."""
    with serving_postgres() as cluster, tempfile.TemporaryDirectory() as folder:
        database = cluster.create_database()
        shop = make_shop(database, Path(folder))
        shop.land()
        bare = "bare_reader"
        for number in range(ROUNDS):
            database.rows("select pg_create_logical_replication_slot(%s, 'pgoutput')", [f"{bare}_{number}"])
            first = number * count
            for start in range(first, first + count, PER_TRANSACTION):
                values = f"select n, n, n * 0.25 from generate_series({start}, {start + PER_TRANSACTION - 1}) as n"
                database.execute(f"insert into items {values}")
            read = timed(lambda number=number: read_bare(database, f"{bare}_{number}"))
            known = shop.known()
            files = timed(lambda known=known: read_files(shop, known))
            whole = timed(lambda: shop.land())
            told = [f"{wall:.2f} s ({processor:.2f} s CPU)" for wall, processor in (read, files, whole)]
            sys.stdout.write(f"{count} changes: bare {told[0]}, files {told[1]}, landed {told[2]}\n")
        assert shop.differs() == []


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CHANGES)
