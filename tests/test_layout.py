"""The house style's rules on layout, kept by reading the source."""

import ast
import re
import statistics
import sys
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from lake.marked_yaml import read_yaml

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("lake", "sql", "checks", "reports", "flows")
MODEL_LAYERS = ("staging", "intermediate", "marts")
LONGEST_FILE, LONGEST_FUNCTION, SCREEN, MEDIAN_FUNCTION, LONGEST_README = 350, 50, 20, 12, 150
SHARE_WITHIN_SCREEN = 0.8

# Where each outside system may be imported: a part, or one file. What is not named here may stand anywhere.
EDGES = {
    "prefect": "flows/",
    "click": "flows/",
    "rich": "flows/",
    "deltalake": "lake/table",  # tables.py, and what its commits carry
    "obstore": "lake/objects.py",
    "fastexcel": "lake/formats/excel.py",
    "httpx": ("lake/sources/", "reports/channels/webhook.py"),
    "adbc_driver_manager": "lake/sources/database/",
    "adbc_driver_postgresql": "lake/sources/database/",
    "adbc_driver_sqlite": "lake/sources/database/",
    "psycopg2": "lake/sources/capture/",
    "yaml": "lake/marked_yaml.py",
    "jsonschema_rs": "lake/odcs/document.py",
    "ruamel": "checks/",  # what Soda reads YAML into
    "confluent_kafka": "lake/sources/kafka/",
    "fastapi": "flows/service/",
    "starlette": "flows/service/",
    "uvicorn": "flows/service/",
    "duckdb": "lake/engine.py",
    "soda": "checks/",
    "jinja2": "reports/",
    "plotly": "reports/",
    "matplotlib": "reports/",
    "css_inline": "reports/",
    "smtplib": "reports/channels/smtp.py",
}
CLOCKS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("utils", "formatdate"),
    ("utils", "localtime"),
    ("utils", "make_msgid"),
}
CLOCK_READERS = {
    "lake/run.py",  # `system_clock`, handed to every run
    "lake/table_commits.py",  # Delta's log stamps files and removals with the wall clock, and vacuum goes by it
}
CLOCK_NAMES = {"formatdate", "localtime", "make_msgid"}
ENVIRONMENT = {"environ", "environb", "getenv", "putenv"}
EMPTY_NAMES = {"util", "utils", "helper", "helpers", "manager", "base", "common", "misc"}


@pytest.fixture(scope="module", autouse=True)
def _nodes_are_forgotten() -> Iterator[None]:
    yield
    nodes.cache_clear()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All that a file says, read once for all rules."""
    return tuple(ast.walk(ast.parse(path.read_text("utf-8"), str(path))))


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources(*folders: str) -> list[Path]:
    """The Python files of some parts; content folders hold none, and data and caches are no source."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if "data" not in path.relative_to(ROOT).parts]


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every module a file imports, wherever in the file, with its line; relative ones as `.`."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield ("." if node.level else node.module or "", node.lineno)


def functions(paths: list[Path]) -> Iterator[tuple[str, int]]:
    """Every function with its length in lines, its docstring not counted."""
    for path in paths:
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                words = ast.get_docstring(node, clean=False)
                docstring = 0 if words is None else words.count("\n") + 1
                yield f"{name(path)}:{node.lineno} {node.name}", (node.end_lineno or 0) - node.lineno + 1 - docstring


def offences(paths: list[Path], find: Callable[[ast.AST], bool]) -> list[str]:
    return [f"{name(path)}:{node.lineno}" for path in paths for node in nodes(path) if find(node)]  # type: ignore[attr-defined]


def dotted(node: ast.AST) -> tuple[str, str]:
    """The last two names of an attribute: `datetime.datetime.now` gives `datetime`, `now`."""
    if not isinstance(node, ast.Attribute):
        return "", ""
    owner = node.value
    return (owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")), node.attr


def reads_clock(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name == "time" for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.module == "time" or bool(CLOCK_NAMES & {alias.name for alias in node.names})
    return dotted(node) in CLOCKS


def reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return bool(ENVIRONMENT & {alias.name for alias in node.names})
    return dotted(node)[0] == "os" and dotted(node)[1] in ENVIRONMENT


def swallows(node: ast.AST) -> bool:
    """Whether a node catches everything, or catches something and does nothing about it."""
    if isinstance(node, ast.ExceptHandler):
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        everything = any(kind is None or getattr(kind, "id", "") in {"Exception", "BaseException"} for kind in caught)
        raised_again = any(isinstance(line, ast.Raise) for line in node.body)
        return (everything and not raised_again) or all(isinstance(line, ast.Pass) for line in node.body)
    if isinstance(node, ast.Call) and (
        getattr(node.func, "id", "") == "suppress" or dotted(node.func)[1] == "suppress"
    ):
        return any(getattr(kind, "id", "") in {"Exception", "BaseException"} for kind in node.args)
    return False


def is_skip(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in {"skip", "skipif", "xfail", "importorskip"}


def is_patch(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        return any("mock" in module.split(".") for module in modules)
    return dotted(node) == ("monkeypatch", "setattr")


def is_unmatched_raises(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or "raises" not in (getattr(node.func, "id", ""), dotted(node.func)[1]):
        return False
    return not any(keyword.arg == "match" for keyword in node.keywords)


def is_print(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print"


def header(path: Path) -> dict[str, object]:
    """The YAML of an SQL file's leading comment; empty when it has none."""
    found = re.match(r"\s*/\*(.*?)\*/", path.read_text("utf-8"), re.DOTALL)
    values = None if found is None else read_yaml(found[1]).value
    return values if isinstance(values, dict) else {}


def test_layout_imports_run_one_way() -> None:
    """A part imports only itself and the parts left of it in lake, sql, checks, reports, flows."""
    wrong = [
        f"{name(path)}:{line} imports {module}"
        for place, part in enumerate(PARTS)
        for path in sources(part)
        for module, line in imported(path)
        if module == "." or module.split(".")[0] in {*PARTS[place + 1 :], "tests", "benchmarks"}
    ]
    assert wrong == []


def test_layout_outside_systems_have_one_edge() -> None:
    """An outside system's library is imported only where its edge is."""
    wrong = [
        f"{name(path)}:{line} imports {module}"
        for path in sources(*PARTS)
        for module, line in imported(path)
        if not name(path).startswith(EDGES.get(module.split(".")[0], ""))
    ]
    assert wrong == []


def test_layout_no_clock_below_flows() -> None:
    """Below flows the clock is read once for a run, in `lake/run.py`, and by Delta's own log."""
    readers = {place.split(":")[0] for place in offences(sources(*PARTS[:-1]), reads_clock)}
    assert "lake/run.py" in readers
    assert readers - CLOCK_READERS == set()


def test_layout_no_environment_below_flows() -> None:
    """Below flows nothing reads or sets the environment but `lake/settings.py`, through pydantic-settings."""
    assert offences(sources(*PARTS[:-1]), reads_environment) == []


@pytest.mark.parametrize("source", ["os.environ['A']", "os.getenv('A')", "from os import environ"])
def test_layout_rule_sees_the_environment(source: str) -> None:
    """The rule on the environment sees each way of reading it."""
    assert any(map(reads_environment, ast.walk(ast.parse(source))))


@pytest.mark.parametrize(
    "source",
    ["datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()", "import time", "from time import time"],
)
def test_layout_rule_sees_the_clock(source: str) -> None:
    """The rule on the clock sees each way of reading it."""
    assert any(map(reads_clock, ast.walk(ast.parse(source))))


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    f()\nexcept Exception:\n    g()",
        "try:\n    f()\nexcept:\n    g()",
        "try:\n    f()\nexcept (KeyError, BaseException):\n    g()",
        "try:\n    f()\nexcept KeyError:\n    pass",
        "with contextlib.suppress(Exception):\n    f()",
    ],
)
def test_layout_rule_sees_swallowed_errors(source: str) -> None:
    """The rule on swallowed errors sees each way of swallowing them."""
    assert any(map(swallows, ast.walk(ast.parse(source))))


def test_layout_no_error_is_swallowed() -> None:
    """No handler catches everything without raising it again, and none does nothing."""
    assert offences(sources(*PARTS), swallows) == []


def test_layout_only_flows_print() -> None:
    """Nothing below flows prints."""
    assert offences(sources(*PARTS[:-1]), is_print) == []


def test_layout_files_fit() -> None:
    """No file of the parts is longer than what a reader keeps in mind."""
    long = {name(path): len(path.read_text("utf-8").splitlines()) for path in sources(*PARTS)}
    assert {path: lines for path, lines in long.items() if lines > LONGEST_FILE} == {}


def test_layout_functions_fit() -> None:
    """No function is over 50 lines, the median is small, and four of five fit half a screen."""
    lengths = dict(functions(sources(*PARTS)))
    assert {place: lines for place, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_FUNCTION
    assert sum(lines <= SCREEN for lines in lengths.values()) >= SHARE_WITHIN_SCREEN * len(lengths)


def test_layout_names_say_something() -> None:
    """No module is named for being useful instead of for what it holds."""
    assert [name(path) for path in sources(*PARTS, "tests") if EMPTY_NAMES & set(path.stem.split("_"))] == []


def test_layout_flows_shadow_nothing() -> None:
    """Prefect puts the flow files' folder first on the path: none bears the name of a part or standard module."""
    taken = {*PARTS, *sys.stdlib_module_names} - {"__init__"}
    assert [name(path) for path in (ROOT / "flows").iterdir() if path.stem in taken] == []


def test_layout_models_have_headers() -> None:
    """Every model says in its header what it holds, one row per what, and whose it is."""
    models = [path for layer in MODEL_LAYERS for path in sorted((ROOT / "sql" / layer).glob("*.sql"))]
    assert [name(path) for path in models if not {"description", "grain", "owner"} <= header(path).keys()] == []


def test_layout_alert_rules_have_headers() -> None:
    """Every alert rule says in its header what it is called and how bad it is."""
    rules = sorted((ROOT / "sql" / "alerts").glob("*.sql"))
    assert [name(path) for path in rules if not {"title", "severity", "description"} <= header(path).keys()] == []


def test_layout_models_read_no_clock() -> None:
    """No SQL of the project reads the clock: the run's instant is given."""
    clock = re.compile(r"\b(now\s*\(|today\s*\(|current_(date|time|timestamp)\b|get_current_\w+\s*\()", re.IGNORECASE)
    assert [name(path) for path in sorted((ROOT / "sql").rglob("*.sql")) if clock.search(path.read_text("utf-8"))] == []


def test_layout_tests_are_never_skipped() -> None:
    """No test is skipped or expected to fail."""
    assert offences(sources("tests"), is_skip) == []


def test_layout_tests_patch_nothing() -> None:
    """No test replaces a part of ours by a stand-in."""
    assert offences(sources("tests"), is_patch) == []


def test_layout_tests_match_what_is_raised() -> None:
    """Every `raises` says which message it waits for."""
    assert offences(sources("tests"), is_unmatched_raises) == []


def test_layout_tests_say_what_must_hold() -> None:
    """Every test has a sentence saying what must hold, and tests are flat files."""
    silent = [
        f"{name(path)}:{node.lineno} {node.name}"
        for path in sources("tests")
        for node in nodes(path)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert silent == []
    assert [name(path) for path in sources("tests") if path.parent != ROOT / "tests"] == []


def test_layout_settings_name_no_home_folder() -> None:
    """No settings file of the project points into somebody's home folder."""
    home = re.compile(r"(?<![\w.])/(home|root|Users)/")
    files = [*ROOT.glob("*.yaml"), *ROOT.glob("*.toml"), ROOT / "Makefile", ROOT / ".env.example", ROOT / ".ci" / "run"]
    assert [name(path) for path in files if home.search(path.read_text("utf-8"))] == []


def test_layout_lock_has_hashes_and_no_addresses() -> None:
    """The lock pins every package by hash and records no place to download it from."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    entries = [entry for entry in re.split(r"\n(?=\S)", lock.strip()) if not entry.startswith("#")]
    assert not re.search(r"https?://|file://|--(index|extra-index|find-links|trusted)", lock)
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


def test_layout_lock_satisfies_the_project() -> None:
    """Everything the project asks for is in the lock, in a version it accepts."""
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    pinned = {
        canonicalize_name(found[1]): Version(found[2]) for found in re.finditer(r"(?m)^([\w.-]+)==([\w.!+]+)", lock)
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    asked = map(Requirement, [*project["dependencies"], *project["optional-dependencies"]["dev"]])
    missing = [
        str(wish)
        for wish in asked
        if canonicalize_name(wish.name) not in pinned
        or not wish.specifier.contains(pinned[canonicalize_name(wish.name)], prereleases=True)
    ]
    assert missing == [], "Run `make lock`."


def test_layout_readme_is_short() -> None:
    """The README can be read in one sitting; the rest is docs."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= LONGEST_README


def test_layout_links_lead_somewhere() -> None:
    """Every picture and page that the README and the docs point to is there."""
    pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)", page.read_text("utf-8"))]
    assert [
        f"{name(page)}: {link}" for page, link in links if ":" not in link and not (page.parent / link).exists()
    ] == []


def test_layout_prefect_server_rests_when_idle() -> None:
    """Prefect cuts intervals to whole seconds: below one they would be none, and the server would spin on a core."""
    services = tomllib.loads((ROOT / "prefect.toml").read_text("utf-8"))["server"]["services"]
    assert {name: each["flush_interval"] for name, each in services.items() if each.get("flush_interval", 1) < 1} == {}
