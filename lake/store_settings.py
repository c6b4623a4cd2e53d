"""The settings of an object store, by the names its own tools use, and the store they describe."""

import re
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings

from lake.errors import SettingsError
from lake.objects import is_object_uri
from lake.table_versions import Store

PLACE = re.compile(r"(?P<scheme>s3|gs)://(?P<bucket>[a-z0-9][a-z0-9._-]*[a-z0-9])(?:/[A-Za-z0-9._=+/-]*)?")
DRIVE_OR_FOLDER = re.compile(r"(?![a-zA-Z][a-zA-Z0-9+.-]+:)")  # one letter alone before a colon is a drive
UNFIT_FOR_DUCKDB = re.compile(r"\?")  # it puts the ending of its log before the mark
UNFIT = re.compile(r"%[0-9A-Fa-f]{2}|[\\\x00-\x1f\x7f]")  # Delta's library takes it for another folder, or for none
ANY_REGION = "us-east-1"  # what stores that know no regions expect to be called


class StoreSettings(BaseSettings):
    """How an object store is reached; none of it matters to a lake in a folder."""

    aws_access_key_id: str = Field(default="", validation_alias="aws_access_key_id", description="The key's id.")
    aws_secret_access_key: SecretStr = Field(
        default=SecretStr(""), validation_alias="aws_secret_access_key", description="The key's secret."
    )
    aws_session_token: SecretStr = Field(
        default=SecretStr(""), validation_alias="aws_session_token", description="The token of a passing key."
    )
    aws_region: str = Field(
        default="",
        validation_alias=AliasChoices("aws_region", "aws_default_region"),
        description="The bucket's region; a store with an endpoint of its own needs none.",
    )
    aws_endpoint_url: str = Field(
        default="",
        validation_alias=AliasChoices("aws_endpoint_url_s3", "aws_endpoint_url"),
        description="Where the store is, such as http://127.0.0.1:9000, when it is not Amazon's.",
    )
    google_application_credentials: str = Field(
        default="", validation_alias="google_application_credentials", description="The service account's JSON file."
    )
    gcs_hmac_key_id: str = Field(
        default="",
        validation_alias="gcs_hmac_key_id",
        description="The id of an HMAC key, by which DuckDB reads gs://.",
    )
    gcs_hmac_secret: SecretStr = Field(
        default=SecretStr(""), validation_alias="gcs_hmac_secret", description="The secret of that HMAC key."
    )


def check_place(uri: str) -> str:
    """Gives where a lake is, without a last slash; raises ValueError when no lake can be there."""
    if DRIVE_OR_FOLDER.match(uri):
        return uri
    if uri.startswith(("az:", "abfs:", "abfss:", "adl:")):
        raise ValueError(f"{uri!r} is on Azure, where no lake can be yet; use a folder, s3:// or gs://")
    if PLACE.fullmatch(uri) is None:
        raise ValueError(f"{uri!r} is neither a folder nor a plain s3://bucket/prefix or gs://bucket/prefix")
    return uri.rstrip("/")


def open_store(uri: str, settings: StoreSettings) -> Store:
    """Gives the store of a lake; raises SettingsError when a setting that it takes is missing."""
    if not is_object_uri(uri):
        expect_fit(Path(uri), UNFIT, "tables")
        return Store(uri, {})
    return _google(uri, settings) if uri.startswith("gs://") else _amazon(uri, settings)


def expect_fit(folder: Path, unfit: re.Pattern[str], what: str) -> None:
    """Raises SettingsError for a folder whose path a library takes for another one."""
    found = unfit.search(str(folder.absolute()))
    if found is not None:
        raise SettingsError(
            "lake-place-unfit",
            f"{str(folder)!r} cannot hold {what}: with {found[0]!r} in it, the library for that reads another path.",
            cure="Rename that folder, or let LAKE_URI and SLUICE_OUTPUT_DIR name another.",
        )


def _amazon(uri: str, settings: StoreSettings) -> Store:
    """Keys are asked for by name: the libraries would else look for them at the cloud's metadata service, unasked."""
    key_id, secret = settings.aws_access_key_id, settings.aws_secret_access_key.get_secret_value()
    token, endpoint = settings.aws_session_token.get_secret_value(), settings.aws_endpoint_url.rstrip("/")
    _expect(uri, AWS_ACCESS_KEY_ID=key_id, AWS_SECRET_ACCESS_KEY=secret)
    region = settings.aws_region or (ANY_REGION if endpoint else "")
    _expect(uri, AWS_REGION=region)
    scheme, _, host = endpoint.rpartition("://")
    if endpoint and scheme not in ("http", "https"):
        raise SettingsError(
            "store-setting-missing",
            f"AWS_ENDPOINT_URL is {endpoint!r}, which does not say http:// or https://.",
            cure="Write it as http://127.0.0.1:9000.",
        )
    options = {"aws_access_key_id": key_id, "aws_secret_access_key": secret, "aws_region": region}
    told = {"type": "s3", "scope": _scope(uri), "key_id": key_id, "secret": secret, "region": region}
    if token:
        options["aws_session_token"] = told["session_token"] = token
    if endpoint:
        options |= {"aws_endpoint": endpoint, "aws_allow_http": "true" if scheme == "http" else "false"}
        told |= {"endpoint": host, "use_ssl": "false" if scheme == "http" else "true"}
    if endpoint or "." in _bucket(uri):
        told["url_style"] = "path"
    return Store(uri, options, told)


def _google(uri: str, settings: StoreSettings) -> Store:
    """Delta's library signs by the service account; DuckDB knows HMAC keys only."""
    account, key_id = settings.google_application_credentials, settings.gcs_hmac_key_id
    secret = settings.gcs_hmac_secret.get_secret_value()
    _expect(uri, GOOGLE_APPLICATION_CREDENTIALS=account, GCS_HMAC_KEY_ID=key_id, GCS_HMAC_SECRET=secret)
    told = {"type": "gcs", "scope": _scope(uri), "key_id": key_id, "secret": secret}
    return Store(uri, {"google_application_credentials": account}, told)


def _expect(uri: str, **values: str) -> None:
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise SettingsError(
            "store-setting-missing",
            f"{uri} is to be used, and {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set.",
            cure="Set them in the environment or .env; Sluice looks for credentials nowhere else.",
        )


def _bucket(uri: str) -> str:
    return uri.split("://", 1)[1].split("/", 1)[0]


def _scope(uri: str) -> str:
    return f"{uri.split('://', 1)[0]}://{_bucket(uri)}/"
