"""The checks of a project: SodaCL files per table and stage, found and read without importing Soda."""

import re
from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from checks.page_figures import FOLDER as FIGURES
from checks.page_figures import figures_sodacl
from lake.errors import Broken, ModelError, told_in
from lake.marked_yaml import Marked, NotYaml, read_yaml

Stage = Literal["raw", "staging", "intermediate", "marts", "pipeline"]
STAGES: tuple[Stage, ...] = get_args(Stage)
SUFFIXES = (".yml", ".yaml")
SECTION = re.compile(r"^(?P<what>checks for|filter|configurations for)\s+(?P<table>[\w.\"]+)\s*(\[[^\]]+\])?$")


@dataclass(frozen=True)
class Suite:
    """The checks of one table at one stage.

    `table_name` is the qualified table, for the pipeline stage `pipeline.<file stem>`. `sodacl` is YAML in which a bare
    table name means the stage's own schema. `path` is the file a person mends; `lines` gives, for generated YAML, the
    line of that file each of its lines came from.
    """

    stage: Stage
    table_name: str
    sodacl: str
    path: Path
    lines: tuple[int, ...] = ()

    def line_in_file(self, line: int | None) -> int | None:
        """Gives the line of `path` that a line of `sodacl` stands for."""
        if line is None or not self.lines:
            return line
        return self.lines[min(line, len(self.lines)) - 1]


def find_suites(checks_dir: Path, tables: Set[str] | None = None, broken: Broken | None = None) -> list[Suite]:
    """Reads every check file of a project, in the order of the stages and names.

    Takes: the project's checks folder; the qualified names of the tables that are landed or built (None: any); a place
    for what is broken: such files are told there then, and the others are given.
    Raises: ModelError for a file that is no SodaCL, stands in no stage's folder, or checks a table nobody makes.
    """
    suites = []
    for path in sorted(checks_dir.rglob("*")) if checks_dir.is_dir() else ():
        if path.suffix not in SUFFIXES:
            continue
        with told_in(broken, path):
            suites.append(_read_file(path, checks_dir, tables))
    return sorted(suites, key=lambda suite: (STAGES.index(suite.stage), suite.table_name))


def _read_file(path: Path, checks_dir: Path, tables: Set[str] | None) -> Suite:
    if path.parent == checks_dir / FIGURES:
        return Suite("pipeline", f"pipeline.{path.stem}_page_figures", figures_sodacl(path, _read(path)), path)
    suite = _read_suite(path, _stage_of(path, checks_dir))
    if tables is not None and suite.stage != "pipeline" and suite.table_name not in tables:
        raise ModelError(
            "check-table-unknown",
            f"These checks are for '{suite.table_name}', which no contract lands and no model builds.",
            cure="Name the file as its table, or delete it.",
            path=suite.path,
            line=1,
        )
    return suite


def _stage_of(path: Path, checks_dir: Path) -> Stage:
    for stage in STAGES:
        if path.parent == checks_dir / stage:
            return stage
    raise ModelError(
        "check-stage-unknown",
        f"The folder '{path.parent.name}' is no stage, so these checks would never run.",
        cure=f"Move the file to one of {', '.join(f'checks/{folder}/' for folder in (*STAGES, FIGURES))}.",
        path=path,
    )


def _read_suite(path: Path, stage: Stage) -> Suite:
    suite = Suite(stage, f"{stage}.{path.stem}", _read(path), path)
    for title, _, line in sections(suite):
        _require_section(suite, title, line)
    return suite


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        message = f"This is no UTF-8 text: byte {error.start} cannot be read."
        raise ModelError("check-file-invalid", message, path=path, line=1) from error


def sections(suite: Suite) -> Iterator[tuple[str, Any, int]]:
    """Gives the top-level sections of a suite as title, content and line; raises ModelError when it is no YAML."""
    found = parse_sodacl(suite)
    if found.value is None:
        return
    if not isinstance(found.value, dict):
        message = f"A check file holds sections such as 'checks for {suite.table_name.partition('.')[2]}:', not a list."
        raise ModelError("check-file-invalid", message, path=suite.path, line=suite.line_in_file(1))
    for title, content in found.value.items():
        yield title, content, found.line_at(title)


def parse_sodacl(suite: Suite) -> Marked:
    """Gives the text of a suite as values and lines; raises ModelError when it is no YAML."""
    try:
        return _parsed(suite.sodacl)
    except NotYaml as error:
        message = f"This is no YAML: {error.problem}."
        line = 1 if error.line is None else suite.line_in_file(error.line)
        raise ModelError("check-file-invalid", message, path=suite.path, line=line) from error


@lru_cache(maxsize=512)  # each file is asked for its sections and for its checks; nobody changes what is given
def _parsed(text: str) -> Marked:
    return read_yaml(text)


def _require_section(suite: Suite, title: str, line: int) -> None:
    """Raises ModelError for a section that is of another table, or that a gate cannot evaluate."""
    if title == "checks":
        return
    section = SECTION.match(title)
    if section is None:
        raise ModelError(
            "check-section-unknown",
            f"A gate has no use for the section '{title}'.",
            cure="Write 'checks for TABLE:', 'checks:', 'filter TABLE [name]:' or 'configurations for TABLE:'.",
            path=suite.path,
            line=line,
        )
    table = section["table"].replace('"', "")
    if suite.stage == "pipeline":
        _require_qualified(suite, table, line)
    elif table not in (suite.table_name, suite.table_name.partition(".")[2]):
        raise ModelError(
            "check-table-mismatch",
            f"This file holds the checks of '{suite.table_name}', and its section is about '{table}'.",
            cure=f"Move it to checks/{suite.stage}/{table.rpartition('.')[2]}.yml, or to checks/pipeline/.",
            path=suite.path,
            line=line,
        )


def _require_qualified(suite: Suite, table: str, line: int) -> None:
    if "." not in table:
        raise ModelError(
            "check-table-unqualified",
            f"The pipeline's checks see every schema, so '{table}' may be any table of that name.",
            cure=f"Write its schema too, e.g. marts.{table}.",
            path=suite.path,
            line=line,
        )
