"""Settings of an object store: what must be set, what the libraries are then told, and what is never shown."""

from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session
from lake.errors import SettingsError
from lake.settings import Settings
from lake.table_versions import Store
from tests.store_parts import KEY_ID, SECRET, store_settings

MINIO = store_settings("http://127.0.0.1:9000")


def write(folder: Path, **lines: str) -> Path:
    (folder / ".env").write_text("".join(f'{name}="{value}"\n' for name, value in lines.items()))
    return folder


def store_of(folder: Path, **lines: str) -> Store:
    return Settings.read(write(folder, **lines)).store


def test_store_settings_of_a_folder_are_none(tmp_path: Path) -> None:
    """A lake in a folder takes no store's settings, whatever is set."""
    store = store_of(tmp_path, LAKE_URI="elsewhere", **MINIO)
    assert (store.uri, dict(store.options), dict(store.secret)) == (str(tmp_path / "elsewhere"), {}, {})


def test_store_settings_reach_delta_and_duckdb_alike(tmp_path: Path) -> None:
    """Keys, token, region and endpoint go to both libraries, each in its own words."""
    more = {"AWS_SESSION_TOKEN": "passing", "AWS_REGION": "eu-north-1"}
    store = store_of(tmp_path, LAKE_URI="s3://shop.lake/team/a/", **MINIO, **more)
    assert store.uri == "s3://shop.lake/team/a"
    assert dict(store.options) == {
        "aws_access_key_id": KEY_ID,
        "aws_secret_access_key": SECRET,
        "aws_session_token": "passing",
        "aws_region": "eu-north-1",
        "aws_endpoint": "http://127.0.0.1:9000",
        "aws_allow_http": "true",
    }
    assert dict(store.secret) == {
        "type": "s3",
        "scope": "s3://shop.lake/",
        "key_id": KEY_ID,
        "secret": SECRET,
        "session_token": "passing",
        "region": "eu-north-1",
        "endpoint": "127.0.0.1:9000",
        "use_ssl": "false",
        "url_style": "path",
    }


def test_store_settings_of_amazon_name_no_endpoint(tmp_path: Path) -> None:
    """Without an endpoint the store is Amazon's, by TLS, and the bucket is part of the host's name."""
    keys = {name: value for name, value in MINIO.items() if name != "AWS_ENDPOINT_URL"}
    store = store_of(tmp_path, LAKE_URI="s3://shop", AWS_DEFAULT_REGION="ap-south-1", **keys)
    assert store.options["aws_region"] == store.secret["region"] == "ap-south-1"
    assert not {"aws_endpoint", "aws_allow_http"} & store.options.keys()
    assert not {"endpoint", "use_ssl", "url_style"} & store.secret.keys()


def test_store_settings_prefer_the_endpoint_of_s3(tmp_path: Path) -> None:
    """AWS_ENDPOINT_URL_S3 comes before AWS_ENDPOINT_URL, and https is kept."""
    store = store_of(tmp_path, LAKE_URI="s3://shop", **MINIO, AWS_ENDPOINT_URL_S3="https://store.example.org/")
    assert (store.options["aws_endpoint"], store.secret["endpoint"]) == (
        "https://store.example.org",
        "store.example.org",
    )
    assert (store.options["aws_allow_http"], store.secret["use_ssl"]) == ("false", "true")


def test_store_settings_of_the_environment_come_before_those_of_the_file(tmp_path: Path, monkeypatch) -> None:
    """What the environment says goes before `.env`."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAFROMOUTSIDE")
    assert store_of(tmp_path, LAKE_URI="s3://shop", **MINIO).options["aws_access_key_id"] == "AKIAFROMOUTSIDE"


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        (("AWS_ACCESS_KEY_ID",), "AWS_ACCESS_KEY_ID is not set"),
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"),
        (("AWS_ENDPOINT_URL",), "AWS_REGION is not set"),
    ],
)
def test_store_settings_that_are_missing_are_named(tmp_path: Path, left_out: tuple[str, ...], message: str) -> None:
    """A setting that the store takes is asked for by name; nothing goes looking for it."""
    lines = {name: value for name, value in MINIO.items() if name not in left_out}
    with pytest.raises(SettingsError, match=f"s3://shop is to be used, and {message}") as raised:
        store_of(tmp_path, LAKE_URI="s3://shop", **lines)
    assert SECRET not in str(raised.value)


def test_store_settings_want_an_endpoint_with_its_scheme(tmp_path: Path) -> None:
    """An endpoint without http:// or https:// is asked for again."""
    with pytest.raises(SettingsError, match="does not say http:// or https://"):
        store_of(tmp_path, LAKE_URI="s3://shop", **MINIO | {"AWS_ENDPOINT_URL": "127.0.0.1:9000"})


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("az://shop/lake", "is on Azure, where no lake can be yet"),
        ("abfss://shop@account.dfs.core.windows.net/lake", "is on Azure"),
        ("s3:///lake", "neither a folder nor a plain"),
        ("s3://Shop/lake", "neither a folder nor a plain"),
        ("s3://shop/a b%20?c", "neither a folder nor a plain"),
        ("s3a://shop/lake", "neither a folder nor a plain"),
        ("https://shop.s3.amazonaws.com/lake", "neither a folder nor a plain"),
        ("postgres://shop", "neither a folder nor a plain"),
    ],
)
def test_store_settings_refuse_places_that_carry_no_lake(tmp_path: Path, uri: str, message: str) -> None:
    """A place of another kind, or a name that the libraries would read differently, is refused."""
    with pytest.raises(SettingsError, match=f"LAKE_URI is not usable: .*{message}"):
        Settings.read(write(tmp_path, LAKE_URI=uri))


def test_store_settings_of_google_are_asked_for_and_told(tmp_path: Path) -> None:
    """gs:// takes the service account for Delta and an HMAC key for DuckDB."""
    with pytest.raises(SettingsError, match="GCS_HMAC_KEY_ID and GCS_HMAC_SECRET are not set"):
        store_of(tmp_path, LAKE_URI="gs://shop/lake", GOOGLE_APPLICATION_CREDENTIALS="account.json")
    store = store_of(
        tmp_path,
        LAKE_URI="gs://shop/lake",
        GOOGLE_APPLICATION_CREDENTIALS="account.json",
        GCS_HMAC_KEY_ID="GOOG1",
        GCS_HMAC_SECRET=SECRET,
    )
    assert dict(store.options) == {"google_application_credentials": "account.json"}
    assert store.secret["type"] == "gcs"
    with Session(EngineLimits(), store) as session:
        assert session.rows("select type, scope from duckdb_secrets()") == [("gcs", ["gs://shop/"])]


def test_store_settings_show_no_secret(tmp_path: Path) -> None:
    """Neither settings, store nor session show the secret, whoever prints or asks them."""
    lines = MINIO | {"AWS_SESSION_TOKEN": "passing-token"}
    settings = Settings.read(write(tmp_path, LAKE_URI="s3://shop", **lines))
    with Session(EngineLimits(), settings.store) as session:
        told = str(session.rows("from duckdb_secrets()"))
        with pytest.raises(session.failure, match="unredacted secrets is disabled"):
            session.rows("from duckdb_secrets(redact = false)")
        with pytest.raises(session.failure, match="Cannot change allow_unredacted_secrets"):
            session.execute("set allow_unredacted_secrets = true")
    shown = f"{settings!r} {settings} {settings.model_dump_json()} {settings.store!r} {told}"
    assert "redacted" in told
    assert SECRET not in shown
    assert "passing-token" not in shown


def test_store_settings_load_nothing_for_a_folder() -> None:
    """A session on a lake in a folder has no httpfs and no secret, and pays for neither."""
    with Session(EngineLimits(), Store("lake", {})) as session:
        assert session.rows("from duckdb_secrets()") == []
        loaded = session.rows("select extension_name from duckdb_extensions() where loaded")
    assert ("httpfs",) not in loaded
