"""Settings: from the environment, then the project's `.env`, then `[tool.sluice]` of its `pyproject.toml`."""

import json
import os.path
import re
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
)

from lake.engine import EngineLimits
from lake.errors import SettingsError
from lake.objects import is_object_uri
from lake.settings_files import check_files, check_names, variable
from lake.store_settings import UNFIT_FOR_DUCKDB, StoreSettings, check_place, expect_fit, open_store
from lake.table_versions import Store

MEMORY = re.compile(r"\d+(\.\d+)?\s*([KMGT]i?)?B", re.IGNORECASE)
WEBHOOK = re.compile(r"https?://[^\s/]+\S*")
CURRENCY = re.compile(r"[A-Z]{3}")
FIVE_MINUTES, TEN_MINUTES, TWENTY_MINUTES = 300.0, 600.0, 1200.0


class Settings(StoreSettings):
    """Everything an operator can set; each field is `SLUICE_<NAME>`, but for `LAKE_URI` and a store's own."""

    model_config = SettingsConfigDict(
        env_prefix="SLUICE_", extra="ignore", frozen=True, pyproject_toml_table_header=("tool", "sluice")
    )

    project: Path = Field(description="The project folder: contracts, models, checks, pages.")
    lake_uri: str = Field(
        default="",
        validation_alias=AliasChoices("lake_uri", "LAKE_URI"),
        description="Where the lake is: a folder, s3://bucket/prefix or gs://bucket/prefix; default lake/data.",
    )
    memory_limit: str = Field(default="1GB", description="What DuckDB may use before it spills, e.g. 1GB.")
    threads: int | None = Field(default=None, ge=1, description="DuckDB threads; default one per core.")
    spill_dir: Path | None = Field(
        default=None, description="Where working files go; default the system's temporary folder."
    )
    spool_dir: Path | None = Field(
        default=None,
        description="Where posted rows wait on the ingestion service's disk; default lake/data/spool in the project.",
    )
    timezone: str = Field(default="UTC", description="The zone dates and times are shown in.")
    currency: str = Field(default="INR", description="The currency money is shown in (ISO 4217).")
    retry_delays_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        default=(FIVE_MINUTES, TEN_MINUTES, TWENTY_MINUTES),
        description="How long to wait before each retry of a step whose source or commit failed.",
    )
    keep_releases: int = Field(default=30, ge=1, description="How many releases vacuum keeps readable.")
    longest_run_hours: int = Field(default=24, ge=1, description="Files younger than this are never vacuumed.")
    output_dir: Path | None = Field(
        default=None, description="Where pages and the outbox go; default lake/data in the project."
    )
    exports_to: str = Field(
        default="",
        description="Where daily exports go: a folder, s3://bucket/prefix; default exports/ of the output.",
    )
    smtp_host: str | None = Field(
        default=None, description="The mail server; without one, mails go to the outbox as .eml."
    )
    smtp_port: int = Field(default=587, description="The mail server's port.")
    smtp_user: str | None = Field(default=None, description="The mail account.")
    smtp_password: SecretStr | None = Field(default=None, description="The mail account's password.")
    smtp_starttls: bool = Field(default=True, description="Whether the mail connection must be encrypted by STARTTLS.")
    mail_from: str = Field(default="sluice@localhost", description="The sender of reports and alerts.")
    mail_to: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("data-team@localhost",), description="Who gets pages and alerts that name nobody."
    )
    slack_webhook: SecretStr | None = Field(
        default=None, description="Slack's incoming webhook that alerts are posted to."
    )
    teams_webhook: SecretStr | None = Field(
        default=None, description="The webhook of a Teams workflow that alerts are posted to."
    )
    alert_webhook: SecretStr | None = Field(
        default=None, description="Any other address that alerts are posted to, as JSON."
    )

    serve_host: str = Field(default="127.0.0.1", description="Where the ingestion service listens.")
    serve_port: int = Field(default=8080, ge=0, le=65535, description="Its port; 0 takes any free one.")
    serve_cert: Path | None = Field(default=None, description="The service's TLS certificate (PEM, with its chain).")
    serve_key: Path | None = Field(default=None, description="The private key of that certificate (PEM).")
    keys_file: Path | None = Field(
        default=None, description="Where digests of API keys are kept; default .sluice/keys.json in the project."
    )
    requests_per_minute: int = Field(default=30_000, ge=1, description="What a key may send, unless it says otherwise.")
    rows_per_minute: int = Field(default=3_000_000, ge=1, description="The same in rows.")
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        description="How long a request's head may take, and a body pause or take; a large one longer.",
    )

    @field_validator("memory_limit")
    @classmethod
    def _memory(cls, text: str) -> str:
        if not MEMORY.fullmatch(text.strip()):
            raise ValueError(f"{text!r} is no size, e.g. 1GB or 800MB")
        return text

    @field_validator("lake_uri", "exports_to")
    @classmethod
    def _known_store(cls, uri: str) -> str:
        return check_place(uri)

    @field_validator("retry_delays_seconds", "mail_to", mode="before")
    @classmethod
    def _list(cls, given: object) -> object:
        """A text holds the values with commas between, or a list as JSON writes it."""
        if not isinstance(given, str):
            return given
        if not given.lstrip().startswith("["):
            return [part for each in given.split(",") if (part := each.strip())]
        try:
            return json.loads(given)
        except ValueError as error:
            raise ValueError(f"{given!r} is no list, e.g. 300,600 or [300, 600]") from error

    @field_validator("slack_webhook", "teams_webhook", "alert_webhook")
    @classmethod
    def _webhook(cls, address: SecretStr | None) -> SecretStr | None:
        text = "" if address is None else address.get_secret_value().strip()
        if text and not WEBHOOK.fullmatch(text):
            raise ValueError("this is no address that begins with https:// (it is not repeated here: it is a secret)")
        return SecretStr(text) if text else None

    @field_validator("currency")
    @classmethod
    def _code(cls, code: str) -> str:
        if not CURRENCY.fullmatch(code):
            raise ValueError(f"{code!r} is no currency by its three capitals, e.g. INR or EUR")
        return code

    @field_validator("lake_uri", "exports_to")
    @classmethod
    def _place(cls, place: str, info: ValidationInfo) -> str:
        return place if not place or is_object_uri(place) else str(_placed(Path(place), info))

    @field_validator("output_dir", "spool_dir", "spill_dir", "keys_file", "serve_cert", "serve_key")
    @classmethod
    def _path(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return None if path is None else _placed(path, info)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is no time zone, e.g. Asia/Kolkata") from error
        return name

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Puts the project's `pyproject.toml` behind the environment and `.env`."""
        project = Path(init_settings()["project"])
        if isinstance(env_settings, EnvSettingsSource):
            check_names(env_settings.env_vars, tuple(cls.model_fields))
        table = PyprojectTomlConfigSettingsSource(settings_cls, project / "pyproject.toml")
        return init_settings, env_settings, dotenv_settings, table

    @classmethod
    def read(cls, project: Path, **overrides: Any) -> Self:
        """Reads the settings of one project; raises SettingsError naming the setting that is wrong."""
        folder = project.resolve()
        check_files(folder, tuple(cls.model_fields))
        try:
            return cls(project=folder, _env_file=folder / ".env", **overrides)  # type: ignore[call-arg]  # pydantic-settings' own
        except ValidationError as error:
            first = error.errors()[0]
            name, why = variable(str(first["loc"][0])), first["msg"]
            told = why.removeprefix("Value error, ") if first["type"] == "value_error" else f"{first['input']!r}: {why}"
            message = f"Setting {name} is not usable: {told}."
            cure = "Mend it in the environment, .env or [tool.sluice]; .env.example shows how each is written."
            raise SettingsError("setting-invalid", message, cure=cure) from error

    @property
    def uri(self) -> str:
        """Where the lake is, always set."""
        return self.lake_uri or str(self.project / "lake" / "data")

    @property
    def store(self) -> Store:
        """The lake's place, with what it takes to reach it; raises SettingsError when some of that is not set."""
        expect_fit(self.output, UNFIT_FOR_DUCKDB, "lake.duckdb")
        return open_store(self.uri, self)

    @property
    def output(self) -> Path:
        """The local folder for pages, the outbox and lake.duckdb."""
        return self.output_dir or self.project / "lake" / "data"

    @property
    def spool(self) -> Path:
        """The local folder in which what was posted waits to be landed."""
        return self.spool_dir or self.project / "lake" / "data" / "spool"

    @property
    def keys(self) -> Path:
        """The file that digests of API keys are kept in."""
        return self.keys_file or self.project / ".sluice" / "keys.json"

    @property
    def exports(self) -> str:
        """The place of the daily exports, always set."""
        return self.exports_to or str(self.output / "exports")

    @property
    def limits(self) -> EngineLimits:
        """What a DuckDB session may use."""
        return EngineLimits(self.memory_limit, self.threads, self.spill_dir)


def _placed(path: Path, info: ValidationInfo) -> Path:
    """Gives a path that begins at the project's folder, wherever the command is called from, and goes no way twice."""
    return Path(os.path.normpath(Path(info.data["project"], path.expanduser())))
