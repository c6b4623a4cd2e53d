"""The header of a model: the YAML in its leading comment, and the errors that name its file and line."""

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from lake.errors import ModelError
from lake.marked_yaml import Location, Marked, NotYaml, read_yaml

Materialise = Literal["view", "table"]
LEADING_COMMENT = re.compile(r"\s*/\*(.*?)\*/", re.DOTALL)
REQUIRED = ("description", "grain", "owner")
KEYS = (*REQUIRED, "materialise", "partition", "affected", "metrics")
METRIC_REQUIRED = ("name", "description", "formula")
METRIC_KEYS = (*METRIC_REQUIRED, "unit", "owner")
EXAMPLE = "Start the file with /* description: …, grain: one row per …, owner: … */, one key per line."


@dataclass(frozen=True)
class Metric:
    """One number a model defines: its name, what it means, its formula in SQL, its unit and who answers for it."""

    name: str
    description: str
    formula: str
    unit: str
    owner: str


@dataclass(frozen=True)
class Header:
    """What a model says of itself.

    `grain` is "one row per …". `partition` names the column whose values are rebuilt one by one; `affected` is a select
    that gives the values to rebuild where they cannot be derived, and may read `changed.<table>`.
    """

    description: str
    grain: str
    owner: str
    materialise: Materialise
    partition: str | None = None
    affected: str | None = None
    metrics: tuple[Metric, ...] = ()

    def key(self, columns: Collection[str]) -> tuple[str, ...]:
        """Gives the columns the grain names, as in "one row per sold_on, region"; none when it is said in words."""
        named = tuple(re.split(r",\s*(?:and\s+)?|\s+and\s+", self.grain.strip().removeprefix("one row per ")))
        return named if set(named) <= set(columns) else ()


def read_header(text: str, path: Path, default: Materialise) -> tuple[Header, int]:
    """Gives a model's header and the offset in the text where its SQL starts.

    Raises ModelError naming file and line when the header is missing, no YAML, or has a key it may not have.
    """
    comment = LEADING_COMMENT.match(text)
    if comment is None:
        raise ModelError("model-header-missing", "The model has no header comment.", cure=EXAMPLE, path=path, line=1)
    first_line = text.count("\n", 0, comment.start(1)) + 1
    fields = _Fields(_parse_fields(comment.group(1), path, first_line), path, first_line)
    return _header_of(fields, default), comment.end()


def nearest(name: str, known: Collection[str]) -> str:
    """Gives "Did you mean …?" for the nearest known name, or a list of them when none is near."""
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(sorted(known))}." if known else "None is known."


@dataclass(frozen=True)
class _Fields:
    """The keys of a header, or of one metric in it, which stands at a place."""

    marked: Marked
    path: Path
    first_line: int
    at: Location = ()

    @property
    def value(self) -> dict[str, object]:
        value = self.marked.value
        for step in self.at:
            value = value[step]
        return value  # type: ignore[no-any-return]  # checked where the fields were made

    def fault(self, code: str, message: str, cure: str, *key: str) -> ModelError:
        """Makes the error that points at a key, or at the whole."""
        line = self.first_line - 1 + self.marked.line_at(*self.at, *key)
        return ModelError(code, message, cure=cure, path=self.path, line=line)


def _parse_fields(text: str, path: Path, first_line: int) -> Marked:
    try:
        found = read_yaml(text)
    except NotYaml as error:
        line = first_line - 1 + (error.line or 1)
        message = f"The header is no YAML: {error.problem}."
        raise ModelError("model-header-broken", message, cure=EXAMPLE, path=path, line=line) from error
    if not isinstance(found.value, dict):
        raise ModelError("model-header-missing", "The header has no keys.", cure=EXAMPLE, path=path, line=first_line)
    return found


def _header_of(fields: _Fields, default: Materialise) -> Header:
    _refuse_keys(fields, KEYS, REQUIRED)
    texts = {key: _text_of(fields, key) for key in KEYS if key in fields.value and key != "metrics"}
    materialise = texts.get("materialise", default)
    if materialise not in ("view", "table"):
        message = f"Header key 'materialise' is {materialise!r}."
        raise fields.fault("model-header-value", message, "It is view or table.", "materialise")
    for key in ("partition", "affected"):
        if key in texts and (materialise == "view" or "partition" not in texts):
            message = f"Header key {key!r} has no meaning here."
            cure = "Only a table has a partition, and only a table with a partition has affected values."
            raise fields.fault("model-header-value", message, cure, key)
    return Header(
        description=texts["description"],
        grain=texts["grain"],
        owner=texts["owner"],
        materialise="view" if materialise == "view" else "table",
        partition=texts["partition"].lower() if "partition" in texts else None,
        affected=texts.get("affected"),
        metrics=_metrics_of(fields, texts["owner"]),
    )


def _metrics_of(fields: _Fields, owner: str) -> tuple[Metric, ...]:
    listed = fields.value.get("metrics") or []
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        message, cure = (
            "Header key 'metrics' is no list of mappings.",
            "Write '- name: …' with description and formula below it.",
        )
        raise fields.fault("model-header-value", message, cure, "metrics")
    return tuple(_metric_of(replace(fields, at=("metrics", place)), owner) for place in range(len(listed)))


def _metric_of(fields: _Fields, owner: str) -> Metric:
    _refuse_keys(fields, METRIC_KEYS, METRIC_REQUIRED)
    texts = {key: _text_of(fields, key) for key in fields.value}
    return Metric(
        texts["name"], texts["description"], texts["formula"], texts.get("unit", ""), texts.get("owner", owner)
    )


def _refuse_keys(fields: _Fields, known: Collection[str], required: Collection[str]) -> None:
    for key in fields.value:
        if key not in known:
            raise fields.fault("model-header-key", f"Unknown header key {key!r}.", nearest(key, known), key)
    for key in required:
        if key not in fields.value:
            raise fields.fault("model-header-key", f"Header key {key!r} is missing.", f"Add '{key}: …'.")


def _text_of(fields: _Fields, key: str) -> str:
    value = fields.value[key]
    if isinstance(value, str | int | Decimal) and str(value).strip():
        return " ".join(str(value).split()) if key != "affected" else str(value).strip()
    raise fields.fault("model-header-value", f"Header key {key!r} is {value!r}.", "It must be a text.", key)
