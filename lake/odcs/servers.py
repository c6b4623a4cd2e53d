"""The `servers` of an ODCS file: where the source delivers."""

import codecs
from collections.abc import Mapping

from lake.contract import Server
from lake.odcs.document import Part, check_keys, did_you_mean, value_text
from lake.odcs.properties import custom_properties

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet")
FORMAT_ALIASES: Mapping[str, str] = {"ndjson": "jsonl"}
LOCAL_KEYS = (
    *("server", "type", "path", "format", "encoding"),
    *("id", "description", "environment", "roles", "customProperties"),
)
LOCAL_OPTIONS = ("delimiter", "header")
NOT_OPTIONS = ("server", "type", "path", "location", "format", "id", "description", "environment", "roles")


def read_server(document: Part) -> Server:
    """Reads the first of a contract's servers; raises ContractError when there is none or it cannot be read from."""
    server = next(document.each("servers"), None)
    if server is None:
        cure = "Add 'servers:' with 'type: local', 'path' and 'format'."
        raise document.fault("server-missing", "The contract does not say where its data come from ('servers').", cure)
    return _local(server) if server.text("type") == "local" else _other(server)


def _local(server: Part) -> Server:
    for key in LOCAL_OPTIONS:
        if key in server.value:
            message = f"Key '{key}' of a server is none of ODCS."
            cure = f"Write it under 'customProperties: [{{property: {key}, value: …}}]'."
            raise server.fault("key-unknown", message, cure, key)
    check_keys(server, LOCAL_KEYS, "a server of type 'local'")
    if not server.text("path"):
        raise server.fault("server-unfit", "Key 'path' is empty.", "Write a path below the project folder.", "path")
    written = server.text("format").lower()
    format_name = FORMAT_ALIASES.get(written, written)
    if format_name not in FORMATS:
        message = f"Key 'format' is '{server.text('format')}', which cannot be read."
        raise server.fault("server-unfit", message, did_you_mean(format_name, FORMATS), "format")
    found = custom_properties(server, LOCAL_OPTIONS)
    options = {name: value_text(part.value) for name, part in found.items()}
    if len(options.get("delimiter", ",")) != 1:
        message = f"Custom property 'delimiter' is '{options['delimiter']}', not one character."
        raise found["delimiter"].fault("server-unfit", message, r'Write one, e.g. ";" or "\t" in double quotes.')
    if options.get("header", "true") not in ("true", "false"):
        message = f"Custom property 'header' is '{options['header']}'."
        raise found["header"].fault("server-unfit", message, "Write true or false.")
    return Server("local", server.text("path"), format_name, {**options, **_encoding(server)})


def _encoding(server: Part) -> Mapping[str, str]:
    written = server.text("encoding")
    if not written:
        return {}
    try:
        codecs.lookup(written)
    except LookupError as error:
        message = f"Key 'encoding' is '{written}', which is none."
        raise server.fault("server-unfit", message, "Write e.g. 'utf-8' or 'latin-1'.", "encoding") from error
    return {"encoding": written}


def _other(server: Part) -> Server:
    options = {
        key: str(value)
        for key, value in server.value.items()
        if key not in NOT_OPTIONS and isinstance(value, str | int) and not isinstance(value, bool)
    }
    path = server.text("path") or server.text("location")
    return Server(server.text("type"), path, server.text("format"), options)
