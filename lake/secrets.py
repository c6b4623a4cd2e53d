"""Secrets: asked for by name when a source needs one, and struck out of whatever is said afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus

from lake.errors import SettingsError

STRUCK = "***"
SHORTEST = 4  # characters: striking out anything shorter would maim ordinary words

Lookup = Callable[[str], str | None]


@dataclass(frozen=True)
class Secrets:
    """Gives secrets by name, and remembers those it gave; `lookup` gives None for a name that is not set."""

    lookup: Lookup
    _given: set[str] = field(default_factory=set, repr=False)

    def reveal(self, name: str) -> str:
        """Gives a secret; raises SettingsError naming it (never its value) when it is not set."""
        value = self.lookup(name)
        if not value:
            raise SettingsError(
                "secret-missing",
                f"The secret {name!r} is not set.",
                cure=f"Set {name} in the environment or .env, or keep it in a Prefect Secret block (docs/sources.md).",
            )
        return self.guard(value)

    def guard(self, value: str) -> str:
        """Gives a value back that was made of secrets, such as a token, and strikes it out from now on, too."""
        self._given.add(value)
        return value

    def redact(self, text: str) -> str:
        """Gives a text with every secret that was given struck out, also where it is written as part of a URL."""
        written = {form for value in self._given for form in (value, quote(value, safe=""), quote_plus(value))}
        for value in sorted(written, key=len, reverse=True):
            if len(value) >= SHORTEST:
                text = text.replace(value, STRUCK)
        return text
