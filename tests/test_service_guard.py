"""Who is let in by the real service, how much of each, and that no key shows anywhere."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from flows.service.limits import Limits
from flows.service.running import Place, serve
from lake.errors import SettingsError
from lake.project import open_project
from lake.receiving.keys import add_key, make_key, revoke_key
from lake.settings import Settings
from tests.service_parts import Served, land, make_project, row, served
from tests.test_channels import make_certificate

NOW = datetime.now(UTC)
MOST = {"requests": 60, "rows": 600}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("guarded"))


@pytest.fixture(scope="module")
def tokens(project: Path) -> dict[str, str]:
    path, made = project / ".sluice" / "keys.json", {}
    for name, sources, options in (
        ("desk", ["visits"], {}),
        ("other", ["elsewhere"], {}),
        ("old", ["visits"], {"expires_at": NOW - timedelta(seconds=1)}),
        ("slow", ["visits"], {"requests_per_minute": 2, "rows_per_minute": 1000}),
        ("few", ["visits"], {"requests_per_minute": 100, "rows_per_minute": 3}),
        ("lost", ["visits"], {}),
    ):
        made[name], key = make_key(name, sources, NOW, **options)
        add_key(path, key)
    return made


@pytest.fixture(scope="module")
def service(project: Path, tokens: dict[str, str]):
    with served(project, is_open=False) as running:
        yield running


def post(service: Served, token: str | None, rows=None, header: str = "authorization") -> httpx.Response:
    shown = f"Bearer {token}" if header == "authorization" else token
    headers = {} if token is None else {header: shown}
    return service.post(rows or [row("1")], headers=headers)


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_service_guard_lets_a_key_in(service: Served, tokens: dict[str, str], header: str) -> None:
    """A valid key opens its source, shown in either header; the answer says what may still be sent."""
    answer = post(service, tokens["desk"], header=header)
    assert answer.status_code == 202
    assert '"requests";q=30000;w=60' in answer.headers["ratelimit-policy"]
    assert '"rows";r=' in answer.headers["ratelimit"]


@pytest.mark.parametrize("token", [None, "nonsense", "sluice_00000000_" + "A" * 43, "old"])
def test_service_guard_refuses_what_is_no_key(service: Served, tokens: dict[str, str], token: str | None) -> None:
    """No key, a false one, and one that has expired are 401, all with the same words."""
    answer = post(service, tokens.get(token or "", token))
    assert (answer.status_code, answer.json()["code"]) == (401, "key-refused")
    assert answer.headers["www-authenticate"] == 'Bearer realm="sluice"'


def test_service_guard_keeps_keys_to_their_sources(service: Served, tokens: dict[str, str]) -> None:
    """A valid key for another source is 403."""
    answer = post(service, tokens["other"])
    assert (answer.status_code, answer.json()["code"]) == (403, "key-out-of-scope")
    assert 'error="insufficient_scope"' in answer.headers["www-authenticate"]


def test_service_guard_keeps_receipts_to_their_sources(service: Served, tokens: dict[str, str]) -> None:
    """Where rows are is told to keys of their source only."""
    place = service.url + post(service, tokens["desk"]).headers["location"]
    asked = [httpx.get(place, headers={"x-api-key": tokens[name]}).status_code for name in ("desk", "other")]
    assert asked == [200, 403]


def test_service_guard_sees_a_revoked_key_at_once(service: Served, tokens: dict[str, str], project: Path) -> None:
    """The first request after a key was revoked is refused, without a restart."""
    assert post(service, tokens["lost"]).status_code == 202
    revoke_key(project / ".sluice" / "keys.json", "lost", NOW)
    assert post(service, tokens["lost"]).status_code == 401


def test_service_guard_lets_nobody_in_when_its_keys_are_exposed(
    service: Served, tokens: dict[str, str], project: Path
) -> None:
    """Keys' digests that others may read or change open nothing any more; outsiders are not told where they are."""
    path = project / ".sluice" / "keys.json"
    path.chmod(0o604)
    refused = post(service, tokens["desk"])
    path.chmod(0o600)
    assert (refused.status_code, refused.json()["code"], "keys.json" in refused.text) == (503, "keys-unusable", False)
    assert post(service, tokens["desk"]).status_code == 202


def test_service_guard_limits_requests(service: Served, tokens: dict[str, str]) -> None:
    """A key that has sent what it may is told when to come again; others are not kept waiting."""
    answers = [post(service, tokens["slow"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert (answers[-1].json()["code"], 1 <= int(answers[-1].headers["retry-after"]) <= 30) == ("rate-limited", True)
    assert post(service, tokens["desk"]).status_code == 202


def test_service_guard_limits_rows(service: Served, tokens: dict[str, str]) -> None:
    """Rows are counted once they are read: the request after the one that overdrew waits."""
    answers = [post(service, tokens["few"], [row(f"few-{place}") for place in range(4)]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 429]
    assert "r=0" in answers[1].headers["ratelimit"]


def test_service_guard_shows_no_key(service: Served, tokens: dict[str, str], project: Path) -> None:
    """No key is in an answer, in the metrics, or in a file of the project, whatever was refused and landed."""
    headers = {"authorization": f"Bearer {tokens['desk']}"}
    answers = [post(service, token) for token in tokens.values()]
    answers.append(httpx.get(f"{service.url}/metrics", headers=headers))
    land(project)
    told = "".join(answer.text + str(answer.headers) for answer in answers).encode()
    kept = b"".join(path.read_bytes() for path in project.rglob("*") if path.is_file())
    assert [name for name, token in tokens.items() if token.split("_", 2)[2].encode() in told + kept] == []


@pytest.mark.parametrize(
    ("place", "match"),
    [
        (Place("127.0.0.1", 0), r"There is no key in '.*keys\.json'"),
        (Place("0.0.0.0", 0, is_open=True), r"everybody who reaches 0\.0\.0\.0 could post"),
    ],
)
def test_service_guard_does_not_start_unguarded(tmp_path: Path, place: Place, match: str) -> None:
    """Without a key the service does not start; open to everybody on this machine only."""
    project = make_project(tmp_path)
    with pytest.raises(SettingsError, match=match):
        serve(open_project(project), Settings.read(project), place, str)


def test_service_guard_names_a_certificate_that_cannot_be_used(tmp_path: Path) -> None:
    """A key of another certificate, one without any, and a file that is none are told before anything listens."""
    project = make_project(tmp_path)
    cert, other = make_certificate(tmp_path).file, make_certificate(tmp_path, address="127.0.0.2").file
    for place, match in (
        (Place("127.0.0.1", 0, cert, other.with_suffix(".key"), is_open=True), r"cannot be used.*\[tls-unusable\]"),
        (Place("127.0.0.1", 0, project / "prefect.yaml", is_open=True), r"cannot be used.*\[tls-unusable\]"),
        (Place("127.0.0.1", 0, None, cert.with_suffix(".key"), is_open=True), r"no certificate.*\[tls-missing\]"),
    ):
        with pytest.raises(SettingsError, match=match):
            serve(open_project(project), Settings.read(project), place, str)


def test_service_limits_fill_evenly() -> None:
    """A bucket holds a minute's worth, and after it is empty fills by the second."""
    limits = Limits()
    assert [limits.take_request("a", MOST, 0.0) for _ in range(61)] == [0] * 60 + [1]
    assert [limits.take_request("a", MOST, 1.0) for _ in range(2)] == [0, 1]
    assert [limits.take_request("a", MOST, 600.0) for _ in range(61)] == [0] * 60 + [1]


def test_service_limits_let_overdrawn_rows_be_paid() -> None:
    """Rows beyond what is left are taken once, and paid by waiting."""
    limits = Limits()
    assert limits.take_request("a", MOST, 0.0) == 0
    limits.take_rows("a", 1200)
    assert limits.take_request("a", MOST, 0.0) == 61
    assert limits.take_request("a", MOST, 60.0) == 1
    assert limits.take_request("a", MOST, 61.0) == 0
