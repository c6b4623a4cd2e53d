"""Picks the source for a contract's server."""

from collections.abc import Iterator, Mapping

from lake.errors import SourceError
from lake.sources.delivery import Delivery
from lake.sources.files import file_deliveries
from lake.sources.http.pull import pull_deliveries
from lake.sources.visit import Source, Visit

SOURCES: Mapping[str, Source] = {"local": file_deliveries, "api": pull_deliveries}


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
