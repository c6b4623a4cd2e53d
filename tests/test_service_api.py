"""What the service tells of its API: a document programs can go by, and a page people can."""

import json
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from lake.contract import Column
from lake.project import open_project
from lake.receiving.examples import example_record
from lake.receiving.records import record_judge
from tests.browser import open_browser
from tests.landing_parts import contract_with
from tests.service_parts import Served, make_project, served

PROJECT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory):
    with served(make_project(tmp_path_factory.mktemp("told"))) as running:
        yield running


def references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for each in value.values() for found in references(each)]
    return [found for each in value for found in references(each)] if isinstance(value, list) else []


def test_service_api_document_is_whole(service: Served) -> None:
    """Every reference leads somewhere, and every answer that the service gives is told."""
    told = httpx.get(f"{service.url}/openapi.json").json()
    for reference in references(told):
        place = told
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
    post = told["paths"]["/v1/visits"]["post"]
    assert set(post["responses"]) >= {
        "202",
        "400",
        "401",
        "403",
        "404",
        "409",
        "413",
        "415",
        "422",
        "429",
        "503",
        "507",
    }
    assert told["security"] == [{"bearer": []}, {"header": []}]
    assert told["components"]["schemas"]["visits"]["required"] == ["visit_id", "came_on"]


def test_service_api_example_is_taken(service: Served) -> None:
    """What the document shows as an example is taken by the service."""
    told = httpx.get(f"{service.url}/openapi.json").json()
    body = told["paths"]["/v1/visits"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert service.post(body).json()["accepted_count"] == len(body)


def test_service_api_page_needs_no_network(service: Served) -> None:
    """The page shows fields and answers, asks nothing of anybody else, and fits a phone."""
    with open_browser() as browser:
        page = browser.new_context(viewport={"width": 390, "height": 844}).new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{service.url}/docs")
        expect(page.get_by_role("heading", name="/v1/visits")).to_be_visible()
        assert all(url.startswith((service.url, "data:")) for url in asked)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("source", sorted(open_project(PROJECT).contracts()))
def test_service_api_examples_are_as_each_contract_promises(source: str) -> None:
    """For every contract of this project the example has no fault of a field."""
    contract = replace(open_project(PROJECT).contracts()[source], rules=())
    judge = record_judge(contract)
    verdicts = judge([json.dumps(example_record(contract)).encode()])
    judge.close()
    assert verdicts.bad == ()


def test_service_api_examples_are_those_of_the_contract() -> None:
    """A contract's own example comes first, as its type writes it."""
    columns = (
        Column("a", "A", "integer", examples=("7",)),
        Column("b", "B", "decimal(12,2)", examples=("7.10",)),
        Column("c", "C", "varchar", min_length=12, required=True),
    )
    found = example_record(contract_with(columns=columns, key=(), rules=()))
    assert (found["A"], found["B"], len(found["C"]) >= 12) == (7, "7.10", True)
