"""A server of type `api`: records that an HTTP API gives page by page, as the server's custom properties say."""

import codecs
import json
import re
from collections.abc import Mapping
from datetime import date, datetime

from lake.contract import Contract, Server
from lake.errors import ContractError
from lake.odcs.document import Part, check_keys, did_you_mean, value_text
from lake.odcs.servers.address import address_fault, named_in
from lake.odcs.servers.payload import read_options
from lake.odcs.servers.properties import CHOICES, KINDS, SPAN, span_seconds
from lake.odcs.servers.push import PUSH_OPTIONS, check_push, is_push, read_push

API_KEYS = ("server", "type", "location", "id", "description", "environment", "roles", "customProperties")
FORMATS = CHOICES["format"]
PAGE_OPTIONS = ("delimiter", "header", "recordPath")
SECRET_NAME = re.compile(
    r"(?i)(proxy-)?authorization|cookie|(.*[-_])?(password|secret)|(.*[-_])?(api|access|auth|subscription)[-_]?(key|token)"
)
EDITOR_OPTIONS = PUSH_OPTIONS  # an editor offers them, too
SIZES = ("pageSizeParam", "pageSize")
ENDS = ("morePath", "endStatus", "lastPageRepeats")
# What each way of paging and of signing in must be told, and what else it may be told.
PAGING: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "page": (("pageParam",), ("firstPage", *SIZES, *ENDS)),
    "offset": (("offsetParam",), ("limitParam", "pageSize", *ENDS)),
    "cursor": (("cursorParam", "cursorPath"), (*SIZES, "morePath")),
    "header-link": ((), SIZES),
    "body-link": (("nextPath",), SIZES),
}
AUTH: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "bearer": (("tokenSecret",), ()),
    "basic": (("userSecret", "passwordSecret"), ()),
    "header-key": (("keyName", "keySecret"), ()),
    "query-key": (("keyName", "keySecret"), ()),
    "oauth2": (("tokenUrl", "clientIdSecret", "clientSecret"), ("scope", "clientAuth")),
}
NEEDED_BY = {"sinceFormat": "sinceParam", "untilParam": "sinceParam", "startAt": "sinceParam"}
NEEDED_BY |= {"pageSizeParam": "pageSize", "limitParam": "pageSize"}
ONLY_JSON = ("recordPath", "cursorPath", "nextPath", "morePath")
PARAMETERS = ("pageParam", "pageSizeParam", "offsetParam", "limitParam", "cursorParam", "sinceParam", "untilParam")
WHOLE_NUMBERS = ("bigint", "integer", "smallint")


def read_api(server: Part) -> Server:
    """Reads a server of type `api`; raises ContractError for what is unknown, missing, idle or cannot be."""
    if is_push(server):
        check_keys(server, API_KEYS, "a server of type 'api'")
        return read_push(server)
    texts, found = read_options(server, (*PAGE_OPTIONS, *KINDS))
    check_keys(server, API_KEYS, "a server of type 'api'")
    options = {name: _value(name, found[name], text) for name, text in texts.items()}
    _check_ways(server, "paging", PAGING, found, options)
    _check_ways(server, "auth", AUTH, found, options)
    for name, needed in NEEDED_BY.items():
        if name in found and needed not in found:
            raise _unfit(found[name], f"Custom property '{name}' says nothing without '{needed}'.", f"Add '{needed}'.")
    form = options.get("format", FORMATS[0])
    for name in ONLY_JSON:
        if name in found and form != "json":
            raise _unfit(found[name], f"Custom property '{name}' finds nothing in {form}.", "Remove it.")
    _check_encoding(found, form)
    _check_parameters(found, options)
    _check_addresses(server, found, options)
    return Server("api", server.text("location"), form, options)


def check_api(server: Part, contract: Contract) -> None:
    """Checks what only the whole contract can tell: by which column the API is asked for what is new.

    Raises ContractError when there is none, or when it does not go with the server's `sinceFormat` or `startAt`.
    """
    if is_push(server):
        check_push(server, contract)
        return
    _, found = read_options(server, (*PAGE_OPTIONS, *KINDS))
    if "sinceParam" not in found:
        return
    if contract.load == "replace":
        message = "Custom property 'sinceParam' asks for what is new, and with 'loadMode: replace' that would be all."
        raise _unfit(found["sinceParam"], message, "Remove it, or write 'loadMode: append'.")
    if contract.watermark is None:
        message = "Custom property 'sinceParam' asks for what is new, and the contract has no 'watermark'."
        raise _unfit(found["sinceParam"], message, "Add the table's custom property 'watermark' with its column.")
    kind = contract.column(contract.watermark).sql_type
    if kind in WHOLE_NUMBERS:
        _check_number(found, contract, kind)
    elif found.get("startAt") is not None:
        _check_moment(found["startAt"], kind)


def _check_number(found: Mapping[str, Part], contract: Contract, kind: str) -> None:
    told = f"the watermark '{contract.watermark}' is a {kind}"
    for name in ("sinceFormat", "untilParam"):
        if name in found:
            raise _unfit(found[name], f"Custom property '{name}' is of moments; {told}.", "Remove it.")
    if contract.lateness is not None:
        message = f"Custom property 'lateness' is '{contract.lateness}'; {told}, from which no time can be taken."
        raise _unfit(found["sinceParam"], message, "Remove 'lateness', or take a moment for the watermark.")
    start = found.get("startAt")
    if start is not None and not re.fullmatch(r"-?\d+", value_text(start.value)):
        raise _unfit(start, f"Custom property 'startAt' is '{start.value}'; {told}.", "Write a whole number.")


def _check_moment(start: Part, kind: str) -> None:
    text = value_text(start.value)
    try:
        moment = date.fromisoformat(text) if kind == "date" else datetime.fromisoformat(text)
    except ValueError as error:
        message = f"Custom property 'startAt' is '{text}', which is no {kind}."
        raise _unfit(start, message, "Write it as ISO 8601, e.g. '2026-01-31' or '2026-01-31T00:00:00Z'.") from error
    if kind == "timestamptz" and isinstance(moment, datetime) and moment.tzinfo is None:
        message = f"Custom property 'startAt' is '{text}', an instant without its zone."
        raise _unfit(start, message, "End it with 'Z' or an offset, e.g. '2026-01-31T00:00:00Z'.")


def _value(name: str, part: Part, text: str) -> str:
    """Gives one property as the text the source is handed; raises ContractError when it is none of its kind."""
    kind = KINDS.get(name)
    if kind is None:
        return text
    if kind.is_mapping:
        return _mapping(name, part)
    if name in CHOICES:
        if text not in CHOICES[name]:
            raise _unfit(part, f"Custom property '{name}' is '{text}'.", did_you_mean(text, CHOICES[name]))
        return text
    if not kind.pattern.fullmatch(text):
        raise _unfit(part, f"Custom property '{name}' is '{text}'.", kind.cure)
    return str(span_seconds(text)) if kind.pattern is SPAN else text


def _mapping(name: str, part: Part) -> str:
    """Gives a mapping of texts as JSON; a name that says that it carries a secret is refused."""
    if not isinstance(part.value, dict):
        raise _unfit(part, f"Custom property '{name}' is no mapping.", f"Write e.g. '{name}: {{units: metric}}'.")
    values = {}
    for key, value in part.value.items():
        if isinstance(value, dict | list) or value is None:
            raise part.fault("server-unfit", f"'{key}' of '{name}' is no text.", "Write a text or a number.", key)
        if SECRET_NAME.fullmatch(key):
            message = f"'{key}' of '{name}' carries a secret, and a contract is no place for one."
            raise part.fault("server-unfit", message, "Use the custom property 'auth'.", key)
        values[key] = value_text(value)
    return json.dumps(values)


def _check_ways(
    server: Part,
    choice: str,
    ways: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]],
    found: Mapping[str, Part],
    options: Mapping[str, str],
) -> None:
    """Raises ContractError when the way chosen lacks a property, or has one that belongs to another way."""
    chosen = options.get(choice, "none")
    needed, allowed = ways[chosen]
    for name in needed:
        if name not in found:
            message = f"'{choice}' is '{chosen}', and the custom property '{name}' is missing."
            raise _unfit(found.get(choice, server), message, f"Add '{name}': {KINDS[name].cure}")
    for name in {name for way in ways.values() for part in way for name in part} - {*needed, *allowed}:
        if name in found:
            others = [way for way, parts in ways.items() if name in (*parts[0], *parts[1])]
            message = f"Custom property '{name}' means nothing where '{choice}' is '{chosen}'."
            raise _unfit(found[name], message, f"Remove it, or write '{choice}: {' or '.join(others)}'.")


def _check_encoding(found: Mapping[str, Part], form: str) -> None:
    part = found.get("encoding")
    if part is None:
        return
    if form != "csv":
        raise _unfit(part, "Custom property 'encoding' is of CSV; JSON is always UTF-8.", "Remove it.")
    try:
        codecs.lookup(str(part.value))
    except LookupError as error:
        message = f"Custom property 'encoding' is '{part.value}', which is none."
        raise _unfit(part, message, "Write e.g. 'latin-1'.") from error


def _check_parameters(found: Mapping[str, Part], options: Mapping[str, str]) -> None:
    """Raises ContractError when two properties set the same parameter, or two rates are given; `query` gives way."""
    taken = {options["keyName"]: "keyName"} if options.get("auth") == "query-key" else {}
    for name in PARAMETERS:
        if name in options and options[name] in taken:
            message = (
                f"Custom property '{name}' sets the parameter '{options[name]}', as '{taken[options[name]]}' does."
            )
            raise _unfit(found[name], message, "Let only one of them set it.")
        if name in options:
            taken[options[name]] = name
    if "requestsPerMinute" in found and "requestsPerSecond" in found:
        raise _unfit(found["requestsPerSecond"], "Two rates are given.", "Keep one of the two.")


def _check_addresses(server: Part, found: Mapping[str, Part], options: Mapping[str, str]) -> None:
    """Raises ContractError for an address that is none; one that is named is looked at when it is asked for."""
    location = server.text("location")
    places = [("location", location, server)] if named_in(location) is None else []
    if "tokenUrl" in found:
        places.append(("tokenUrl", options["tokenUrl"], found["tokenUrl"]))
    for name, address, part in places:
        fault = address_fault(address, options)
        if fault is not None:
            raise part.fault("server-unfit", f"'{name}' {fault[0]}.", fault[1], name if part is server else None)
    if "whenUnset" in found and named_in(location) is None:
        message = "Custom property 'whenUnset' is of a location that is named, and this one is an address."
        raise _unfit(found["whenUnset"], message, "Remove it, or write 'location: ${NAME}/path'.")


def _unfit(part: Part, message: str, cure: str) -> ContractError:
    return part.fault("server-unfit", message, cure)
