"""Where secrets are kept: the environment, then the project's `.env`, then Prefect's Secret blocks."""

import os
from pathlib import Path

from dotenv import dotenv_values

from flows.prefect_api import find_api
from lake.errors import SettingsError
from lake.secrets import Secrets


def open_vault(project: Path) -> Secrets:
    """Gives the secrets a project may ask for by name; nothing is read before one is asked for."""

    def lookup(name: str) -> str | None:
        return os.environ.get(name) or dotenv_values(project / ".env").get(name) or _block_secret(project, name)

    return Secrets(lookup)


def block_name(name: str) -> str:
    """Gives the name of the Secret block of a secret: such names have no capitals and no underscores."""
    return name.lower().replace("_", "-")


def _block_secret(project: Path, name: str) -> str | None:
    """Gives a secret of the Prefect server that is at hand, None when there is none; no server is started for it."""
    api = find_api(project)
    if api is None:
        return None
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
    from prefect.settings import PREFECT_API_URL, temporary_settings

    try:
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            document = client.read_block_document_by_name(block_name(name), "secret")
    except ObjectNotFound:
        return None
    except PrefectHTTPStatusError as error:
        raise SettingsError(
            "secret-unreadable",
            f"The Prefect API at {api} did not give the Secret block '{block_name(name)}': "
            f"{error.response.status_code}.",
            cure="Check the API's own account, or set the secret in the environment or .env.",
        ) from error
    value = document.data.get("value")
    return None if value is None else str(value)
