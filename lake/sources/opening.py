"""Picks the source for a contract's server."""

from collections.abc import Callable, Iterator, Mapping

from lake.errors import SourceError
from lake.receiving.source import pushed_deliveries
from lake.sources.bucket import object_deliveries
from lake.sources.bucket_uploads import bucket_upload_deliveries
from lake.sources.database.extract import table_deliveries
from lake.sources.delivery import Delivery
from lake.sources.files import file_deliveries
from lake.sources.intake import UPLOADS
from lake.sources.lag import Lag
from lake.sources.uploads import upload_deliveries
from lake.sources.visit import Source, Visit


def local_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the files of a folder as they lie there, or takes them as uploads and moves them."""
    is_intake = visit.contract.server.options.get("intake") == UPLOADS
    return upload_deliveries(visit) if is_intake else file_deliveries(visit)


def bucket_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the objects of a bucket as they lie there, or takes them as uploads and moves them."""
    is_intake = visit.contract.server.options.get("intake") == UPLOADS
    return bucket_upload_deliveries(visit) if is_intake else object_deliveries(visit)


def api_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives what was posted to our own service, or pulls the pages of somebody's API."""
    if visit.contract.server.is_pushed:
        return pushed_deliveries(visit)
    from lake.sources.http.pull import pull_deliveries  # httpx: 0.1 s that no other source need pay

    return pull_deliveries(visit)


def topic_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the messages of a topic."""
    from lake.sources.kafka.stream import message_deliveries  # 0.1 s that no other source need pay

    return message_deliveries(visit)


def postgresql_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives a table's rows as they stand, or its changes one by one."""
    if not visit.contract.is_captured:
        return table_deliveries(visit)
    from lake.sources.capture.capture import capture_deliveries  # polars and numpy, which other sources need not

    return capture_deliveries(visit)


SOURCES: Mapping[str, Source] = {
    "local": local_deliveries,
    "api": api_deliveries,
    "s3": bucket_deliveries,
    "postgresql": postgresql_deliveries,
    "sqlite": table_deliveries,
    "kafka": topic_deliveries,
}


def topic_lag(visit: Visit) -> Iterator[Lag]:
    """Gives what waits in each partition of a topic."""
    from lake.sources.kafka.lag import partition_lags

    return partition_lags(visit)


def log_lag(visit: Visit) -> Iterator[Lag]:
    """Gives what waits in the log of a captured table's database; a table that is asked by queries has none."""
    from lake.sources.capture.lag import slot_lags

    return slot_lags(visit) if visit.contract.is_captured else iter(())


LAGS: Mapping[str, Callable[[Visit], Iterator[Lag]]] = {  # the sources that can tell what waits
    "kafka": topic_lag,
    "postgresql": log_lag,
}


def measure_lag(visit: Visit) -> Iterator[Lag]:
    """Gives what waits at a source whose kind is among `LAGS`; raises SourceError when it cannot be asked."""
    return LAGS[visit.contract.server.kind](visit)


def open_source(visit: Visit) -> Iterator[Delivery]:
    """Gives the deliveries of a contract's source that the lake has not landed, as they are asked for.

    Raises SourceError when nothing here can read from such a server.
    """
    contract = visit.contract
    source = SOURCES.get(contract.server.kind)
    if source is None:
        raise SourceError(
            "source-unknown",
            f"The source {contract.source!r} is a server of type {contract.server.kind!r}, which has no reader.",
            cure=f"Write a server of type {', '.join(SOURCES)} in its contract.",
            path=contract.path,
        )
    return source(visit)
