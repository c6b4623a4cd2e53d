"""YAML is read into plain values that know their lines; what is none is told with its line."""

from decimal import Decimal

import pytest

from lake.marked_yaml import KeyTwice, NotYaml, read_yaml

TEXT = """\
# a comment
base: &base {days: 3, rate: 0.10}
when: 2026-01-31
words: ["1", no, on, ~, true, 0x1F]
nested:
  - name: one
    <<: *base
    days: 4
  - [2, -3]
"""


def test_marked_yaml_gives_values_of_the_core_schema() -> None:
    """Dates and `no` stay text, numbers are exact, and a merged mapping gives what is not said beside it."""
    assert read_yaml(TEXT).value == {
        "base": {"days": 3, "rate": Decimal("0.10")},
        "when": "2026-01-31",
        "words": ["1", "no", "on", None, True, "0x1F"],
        "nested": [{"name": "one", "days": 4, "rate": Decimal("0.10")}, [2, -3]],
    }
    assert read_yaml("").value is None


def test_marked_yaml_knows_the_line_of_every_value() -> None:
    """A key has the line it stands on, an entry the one it begins on, and what is not there that around it."""
    found = read_yaml(TEXT)
    assert [found.line_at(*at) for at in ((), ("base", "rate"), ("nested",), ("nested", 0), ("nested", 1, 1))] == [
        *(2, 2, 5, 6, 9),
    ]
    assert found.line_at("nested", 0, "days") == 8
    assert found.line_at("nested", 0, "rate") == 2  # where it is written
    assert found.line_at("nested", 0, "unknown", "deeper") == 6


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a: 1\nb: [", 2, "did not find expected node content"),
        ("a: 1\nb: c: d", 2, "mapping values are not allowed"),
        ("a: 1\nb: *a", 2, "undefined alias"),
        ("a: 1\nb: &b [*b]", 2, "points at something that contains it"),
        ("a: 1\n--- b", 2, "another document"),
        ("a: \x01", None, "control characters are not allowed"),
    ],
)
def test_marked_yaml_tells_what_is_wrong(text: str, line: int | None, problem: str) -> None:
    """A text that is no YAML is refused with the line and the reason."""
    with pytest.raises(NotYaml, match=problem) as caught:
        read_yaml(text)
    assert caught.value.line == line


def test_marked_yaml_refuses_a_key_that_stands_twice() -> None:
    """One of the two would be lost: both lines are named."""
    with pytest.raises(KeyTwice, match="key 'b' stands twice; first on line 2") as caught:
        read_yaml("a:\n  b: 1\n  c: 2\n  b: 3\n")
    assert caught.value.line == 4
