"""A server of type `kafka`: a topic whose messages are records, read from where the lake stands."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from lake.contract import Contract, Server
from lake.errors import ContractError, SourceError
from lake.odcs.document import Part, check_keys, did_you_mean, value_text
from lake.odcs.properties import custom_properties
from lake.odcs.servers.address import without_password
from lake.odcs.servers.properties import SPAN, Kind, span_seconds

KAFKA_KEYS = (
    *("server", "type", "host", "format", "encoding"),
    *("id", "description", "environment", "roles", "customProperties"),
)
CHOICES: Mapping[str, tuple[str, ...]] = {
    "startFrom": ("earliest", "latest"),
    "whenOffsetsLost": ("refuse", "earliest"),
    "securityProtocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "saslMechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"),
}
_COUNT = Kind("A whole number from 1 on.", re.compile(r"[1-9][0-9]*"))
_SECRET = Kind("The name under which a secret is kept (never the secret).", re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,99}"))
KINDS: Mapping[str, Kind] = {
    "topic": Kind("The name of the topic.", re.compile(r"[A-Za-z0-9._-]{1,249}")),
    "startFrom": Kind("Where the very first visit begins: earliest or latest."),
    "whenOffsetsLost": Kind("What to do when messages are gone that were not read: refuse, or earliest to go on."),
    "messagesPerBatch": _COUNT,
    "bytesPerBatch": _COUNT,
    "batchAge": Kind("How long `sluice watch` lets messages gather at most, e.g. '10 seconds'.", SPAN),
    "giveUpAfter": Kind("How long brokers may be silent, e.g. '30 seconds'.", SPAN),
    "mostBehind": _COUNT,
    "group": Kind("The consumer group that is told how far the lake is.", re.compile(r"\S{1,200}")),
    "securityProtocol": Kind("PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL."),
    "saslMechanism": Kind("PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."),
    **dict.fromkeys(("userSecret", "passwordSecret"), _SECRET),
    **dict.fromkeys(("caSecret", "certificateSecret", "keySecret", "keyPasswordSecret"), _SECRET),
}
MESSAGE_COLUMNS: Mapping[str, str] = {  # what a message has beside its value, and the type of a column that holds it
    "kafka:partition": "integer",
    "kafka:offset": "bigint",
    "kafka:timestamp": "timestamptz",
    "kafka:key": "varchar",
    "kafka:headers": "varchar",
}
BROKERS = re.compile(r"(\[[0-9A-Fa-f:]+\]|[^\s,/@:\[\]]+):\d{1,5}(,(\[[0-9A-Fa-f:]+\]|[^\s,/@:\[\]]+):\d{1,5})*")
SASL = ("userSecret", "passwordSecret")
TLS = ("caSecret", "certificateSecret", "keySecret", "keyPasswordSecret")


def read_kafka(server: Part) -> Server:
    """Reads a server of type `kafka`; raises ContractError for what is unknown, missing, idle or cannot be."""
    found = custom_properties(server, KINDS)
    check_keys(server, KAFKA_KEYS, "a server of type 'kafka'")
    options = {name: _value(name, part) for name, part in found.items()}
    host = server.text("host").replace(" ", "")
    if BROKERS.fullmatch(host) is None:
        message = f"Key 'host' is '{without_password(server.text('host'))}'."
        raise server.fault("server-unfit", message, "Write the brokers as 'kafka1:9092,kafka2:9092'.", "host")
    if "topic" not in options:
        raise server.fault("server-unfit", "The custom property 'topic' is missing.", "Add it: the topic's name.")
    _check_payload(server)
    _check_signing(found, options)
    return Server("kafka", host, "json", options)


def read_address(address: str) -> Server:
    """Gives the server that an address such as `kafka://host:9092/topic?securityProtocol=SSL` means.

    What stands behind the question mark are custom properties by name. Raises SourceError for what cannot be.
    """
    parts = urlsplit(address)
    named = {**dict(parse_qsl(parts.query, keep_blank_values=True)), "topic": parts.path.strip("/")}
    unknown = [name for name in named if name not in KINDS]
    if unknown:
        message = f"'{unknown[0]}' is no property of a topic."
        raise SourceError("option-unfit", message, cure=did_you_mean(unknown[0], tuple(KINDS)))
    properties = [{"property": name, "value": value} for name, value in named.items()]
    server = {"server": "broker", "type": "kafka", "host": parts.netloc, "customProperties": properties}
    try:
        return read_kafka(Part(server, Path(address), {}))
    except ContractError as error:
        raise SourceError(error.code, error.message, cure=error.cure) from None


def check_kafka(server: Part, contract: Contract) -> None:
    """Checks what only the whole contract can tell; raises ContractError."""
    if contract.load == "replace":
        message = "A topic is read message by message, and 'loadMode' is 'replace': no message is the whole table."
        raise server.fault("policy-unfit", message, "Write 'loadMode: append'.")
    for column in contract.columns:
        if column.source_name.startswith("kafka:") and column.source_name not in MESSAGE_COLUMNS:
            message = f"Column '{column.name}' is '{column.source_name}', which no message has."
            raise server.fault("column-unknown", message, did_you_mean(column.source_name, tuple(MESSAGE_COLUMNS)))


def _value(name: str, part: Part) -> str:
    text, kind = value_text(part.value), KINDS[name]
    if name in CHOICES and text not in CHOICES[name]:
        raise _unfit(part, f"Custom property '{name}' is '{text}'.", did_you_mean(text, CHOICES[name]))
    if not kind.pattern.fullmatch(text):
        raise _unfit(part, f"Custom property '{name}' is '{text}'.", f"It says: {kind.cure}")
    return str(span_seconds(text)) if kind.pattern is SPAN else text


def _check_payload(server: Part) -> None:
    form, encoding = server.text("format").lower() or "json", server.text("encoding").lower() or "utf-8"
    if form != "json":
        message = f"Key 'format' is '{form}', and messages are read as JSON only."
        raise server.fault("server-unfit", message, "Have them written as JSON, or converted on the way.", "format")
    if encoding not in ("utf-8", "utf8"):
        message = f"Key 'encoding' is '{encoding}'; JSON is always UTF-8."
        raise server.fault("server-unfit", message, "Remove it.", "encoding")


def _check_signing(found: Mapping[str, Part], options: Mapping[str, str]) -> None:
    """Raises ContractError when the protocol lacks what it needs, or is given what belongs to another."""
    protocol = options.get("securityProtocol", "PLAINTEXT")
    is_signed, is_encrypted = protocol.startswith("SASL"), protocol.endswith("SSL")
    for name in SASL:
        if is_signed and name not in found:
            message = f"'securityProtocol' is '{protocol}', and the custom property '{name}' is missing."
            raise _unfit(found["securityProtocol"], message, "Add it with the name of a secret.")
    idle = [*(() if is_signed else (*SASL, "saslMechanism")), *(() if is_encrypted else TLS)]
    for name in idle:
        if name in found:
            message = f"Custom property '{name}' means nothing where 'securityProtocol' is '{protocol}'."
            raise _unfit(found[name], message, "Remove it, or write 'securityProtocol: SASL_SSL' or 'SSL'.")
    for name, other in (("certificateSecret", "keySecret"), ("keySecret", "certificateSecret")):
        if name in found and other not in found:
            message = f"'{name}' says nothing without '{other}'."
            raise _unfit(found[name], message, f"Add '{other}'.")


def _unfit(part: Part, message: str, cure: str) -> ContractError:
    return part.fault("server-unfit", message, cure)
