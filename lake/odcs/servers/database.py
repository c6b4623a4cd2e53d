"""What servers that are databases say alike: which table, how much of it, and in which portions."""

import re
from collections.abc import Mapping

from lake.contract import Contract, Server
from lake.errors import ContractError
from lake.odcs.deletions import DELETES, IGNORE, NOTICE
from lake.odcs.document import Part, did_you_mean
from lake.odcs.servers.payload import read_options
from lake.odcs.servers.properties import SPAN, Kind, span_seconds

MODES = ("incremental", "full")
COLUMNS = ("all", "contract")
CHOICES: Mapping[str, tuple[str, ...]] = {"mode": MODES, "columns": COLUMNS, DELETES: (IGNORE, NOTICE)}
WHOLE_NUMBERS = ("bigint", "integer", "smallint")

_COUNT = Kind("Write a whole number from 1 on.", re.compile(r"[1-9][0-9]*"))
_SPAN = Kind("Write a number and a unit, e.g. '30 seconds' or '10 minutes'.", SPAN)
SECRET = Kind(
    "Write the name under which the secret is kept (never the secret), e.g. 'SHOP_DB_PASSWORD'.",
    re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}"),
)
READING_KINDS: Mapping[str, Kind] = {
    **{name: Kind(f"Write {' or '.join(values)}.") for name, values in CHOICES.items()},
    "table": Kind("Write the table's name as the database spells it, without its schema."),
    "query": Kind("Write one select, without a semicolon.", re.compile(r"(?is)\s*(select|with)\b[^;]*")),
    "overlap": Kind("Write how far back numbers are read again, e.g. 1000.", re.compile(r"[1-9][0-9]*")),
    "startAt": Kind("Write the moment or number to begin with."),
    **dict.fromkeys(("rowsPerBatch", "bytesPerBatch", "fetchBytes"), _COUNT),
    **dict.fromkeys(("giveUpAfter", "statementTimeout"), _SPAN),
}


def read_database(
    server: Part, kinds: Mapping[str, Kind], choices: Mapping[str, tuple[str, ...]] = CHOICES
) -> dict[str, str]:
    """Gives a database's custom properties as text, spans in seconds; raises ContractError for what cannot be."""
    options, found = read_options(server, tuple(kinds))
    for name, part in found.items():
        kind, text = kinds[name], options[name]
        if name in choices and text not in choices[name]:
            raise unfit(part, f"Custom property '{name}' is '{text}'.", did_you_mean(text, choices[name]))
        if not kind.pattern.fullmatch(text):
            raise unfit(part, f"Custom property '{name}' is '{text}'.", kind.cure)
        options[name] = str(span_seconds(text)) if kind.pattern is SPAN else text
    if "query" in found and "table" in found:
        raise unfit(found["query"], "'query' and 'table' are both given.", "Keep one of the two.")
    return options


def with_table(server: Server, table: Part | None) -> Server:
    """Gives a server that names its table: by itself, else as the contract's table is called in the database."""
    if table is None or not {"table", "query"}.isdisjoint(server.options):
        return server
    named = table.text("physicalName") or table.text("name")
    return Server(server.kind, server.path, server.format, {**server.options, "table": named})


def check_database(server: Part, contract: Contract) -> None:
    """Checks what only the whole contract can tell: by which column is read what is new.

    Raises ContractError when there is none, or when it does not go with the server's properties.
    """
    options = contract.server.options
    _, found = read_options(server, tuple(READING_KINDS))
    mode, mark = options.get("mode"), contract.watermark
    if mode == "incremental" and contract.load == "replace":
        message = "Custom property 'mode' is 'incremental', and with 'loadMode: replace' what is new would be all."
        raise unfit(found["mode"], message, "Write 'mode: full', or 'loadMode: append'.")
    if mode == "incremental" and mark is None:
        message = "Custom property 'mode' is 'incremental', and the contract has no 'watermark'."
        raise unfit(found["mode"], message, "Add the table's custom property 'watermark' with its column.")
    is_number = mark is not None and contract.column(mark).sql_type in WHOLE_NUMBERS
    if contract.lateness is not None and is_number and mode != "full":
        message = f"Custom property 'lateness' is '{contract.lateness}', and the watermark '{mark}' is a number."
        raise unfit(server, message, "Remove 'lateness'; the server's 'overlap' says how far back numbers are read.")
    if "overlap" in found and not is_number:
        message = "Custom property 'overlap' counts numbers, and the watermark is none."
        raise unfit(found["overlap"], message, "Remove it; the table's 'lateness' says how late rows may come.")
    if "startAt" in found and (mark is None or mode == "full"):
        raise unfit(found["startAt"], "Custom property 'startAt' means nothing without a 'watermark'.", "Remove it.")


def unfit(part: Part, message: str, cure: str, key: str | None = None) -> ContractError:
    """Makes the error of a server that cannot be read as it is written."""
    return part.fault("server-unfit", message, cure, key)
