"""The JSON schema for editors: it is what the code says, knows every custom property, and takes what Sluice takes."""

import ast
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema_rs import Draft201909Validator, meta

from flows.cli import main
from flows.drafting import editor_schema_text
from lake.marked_yaml import read_yaml
from lake.odcs.servers.reading import READERS

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "lake" / "contracts" / "contract.schema.json"
READING = ("custom_properties", "read_options")


def problems(document: Any) -> list[str]:
    return [error.message for error in Draft201909Validator(json.loads(KEPT.read_text("utf-8"))).iter_errors(document)]


def contract(text: str) -> Any:
    return read_yaml(text).value


def known_to_readers() -> Iterator[tuple[str, str]]:
    """Every name of a custom property that any reader of contracts asks for, with its file."""
    for path in sorted((ROOT / "lake" / "odcs").rglob("*.py")):
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in READING:
                asked = node.args[1]
                names = {name.id for name in ast.walk(asked) if isinstance(name, ast.Name)}
                if names <= vars(module).keys():  # a function's own parameter is asked for by its callers
                    for name in eval(ast.unparse(asked), vars(module)):
                        yield str(name), path.name


def test_editor_schema_in_the_repository_is_fresh() -> None:
    """The file is what the code gives: `sluice contract schema --out lake/contracts/contract.schema.json`."""
    assert KEPT.read_text("utf-8") == editor_schema_text()


def test_editor_schema_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It is valid JSON schema, and `sluice contract schema` prints it."""
    meta.validate(json.loads(KEPT.read_text("utf-8")))
    assert main(["contract", "schema", "--project", str(ROOT)]) == 0
    assert capsys.readouterr().out == editor_schema_text()


def test_editor_schema_knows_every_custom_property() -> None:
    """Each custom property that a reader asks for stands in it, with a description."""
    found = dict(known_to_readers())
    assert {"driftPolicy", "defaultValue", "category", "delimiter"} <= found.keys()
    text = KEPT.read_text("utf-8")
    assert {name: path for name, path in found.items() if f'"const": "{name}"' not in text} == {}


def test_editor_schema_knows_every_server() -> None:
    """Each type of server that is read has its own list of properties."""
    text = KEPT.read_text("utf-8")
    assert [kind for kind in READERS if f'"const": "{kind}"' not in text] == []


def test_editor_schema_takes_the_projects_contracts() -> None:
    """The contracts of this repository have no problem with it."""
    for path in sorted((ROOT / "lake" / "contracts").glob("*.yaml")):
        assert problems(contract(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("value: first-wins", "value: first", '"first" is not one of'),
        ("value: quarantine", "value: ignore", '"ignore" is not one of'),
        ("value: 2 days", "value: two days", '"two days" does not match'),
        ("classification: restricted", "classification: secret", '"secret" is not one of'),
        ("value: BUSINESS_RULE_VIOLATION", "value: OTHER", '"OTHER" is not one of'),
        (
            "  - name: sales\n    physicalType",
            "  - name: more\n  - name: sales\n    physicalType",
            "has more than 1 item",
        ),
    ],
)
def test_editor_schema_marks_what_sluice_refuses(old: str, new: str, problem: str) -> None:
    """A value that no reader would take is marked while it is being written."""
    text = (ROOT / "lake" / "contracts" / "sales.yaml").read_text("utf-8")
    assert old in text
    assert any(problem in message for message in problems(contract(text.replace(old, new, 1))))


def test_editor_schema_leaves_other_vendors_alone() -> None:
    """A property of another tool may hold what it likes, even under a name of ours."""
    text = (ROOT / "lake" / "contracts" / "sales.yaml").read_text("utf-8")
    other = "{property: driftPolicy, value: theirs, vendor: other}, {property: whatever, value: 1}"
    found = contract(text.replace("{property: driftPolicy, value: quarantine}", other.split("}, ")[0] + "}"))
    found["schema"][0]["customProperties"].append({"property": "whatever", "value": 1})
    assert problems(found) == []


def test_editor_schema_comes_with_a_draft(tmp_path: Path) -> None:
    """A drafted contract names it in its first line, it lies beside it, and both fit."""
    data = tmp_path / "orders.csv"
    data.write_text("id,price\n1,2.50\n2,3.00\n", encoding="utf-8")
    assert main(["draft", str(data), "--project", str(tmp_path)]) == 0
    text = (tmp_path / "lake" / "contracts" / "orders.yaml").read_text("utf-8")
    assert text.splitlines()[0] == "# yaml-language-server: $schema=contract.schema.json"
    assert (tmp_path / "lake" / "contracts" / "contract.schema.json").read_text("utf-8") == editor_schema_text()
    assert problems(contract(text)) == []
