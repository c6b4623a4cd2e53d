"""Building: every model of a run as a candidate that gates can read and nobody else sees.

A table's candidate is Parquet files in its Delta folder, not committed, beside the released files that stay. What has
not changed is not built: an equal code digest and equal inputs keep the released version, and a changed row rebuilds
only the partitions it reaches. Nothing is committed here; that is `sql.commits`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from lake.engine import Session
from lake.errors import ModelError
from lake.staged_files import stage_files
from lake.table_versions import DataFile, StagedFiles, Store, TableVersion
from lake.tables import read_version
from sql.inputs import Columns, Standing, columns_in, show_table
from sql.models import Model, code_digest, physical_inputs, read_parameters
from sql.narrowing import narrowing_filter
from sql.parameters import bind_parameters
from sql.partitions import partition_expression
from sql.touched import Change, Touched, compare_files, schemas_of, touched_filter, touched_partitions

Decision = Literal["unchanged", "partitions", "whole", "view"]
PARTITION_TYPES = re.compile(r"DATE|VARCHAR|(TINY|SMALL|BIG)?INT(EGER)?")  # what Delta's partition values keep exactly
PLACE = re.compile(r"\n\s*LINE (\d+): ")


class Published(Protocol):
    """What a release says of one table, as `lake.releases.ReleasedTable` does."""

    @property
    def version(self) -> int | None: ...
    @property
    def inputs(self) -> Mapping[str, int]: ...
    @property
    def code_digest(self) -> str: ...


@dataclass(frozen=True)
class Candidate:
    """One model as this run would publish it.

    `decision` says how it was made: `unchanged` (the released version stands), `partitions` (only `partitions` were
    rebuilt; None is the partition of nulls), `whole`, or `view`. `base_version` is the released version it starts
    from, `replaced_files` the files of it that `staged` takes the place of, `files` all that its readers would see.
    `inputs` are the committed versions of the tables it read, `pending` the tables it read that this run has yet to
    commit. `row_count` is None for a view. `sql` is the text with the run's parameters in it.
    """

    model: Model
    decision: Decision
    sql: str
    columns: Columns
    code_digest: str
    inputs: Mapping[str, int]
    pending: frozenset[str] = frozenset()
    partitions: tuple[str | None, ...] = ()
    staged: StagedFiles | None = None
    base_version: int | None = None
    replaced_files: tuple[DataFile, ...] = ()
    files: tuple[DataFile, ...] = ()

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def kind(self) -> Literal["table", "view"]:
        """Whether it is kept as a table or is a view."""
        return "view" if self.decision == "view" else "table"

    @property
    def row_count(self) -> int | None:
        """How many rows the candidate holds."""
        return None if self.decision == "view" else sum(file.row_count for file in self.files)


@dataclass(frozen=True)
class Bench:
    """Where a run builds: its session and store, all models, what is released, and the tables standing so far.

    `tables` starts as what `prepare_inputs` gives and grows by every table built. Models in `held` stay as released.
    """

    session: Session
    store: Store
    models: Mapping[str, Model]
    released: Mapping[str, Published]
    parameters: Mapping[str, str]
    tables: dict[str, Standing]
    held: frozenset[str] = frozenset()
    past: dict[tuple[str, int], TableVersion] = field(default_factory=dict)


def build_models(bench: Bench, order: Sequence[Model]) -> dict[str, Candidate]:
    """Builds models in their order and gives the candidates by name."""
    return {model.name: build_model(bench, model) for model in order}


def build_model(bench: Bench, model: Model) -> Candidate:
    """Makes one model's candidate readable in the session under its name; raises ModelError naming file and line."""
    sql = bind_parameters(model.sql, bench.parameters)
    candidate = _build_table(bench, model, sql) if model.is_table else _build_view(bench, model, sql)
    if candidate.kind == "table":
        version = candidate.base_version if candidate.decision == "unchanged" else None
        table = Standing(model.name, candidate.columns, candidate.files, version, pending=version is None)
        bench.tables[model.name] = table
        show_table(bench.session, table)
    return candidate


def _build_view(bench: Bench, model: Model, sql: str) -> Candidate:
    _show_text(bench.session, model, sql)
    columns = columns_in(bench.session, model.name)
    return Candidate(model, "view", sql, columns, code_digest(model, bench.models), *_inputs_of(bench, model))


def _build_table(bench: Bench, model: Model, sql: str) -> Candidate:
    released = bench.released.get(model.name)
    base = None if released is None or released.version is None else _past(bench, model.name, released.version)
    touched = None if base is None or released is None else _touched(bench, model, released, base)
    if base is None or touched is None:
        return _build_whole(bench, model, sql, base)
    if not touched:
        return _candidate(bench, model, sql, "unchanged", base)
    candidate = _build_partitions(bench, model, sql, base, touched)
    return candidate or _build_whole(bench, model, sql, base)


def _touched(bench: Bench, model: Model, released: Published, base: TableVersion) -> Touched | None:
    """Gives the partitions to rebuild: none when nothing has changed; None when the whole table is to be rebuilt."""
    if model.name in bench.held:
        return frozenset()
    if released.code_digest != code_digest(model, bench.models) or read_parameters(model, bench.models):
        return None
    standing = {name: bench.tables[name] for name in physical_inputs(model, bench.models)}
    present = {name for name, table in standing.items() if table.version is not None or table.pending}
    if present != set(released.inputs):
        return None
    changes = [
        change
        for name in sorted(present)
        if (change := _change(bench, standing[name], released.inputs[name])) is not None
    ]
    if not changes:
        return frozenset()
    if any(_retyped(bench, change.table, released.inputs[change.table.name]) for change in changes):
        return None
    if model.header.partition is None or base.partition != (model.header.partition,):
        return None
    with _complaints(model):
        return touched_partitions(bench.session, model, bench.models, bench.tables, changes)


def _change(bench: Bench, table: Standing, consumed: int) -> Change | None:
    return None if table.version == consumed else compare_files(_past(bench, table.name, consumed).files, table)


def _retyped(bench: Bench, table: Standing, consumed: int) -> bool:
    """Whether a column is of another type than when the model read it: then every row may come out differently."""
    before, now = dict(_past(bench, table.name, consumed).columns), dict(table.columns)
    return any(now.get(name, kind) != kind for name, kind in before.items())


def _past(bench: Bench, name: str, version: int) -> TableVersion:
    if (name, version) not in bench.past:
        found = read_version(bench.store, name, version)
        if found is None:
            raise ModelError(
                "released-table-missing",
                f"The release names version {version} of {name}, which is not in {bench.store.uri}.",
                cure="Was a table's folder removed? Restore it, or publish the model under another name.",
            )
        bench.past[name, version] = found
    return bench.past[name, version]


def _build_whole(bench: Bench, model: Model, sql: str, base: TableVersion | None) -> Candidate:
    _show_text(bench.session, model, sql)
    partition = () if model.header.partition is None else (model.header.partition,)
    _check_partition(bench.session, model)
    with _complaints(model):
        staged = stage_files(bench.session, bench.store, model.name, f"select * from {model.name}", partition=partition)
    return _candidate(bench, model, sql, "whole", base, staged=staged, replaced=() if base is None else base.files)


def _build_partitions(bench: Bench, model: Model, sql: str, base: TableVersion, touched: Touched) -> Candidate | None:
    """Rebuilds the touched partitions; None when the columns are no longer those of the released table."""
    column = base.partition[0]
    sql_type = dict(base.columns)[column]
    if sql_type == "VARCHAR" and touched & {None, ""}:
        touched |= {None, ""}  # Delta's partition values do not tell empty text from null
    _show_text(bench.session, model, sql)
    query = f"select * from {model.name} where {touched_filter(column, sql_type, touched)}"
    with _complaints(model), _narrowed(bench, model, touched):
        staged = stage_files(bench.session, bench.store, model.name, query, partition=base.partition)
    if staged.columns != base.columns:
        return None
    replaced = tuple(file for file in base.files if file.partition_values[column] in touched)
    return _candidate(bench, model, sql, "partitions", base, staged=staged, replaced=replaced, touched=touched)


@contextmanager
def _narrowed(bench: Bench, model: Model, touched: Touched) -> Iterator[None]:
    """Lets a model's inputs show, for as long as it is built, only what may hold rows of the touched partitions."""
    schemas = schemas_of(model, bench.models, bench.tables)
    narrowed = []
    for name, columns in schemas.items():
        partition = partition_expression(model, bench.models, name, schemas)
        condition = None if partition is None else narrowing_filter(partition, dict(columns), touched)
        if condition is not None:
            show_table(bench.session, bench.tables[name], condition)
            narrowed.append(bench.tables[name])
    try:
        yield
    finally:
        for table in narrowed:
            show_table(bench.session, table)


def _candidate(
    bench: Bench,
    model: Model,
    sql: str,
    decision: Decision,
    base: TableVersion | None,
    *,
    staged: StagedFiles | None = None,
    replaced: tuple[DataFile, ...] = (),
    touched: Touched = frozenset(),
) -> Candidate:
    gone = {file.path for file in replaced}
    kept = () if base is None else tuple(file for file in base.files if file.path not in gone)
    inputs, pending = _inputs_of(bench, model)
    digest = code_digest(model, bench.models)
    if model.name in bench.held and decision == "unchanged":  # it stays what it was, not what it would be
        released = bench.released[model.name]
        inputs, pending, digest = dict(released.inputs), frozenset(), released.code_digest
    return Candidate(
        model=model,
        decision=decision,
        sql=sql,
        columns=staged.columns if staged is not None else base.columns if base is not None else (),
        code_digest=digest,
        inputs=inputs,
        pending=pending,
        partitions=tuple(sorted(touched, key=lambda value: (value is not None, value or ""))),
        staged=staged,
        base_version=None if base is None else base.version,
        replaced_files=replaced,
        files=kept + (() if staged is None else tuple(file for file in staged.files if file.row_count)),
    )


def _inputs_of(bench: Bench, model: Model) -> tuple[dict[str, int], frozenset[str]]:
    """Gives the committed versions of the tables a model reads, and those that this run has yet to commit."""
    tables = [bench.tables[name] for name in sorted(physical_inputs(model, bench.models))]
    versions = {table.name: table.version for table in tables if table.version is not None}
    return versions, frozenset(table.name for table in tables if table.pending)


def _check_partition(session: Session, model: Model) -> None:
    column = model.header.partition
    if column is None:
        return
    types = {name.lower(): kind for name, kind in columns_in(session, model.name)}
    if column not in types or PARTITION_TYPES.fullmatch(types[column]) is None:
        found = f"of type {types[column]}" if column in types else "not among its columns"
        raise ModelError(
            "model-partition",
            f"Partition column {column!r} of {model.name} is {found}.",
            cure="Name a date, text or integer column, such as the first day of the month.",
            path=model.path,
            line=1,
        )


def _show_text(session: Session, model: Model, sql: str) -> None:
    """Puts the model's own text under its name, so that DuckDB's complaints carry the author's lines."""
    with _complaints(model, placed=True):
        session.execute(f"create or replace view {model.name} as\n{sql}")


@contextmanager
def _complaints(model: Model, *, placed: bool = False) -> Iterator[None]:
    """Turns what DuckDB says of a model into a ModelError; with the line where the statement is the author's text."""
    try:
        yield
    except Session.failure as error:
        said, *hints = [line.strip() for line in PLACE.split(str(error))[0].splitlines() if line.strip()]
        place = PLACE.search(str(error)) if placed else None
        line = None if place is None else model.first_line + int(place.group(1)) - 2
        raise ModelError(
            "model-refused",
            f"DuckDB refused {model.name}: {said.rstrip('.!')}.",
            cure=" ".join(hints) or "Mend the SQL.",
            path=model.path,
            line=line,
        ) from error
