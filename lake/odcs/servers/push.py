"""A server of type `api` with `intake: push`: our own ingestion service, to which providers post."""

from collections.abc import Mapping

from lake.contract import PUSH, Contract, Server
from lake.odcs.document import Part
from lake.odcs.servers.payload import PAYLOAD_OPTIONS, check_count, read_options

PUSH_OPTIONS = ("intake", "maxBodyBytes", "maxRows", "maxFileBytes")
PUSH_LIMITS: Mapping[str, str] = {
    "maxBodyBytes": "a number of bytes",
    "maxRows": "a number of rows",
    "maxFileBytes": "a number of bytes",
}


def is_push(server: Part) -> bool:
    """Says whether a server of type `api` is one that is posted to."""
    entries = [part for part in server.each("customProperties") if part.text("property") == "intake"]
    return any(part.text("value") == PUSH for part in entries)


def read_push(server: Part) -> Server:
    """Reads a server that is posted to; raises ContractError for a limit that is none."""
    options, found = read_options(server, (*PUSH_OPTIONS, *PAYLOAD_OPTIONS))
    for name, meaning in PUSH_LIMITS.items():
        check_count(options, found, name, meaning)
    return Server("api", server.text("location"), "jsonl", options)


def check_push(server: Part, contract: Contract) -> None:
    """Raises ContractError when the address is not the source's own, or each delivery is to be the whole table."""
    address = address_of(contract.source)
    if server.text("location") != address:
        message = f"Key 'location' is '{server.text('location')}', and this source is posted to at '{address}'."
        raise server.fault("server-unfit", message, f"Write 'location: {address}'.", "location")
    if contract.load == "replace":
        message = "Custom property 'intake' is 'push', and with 'loadMode: replace' each post would be the whole table."
        raise server.fault("server-unfit", message, "Write 'loadMode: append'.")


def address_of(source: str) -> str:
    """Gives the path a source is posted to."""
    return f"/v1/{source}"
