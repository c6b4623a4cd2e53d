"""Contracts with several servers, one of which is posted to: what they may say, and that one failing stops no other."""

from pathlib import Path

import pytest

from lake.contract import Contract
from lake.errors import ContractError
from lake.odcs.reader import read_contract
from lake.receiving.spool import Post, Spool
from lake.run import system_clock
from tests.service_parts import CONTRACT, land, land_failing, make_project, quarantined, raw_visits

PULL = "  - {server: api, type: api, location: 'https://visits.example.com/v1'}\n"
PUSH = "  - {server: two, type: api, location: /v1/visits, customProperties: [{property: intake, value: push}]}\n"
LAST = "      - {property: maxFileBytes, value: 4000000}\n"


def contract_of(folder: Path, old: str = "", new: str = "") -> Contract:
    assert old in CONTRACT
    path = folder / "visits.yaml"
    path.write_text(CONTRACT.replace(old, new, 1) if old else CONTRACT, encoding="utf-8")
    return read_contract(path)


def test_push_contract_names_all_its_servers(tmp_path: Path) -> None:
    """Servers are visited in their order; the pushed one is known, and has the limits of the contract."""
    contract = contract_of(tmp_path)
    assert [server.kind for server in contract.servers] == ["local", "api"]
    assert contract.pushed == contract.servers[1]
    assert contract.servers[1].options["maxRows"] == "500"
    assert [server.has_position for server in contract_of(tmp_path, LAST, LAST + PULL).servers] == [False, False, True]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("/v1/visits", "/v1/visit", r"is posted to at '/v1/visits'.*\[server-unfit\]"),
        ("value: push", "value: pushed", r"'intake' is 'pushed'.*Did you mean 'push'.*\[server-unfit\]"),
        ("maxRows, value: 500", "maxRows, value: none", r"'maxRows' is 'none', not a number of rows.*\[server-unfit\]"),
        ("maxRows", "maxRow", r"Unknown custom property 'maxRow'.*Did you mean 'maxRows'.*\[key-unknown\]"),
        (LAST, LAST + PUSH, r"Server 'two' is the second that is posted to.*\[server-repeated\]"),
        (LAST, LAST + PULL + PULL, r"the second that is read on from where it stood.*\[server-repeated\]"),
        (
            "driftPolicy, value: quarantine",
            "loadMode, value: replace",
            r"each post would be the whole.*\[server-unfit\]",
        ),
    ],
)
def test_push_contract_refuses_what_cannot_be(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Another address, an unknown intake or limit, and servers that cannot be told apart, are named with their line."""
    with pytest.raises(ContractError, match=rf"visits.yaml:\d+: .*{said}"):
        contract_of(tmp_path, old, new)


def test_push_contract_one_server_that_fails_stops_no_other(tmp_path: Path) -> None:
    """When the file that a contract names is missing, what was posted lands all the same, and the run says so."""
    project = make_project(tmp_path)
    text = CONTRACT.replace("inbox/*.csv", "inbox/missing.csv")
    (project / "lake" / "contracts" / "visits.yaml").write_text(text, encoding="utf-8")
    spool = Spool(project / "lake" / "data" / "spool", system_clock)
    spool.keep(Post("visits", [b'{"visit_id": "V-1", "came_on": "2026-01-02"}'])).result(10)
    spool.close()
    assert "[source-missing]" in land_failing(project)
    assert raw_visits(project, "visit_id") == [("V-1",)]


def test_push_contract_that_evolves_takes_no_thousands_of_columns(tmp_path: Path) -> None:
    """Under `evolve` a new key is a new column; thousands at once are none, but a fault of the records they are in."""
    project = make_project(tmp_path)
    text = CONTRACT.replace("driftPolicy, value: quarantine", "driftPolicy, value: evolve")
    (project / "lake" / "contracts" / "visits.yaml").write_text(text, encoding="utf-8")
    known, many = '"came_on": "2026-01-02"', ", ".join(f'"k{number}": 1' for number in range(5_000))
    spool = Spool(project / "lake" / "data" / "spool", system_clock)
    for rows in ([f'{{"visit_id": "V-1", {known}, "colour": "red"}}'], [f'{{"visit_id": "V-2", {known}, {many}}}']):
        spool.keep(Post("visits", [row.encode() for row in rows])).result(10)
        land(project)
    spool.keep(Post("visits", [f'{{"visit_id": "V-3", {known}, "colour": "blue"}}'.encode()])).result(10)
    spool.close()
    land(project)
    assert raw_visits(project, "visit_id, colour") == [("V-1", "red"), ("V-3", "blue")]
    assert quarantined(project, "rule") == [("schema-drift",)]
