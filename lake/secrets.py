"""Secrets: asked for by name when a source needs one, and struck out of whatever is said afterwards."""

from collections.abc import Callable
from dataclasses import dataclass, field

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
                cure=f"Set {name} in the environment or .env, or keep it in a Prefect Secret block of that name.",
            )
        self._given.add(value)
        return value

    def keep(self, value: str) -> None:
        """Remembers a value read elsewhere, such as a person's address, that is to be struck out like a secret."""
        self._given.add(value)

    def redact(self, text: str) -> str:
        """Gives a text with every secret that was given struck out."""
        for value in sorted(self._given, key=len, reverse=True):
            if len(value) >= SHORTEST:
                text = text.replace(value, STRUCK)
        return text
