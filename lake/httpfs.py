"""What DuckDB needs for an object store: the extension, as its wheel carries it, and a secret for the one bucket."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from lake.errors import SettingsError
from lake.table_versions import Store

SECRET = "lake"
# DuckDB cuts an upload into 10 000 parts and keeps them in memory: by its default of 800 GB a file, 80 MB each
UPLOAD_LIMIT = "100GB"


def reach_statements(store: Store) -> tuple[str, ...]:
    """Gives the statements after which a DuckDB database reads and writes the lake; none for a lake in a folder."""
    if not store.secret:
        return ()
    return (
        f"load {_literal(str(extension_file('httpfs')))}",
        f"set s3_uploader_max_filesize = {_literal(UPLOAD_LIMIT)}",
        "set enable_http_metadata_cache = true",  # no file of a lake is ever written twice
        secret_statement(SECRET, store.secret),
    )


def secret_statement(name: str, secret: Mapping[str, str]) -> str:
    """Gives the statement that makes a secret for as long as the database is open."""
    options = ", ".join(f"{key} {_literal(value)}" for key, value in secret.items())
    return f"create secret {name} ({options})"


def extension_file(name: str) -> Path:
    """Gives an extension of DuckDB as its wheel carries it; raises SettingsError when the wheel is not installed."""
    spec = find_spec(f"duckdb_extension_{name}")
    places = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
    found = [file for place in places for file in place.glob(f"extensions/*/{name}.duckdb_extension")]
    if not found:
        raise SettingsError(
            "extension-missing",
            f"DuckDB's extension {name!r} is not installed.",
            cure=f"Install duckdb-extension-{name} in DuckDB's own version; nothing is fetched at run time.",
        )
    return found[0]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
