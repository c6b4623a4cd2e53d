"""What an author passes to a figure, made sense of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lake.errors import ModelError
from reports.data import Column, Result
from reports.formats import KINDS

Names = str | Sequence[str]


def slug_of(title: str) -> str:
    """Gives a title as an id: lower case, words joined by dashes."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def names_of(given: Names) -> tuple[str, ...]:
    """Gives one or several names as several."""
    return (given,) if isinstance(given, str) else tuple(given)


def known_format(form: str) -> str:
    """Gives a format back; raises ModelError for one there is not."""
    if form and form.split(":")[0] not in KINDS:
        raise ModelError("page-choice", f"format='{form}' is not known.", cure=f"Use one of {', '.join(KINDS)}.")
    return form


def check_choice(argument: str, given: str, known: Sequence[str]) -> None:
    """Raises ModelError for a word that an argument does not know."""
    if given not in known:
        raise ModelError("page-choice", f"{argument}='{given}' is not known.", cure=f"Use one of {', '.join(known)}.")


def column_of(result: Result, name: str, form: str) -> Column:
    """Gives a result's column, in the format asked for if any."""
    column = result.column(name)
    return replace(column, format=known_format(form) or column.format)


def relabel(result: Result, name: str, labels: Mapping[str, str] | None) -> Column:
    """Gives a result's column under the heading asked for if any."""
    column = result.column(name)
    return replace(column, label=(labels or {}).get(name, column.label))


def places_of(names: Sequence[str], columns: Sequence[Column]) -> tuple[int, ...]:
    """Gives where columns of some names stand among those shown; raises ModelError for one that is not shown."""
    shown = [column.name for column in columns]
    for name in names:
        if name not in shown:
            raise ModelError(
                "page-column", f"The figure shows no column '{name}'.", cure=f"It has: {', '.join(shown)}."
            )
    return tuple(shown.index(name) for name in names)
