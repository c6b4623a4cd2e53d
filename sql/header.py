"""The header of a model: the YAML in its leading comment, and the errors that name its file and line."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError

from lake.errors import ModelError

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
    fields = _parse_fields(comment.group(1), path, first_line)
    header = _header_of(fields, path, first_line, default)
    return header, comment.end()


def nearest(name: str, known: Collection[str]) -> str:
    """Gives "Did you mean …?" for the nearest known name, or a list of them when none is near."""
    near = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join(sorted(known))}." if known else "None is known."


def _parse_fields(text: str, path: Path, first_line: int) -> CommentedMap:
    try:
        fields = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = first_line + (error.problem_mark.line if error.problem_mark else 0)
        problem = " ".join(str(error.problem or error.context).split())
        raise ModelError(
            "model-header-broken", f"The header is no YAML: {problem}.", cure=EXAMPLE, path=path, line=line
        ) from error
    if not isinstance(fields, CommentedMap):
        raise ModelError("model-header-missing", "The header has no keys.", cure=EXAMPLE, path=path, line=first_line)
    return fields


def _header_of(fields: CommentedMap, path: Path, first_line: int, default: Materialise) -> Header:
    _refuse_keys(fields, KEYS, REQUIRED, path, first_line)
    texts = {key: _text_of(fields, key, path, first_line) for key in KEYS if key in fields and key != "metrics"}
    materialise = texts.get("materialise", default)
    if materialise not in ("view", "table"):
        raise ModelError(
            "model-header-value",
            f"Header key 'materialise' is {materialise!r}.",
            cure="It is view or table.",
            path=path,
            line=first_line + fields.lc.key("materialise")[0],
        )
    for key in ("partition", "affected"):
        if key in texts and (materialise == "view" or "partition" not in texts):
            raise ModelError(
                "model-header-value",
                f"Header key {key!r} has no meaning here.",
                cure="Only a table has a partition, and only a table with a partition has affected values.",
                path=path,
                line=first_line + fields.lc.key(key)[0],
            )
    return Header(
        description=texts["description"],
        grain=texts["grain"],
        owner=texts["owner"],
        materialise="view" if materialise == "view" else "table",
        partition=texts["partition"].lower() if "partition" in texts else None,
        affected=texts.get("affected"),
        metrics=_metrics_of(fields, path, first_line, texts["owner"]),
    )


def _metrics_of(fields: CommentedMap, path: Path, first_line: int, owner: str) -> tuple[Metric, ...]:
    listed = fields.get("metrics") or []
    line = first_line + fields.lc.key("metrics")[0] if "metrics" in fields else first_line
    if not isinstance(listed, list) or not all(isinstance(entry, CommentedMap) for entry in listed):
        raise ModelError(
            "model-header-value",
            "Header key 'metrics' is no list of mappings.",
            cure="Write '- name: …' with description and formula below it.",
            path=path,
            line=line,
        )
    metrics = []
    for entry in listed:
        _refuse_keys(entry, METRIC_KEYS, METRIC_REQUIRED, path, first_line)
        texts = {key: _text_of(entry, key, path, first_line) for key in entry}
        metrics.append(
            Metric(
                texts["name"], texts["description"], texts["formula"], texts.get("unit", ""), texts.get("owner", owner)
            )
        )
    return tuple(metrics)


def _refuse_keys(
    fields: CommentedMap, known: Collection[str], required: Collection[str], path: Path, first_line: int
) -> None:
    for key in fields:
        if key not in known:
            line = first_line + fields.lc.key(key)[0]
            raise ModelError(
                "model-header-key", f"Unknown header key {key!r}.", cure=nearest(str(key), known), path=path, line=line
            )
    for key in required:
        if key not in fields:
            line = first_line + (fields.lc.line or 0)
            raise ModelError(
                "model-header-key", f"Header key {key!r} is missing.", cure=f"Add '{key}: …'.", path=path, line=line
            )


def _text_of(fields: Mapping[str, object] | CommentedMap, key: str, path: Path, first_line: int) -> str:
    value = fields[key]
    if isinstance(value, str | int | float) and str(value).strip():
        return " ".join(str(value).split()) if key != "affected" else str(value).strip()
    line = first_line + fields.lc.key(key)[0] if isinstance(fields, CommentedMap) else first_line
    raise ModelError(
        "model-header-value", f"Header key {key!r} is {value!r}.", cure="It must be a text.", path=path, line=line
    )
