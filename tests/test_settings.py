"""Settings are read from three places; what is wrong with one is told by its name, with file and line."""

import os.path
from pathlib import Path

import pytest

from lake.errors import SettingsError
from lake.settings import Settings


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("SLUICE_", "LAKE_"))]:
        monkeypatch.delenv(name)


def read(folder: Path, dotenv: str = "", table: str = "") -> Settings:
    (folder / ".env").write_text(dotenv, encoding="utf-8")
    (folder / "pyproject.toml").write_text(table, encoding="utf-8")
    return Settings.read(folder)


@pytest.mark.parametrize("place", ["lake/data", "./elsewhere", "../beside"])
def test_settings_folders_are_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A relative folder is the project's, wherever the command is called from, and every part is told it whole."""
    names = ("LAKE_URI", "SLUICE_OUTPUT_DIR", "SLUICE_SPOOL_DIR", "SLUICE_EXPORTS_TO", "SLUICE_SPILL_DIR")
    monkeypatch.chdir("/")
    settings = read(tmp_path, "\n".join(f"{name}={place}" for name in names))
    told = {settings.uri, str(settings.output), str(settings.spool), settings.exports, str(settings.limits.spill_dir)}
    assert told == {os.path.normpath(tmp_path / place)}


def test_settings_places_that_are_whole_stay(tmp_path: Path) -> None:
    """A folder from the root, the home folder and a bucket are what they say."""
    assert read(tmp_path, "LAKE_URI=/srv/lake").uri == "/srv/lake"
    assert read(tmp_path, "LAKE_URI=~/lake").uri == str(Path.home() / "lake")
    assert read(tmp_path, "LAKE_URI=s3://company/lake").uri == "s3://company/lake"


@pytest.mark.parametrize("text", ["a@example.org, b@example.org", '["a@example.org", "b@example.org"]'])
def test_settings_lists_are_written_as_people_do(tmp_path: Path, text: str) -> None:
    """Several addresses stand with commas between, or as a JSON list; one address stands by itself."""
    assert read(tmp_path, f"SLUICE_MAIL_TO='{text}'").mail_to == ("a@example.org", "b@example.org")
    assert read(tmp_path, "SLUICE_MAIL_TO=a@example.org").mail_to == ("a@example.org",)
    assert read(tmp_path, "SLUICE_RETRY_DELAYS_SECONDS=300,600").retry_delays_seconds == (300.0, 600.0)
    assert read(tmp_path, "SLUICE_RETRY_DELAYS_SECONDS=[]").retry_delays_seconds == ()
    assert read(tmp_path, table='[tool.sluice]\nmail_to = "a@example.org"').mail_to == ("a@example.org",)


@pytest.mark.parametrize(
    ("dotenv", "message"),
    [
        ("SLUICE_THREADS=two", r"SLUICE_THREADS is not usable: 'two': .* \[setting-invalid\]"),
        ("SLUICE_KEEP_RELEASES=0", "SLUICE_KEEP_RELEASES is not usable: '0'"),
        ("SLUICE_RETRY_DELAYS_SECONDS=soon", "SLUICE_RETRY_DELAYS_SECONDS is not usable: 'soon'"),
        ("SLUICE_MAIL_TO=[a@example.org]", "SLUICE_MAIL_TO is not usable: .* is no list"),
        ("SLUICE_CURRENCY=Rupees", "'Rupees' is no currency by its three capitals"),
        ("SLUICE_TIMEZONE=Asia/Kolkatta", "'Asia/Kolkatta' is no time zone"),
        ("LAKE_URI=http://x/y", "LAKE_URI is not usable: 'http://x/y' is neither"),
        ("# threads\nSLUICE_THREDS=2", r"\.env:2: There is no setting SLUICE_THREDS. Did you mean SLUICE_THREADS\?"),
        ("SLUICE_LAKE_URI=/srv", r"\.env:1: There is no setting SLUICE_LAKE_URI. Did you mean LAKE_URI\?"),
        ("LAKE_URL=/srv", r"\.env:1: There is no setting LAKE_URL. Did you mean LAKE_URI\?"),
        ("SLUICE_THREADS=2\nno setting at all", r"\.env:2: This line is no setting"),
    ],
)
def test_settings_that_are_wrong_are_named(tmp_path: Path, dotenv: str, message: str) -> None:
    """A value that cannot be, a name that is misspelt and a line that says nothing are told with what to write."""
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, dotenv)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tool.sluice\n", r"pyproject.toml: This is no TOML: .*line 1"),
        ('[tool.sluice]\ntimezon = "UTC"', r"\[tool.sluice\] has no setting 'timezon'. Did you mean 'timezone'\?"),
        ("[tool]\nsluice = 7", "'tool.sluice' is no table"),
    ],
)
def test_settings_of_a_broken_table_are_told(tmp_path: Path, table: str, message: str) -> None:
    """The project's table is held to the same: nothing in it is passed over in silence."""
    with pytest.raises(SettingsError, match=message):
        read(tmp_path, table=table)


@pytest.mark.parametrize("name", [".env", "pyproject.toml"])
def test_settings_files_in_another_encoding_are_named(tmp_path: Path, name: str) -> None:
    """A file that is no UTF-8 is told by its name."""
    (tmp_path / name).write_bytes(b"# Z\xfcrich\n")
    with pytest.raises(SettingsError, match=rf"{name}: This file is no UTF-8"):
        Settings.read(tmp_path)


def test_settings_misspelt_in_the_environment_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is looked at like the file; names of secrets that are like no setting are nobody's business."""
    monkeypatch.setenv("SLUICE_MAIL_TOKEN", "x")
    monkeypatch.setenv("SLUICE_SHOP_KEY", "x")
    assert Settings.read(tmp_path).mail_to == ("data-team@localhost",)
    monkeypatch.setenv("SLUICE_TIMEZON", "UTC")
    with pytest.raises(SettingsError, match="There is no setting SLUICE_TIMEZON. Did you mean SLUICE_TIMEZONE"):
        Settings.read(tmp_path)
