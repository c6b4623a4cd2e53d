"""Where secrets are kept: the environment, then the project's `.env`."""

import os
from pathlib import Path

from dotenv import dotenv_values

from lake.secrets import Secrets


def open_vault(project: Path) -> Secrets:
    """Gives the secrets a project may ask for by name; nothing is read before one is asked for."""

    def lookup(name: str) -> str | None:
        return os.environ.get(name) or dotenv_values(project / ".env").get(name)

    return Secrets(lookup)
