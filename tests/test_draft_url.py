"""Drafts from the answer of an API: records, paging and signing in are found, and no secret is ever written."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from flows.cli import main
from lake.contract import Contract
from lake.drafting.paging import find_records, propose_paging
from lake.project import open_project

ORDERS = [{"id": n, "price": n + 0.5, "at": f"2026-01-{n:02}T10:00:00Z", "who": {"name": "a"}} for n in range(1, 6)]
TOKEN = "s3cret-t0ken-value"
LARGE = 65 << 20
JSON = {"Content-Type": "application/json"}
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/v1/orders": (200, JSON, json.dumps({"data": {"items": ORDERS}, "next": None}).encode()),
    "/linked": (200, JSON | {"Link": '</private?p=2>; rel="next"'}, json.dumps(ORDERS).encode()),
    "/last": (200, JSON, b"[]"),
    "/lines": (200, {"Content-Type": "application/x-ndjson"}, "\n".join(map(json.dumps, ORDERS)).encode()),
    "/file.csv": (200, {"Content-Type": "text/csv; charset=utf-8"}, b"id;name\n1;a\n2;b\n"),
    "/page": (200, {"Content-Type": "text/html"}, b"<html></html>"),
    "/broken": (200, JSON, b'{"a": '),
    "/none": (200, JSON, b'{"data": []}'),
    "/words": (200, JSON, b'["a", "b"]'),
    "/away": (302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""),
    "/gone": (404, {}, b""),
    "/cursor": (200, JSON, json.dumps({"meta": {"next_cursor": "c2"}, "records": ORDERS[:3]}).encode()),
    "/cursor?cursor=c2": (200, JSON, json.dumps({"meta": {"next_cursor": None}, "records": ORDERS[3:]}).encode()),
    "/chain": (200, JSON, json.dumps({"next": "/chain?p=2", "rows": ORDERS[:2]}).encode()),
    "/chain?p=2": (200, JSON, json.dumps({"next": None, "rows": ORDERS[2:]}).encode()),
}  # fmt: skip


class Api(BaseHTTPRequestHandler):
    """Gives the answers above; `/private` only to who brings the token; `/cut` hangs up; `/large` does not end."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b'{"data": [')
            return
        if path == "/large":
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(LARGE >> 20):
                    self.wfile.write(b" " * (1 << 20))
            except ConnectionError:
                self.close_connection = True
            return
        if path == "/private":
            signed = TOKEN in (self.headers.get("Authorization", ""), self.headers.get("X-Key", "")) or (
                self.headers.get("Authorization") == f"Bearer {TOKEN}" or f"key={TOKEN}" in self.path
            )
            self._answer(
                *(
                    ANSWERS["/last" if "p=2" in self.path else "/linked"]
                    if signed
                    else (401, {}, f"not {self.path}".encode())
                )
            )
            return
        self._answer(*ANSWERS.get(self.path) or ANSWERS[path])

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The address of a small API on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_TOKEN", TOKEN)
    return tmp_path


def draft(project: Path, *arguments: str) -> str:
    assert main(["draft", *arguments, "--project", str(project)]) == 0
    (path,) = (project / "lake" / "contracts").glob("*.yaml")
    return path.read_text("utf-8")


def server(text: str) -> dict[str, object]:
    (found,) = yaml.safe_load(text)["servers"]
    return {**found, **{entry["property"]: entry["value"] for entry in found.pop("customProperties", [])}}


def checked(project: Path) -> Contract:
    """The drafted contract as every run reads it."""
    (contract,) = open_project(project).contracts().values()
    return contract


def columns(text: str) -> dict[str, str]:
    (table,) = yaml.safe_load(text)["schema"]
    return {column["name"]: column["logicalType"] for column in table["properties"]}


def test_draft_of_an_api_finds_its_records(project: Path, api: str) -> None:
    """The largest list of objects is the records; the address is the server's, its parameters the query."""
    text = draft(project, f"{api}/v1/orders?status=open", "--param", "limit=5")
    assert columns(text) == {"id": "integer", "price": "number", "at": "timestamp", "who": "object"}
    found = server(text)
    assert (found["type"], found["location"], found["recordPath"]) == ("api", f"{api}/v1/orders", "data.items")
    assert found["query"] == {"status": "open", "limit": "5"}
    assert "known of this one answer only" in text
    assert "if there are, add 'paging'" in text
    assert (checked(project).server.kind, checked(project).drift) == ("api", "evolve")


@pytest.mark.parametrize(
    ("path", "paging"),
    [("/cursor", "cursor"), ("/chain", "body-link"), ("/v1/orders", None), ("/private", "header-link")],
)
def test_draft_of_an_api_is_a_source_at_once(
    project: Path, api: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str, paging: str
) -> None:
    """The drafted contract is run as it is: every page is asked for, and every record lands."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    signed = ["--bearer", "SHOP_TOKEN"] if path == "/private" else []
    assert server(draft(project, f"{api}{path}", "--source", "orders", *signed)).get("paging") == paging
    assert main(["run", "-q", "--project", str(project)]) == 0
    capsys.readouterr()
    asked = "select count(distinct id) as n, (select count(*) from ops.quarantine) as refused from raw.orders"
    assert main(["sql", asked, "--json", "--project", str(project)]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 5, "refused": 0}]


@pytest.mark.parametrize(
    ("path", "form", "more"),
    [
        ("/linked", None, {"paging": "header-link"}),
        ("/lines", "jsonl", {}),
        ("/file.csv", "csv", {"delimiter": ";"}),
    ],
)
def test_draft_of_an_api_reads_each_form(
    project: Path, api: str, path: str, form: str | None, more: dict[str, str]
) -> None:
    """JSON, JSON lines and CSV answers are told apart, and a Link header is a way of paging."""
    found = server(draft(project, f"{api}{path}", "--source", "t"))
    assert checked(project).server.format == (form or "json")
    assert found.get("format") == form
    assert {name: value for name, value in found.items() if name in more} == more


@pytest.mark.parametrize(
    ("options", "properties"),
    [
        (["--bearer", "SHOP_TOKEN"], {"auth": "bearer", "tokenSecret": "SHOP_TOKEN"}),
        (["--header", "X-Key: ${SHOP_TOKEN}"], {"auth": "header-key", "keyName": "X-Key", "keySecret": "SHOP_TOKEN"}),
        (["--param", "key=${SHOP_TOKEN}"], {"auth": "query-key", "keyName": "key", "keySecret": "SHOP_TOKEN"}),
    ],
)
def test_draft_of_an_api_names_secrets_only(
    project: Path, api: str, capsys: pytest.CaptureFixture[str], options: list[str], properties: dict[str, str]
) -> None:
    """Signing in works by the secret's name, and its value is neither written nor said."""
    text = draft(project, f"{api}/private", *options)
    assert {name: server(text)[name] for name in properties} == properties
    assert checked(project).server.options.items() >= properties.items()
    said = capsys.readouterr()
    assert TOKEN not in text + said.out + said.err


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("/private", [], "answered 401"),
        ("/private", ["--bearer", "NO_SUCH"], "[secret-missing]"),
        ("/private?key=wrong", [], "[secret-in-clear]"),
        ("/private", ["--header", "Authorization: Bearer abc"], "[secret-in-clear]"),
        ("/private", ["--header", "nonsense"], "[option-unfit]"),
        ("/away", ["--bearer", "SHOP_TOKEN"], "answered 302"),
        ("/away", [], "[url-unanswered]"),
        ("/gone", [], "answered 404"),
        ("/cut", [], "[url-unanswered]"),
        ("/large", [], "more than 64 MB"),
        ("/page", [], "text/html"),
        ("/broken", [], "no well-formed JSON"),
        ("/none", [], "[file-empty]"),
        ("/words", [], "no list of objects"),
    ],
)
def test_draft_of_an_api_tells_what_is_wrong(
    project: Path, api: str, capsys: pytest.CaptureFixture[str], path: str, options: list[str], message: str
) -> None:
    """An answer that is refused, cut, too large or no data is one sentence, writes nothing and tells no secret."""
    assert main(["draft", f"{api}{path}", *options, "--project", str(project)]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert TOKEN not in said.err + said.out
    assert not (project / "lake" / "contracts").exists()


def test_draft_of_an_api_sends_no_secret_in_the_clear(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Off this machine a secret goes by https only, and an address with a password in it is refused."""
    assert main(["draft", "http://api.example.com/x", "--bearer", "SHOP_TOKEN", "--project", str(project)]) == 1
    assert "unencrypted" in capsys.readouterr().err
    assert main(["draft", "https://me:pass@api.example.com/x", "--project", str(project)]) == 1
    said = capsys.readouterr().err
    assert "a user name or a password" in said
    assert "pass@" not in said


RECORDS = [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (RECORDS, ""),
        ({"data": {"items": RECORDS}, "errors": [{"a": 1}]}, "data.items"),
        ({"results": RECORDS, "facets": [{"x": 1}] * 1}, "results"),
        ({"id": 1, "name": "one record"}, ""),
        ({"orders": [{"lines": [{"a": 1}] * 9}] * 2}, "orders"),
        (["a"], None),
        ("a", None),
        ({}, None),
    ],
)
def test_paging_finds_the_largest_list(body: object, expected: str | None) -> None:
    """Records stand where the largest list of objects is, never inside another record."""
    assert find_records(body) == expected


@pytest.mark.parametrize(
    ("body", "link", "parameters", "expected"),
    [
        ({"d": RECORDS}, '<https://x/?p=2>; rel="next"', {}, {"paging": "header-link"}),
        ({"d": RECORDS}, '<https://x/?p=1>; rel="prev"', {}, {}),
        ({"next": "https://x/?p=2", "d": RECORDS}, "", {}, {"paging": "body-link", "nextPath": "next"}),
        ({"links": {"next": "/o?p=2"}}, "", {}, {"paging": "body-link", "nextPath": "links.next"}),
        ({"next": None}, "", {}, {}),
        (
            {"meta": {"next_cursor": "abc", "has_more": True}},
            "",
            {},
            {
                "paging": "cursor",
                "cursorParam": "cursor",
                "cursorPath": "meta.next_cursor",
                "morePath": "meta.has_more",
            },
        ),
        (
            {"nextPageToken": "t"},
            "",
            {},
            {"paging": "cursor", "cursorParam": "pageToken", "cursorPath": "nextPageToken"},
        ),
        (
            {"page": 1, "per_page": 50, "total": 120},
            "",
            {},
            {"paging": "page", "pageParam": "page", "pageSizeParam": "per_page", "pageSize": 50},
        ),
        ({"page": 0}, "", {}, {"paging": "page", "pageParam": "page", "firstPage": 0}),
        (
            {"offset": 0, "limit": 20, "total": 90},
            "",
            {},
            {"paging": "offset", "offsetParam": "offset", "limitParam": "limit", "pageSize": 20},
        ),
        (RECORDS, "", {"page": "1"}, {"paging": "page", "pageParam": "page"}),
        (RECORDS, "", {}, {}),
    ],
)
def test_paging_is_proposed_from_what_the_answer_says(
    body: object, link: str, parameters: dict[str, str], expected: dict[str, object]
) -> None:
    """Links, cursors, pages and offsets in an answer become the server's paging properties."""
    assert propose_paging(body, link, parameters) == expected
