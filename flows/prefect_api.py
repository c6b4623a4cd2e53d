"""Whether a Prefect API is at hand, found without importing Prefect, whose import alone costs over a second."""

import http.client
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ANSWER_SECONDS = 5.0  # where nobody listens the answer is there at once; a server at work may take its time
CONNECTIONS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
ANSWERS_OF_AN_API = (200, 401, 403)  # with a password set, the health route may want it too


def find_api(project: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """Gives the address of a Prefect API that answers now, or None.

    Looked at in Prefect's own order: the environment, the project's `prefect.toml`, the profile `sluice up` wrote, the
    user's active profile. The first address given is the one meant: when it does not answer, no other is tried.
    """
    address = configured_api(project, environment)
    return address if address is not None and answers(address) else None


def configured_api(project: Path, environment: Mapping[str, str] = os.environ) -> str | None:
    """Gives the address of the Prefect API that is meant, whether it answers or not."""
    if address := environment.get("PREFECT_API_URL"):
        return address
    toml = _read_toml(project / "prefect.toml")
    if address := toml.get("api", {}).get("url"):
        return str(address)
    home = Path(environment.get("PREFECT_HOME") or Path.home() / ".prefect")
    for profiles in (profiles_path(project), home / "profiles.toml"):
        if address := _active_profile(profiles, environment.get("PREFECT_PROFILE")).get("PREFECT_API_URL"):
            return str(address)
    return None


def profiles_path(project: Path) -> Path:
    """Gives where `sluice up` writes the address of a project's own server."""
    return project / ".prefect" / "profiles.toml"


def answers(address: str, seconds: float = ANSWER_SECONDS) -> bool:
    """Says whether a Prefect API is healthy at an address, such as `http://127.0.0.1:4200/api`, in time."""
    parts = urlsplit(address)
    if parts.scheme not in CONNECTIONS or parts.hostname is None:
        return False
    connection = CONNECTIONS[parts.scheme](parts.hostname, parts.port, timeout=seconds)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}/health")
        return connection.getresponse().status in ANSWERS_OF_AN_API
    except (OSError, http.client.HTTPException):
        return False  # nobody there, or somebody who does not speak HTTP: no API, which is an answer
    finally:
        connection.close()


def _active_profile(path: Path, wanted: str | None) -> Mapping[str, Any]:
    profiles = _read_toml(path)
    found: Mapping[str, Any] = profiles.get("profiles", {}).get(wanted or profiles.get("active", ""), {})
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
