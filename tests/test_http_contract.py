"""The contract of an API: every property is checked, and each slip is told with its line and cure."""

import re
from pathlib import Path

import pytest

from lake.errors import ContractError
from lake.odcs.reader import read_contract
from tests.http_parts import CURSOR, ITEMS, WATERMARK, contract_of, write_contract

PAGE = {"paging": "page", "pageParam": "page"}
SINCE = {"sinceParam": "since"}
BEARER = {"auth": "bearer", "tokenSecret": "TOKEN"}
URL = "https://api.example.com/v1/readings"

UNFIT = [
    ({"paging": "pages"}, "'paging' is 'pages'. Did you mean 'page'?"),
    ({"pageParm": "page"}, "Unknown custom property 'pageParm'. Did you mean 'pageParam'?"),
    ({"recordPth": "data"}, "Unknown custom property 'recordPth'. Did you mean 'recordPath'?"),
    ({"recordPath": "$.data[*]"}, "'recordPath' is '$.data[*]'. Write the keys"),
    ({"paging": "page"}, "'paging' is 'page', and the custom property 'pageParam' is missing"),
    ({"paging": "cursor", "cursorParam": "c"}, "the custom property 'cursorPath' is missing"),
    ({**PAGE, "cursorParam": "c"}, "'cursorParam' means nothing where 'paging' is 'page'"),
    (
        {"tokenSecret": "TOKEN"},
        "'tokenSecret' means nothing where 'auth' is 'none'. Remove it, or write 'auth: bearer'",
    ),
    ({**PAGE, "pageSize": "0"}, "'pageSize' is '0'. Write a whole number from 1 on."),
    ({**PAGE, "pageSizeParam": "limit"}, "'pageSizeParam' says nothing without 'pageSize'"),
    ({**PAGE, "firstPage": "one"}, "'firstPage' is 'one'. Write the number of the first page"),
    ({**PAGE, "endStatus": "500"}, "'endStatus' is '500'"),
    ({**CURSOR, "format": "csv"}, "finds nothing in csv"),
    ({"format": "xml"}, "'format' is 'xml'"),
    ({"auth": "bearer"}, "'tokenSecret' is missing"),
    ({"auth": "bearer", "tokenSecret": "eyJhbGciOi.x"}, "(never the secret)"),
    ({"auth": "oauth2", "clientIdSecret": "A", "clientSecret": "B"}, "'tokenUrl' is missing"),
    ({"timeout": "soon"}, "'timeout' is 'soon'. Write a number and a unit, e.g. '30 seconds'"),
    ({"requestsPerSecond": 1, "requestsPerMinute": 9}, "Two rates are given"),
    ({"query": "a=b"}, "'query' is no mapping"),
    ({"query": {"a": ["b"]}}, "'a' of 'query' is no text"),
    ({"headers": {"Authorization": "Bearer x"}}, "'Authorization' of 'headers' carries a secret"),
    ({"headers": {"X-API-Key": "x"}}, "'X-API-Key' of 'headers' carries a secret"),
    ({"query": {"apikey": "x"}}, "'apikey' of 'query' carries a secret"),
    (
        {**PAGE, "pageSize": 5, "pageSizeParam": "page"},
        "'pageSizeParam' sets the parameter 'page', as 'pageParam' does",
    ),
    ({"encoding": "latin-1"}, "'encoding' is of CSV"),
    ({"format": "csv", "encoding": "latin-one-and-a-half"}, "which is none. Write e.g. 'latin-1'"),
    ({"sinceFormat": "iso"}, "'sinceFormat' says nothing without 'sinceParam'"),
    ({**SINCE, "sinceFormat": "unix"}, "'sinceFormat' is 'unix'. Write iso, date, epoch-seconds"),
    ({**SINCE, "startAt": "yesterday"}, "'startAt' is 'yesterday', which is no timestamptz"),
    ({**SINCE, "startAt": "2026-01-01T00:00:00"}, "an instant without its zone"),
]


@pytest.mark.parametrize(("server", "words"), UNFIT, ids=lambda value: str(value)[:50])
def test_http_contract_slips_are_told(tmp_path: Path, server: dict, words: str) -> None:
    """A property that is unknown, idle, missing or wrong is refused with file, line and cure."""
    with pytest.raises(ContractError, match=re.escape(words)) as told:
        contract_of(tmp_path, URL, server)
    assert told.value.line in (8, 11)
    assert told.value.cure
    assert str(told.value.path).endswith("readings.yaml")


@pytest.mark.parametrize(
    ("location", "server", "words"),
    [
        ("ftp://x.example/a", {}, "'location' is no address of an API"),
        ("https://u:p@x.example/a", {}, "'location' holds a user"),
        ("https://x.example/a?key=1", {}, "'location' holds a '?'"),
        ("http://x.example/a", BEARER, "plain HTTP, over which a secret would travel"),
    ],
)
def test_http_contract_addresses_are_safe(tmp_path: Path, location: str, server: dict, words: str) -> None:
    """An address is https where secrets go, and holds none itself."""
    with pytest.raises(ContractError, match=re.escape(words)):
        contract_of(tmp_path, location, server)
    assert contract_of(tmp_path, "http://x.example/a", {**BEARER, "allowPlainHttp": True}).server.kind == "api"


def test_http_contract_since_needs_a_watermark(tmp_path: Path) -> None:
    """An incremental pull names the column it goes by; a whole number has no lateness and no format."""
    with pytest.raises(ContractError, match="the contract has no 'watermark'"):
        contract_of(tmp_path, URL, SINCE, {})
    path = write_contract(tmp_path, URL, SINCE)
    whole = path.read_text().replace("name: read_at, logicalType: timestamp", "name: read_at, logicalType: integer")
    path.write_text(whole)
    with pytest.raises(ContractError, match="from which no time can be taken"):
        read_contract(path)
    path.write_text(whole.replace(', {"property": "lateness", "value": "3 hours"}', "").replace('"since"}', '"since"}, '
        '{"property": "sinceFormat", "value": "iso"}'))  # fmt: skip
    with pytest.raises(ContractError, match="'sinceFormat' is of moments; the watermark 'read_at' is a bigint"):
        read_contract(path)


def test_http_contract_whole_tables_are_not_asked_for_what_is_new(tmp_path: Path) -> None:
    """`loadMode: replace` and `sinceParam` do not go together: the newest rows would take the place of all."""
    with pytest.raises(ContractError, match="with 'loadMode: replace' that would be all"):
        contract_of(tmp_path, URL, SINCE, {**WATERMARK, "loadMode": "replace"})


def test_http_contract_keys_of_ours_stand_under_custom_properties(tmp_path: Path) -> None:
    """`format:` among the keys of ODCS is told where it belongs; an unknown key is told, too."""
    path = write_contract(tmp_path, URL, ITEMS)
    text = path.read_text()
    path.write_text(text.replace("    type: api\n", "    type: api\n    format: csv\n"))
    with pytest.raises(ContractError, match="Key 'format' of a server is none of ODCS. Write it under 'customProp"):
        read_contract(path)
    path.write_text(text.replace("    location:", "    locaton:"))
    with pytest.raises(ContractError, match=r"readings.yaml:\d+: .*(locaton|location)"):
        read_contract(path)


def test_http_contract_whole_one_is_read(tmp_path: Path) -> None:
    """Everything an API may be told, in one contract."""
    server = {
        **CURSOR, **SINCE, **BEARER, "format": "json", "pageSizeParam": "limit", "pageSize": 500, "morePath": "more",
        "sinceFormat": "%Y%m%dT%H%M%SZ", "untilParam": "until", "startAt": "2026-01-01T00:00:00Z",
        "query": {"units": "kWh", "deep": True}, "headers": {"X-Team": "energy"}, "requestsPerMinute": 30,
        "timeout": "20 seconds", "giveUpAfter": "5 minutes", "pagesPerBatch": 50,
    }  # fmt: skip
    contract = contract_of(tmp_path, URL, server, WATERMARK)
    options = contract.server.options
    assert (options["timeout"], options["giveUpAfter"], options["query"]) == (
        "20", "300", '{"units": "kWh", "deep": "true"}',
    )  # fmt: skip
    assert (contract.server.path, contract.server.format) == (URL, "json")
