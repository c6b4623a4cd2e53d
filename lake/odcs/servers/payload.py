"""What servers of several kinds say alike: the format of what they deliver, its encoding, and options of ours."""

import codecs
import re
from collections.abc import Collection, Mapping

from lake.odcs.document import Part, did_you_mean, value_text
from lake.odcs.properties import custom_properties

FORMATS = ("csv", "tsv", "json", "jsonl", "parquet", "xlsx", "xlsb", "xls", "ods")
COUNTS = {"headerRow": "the number of a row", "mostUnpackedBytes": "a number of bytes"}
FORMAT_ALIASES: Mapping[str, str] = {"ndjson": "jsonl", "excel": "xlsx"}
PAYLOAD_OPTIONS = ("delimiter", "header", "sheet", "headerRow", "mostUnpackedBytes", "recordPath")
RECORD_PATH = re.compile(r"[^\s$\[\]*]+")


def read_format(server: Part, formats: Collection[str] = FORMATS) -> str:
    """Gives the format a server delivers; raises ContractError for one that cannot be read."""
    written = server.text("format").lower()
    format_name = FORMAT_ALIASES.get(written, written)
    if format_name not in formats:
        message = f"Key 'format' is '{server.text('format')}', which cannot be read."
        raise server.fault("server-unfit", message, did_you_mean(format_name, formats), "format")
    return format_name


def read_options(
    server: Part, known: Collection[str], odcs_keys: Collection[str] = ()
) -> tuple[dict[str, str], dict[str, Part]]:
    """Gives a server's custom properties that we know, as text, and where each stands; the shared ones are checked.

    Raises ContractError for one of ours that stands among the keys of ODCS, and for a value that says nothing.
    """
    for key in known:
        if key in server.value and key not in odcs_keys:
            message = f"Key '{key}' of a server is none of ODCS."
            cure = f"Write it under 'customProperties: [{{property: {key}, value: …}}]'."
            raise server.fault("key-unknown", message, cure, key)
    found = custom_properties(server, known)
    options = {name: value_text(part.value) for name, part in found.items()}
    if len(options.get("delimiter", ",")) != 1:
        message = f"Custom property 'delimiter' is '{options['delimiter']}', not one character."
        raise found["delimiter"].fault("server-unfit", message, r'Write one, e.g. ";" or "\t" in double quotes.')
    if options.get("header", "true") not in ("true", "false"):
        message = f"Custom property 'header' is '{options['header']}'."
        raise found["header"].fault("server-unfit", message, "Write true or false.")
    for name, meaning in COUNTS.items():
        check_count(options, found, name, meaning)
    if not RECORD_PATH.fullmatch(options.get("recordPath", "data")):
        message = f"Custom property 'recordPath' is '{options['recordPath']}'."
        cure = "Write the keys that lead to the records, joined by points, e.g. 'data.items'."
        raise found["recordPath"].fault("server-unfit", message, cure)
    return options, found


def check_count(options: Mapping[str, str], found: Mapping[str, Part], name: str, meaning: str) -> None:
    """Raises ContractError when a custom property that must be a whole number from 1 on is none."""
    if not options.get(name, "1").isdecimal() or int(options.get(name, "1")) == 0:
        message = f"Custom property '{name}' is '{options[name]}', not {meaning}."
        raise found[name].fault("server-unfit", message, "Write a whole number from 1 on.")


def read_encoding(server: Part) -> Mapping[str, str]:
    """Gives the encoding a server names, as an option; none when it names none."""
    written = server.text("encoding")
    if not written:
        return {}
    try:
        codecs.lookup(written)
    except LookupError as error:
        message = f"Key 'encoding' is '{written}', which is none."
        raise server.fault("server-unfit", message, "Write e.g. 'utf-8' or 'latin-1'.", "encoding") from error
    return {"encoding": written}
