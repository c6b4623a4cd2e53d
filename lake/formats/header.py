"""The names of the received columns, as a header gives them: checked once for every format that has a header."""

from collections.abc import Sequence

from lake.errors import SourceError


def name_columns(cells: Sequence[str | None]) -> tuple[str, ...]:
    """Gives the column names of a header: trimmed, an empty one by its place."""
    found = ["" if cell is None else cell.strip() for cell in cells]
    return tuple(name or f"column_{place}" for place, name in enumerate(found, 1))


def spell_as(names: Sequence[str], expected: Sequence[str]) -> tuple[str, ...]:
    """Gives names in the spelling that is expected where they differ from it in case or white space only.

    A name that is there as expected stands for itself; two that mean the same are left as they are.
    """
    known = {_plain(name): name for name in expected}
    plain = [_plain(name) for name in names]
    return tuple(
        known[key] if key in known and known[key] not in names and plain.count(key) == 1 else name
        for name, key in zip(names, plain, strict=True)
    )


def _plain(name: str) -> str:
    return "".join(name.split()).casefold()


def check_header(names: Sequence[str], expected: Sequence[str], *, origin: str, line: int = 1) -> None:
    """Raises SourceError when a header cannot be one, repeats a name, or holds none of those expected, if any are."""
    if any("\0" in name for name in names):
        raise SourceError(
            "header-unreadable",
            f"The header of {origin} holds a NUL, which no column name can.",
            cure="Deliver it as text, in the encoding that the contract declares.",
            line=line,
        )
    plain = [name.casefold() for name in names]  # no SQL tells names apart that differ in case only
    repeated = sorted({name for name, key in zip(names, plain, strict=True) if plain.count(key) > 1})
    if repeated:
        raise SourceError(
            "header-repeated",
            f"The header of {origin} has {repeated[0]!r} twice.",
            cure="Name every column once.",
            line=line,
        )
    if expected and not set(names) & set(expected):
        raise SourceError(
            "header-unknown",
            f"The header of {origin} has none of the contract's columns: {', '.join(names)[:200]!r}.",
            cure=f"Expected {', '.join(expected)}; is it the right file, sheet, delimiter and encoding?",
            line=line,
        )
