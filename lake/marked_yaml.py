"""YAML as plain values that know the line they stand on: the one parser of every file a person writes.

It is libyaml, through PyYAML. Scalars are those of YAML 1.2's core schema, so `no`, `on` and `2026-01-31` stay the text
their author wrote, and numbers are exact.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import yaml

Location = tuple[str | int, ...]

LOADER = getattr(yaml, "CBaseLoader", yaml.BaseLoader)  # the second where PyYAML was built without libyaml
MERGE = "<<"
CORE_SCALARS: tuple[tuple[re.Pattern[str], Any], ...] = (
    (re.compile(r"null|Null|NULL|~|"), lambda _: None),
    (re.compile(r"true|True|TRUE"), lambda _: True),
    (re.compile(r"false|False|FALSE"), lambda _: False),
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), Decimal),  # exact, as it was written
)


class NotYaml(Exception):
    """A text is no YAML: `problem` says why, in the words of a sentence, `line` where, counted from 1."""

    def __init__(self, problem: str, line: int | None) -> None:
        super().__init__(problem)
        self.problem, self.line = problem, line


class KeyTwice(NotYaml):
    """A mapping has a key twice, of which one would be lost."""


@dataclass(frozen=True)
class Marked:
    """The value of a text (None for an empty one) and the line of each of its locations, counted from 1."""

    value: Any
    lines: Mapping[Location, int] = field(default_factory=dict)

    def line_at(self, *location: str | int) -> int:
        """Gives the line of a location, or of the nearest thing around it."""
        return line_of(self.lines, location)


def read_yaml(text: str) -> Marked:
    """Reads a text.

    Raises NotYaml for one that is no YAML or points at itself, KeyTwice for a mapping that has a key twice.
    """
    try:
        root = yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "context", None) or str(error)
        last = len(text.splitlines())  # what is missing at the end is told there, not below
        raise NotYaml(" ".join(str(problem).split()), None if mark is None else min(mark.line + 1, last)) from error
    lines: dict[Location, int] = {}
    return Marked(None if root is None else _plain(root, (), lines, frozenset()), lines)


def line_of(lines: Mapping[Location, int], location: Location) -> int:
    """Gives the line of a location, or of the nearest thing around it."""
    while location and location not in lines:
        location = location[:-1]
    return lines.get(location, 1)


def _plain(node: yaml.Node, at: Location, lines: dict[Location, int], around: frozenset[int]) -> Any:
    """Turns a node into plain values, writing down the line of every location."""
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if id(node) in around:
        raise NotYaml("an alias (*) points at something that contains it", node.start_mark.line + 1)
    around |= {id(node)}
    if isinstance(node, yaml.SequenceNode):
        return [_plain(entry, (*at, index), lines, around) for index, entry in enumerate(node.value)]
    found: dict[str, Any] = {}
    for key_node, value_node in _entries(node):
        key, line = str(key_node.value), key_node.start_mark.line + 1
        if key in found:
            raise KeyTwice(f"key '{key}' stands twice; first on line {lines[(*at, key)]}", line)
        lines[(*at, key)] = line
        found[key] = _plain(value_node, (*at, key), lines, around)
    return found


def _entries(node: yaml.Node) -> Iterator[tuple[yaml.Node, yaml.Node]]:
    """Gives the keys and values of a mapping: its own, then what it merges and does not have itself."""
    merged = [value for key, value in node.value if _is_merge(key)]
    yield from (entry for entry in node.value if not merged or not _is_merge(entry[0]))
    known = {str(key.value) for key, _ in node.value}
    for source in merged:
        for each in source.value if isinstance(source, yaml.SequenceNode) else [source]:
            for key, value in each.value if isinstance(each, yaml.MappingNode) else ():
                if str(key.value) not in known:
                    known.add(str(key.value))
                    yield key, value


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == MERGE and key.style in (None, "")


def _scalar(node: yaml.ScalarNode) -> Any:
    if node.style in (None, ""):  # plain, as the parsers in Python and in C say it
        for pattern, convert in CORE_SCALARS:
            if pattern.fullmatch(node.value):
                return convert(node.value)
    return node.value
