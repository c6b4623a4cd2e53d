"""Keys of those who may post: kept as digests, for some sources, until they end."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from flows.cli import sluice
from lake.errors import SettingsError
from lake.receiving.keys import KeyRing, add_key, make_key, read_keys, revoke_key
from tests.service_parts import make_project

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEPT = '[{{"id": "a", "name": "a", "digest": "a", "sources": {}, "created_at": "a", "expires_at": "{}"}}]'
NAIVE, UNLISTED = KEPT.format('["visits"]', "2026-01-02"), KEPT.format('"visits"', "2026-01-02T00:00:00+00:00")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "keys.json"


def test_keys_open_their_sources_until_they_end(path: Path) -> None:
    """A key is found by what its owner writes, for its sources, until it expires or is revoked."""
    token, key = make_key("laptop", ["sales"], NOW, expires_at=NOW + timedelta(days=1))
    add_key(path, key)
    ring = KeyRing(path)
    assert ring.find(token, NOW) == key
    assert (key.opens("sales"), key.opens("expenses")) == (True, False)
    assert ring.find(token, NOW + timedelta(days=1)) is None
    revoke_key(path, "laptop", NOW)
    assert ring.find(token, NOW) is None


def test_keys_of_every_source_open_all() -> None:
    """A star stands for all sources."""
    _, key = make_key("all", ["*"], NOW)
    assert key.opens("anything")


@pytest.mark.parametrize(
    "change", [lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"), str.upper, lambda _: ""]
)
def test_keys_that_are_none_find_nothing(path: Path, change) -> None:
    """One character makes it another key, and no key is none."""
    token, key = make_key("laptop", ["sales"], NOW)
    add_key(path, key)
    assert KeyRing(path).find(change(token), NOW) is None


def test_keys_file_holds_no_key_and_is_the_owners(path: Path) -> None:
    """What is on disk opens nothing, and nobody else may read it."""
    token, key = make_key("laptop", ["sales"], NOW)
    add_key(path, key)
    assert token.split("_", 2)[2] not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_keys_file_open_to_others_is_refused(path: Path) -> None:
    """Digests that others may read, or exchange, are no ground to let anybody in."""
    add_key(path, make_key("laptop", ["sales"], NOW)[1])
    path.chmod(0o644)
    with pytest.raises(SettingsError, match=r"open to others \(mode 644\).*chmod 600"):
        KeyRing(path).find("", NOW) or len(KeyRing(path))


@pytest.mark.parametrize("text", ["{", "[1]", '[{"name": "x"}]', "{}x", "{}", NAIVE, UNLISTED])
def test_keys_file_that_is_broken_is_named(path: Path, text: str) -> None:
    """A file that is no list of keys lets nobody in, and is named."""
    path.parent.mkdir()
    path.touch(0o600)
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"keys\.json.*cannot be read"):
        read_keys(path)


def test_keys_are_read_again_when_the_file_changes(path: Path) -> None:
    """A running service sees a new key, and the end of an old one, with the next request."""
    ring = KeyRing(path)
    assert len(ring) == 0
    token, key = make_key("laptop", ["sales"], NOW)
    add_key(path, key)
    assert ring.find(token, NOW) is not None


def test_keys_names_are_for_one_valid_key(path: Path) -> None:
    """A name is given once, and again after its key was revoked."""
    add_key(path, make_key("laptop", ["sales"], NOW)[1])
    with pytest.raises(SettingsError, match="a key 'laptop' already"):
        add_key(path, make_key("laptop", ["sales"], NOW)[1])
    revoke_key(path, "laptop", NOW)
    add_key(path, make_key("laptop", ["sales"], NOW)[1])
    with pytest.raises(SettingsError, match="no key 'phone'"):
        revoke_key(path, "phone", NOW)


def test_keys_by_the_command_line(tmp_path: Path) -> None:
    """A key is printed once, listed without itself, and revoked by its name."""
    project = str(make_project(tmp_path))
    run = CliRunner()
    made = run.invoke(
        sluice, ["key", "new", "--project", project, "-q", "--sources", "visits", "--name", "desk", "--expires", "90d"]
    )
    token = made.stdout.strip()
    listed = run.invoke(sluice, ["key", "list", "--project", project, "--json"])
    assert token.startswith("sluice_") and token.split("_", 2)[2] not in listed.stdout
    assert [(each["name"], each["sources"], each["state"]) for each in json.loads(listed.stdout)] == [
        ("desk", "visits", "valid")
    ]
    assert run.invoke(sluice, ["key", "revoke", "--project", project, "desk"]).exit_code == 0
    assert "revoked" in run.invoke(sluice, ["key", "list", "--project", project]).stdout


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (["--sources", "visit"], "Nothing is posted to 'visit'"),
        (["--sources", "visits", "--expires", "soon"], "'soon' is no lifetime"),
        (["--sources", "visits", "--expires", "99999999d"], "'99999999d' is no lifetime"),
        (["--sources", "visits", "--name", " "], "' ' is no name of a key"),
    ],
)
def test_keys_that_could_not_be_meant_are_refused(tmp_path: Path, options: list[str], match: str) -> None:
    """A source that nothing is posted to, and a lifetime that is none, are told with what would do."""
    with pytest.raises(SettingsError, match=match):
        CliRunner().invoke(
            sluice,
            ["key", "new", "--project", str(make_project(tmp_path)), "--name", "x", *options],
            catch_exceptions=False,
        )
