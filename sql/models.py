"""Models: one select per `.sql` file, found in `staging/`, `intermediate/` and `marts/`, ordered by what they read."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import sqlglot
from sqlglot import exp

from lake.errors import Broken, ModelError, told_in
from sql.header import Header, Materialise, nearest, read_header
from sql.selects import inputs_of, line_in, parameters_of, parse_select, read_select, table_name

AFTER_MAJOR = "Its contract has a new major version: read {}, or keep the contract before it beside the new one."

DEFAULTS: dict[str, Materialise] = {"staging": "view", "intermediate": "view", "marts": "table"}
PHYSICAL = ("raw", "reference")  # what models read and no model makes
OTHER_FOLDERS = ("alerts", "reference")
FILE_NAME = re.compile(r"[a-z_][a-z0-9_]*")


@dataclass(frozen=True)
class Model:
    """One select: its name such as `marts.sales_daily`, the text after the header, and the tables it reads.

    `first_line` is the line of the file where `sql` starts. `parameters` are the run parameters it reads. `digest` is
    the sha256 of its text and of how it is kept, without white space and comments.
    """

    name: str
    path: Path
    sql: str
    header: Header
    inputs: frozenset[str]
    digest: str
    first_line: int
    parameters: frozenset[str] = frozenset()

    @property
    def is_table(self) -> bool:
        """Whether it is kept as a table; else it is a view."""
        return self.header.materialise == "table"


def find_models(sql_dir: Path, broken: Broken | None = None) -> dict[str, Model]:
    """Gives every model of a project by name; raises ModelError for the first file that is none.

    With a place for what is broken, such files are told there, and the others are given.
    """
    _refuse_folders(sql_dir)
    models: dict[str, Model] = {}
    for layer in DEFAULTS:
        for path in sorted((sql_dir / layer).rglob("*.sql")):
            with told_in(broken, path):
                model = read_model(path, layer)
                if model.name in models:
                    first = models[model.name].path
                    cure = "Rename one of them."
                    raise ModelError("model-twice", f"{model.name} is also {first}.", cure=cure, path=path)
                models[model.name] = model
    return models


def read_model(path: Path, layer: str) -> Model:
    """Gives the model in one file; raises ModelError naming file and line when there is none."""
    if FILE_NAME.fullmatch(path.stem) is None:
        raise ModelError(
            "model-name",
            f"File name {path.stem!r} is no table name.",
            cure="Use lower case letters, digits and underscores.",
            path=path,
        )
    return _read(path, layer, path.read_text(encoding="utf-8"))


@lru_cache(maxsize=1024)  # runs that follow one another in a process read the same text each time
def _read(path: Path, layer: str, text: str) -> Model:
    header, end = read_header(text, path, DEFAULTS[layer])
    start = end + len(text[end:]) - len(text[end:].lstrip())
    sql = text[start:].rstrip().removesuffix(";").rstrip()
    first_line = text.count("\n", 0, start) + 1
    if header.affected is not None:
        inputs_of(read_select(header.affected, path, 1), path, 1)
    return make_model(f"{layer}.{path.stem}", path, sql, header, first_line)


def make_model(name: str, path: Path, sql: str, header: Header, first_line: int = 1) -> Model:
    """Gives the model that a select is; raises ModelError naming file and line when it is none or not repeatable."""
    inputs = inputs_of(read_select(sql, path, first_line), path, first_line)
    parameters = parameters_of(sql, path, first_line)
    return Model(name, path, sql, header, inputs, _digest_of(sql, header), first_line, parameters)


def name_model(models: Mapping[str, Model], wanted: str) -> str:
    """Gives the full name of a model asked for by full or bare name; raises ModelError when none or several match."""
    matches = [name for name in models if wanted in (name, name.partition(".")[2])]
    if len(matches) == 1:
        return matches[0]
    if matches:
        cure = f"Say which: {', '.join(matches)}."
        raise ModelError("model-ambiguous", f"{wanted!r} names several models.", cure=cure)
    bare = {name.partition(".")[2] for name in models}
    known = models if "." in wanted else bare
    raise ModelError("model-unknown", f"There is no model {wanted!r}.", cure=nearest(wanted, known))


def upstream(models: Mapping[str, Model], wanted: Iterable[str], tables: Collection[str] | None = None) -> list[Model]:
    """Gives the wanted models and all they read, each after what it reads.

    Takes full or bare names, and the tables that are there without a model (`raw.…`, `reference.…`; None: not checked).
    Raises ModelError naming the model and line of an unknown table, or the models of a cycle.
    """
    order: dict[str, Model] = {}
    for name in wanted:
        _visit(name_model(models, name), models, tables, (), order)
    return list(order.values())


def code_digest(model: Model, models: Mapping[str, Model]) -> str:
    """Gives the sha256 of a model's text and of the views it reads through, down to tables."""
    return sha256(
        "\n".join(f"{name} {text}" for name, text in sorted(_texts(model, models).items())).encode()
    ).hexdigest()


def read_parameters(model: Model, models: Mapping[str, Model]) -> frozenset[str]:
    """Gives the run parameters a model reads, through views too."""
    views = (models[name] for name in _texts(model, models))
    return frozenset().union(*(view.parameters for view in views))


def physical_inputs(model: Model, models: Mapping[str, Model]) -> frozenset[str]:
    """Gives the tables a model's rows come from: what it reads, through views."""
    reached = (models[name] for name in _texts(model, models))
    return frozenset(name for view in reached for name in view.inputs if name not in models or models[name].is_table)


def line_of(model: Model, table: str) -> int:
    """Gives the line of the file where a model first reads a table."""
    lines = [line_in(node) for node in parse_select(model.sql).find_all(exp.Table) if table_name(node) == table]
    return model.first_line - 1 + min(lines, default=1)


def unknown_table(model: Model, table: str, known: Collection[str]) -> ModelError:
    """Gives the error for a table that a model reads and nobody makes."""
    later = sorted(name for name in known if re.fullmatch(rf"{re.escape(table)}_v\d+", name))
    return ModelError(
        "model-table-unknown",
        f"{model.name} reads {table}, which is neither a model nor a table.",
        cure=AFTER_MAJOR.format(later[-1]) if later else nearest(table, known),
        path=model.path,
        line=line_of(model, table),
        table=table,
    )


def _visit(
    name: str,
    models: Mapping[str, Model],
    tables: Collection[str] | None,
    path: tuple[str, ...],
    order: dict[str, Model],
) -> None:
    if name in order:
        return
    model = models[name]
    for read in sorted(model.inputs):
        if read in (*path, name):
            chain = " → ".join((*path, name, read))
            raise ModelError(
                "model-cycle",
                f"{name} reads itself: {chain}.",
                cure="Take one of these reads out.",
                path=model.path,
                line=line_of(model, read),
            )
        if read in models:
            _visit(read, models, tables, (*path, name), order)
        elif read.partition(".")[0] not in PHYSICAL or (tables is not None and read not in tables):
            raise unknown_table(model, read, {*models, *(tables or ())})
    order[name] = model


def _texts(model: Model, models: Mapping[str, Model]) -> dict[str, str]:
    """Gives the digests of a model and of the views it reads through, by name."""
    found = {model.name: model.digest}
    for name in model.inputs:
        if name in models and not models[name].is_table:
            found |= _texts(models[name], models)
    return found


def _refuse_folders(sql_dir: Path) -> None:
    for path in sorted(sql_dir.rglob("*.sql")):
        folder = path.relative_to(sql_dir).parts[0]
        if folder not in (*DEFAULTS, *OTHER_FOLDERS):
            raise ModelError(
                "model-folder", f"{folder!r} is no layer.", cure=nearest(folder, [*DEFAULTS, *OTHER_FOLDERS]), path=path
            )


def _digest_of(sql: str, header: Header) -> str:
    tokens = [f"{token.token_type.name} {token.text}" for token in sqlglot.tokenize(sql, read="duckdb")]
    kept = [header.materialise, header.partition or "", header.affected or ""]
    return sha256("\n".join([*kept, *tokens]).encode()).hexdigest()
