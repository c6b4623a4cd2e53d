"""An API that fails in every way there is: waited for, tried again, given up with a cure, and never with a secret."""

import json
import logging
import random
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from lake.errors import SettingsError, SourceError
from lake.run import begin_run
from tests.api_server import GOOD, Api, Asked, Fault, readings, serving
from tests.http_parts import CURSOR, ITEMS, SIZED, Pulled, contract_of, pull
from tests.test_channels import make_certificate

SECRET = "s3cr3t/with+signs="
SECRET_IN_URL = "s3cr3t%2Fwith%2Bsigns%3D"


@pytest.fixture
def api():
    with serving(readings(25)) as opened:
        yield opened


def ids(count: int) -> list[str]:
    return [record["reading_id"] for record in readings(count)]


def paged(tmp_path: Path, api: Api, **properties: object):
    return contract_of(tmp_path, api.url("/cursor/readings.json"), {**CURSOR, **SIZED, **properties})


PASSING = {
    "429": Fault(429, {"Retry-After": "7"}),
    "503": Fault(503),
    "500": Fault(500, body=b"oops"),
    "408": Fault(408),
    "cut": Fault(is_cut=True),
    "silent": Fault(200, silent_seconds=1.3),
    "malformed": Fault(200, body=b"<html>busy</html>"),
    "bad-gzip": Fault(200, {"Content-Encoding": "gzip"}, b"no gzip"),
}


@pytest.mark.parametrize("fault", PASSING)
def test_http_faults_that_pass_are_waited_for(tmp_path: Path, api: Api, fault: str) -> None:
    """Twice the fault, then the page: every record arrives once, and the waits are told."""
    api.plan = [Fault(200, body=api.answer(Asked("/cursor/r.json", {"limit": "10"}, {}, {}))[0])]
    api.plan += [PASSING[fault], PASSING[fault]]
    pulled = pull(paged(tmp_path, api, timeout="1 second"), tmp_path)

    assert pulled.items == ids(25)
    assert len(api.asked) == 5
    assert [told["wait_seconds"] for told in pulled.details("request-retried")] == pytest.approx(pulled.waits, abs=0.01)
    if fault == "429":
        assert pulled.waits == [7, 7]
    else:
        assert 0.5 <= pulled.waits[0] <= 0.75 and 1 <= pulled.waits[1] <= 1.5


def test_http_faults_server_that_died_is_waited_for(tmp_path: Path, api: Api) -> None:
    """The server goes away in the middle of a pull and comes back: nothing is missing, nothing there twice."""
    api.plan = [Fault(200, body=api.answer(Asked("/cursor/r.json", {"limit": "10"}, {}, {}))[0])]
    api.plan += [Fault(503, {"Connection": "close"}, act=api.stop)]
    pulled = Pulled()
    pulled.waits = _Restarting(api)
    pull(paged(tmp_path, api), tmp_path, into=pulled)

    assert pulled.items == ids(25)
    assert "is not there" in str(pulled.details("request-retried")[1]["reason"])


class _Restarting(list[float]):
    """Waits by writing them down; at the second one the server comes back."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self.api = api

    def append(self, seconds: float) -> None:
        super().append(seconds)
        if len(self) == 2:
            self.api.start()


def test_http_faults_retry_after_may_be_a_date(tmp_path: Path, api: Api) -> None:
    """A date is counted by the server's own clock, whatever this machine's says."""
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    api.plan = [Fault(429, {"Retry-After": then}), Fault(503, {"Retry-After": "soon"})]
    run = begin_run("tester", clock=lambda: datetime(2001, 1, 1, tzinfo=UTC))
    pulled = pull(paged(tmp_path, api), tmp_path, run=run)
    assert pulled.items == ids(25)
    assert 80 <= pulled.waits[0] <= 90 and 1 <= pulled.waits[1] <= 1.5


@pytest.mark.parametrize(
    ("retry_after", "waits"), [("3600", []), ("300", [300.0])], ids=["beyond the budget", "once within it"]
)
def test_http_faults_give_up_in_time(tmp_path: Path, api: Api, retry_after: str, waits: list[float]) -> None:
    """A server that asks for more patience than `giveUpAfter` is given up at once, with what it asked."""
    api.plan = [Fault(429, {"Retry-After": retry_after})] * 9
    pulled = Pulled()
    with pytest.raises(SourceError, match=rf"answered 429.*asks to be left alone for {retry_after} seconds") as told:
        pull(paged(tmp_path, api), tmp_path, into=pulled)
    assert told.value.code == "api-failing"
    assert pulled.waits in (waits, [*waits, 300.0])


def test_http_faults_waits_grow_and_end(tmp_path: Path, api: Api) -> None:
    """A server that fails for ever is tried for ten minutes with growing waits, and what had arrived is kept."""
    api.plan = [Fault(200, body=api.answer(Asked("/cursor/r.json", {"limit": "10"}, {}, {}))[0]), *[Fault(502)] * 99]
    pulled = Pulled()
    with pytest.raises(SourceError, match="answered 502"):
        pull(paged(tmp_path, api), tmp_path, into=pulled)
    assert pulled.items == ids(10)
    assert [position["resume"] for position in pulled.positions] == ['{"cursor": "c10"}']
    assert 500 < sum(pulled.waits) <= 600
    assert pulled.waits[6] > 20 * pulled.waits[0]


@pytest.mark.parametrize(
    ("status", "cure"),
    [(400, "Compare the parameters"), (401, "Check the secrets"), (403, "account behind"), (404, "endStatus: 404")],
)
def test_http_faults_refusals_fail_at_once(tmp_path: Path, api: Api, status: int, cure: str) -> None:
    """A 4xx is asked once; its first words and a cure are told, at the contract's place."""
    api.plan = [Fault(status, body=b"since:\n must be a date " + b"x" * 900)]
    with pytest.raises(SourceError, match=rf"answered {status}: 'since: must be a date x+'\. {cure}|{cure}") as told:
        pull(paged(tmp_path, api), tmp_path)
    assert told.value.code == "api-refused"
    assert len(str(told.value)) < 700
    assert len(api.asked) == 1


def test_http_faults_redirects_are_not_followed(tmp_path: Path, api: Api) -> None:
    """A redirect is told with its target: no secret goes to an address that the contract does not name."""
    api.plan = [Fault(301, {"Location": "https://elsewhere.example/v2"})]
    with pytest.raises(SourceError, match="redirects to https://elsewhere.example/v2 .301."):
        pull(paged(tmp_path, api), tmp_path)


def test_http_faults_certificate_must_be_trusted(tmp_path: Path, api: Api, monkeypatch) -> None:
    """A certificate that nobody vouches for ends the pull at once; one that the machine trusts serves it."""
    certificate = make_certificate(tmp_path)
    api.encrypt(certificate.context)
    contract = contract_of(tmp_path, f"https://127.0.0.1:{api.port}/cursor/readings.json", {**CURSOR, **SIZED})
    pulled = Pulled()
    with pytest.raises(SourceError, match="shows a certificate that cannot be trusted") as told:
        pull(contract, tmp_path, into=pulled)
    assert (told.value.code, pulled.waits) == ("api-untrusted", [])
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    assert pull(contract, tmp_path).items == ids(25)


BROKEN = {
    "html": (b"<html>down for repair</html>", "is no JSON .*begins '<html>down for repair"),
    "cut-json": (b'{"data": {"items": [{"reading_id": "r1"', "is no JSON"),
    "no-records": (b'{"error": "quota used up"}', "has nothing where its records should be .*its keys are error"),
    "not-an-array": (b'{"data": {"items": 5}}', "has a int where its records should be"),
    "empty": (b"", "is no JSON"),
    "nan": (b'{"data": {"items": [{"kwh": NaN}]}}', "NaN is no JSON"),
    "deep": (b"[" * 100_000, "RecursionError"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_http_faults_malformed_page_is_kept_and_told(tmp_path: Path, api: Api, kind: str) -> None:
    """A page that is none at 200 is tried three times; its bytes are given as evidence, the pages before land."""
    body, words = BROKEN[kind]
    api.plan = [Fault(200, body=api.answer(Asked("/cursor/r.json", {"limit": "10"}, {}, {}))[0])]
    api.plan += [Fault(200, body=body)] * 3
    pulled = Pulled()
    with pytest.raises(SourceError, match=words) as told:
        pull(paged(tmp_path, api), tmp_path, into=pulled)
    assert told.value.code == "api-page-malformed"
    assert f"127.0.0.1:{api.port}/cursor/readings.json?cursor=c10" in told.value.message
    assert "Tried 3 times" in told.value.message
    assert (pulled.bodies[1:], pulled.positions[1:]) == ([body], [{}])
    assert pulled.positions[0]["resume"] == '{"cursor": "c10"}'


@pytest.mark.parametrize(
    ("form", "body", "words"),
    [("csv", b"<p>Sorry</p>\n", "no header with a column"), ("jsonl", b"<p>Sorry</p>\n", "does not begin with a JSON")],
)
def test_http_faults_error_in_words_is_no_page_in_any_format(tmp_path, api: Api, form, body, words) -> None:
    """An error page at 200 is no CSV and no JSON lines."""
    api.plan = [Fault(200, body=body)] * 3
    with pytest.raises(SourceError, match=words):
        pull(contract_of(tmp_path, api.url(f"/all/r.{form}"), {"format": form}), tmp_path)


def test_http_faults_rate_is_kept(tmp_path: Path, api: Api) -> None:
    """Sixty requests a minute: a second between two, retries counted, and a clock that is set back waits no longer."""
    instants = iter([datetime(2026, 1, 1, tzinfo=UTC) - timedelta(hours=number) for number in range(999)])
    run = begin_run("tester", clock=lambda: next(instants))
    pulled = Pulled()
    pull(paged(tmp_path, api, requestsPerMinute=60), tmp_path, into=pulled, run=run)
    assert pulled.waits == [1.0] * 3
    still = begin_run("tester", clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    pulled = Pulled()
    pull(paged(tmp_path, api, requestsPerSecond=4), tmp_path, into=pulled, run=still)
    assert pulled.waits == [0.25] * 2


SIGNED = {
    "bearer": (
        {"auth": "bearer", "tokenSecret": "KEY"},
        lambda a: a.headers.get("Authorization") == f"Bearer {SECRET}",
    ),
    "basic": (
        {"auth": "basic", "userSecret": "USER", "passwordSecret": "KEY"},
        lambda a: a.headers.get("Authorization") == "Basic " + b64encode(f"asha:{SECRET}".encode()).decode(),
    ),
    "header-key": (
        {"auth": "header-key", "keyName": "X-Key", "keySecret": "KEY"},
        lambda a: a.headers.get("X-Key") == SECRET,
    ),
    "query-key": (
        {"auth": "query-key", "keyName": "apikey", "keySecret": "KEY"},
        lambda a: a.parameters.get("apikey") == SECRET,
    ),
}
SECRETS = {"KEY": f"{SECRET}\n", "USER": "asha"}


@pytest.mark.parametrize("way", SIGNED)
def test_http_faults_requests_are_signed(tmp_path: Path, api: Api, way: str) -> None:
    """Every request carries its credential; without the secret nothing is asked, and the message names it."""
    properties, api.accepts = SIGNED[way]
    assert pull(paged(tmp_path, api, **properties), tmp_path, secrets=SECRETS).items == ids(25)
    asked = len(api.asked)
    with pytest.raises(SettingsError, match=r"The secret '(KEY|USER)' is not set"):
        pull(paged(tmp_path, api, **properties), tmp_path)
    assert len(api.asked) == asked


@pytest.mark.parametrize("way", SIGNED)
def test_http_faults_tell_no_secret(tmp_path: Path, api: Api, way: str, caplog) -> None:
    """An API that repeats URL and header in its errors: error, events, origins, positions and logs hold no secret."""
    caplog.set_level(logging.DEBUG)
    properties, _ = SIGNED[way]
    contract = paged(tmp_path, api, **properties)
    pulled = pull(contract, tmp_path, secrets=SECRETS)
    api.accepts = lambda _asked: False
    api.plan = [Fault(503, body=f"busy, {SECRET} and {SECRET_IN_URL}".encode()), Fault(is_cut=True)]
    with pytest.raises(SourceError, match="answered 401: 'not for you") as told:
        pull(contract, tmp_path, secrets=SECRETS, into=pulled)
    said = json.dumps([[e.kind, e.subject, dict(e.details)] for e in pulled.events], default=str)
    said += f"{told.value} {told.value!r} {told.value.__cause__!r} {pulled.origins} {pulled.positions} {caplog.text}"
    assert not [word for word in planted() if word in said]
    assert "***" in json.dumps([dict(event.details) for event in pulled.events], default=str)


def planted() -> list[str]:
    return [SECRET, SECRET_IN_URL, b64encode(f"asha:{SECRET}".encode()).decode()]


def test_http_faults_next_link_with_the_key_in_it_keeps_it_out_of_the_position(tmp_path: Path, api: Api) -> None:
    """An API that writes the key into its next links: it is sent once with each request and kept nowhere."""
    answer = api.answer

    def with_key(asked: Asked):
        body, headers = answer(asked)
        return body.replace(b"limit=10", b"limit=10&apikey=" + SECRET_IN_URL.encode()), headers

    api.page_of = with_key
    properties, api.accepts = SIGNED["query-key"]
    properties = {**ITEMS, "paging": "body-link", "nextPath": "links.next", **SIZED, **properties, "pagesPerBatch": 1}
    contract = contract_of(tmp_path, api.url("/body-link/r.json"), properties)
    pulled = pull(contract, tmp_path, secrets=SECRETS)
    assert pulled.items == ids(25)
    assert "apikey" not in json.dumps([pulled.origins, [dict(position) for position in pulled.positions]])


OAUTH = {"auth": "oauth2", "clientIdSecret": "USER", "clientSecret": "KEY", "scope": "read:all"}


def oauth(tmp_path: Path, api: Api, **more: object):
    return paged(tmp_path, api, tokenUrl=api.url("/token"), **OAUTH, **more)


def has_last_token(api: Api, asked: Asked) -> bool:
    return asked.headers.get("Authorization") == f"Bearer {api.tokens[-1]}"


def test_http_faults_oauth_token_is_fetched_once(tmp_path: Path, api: Api) -> None:
    """One token serves all pages; the client is signed in by header, or by form where the contract says so."""
    api.accepts = lambda asked: has_last_token(api, asked)
    pulled = pull(oauth(tmp_path, api), tmp_path, secrets=SECRETS)
    assert (pulled.items, len(api.tokens)) == (ids(25), 1)
    assert api.asked[0].form == {"grant_type": "client_credentials", "scope": "read:all"}
    assert api.asked[0].headers["Authorization"].startswith("Basic ")

    pull(oauth(tmp_path, api, clientAuth="body"), tmp_path, secrets=SECRETS)
    by_form = next(asked for asked in api.asked if "client_id" in asked.form)
    assert (by_form.form["client_id"], by_form.form["client_secret"]) == ("asha", SECRET)
    assert "Authorization" not in by_form.headers


def test_http_faults_oauth_token_is_renewed(tmp_path: Path, api: Api) -> None:
    """A token is renewed before it ends, and once when it is refused; a fresh one that is refused is the end."""
    instants = iter([datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number) for number in range(999)])
    run = begin_run("tester", clock=lambda: next(instants))
    api.token_seconds = 300
    api.accepts = lambda asked: has_last_token(api, asked)
    assert pull(oauth(tmp_path, api, giveUpAfter="9 hours"), tmp_path, secrets=SECRETS, run=run).items == ids(25)
    assert len(api.tokens) > 1

    api.token_seconds = None
    count = len(api.tokens)
    refused = iter([False, True, True, False, True])
    api.accepts = lambda _asked: next(refused)
    assert pull(oauth(tmp_path, api), tmp_path, secrets=SECRETS).items == ids(25)
    assert len(api.tokens) == count + 3

    api.accepts = lambda _asked: False
    with pytest.raises(SourceError, match="refused a fresh token, too"):
        pull(oauth(tmp_path, api), tmp_path, secrets=SECRETS)


def test_http_faults_oauth_server_that_fails_is_told(tmp_path: Path, api: Api) -> None:
    """A token server's refusal and an answer without a token are told with its address, and the token never."""
    api.plan = [Fault(400, body=b'{"error": "invalid_client"}')]
    with pytest.raises(SourceError, match=r"/token answered 400.*invalid_client"):
        pull(oauth(tmp_path, api), tmp_path, secrets=SECRETS)
    api.plan = [Fault(200, body=b'{"token": 1}')]
    with pytest.raises(SourceError, match="answered without an 'access_token'") as told:
        pull(oauth(tmp_path, api), tmp_path, secrets=SECRETS)
    assert told.value.code == "api-token-missing"


WAYS = {
    "page": {"paging": "page", "pageParam": "page", **SIZED},
    "offset": {"paging": "offset", "offsetParam": "offset", "limitParam": "limit", "pageSize": "10"},
    "cursor": {"paging": "cursor", "cursorParam": "cursor", "cursorPath": "next_cursor", **SIZED},
    "header-link": {"paging": "header-link", **SIZED},
    "body-link": {"paging": "body-link", "nextPath": "links.next", **SIZED},
}


@pytest.mark.soak
def test_http_faults_empty_pages_without_end_are_given_up(tmp_path: Path, api: Api) -> None:
    """A feed whose cursor is always a new one and whose pages are always empty is no endless loop."""
    turns = iter(range(10_000))
    api.page_of = lambda _asked: (json.dumps({"data": {"items": []}, "next_cursor": next(turns)}).encode(), {})
    with pytest.raises(SourceError, match="empty pages without end"):
        pull(paged(tmp_path, api), tmp_path)
    assert len(api.asked) == 1001


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("way", WAYS)
def test_http_faults_by_chance_lose_nothing(tmp_path: Path, api: Api, way: str) -> None:
    """Every way of paging through hundreds of faults at random places, in batches of any size: every record once."""
    chance = random.Random(20261121)
    kinds = [PASSING[name] for name in ("429", "503", "500", "cut", "bad-gzip")]
    for round_ in range(30):
        count = chance.choice((0, 1, 9, 10, 11, 30, 95, 230))
        api.records = readings(count)
        api.plan = [GOOD if chance.random() < 0.6 else chance.choice(kinds) for _ in range(60)]
        batches = {"pagesPerBatch": str(chance.randint(1, 5)), "giveUpAfter": "1 hour"}
        contract = contract_of(tmp_path, api.url(f"/{way}/r.json"), {**ITEMS, **WAYS[way], **batches})
        pulled = pull(contract, tmp_path)
        assert pulled.items == ids(count), round_
        assert not pulled.positions or pulled.positions[-1]["resume"] == ""


@pytest.mark.parametrize("name", ["readings.page", "readings.1.json"])
def test_http_faults_full_disk_blames_nobody(tmp_path: Path, api: Api, name: str) -> None:
    """No room for a page, or for a batch of them, is the operator's to mend."""
    contract = paged(tmp_path, api)
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / name).symlink_to("/dev/full")
    with pytest.raises(SettingsError, match="There is no room left to write"):
        pull(contract, tmp_path)
