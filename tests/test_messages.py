"""The page of messages explains every error that can be raised, and none that cannot."""

import ast
import re
from collections import Counter
from pathlib import Path

from lake import errors

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("lake", "sql", "checks", "reports", "flows")
KEBAB = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)+")
ERRORS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.SluiceError)
}


def trees() -> list[tuple[str, ast.Module]]:
    paths = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))
    return [(str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))) for path in paths]


def called(node: ast.AST) -> str:
    made = node.func if isinstance(node, ast.Call) else None
    return str(getattr(made, "id", getattr(made, "attr", "")))


def code_of(node: ast.Call) -> ast.expr | None:
    named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
    return next(iter([*named, *node.args]), None)


def is_handed_on(code: ast.expr | None) -> bool:
    """Whether a code comes from elsewhere: a maker's own `code`, or the `.code` of an error told again."""
    return (isinstance(code, ast.Name) and code.id == "code") or (
        isinstance(code, ast.Attribute) and code.attr == "code"
    )


def error_classes(nodes: list[ast.AST]) -> set[str]:
    """The error classes of `lake/errors.py`, and those that a part derives from them for itself."""
    found = set(ERRORS)
    classes = {
        node.name: {getattr(base, "id", "") for base in node.bases} for node in nodes if isinstance(node, ast.ClassDef)
    }
    while more := {name for name, bases in classes.items() if bases & found} - found:
        found |= more
    return found


def makers() -> set[str]:
    """The error classes, and every function that takes a `code` and makes an error with it."""
    nodes = [node for _, tree in trees() for node in ast.walk(tree)]
    classes = error_classes(nodes)
    return classes | {
        function.name
        for function in nodes
        if isinstance(function, ast.FunctionDef)
        and any(argument.arg == "code" for argument in function.args.args)
        and any(called(node) in classes for node in ast.walk(function))
    }


def error_calls() -> list[tuple[str, ast.expr | None]]:
    """Every making of an error of ours that names its code: where it stands, and the code."""
    known = makers()
    calls = [(path, node) for path, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    made = [(f"{path}:{node.lineno}", code_of(node)) for path, node in calls if called(node) in known]
    return [(place, code) for place, code in made if not is_handed_on(code)]


def explained_codes() -> list[str]:
    """The codes of the table in docs/messages.md, in its order."""
    lines = (ROOT / "docs" / "messages.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line.startswith("|")]
    return [row[0].strip("`") for row in rows if KEBAB.fullmatch(row[0].strip("`"))]


def raised_codes() -> set[str]:
    return {str(code.value) for _, code in error_calls() if isinstance(code, ast.Constant)}


def test_messages_codes_are_literals_in_kebab_case() -> None:
    """Every error names its code where it is made, in kebab-case, so that a search finds it."""
    wrong = [
        place
        for place, code in error_calls()
        if not (isinstance(code, ast.Constant) and isinstance(code.value, str) and KEBAB.fullmatch(code.value))
    ]
    assert wrong == []


def test_messages_every_code_is_explained() -> None:
    """Every code in the source stands in docs/messages.md."""
    assert sorted(raised_codes() - set(explained_codes())) == []


def test_messages_every_explanation_has_its_code() -> None:
    """docs/messages.md explains no code that the source does not know, and each one once."""
    assert sorted(set(explained_codes()) - raised_codes()) == []
    assert [code for code, count in Counter(explained_codes()).items() if count > 1] == []


def test_messages_every_explanation_is_whole() -> None:
    """Every row of the table says what the code means and what to do."""
    lines = (ROOT / "docs" / "messages.md").read_text("utf-8").splitlines()
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]] for line in lines if line.startswith("|")
    ]
    assert [row[0] for row in rows if len(row) != 3 or not all(row)] == []
