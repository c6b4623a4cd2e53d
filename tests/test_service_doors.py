"""Contracts and keys that change while the service runs: taken up when they are whole, and never in silence."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from flows.service.doors import Doors
from lake.project import open_project
from lake.receiving.keys import add_key, make_key
from lake.receiving.records import record_judge
from tests.service_parts import CONTRACT, land, make_project, quarantined, raw_visits, row, served

NEWER = CONTRACT.replace("version: 1.0.0", "version: 1.1.0")
COLOUR = "      - {name: colour, logicalType: string, description: Its colour.}\n"
BROKEN = NEWER.replace("version: 1.1.0", "version: [")
OTHER = NEWER.replace("visits", "calls")
PATIENCE_SECONDS = 60.0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@pytest.fixture
def doors(project: Path) -> Iterator[Doors]:
    with closing(Doors(open_project(project), record_judge)) as opened:
        yield opened


def contract(project: Path, name: str = "visits") -> Path:
    return project / "lake" / "contracts" / f"{name}.yaml"


def look_twice(doors: Doors) -> None:
    doors.look()
    doors.look()


def test_doors_take_up_a_contract_that_stands_still(project: Path, doors: Doors, caplog) -> None:
    """A changed contract counts from the second look at which it is the same, and the change is said."""
    with caplog.at_level(logging.WARNING):
        for text in (NEWER[:700], NEWER):
            contract(project).write_text(text, encoding="utf-8")
            doors.look()
            assert doors["visits"].contract.version == "1.0.0"
        doors.look()
    assert doors["visits"].contract.version == "1.1.0"
    assert caplog.messages == ["The contract of 'visits' has changed: version 1.1.0 counts, before it 1.0.0."]


def test_doors_keep_what_counts_when_a_contract_is_broken(project: Path, doors: Doors, caplog) -> None:
    """A broken contract changes no door, its own or another's, and is told with its place; mended, it counts."""
    contract(project, "calls").write_text(OTHER, encoding="utf-8")
    look_twice(doors)
    before = dict(doors)
    contract(project).write_text(BROKEN, encoding="utf-8")
    contract(project, "calls").write_text(OTHER.replace("1.1.0", "1.2.0"), encoding="utf-8")
    look_twice(doors)
    assert (dict(doors), doors.trouble) == (
        before,
        "The contracts have changed and cannot be read; those from before count until that is mended.",
    )
    assert "visits.yaml" in caplog.messages[-1]
    contract(project).write_text(NEWER, encoding="utf-8")
    look_twice(doors)
    assert ([door.contract.version for door in doors.values()], doors.trouble) == (["1.2.0", "1.1.0"], "")


def test_doors_open_and_close_with_their_contracts(project: Path, doors: Doors, caplog) -> None:
    """A new contract opens a door, one that is gone closes its own; a door whose contract is as before stays."""
    before = doors["visits"]
    contract(project, "calls").write_text(OTHER, encoding="utf-8")
    look_twice(doors)
    assert (list(doors), doors["visits"] is before) == (["calls", "visits"], True)
    contract(project, "calls").unlink()
    look_twice(doors)
    assert (list(doors), doors["visits"] is before) == (["visits"], True)
    assert [message.split("'")[1] for message in caplog.messages] == ["/v1/calls", "/v1/calls"]


def until(holds: Callable[[], bool]) -> None:
    """Waits for what comes with time."""
    over = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < over
        time.sleep(0.1)


def test_service_notices_a_changed_contract_and_a_new_key(project: Path) -> None:
    """Without a restart the door says what the landing will: by the new contract, by the old while it is broken."""
    log, keys = project / "service.log", project / ".sluice" / "keys.json"
    token, key = make_key("first", ["visits"], datetime.now(UTC))
    add_key(keys, key)
    with served(project, is_open=False, log=log) as service:
        coloured, first = [row(1, colour="red")], {"x-api-key": token}
        assert service.post(coloured, headers=first).status_code == 422
        later, key = make_key("second", ["visits"], datetime.now(UTC))
        add_key(keys, key)
        contract(project).write_text(NEWER + COLOUR, encoding="utf-8")
        until(lambda: service.post(coloured, headers={"x-api-key": later}).status_code == 202)
        told = httpx.get(f"{service.url}/openapi.json", headers=first).json()
        assert "colour" in told["components"]["schemas"]["visits"]["properties"]
        contract(project).write_text(BROKEN, encoding="utf-8")
        until(lambda: "sluice_contracts_unread 1" in httpx.get(f"{service.url}/metrics", headers=first).text)
        assert service.post(coloured, headers=first).status_code == 202
        until(lambda: "cannot be read" in httpx.get(f"{service.url}/live", headers=first).text)
        contract(project).write_text(NEWER + COLOUR, encoding="utf-8")
        land(project)
    said = log.read_text()
    assert "version 1.1.0 counts, before it 1.0.0" in said and "those from before count" in said
    assert token not in said
    assert raw_visits(project, "visit_id, colour") == [("V-1", "red")]
    assert quarantined(project, "distinct rule") == [("repeat",)]
