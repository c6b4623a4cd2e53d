"""Paging through a real API: every record once, in every way there is, and no way round in circles."""

import json
from pathlib import Path

import pytest

from lake.errors import SourceError
from tests.api_server import Api, Asked, Fault, readings, serving
from tests.http_parts import CURSOR, ITEMS, SIZED, Pulled, contract_of, pull

WAYS = {
    "page": {"paging": "page", "pageParam": "page", **SIZED},
    "offset": {"paging": "offset", "offsetParam": "offset", "limitParam": "limit", "pageSize": "10"},
    "cursor": {"paging": "cursor", "cursorParam": "cursor", "cursorPath": "next_cursor", **SIZED},
    "header-link": {"paging": "header-link", **SIZED},
    "body-link": {"paging": "body-link", "nextPath": "links.next", **SIZED},
}


@pytest.fixture
def api():
    with serving(readings(25)) as opened:
        yield opened


def ids(count: int) -> list[str]:
    return [record["reading_id"] for record in readings(count)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("count", "requests"),
    [(0, 1), (1, 1), (10, 1), (20, 2), (25, 3)],
    ids=["empty", "one", "full", "two-full", "short-last"],
)
def test_http_paging_gives_every_record_once(tmp_path: Path, way: str, count: int, requests: int) -> None:
    """Nothing, one record, an exactly full page, two, and a short last one; numbering asks once more when it must."""
    with serving(readings(count)) as api:
        contract = contract_of(tmp_path, api.url(f"/{way}/readings.json"), {**ITEMS, **WAYS[way]})
        pulled = pull(contract, tmp_path)

    assert (pulled.items if count else pulled.bodies) == ids(count)
    asks_beyond = way in ("page", "offset") and count not in (0, 25)
    assert len(api.asked) == requests + asks_beyond
    assert len(pulled.bodies) == (1 if count else 0)
    assert pulled.kinds()[-1] == "source-pulled"


def test_http_paging_none_takes_the_whole_answer(tmp_path: Path, api: Api) -> None:
    """Without paging the one answer is all there is, kept byte for byte."""
    pulled = pull(contract_of(tmp_path, api.url("/all/readings.json"), ITEMS), tmp_path)

    assert pulled.items == ids(25)
    assert json.loads(pulled.bodies[0])["more"] is False


def test_http_paging_goes_on_when_the_server_gives_less_than_asked(tmp_path: Path) -> None:
    """A server that caps the page in silence: the short first page is no end, offsets count what came."""
    for way in ("page", "offset"):
        sizes = {"pageSize": "1000", **({"pageSizeParam": "limit"} if way == "page" else {"limitParam": "limit"})}
        with serving(readings(250)) as api:
            properties = {**ITEMS, "paging": way, f"{way}Param": way, **sizes}
            pulled = pull(contract_of(tmp_path / way, api.url(f"/{way}/readings.json"), properties), tmp_path / way)
        assert pulled.items == ids(250)


def test_http_paging_believes_what_the_api_says_of_more(tmp_path: Path, api: Api) -> None:
    """`morePath`: a short page with more to come is no end, a full one without is."""
    api.records = readings(20)
    properties = {**ITEMS, **WAYS["page"], "morePath": "more"}
    pulled = pull(contract_of(tmp_path, api.url("/page/readings.json"), properties), tmp_path)
    assert (pulled.items, len(api.asked)) == (ids(20), 2)

    with pytest.raises(SourceError, match="has nothing at 'mor', not true or false"):
        pull(contract_of(tmp_path, api.url("/page/readings.json"), {**properties, "morePath": "mor"}), tmp_path)


def test_http_paging_end_status_is_the_end(tmp_path: Path, api: Api) -> None:
    """An API that answers 404 past its last page ends there, where the contract says so; else it is an error."""
    api.records = readings(10)
    properties = {**ITEMS, **WAYS["page"]}
    with pytest.raises(SourceError, match="endStatus: 404"):
        _pull_with_404_beyond(tmp_path, api, properties)
    assert _pull_with_404_beyond(tmp_path, api, {**properties, "endStatus": "404"}).items == ids(10)


def _pull_with_404_beyond(tmp_path: Path, api: Api, properties) -> Pulled:
    contract = contract_of(tmp_path, api.url("/page/readings.json"), properties)
    first = Fault(body=api.answer(_asked("/page/readings.json", page="1", limit="10"))[0])
    api.plan = [first, Fault(404, body=b"Invalid page.")]
    return pull(contract, tmp_path)


def _asked(path: str, **parameters: str) -> Asked:
    return Asked(path, parameters, {}, {})


CIRCLES = {
    "page": {"paging": "page", "pageParam": "pag"},
    "offset": {"paging": "offset", "offsetParam": "start"},
    "cursor": {"paging": "cursor", "cursorParam": "curser", "cursorPath": "next_cursor"},
}


@pytest.mark.parametrize("way", CIRCLES)
def test_http_paging_a_misnamed_parameter_is_an_error_and_no_circle(tmp_path: Path, api: Api, way: str) -> None:
    """An API that ignores the parameter gives its first page for ever: told at the second, and nothing is landed."""
    api.records = readings(250)
    pulled = Pulled()
    properties = {**ITEMS, **CIRCLES[way], "pagesPerBatch": "1"}
    with pytest.raises(SourceError, match="leads in a circle") as told:
        pull(contract_of(tmp_path, api.url(f"/{way}/readings.json"), properties), tmp_path, into=pulled)
    assert told.value.code == "paging-loop"
    assert (pulled.bodies, len(api.asked)) == ([], 2)


@pytest.mark.parametrize("way", ["header-link", "body-link"])
def test_http_paging_links_in_a_ring_are_an_error(tmp_path: Path, api: Api, way: str) -> None:
    """Links that lead back to a page that was there before end the pull with an error."""
    turns = iter(range(100))

    def ring(asked):
        turn = next(turns)
        link = f"/{way}/r.json?place={turn % 2}"
        body = {"data": {"items": readings(2, turn)}, "links": {"next": link}}
        return json.dumps(body).encode(), {"Link": f'<{link}>; rel="next"'}

    api.page_of = ring
    with pytest.raises(SourceError, match="its next page was there before"):
        pull(contract_of(tmp_path, api.url(f"/{way}/r.json"), {**ITEMS, **WAYS[way]}), tmp_path)
    assert len(api.asked) == 3


def test_http_paging_last_page_that_repeats_may_be_the_end(tmp_path: Path, api: Api) -> None:
    """An API that repeats its last page is told so by `lastPageRepeats`."""
    page = api.answer(_asked("/page/r.json", page="1", limit="7"))[0]
    api.page_of = lambda _asked: (page, {})
    properties = {**ITEMS, "paging": "page", "pageParam": "page", "lastPageRepeats": "true"}
    pulled = pull(contract_of(tmp_path, api.url("/page/r.json"), properties), tmp_path)
    assert pulled.items == ids(7)


def test_http_paging_feed_that_waits_is_at_its_end(tmp_path: Path, api: Api) -> None:
    """A feed always has a cursor, 0 is one; an empty page that gives the same one again is its end for now."""
    pages = {"": (readings(3), 0), "0": ([], "c4"), "c4": (readings(2, 3), "c5"), "c5": ([], "c5")}

    def feed(asked):
        items, cursor = pages[asked.parameters.get("cursor", "")]
        return json.dumps({"data": {"items": items}, "next_cursor": cursor}).encode(), {}

    api.page_of = feed
    pulled = pull(contract_of(tmp_path, api.url("/cursor/readings.json"), CURSOR), tmp_path)
    assert pulled.items == ids(5)


def test_http_paging_link_to_another_server_is_not_followed(tmp_path: Path, api: Api) -> None:
    """A next link to another host gets no request and so no credential; the pages before it are kept."""
    with serving(readings(1)) as other:
        body = {"data": {"items": readings(2)}, "links": {"next": other.url("/steal")}}
        api.page_of = lambda _asked: (json.dumps(body).encode(), {"Link": f'<{other.url("/x")}>; rel="next"'})
        for way in ("body-link", "header-link"):
            properties = {**ITEMS, **WAYS[way], "auth": "bearer", "tokenSecret": "TOKEN"}
            with pytest.raises(SourceError, match="another server than the contract's") as told:
                contract = contract_of(tmp_path, api.url(f"/{way}/r.json"), properties)
                pull(contract, tmp_path, secrets={"TOKEN": "t0p-secret"})
            assert told.value.code == "next-link-foreign"
        assert other.asked == []


def test_http_paging_fixed_parameters_and_headers_are_sent(tmp_path: Path, api: Api) -> None:
    """`query` and `headers` go with every request; a value is encoded as a URL needs it."""
    properties = {**CURSOR, **SIZED, "query": {"area": "Pune & Goa", "limit2": 5}, "headers": {"X-Client": "shop"}}
    pull(contract_of(tmp_path, api.url("/cursor/r.json"), properties), tmp_path)
    assert {asked.parameters["area"] for asked in api.asked} == {"Pune & Goa"}
    assert {asked.headers["X-Client"] for asked in api.asked} == {"shop"}
    assert len(api.asked) == 3


def test_http_paging_batches_are_cut_by_pages_and_bytes(tmp_path: Path, api: Api) -> None:
    """A batch ends after so many pages or bytes; each says where reading goes on, the last that the set is complete."""
    for limit in ({"pagesPerBatch": "2"}, {"bytesPerBatch": "1500"}):
        contract = contract_of(tmp_path, api.url("/cursor/r.json"), {**CURSOR, **SIZED, **limit})
        pulled = pull(contract, tmp_path)
        assert [len(body.splitlines()) for body in pulled.bodies] == [2, 1]
        assert [position["ordinal"] for position in pulled.positions] == ["1", "2"]
        assert [position["resume"] for position in pulled.positions] == ['{"cursor": "c20"}', ""]
        assert len(set(pulled.ids)) == 2


def test_http_paging_csv_pages_have_one_header(tmp_path: Path, api: Api) -> None:
    """Pages of CSV are joined without the repeated header; another header begins a new batch."""
    properties = {"format": "csv", **WAYS["page"]}
    pulled = pull(contract_of(tmp_path, api.url("/page/readings.csv"), properties), tmp_path)
    (whole,) = pulled.bodies
    assert whole.count(b"reading_id") == 1
    assert len(whole.splitlines()) == 26

    pages = iter([b"reading_id,kwh\na,1\nb,2", b"reading_id,kwh\nc,3\n", b"kwh,reading_id\n4,d\n", b"kwh,reading_id\n"])
    api.page_of = lambda _asked: (next(pages), {})
    properties = {"format": "csv", "paging": "page", "pageParam": "page"}
    pulled = pull(contract_of(tmp_path, api.url("/page/readings.csv"), properties), tmp_path)
    assert pulled.bodies == [b"reading_id,kwh\na,1\nb,2\nc,3\n", b"kwh,reading_id\n4,d\n"]


def test_http_paging_counts_quoted_lines_of_csv_once(tmp_path: Path, api: Api) -> None:
    """A line feed inside quotes ends no record: such a page is not taken for a full one."""
    pages = iter([b"reading_id,kwh\na,1\nb,2\n", b'reading_id,kwh\nc,"1\n2\n3"\n'])
    api.page_of = lambda _asked: (next(pages), {})
    properties = {"format": "csv", "paging": "page", "pageParam": "page", "pageSize": "2"}
    pull(contract_of(tmp_path, api.url("/page/readings.csv"), properties), tmp_path)
    assert len(api.asked) == 2


def test_http_paging_jsonl_pages_are_joined(tmp_path: Path, api: Api) -> None:
    """Pages of JSON lines are one file of lines."""
    pulled = pull(contract_of(tmp_path, api.url("/page/r.jsonl"), {"format": "jsonl", **WAYS["page"]}), tmp_path)
    (whole,) = pulled.bodies
    assert [json.loads(line)["reading_id"] for line in whole.splitlines()] == ids(25)
