"""Models are found, read and ordered; what is wrong is told with file, line and cure."""

from pathlib import Path

import pytest

from lake.errors import ModelError
from lake.run import begin_run
from sql.header import Metric
from sql.models import (
    code_digest,
    find_models,
    line_of,
    name_model,
    physical_inputs,
    read_model,
    read_parameters,
    upstream,
)
from sql.parameters import bind_parameters, run_parameters

HEADER = "/*\ndescription: Sales.\ngrain: one row per order\nowner: data team\n*/\n"


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name.replace('.', '/')}.sql"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_models_header_says_what_the_model_is(tmp_path: Path) -> None:
    """Every key of the header arrives, and marts are tables unless they say otherwise."""
    keys = """/*
description: >
    Sales by
    month.
grain: one row per month
owner: data team
partition: Sold_Month
affected: select 1
metrics:
  - name: revenue
    description: Money in.
    formula: sum(revenue)
    unit: INR
*/
select 1 as sold_month
"""
    model = read_model(write(tmp_path, "marts.sales", keys), "marts")
    assert model.name == "marts.sales"
    assert (model.header.description, model.header.materialise) == ("Sales by month.", "table")
    assert (model.header.partition, model.header.affected) == ("sold_month", "select 1")
    assert model.header.metrics == (Metric("revenue", "Money in.", "sum(revenue)", "INR", "data team"),)
    assert (model.sql, model.first_line) == ("select 1 as sold_month", 15)


@pytest.mark.parametrize("layer", ["staging", "intermediate"])
def test_models_below_marts_are_views(tmp_path: Path, layer: str) -> None:
    """Staging and intermediate models are views unless the header says otherwise."""
    view = read_model(write(tmp_path, f"{layer}.a", f"{HEADER}select 1 as x"), layer)
    table = read_model(
        write(tmp_path, f"{layer}.b", HEADER.replace("*/", "materialise: table\n*/") + "select 1"), layer
    )
    assert (view.is_table, table.is_table) == (False, True)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("select 1", ":1:", "no header comment.*model-header-missing"),
        ("/* words only */ select 1", ":1:", "no keys"),
        ("/*\ndescription: a: b\n*/ select 1", ":2:", "no YAML.*model-header-broken"),
        (HEADER.replace("owner", "ower") + "select 1", ":4:", "Unknown header key 'ower'.*Did you mean 'owner'"),
        (HEADER.replace("owner: data team\n", "") + "select 1", ":2:", "'owner' is missing"),
        (HEADER.replace("data team", "") + "select 1", ":4:", "'owner' is None.*must be a text"),
        (HEADER.replace("*/", "materialise: tabel\n*/") + "select 1", ":5:", "'tabel'.*view or table"),
        (HEADER.replace("*/", "materialise: view\npartition: x\n*/") + "select 1", ":6:", "'partition' has no meaning"),
        (HEADER.replace("*/", "affected: select 1\n*/") + "select 1", ":5:", "'affected' has no meaning"),
        (HEADER.replace("*/", "metrics: 3\n*/") + "select 1", ":5:", "'metrics' is no list"),
        (HEADER.replace("*/", "metrics:\n  - nam: x\n*/") + "select 1", ":6:", "'nam'.*Did you mean 'name'"),
        (HEADER + "create table x as select 1", ":6:", "one select.*model-not-select"),
        (HEADER + "select 1;\n\nselect 2", ":8:", "one select"),
        (HEADER + "", ":6:", "one select"),
        (HEADER + "select a\nfrom raw.x where (", ":7:", "cannot be read.*model-sql-broken"),
        (HEADER + "select 'a", ":6:", "a quote or a comment is not closed"),
        (HEADER + "select *\nfrom raw.a\njoin sales using (b)", ":8:", "'sales' does not say its schema.*schema.table"),
        (HEADER + "select *\nfrom lake.raw.a", ":7:", "does not say its schema"),
        (HEADER + "select *\nfrom 'a.parquet'", ":7:", "does not say its schema"),
        (HEADER + "select *\nfrom read_csv('a.csv')", ":7:", "read_csv reads what the lake does not version"),
        (HEADER + "select now() as at", ":6:", "NOW\\(\\) gives another answer.*run_started_at"),
        (HEADER + "select\n    current_date as at", ":6:", "CURRENT_DATE gives another answer"),
        (HEADER + "select 1,\n getvariable('run_idd')", ":7:", "no run parameter 'run_idd'.*Did you mean 'run_id'"),
    ],
)
def test_models_error_names_file_line_and_cure(tmp_path: Path, text: str, place: str, message: str) -> None:
    """Whatever is wrong with a model file is told with its line and what to do."""
    path = write(tmp_path, "marts.sales", text)
    with pytest.raises(ModelError, match=f"(?s){path}{place} .*{message}"):
        read_model(path, "marts")


def test_models_inputs_leave_ctes_and_functions_out(tmp_path: Path) -> None:
    """Only tables are inputs: in joins, subqueries and unions, once each, in lower case."""
    sql = (
        "with sales as (select * from staging.Stg_Sales), other as (from raw.b)\n"
        "select * from sales join other using (a) where x in (select x from raw.c)\n"
        "union all select * from raw.b, range(3), unnest([1]) as t(u)\nunion all from marts.d"
    )
    model = read_model(write(tmp_path, "marts.m", HEADER + sql), "marts")
    assert model.inputs == {"staging.stg_sales", "raw.b", "raw.c", "marts.d"}
    assert line_of(model, "raw.c") == 7


def project(folder: Path, **models: str) -> Path:
    for name, sql in models.items():
        write(folder, name.replace("__", "."), HEADER + sql)
    return folder


def test_models_upstream_comes_in_build_order(tmp_path: Path) -> None:
    """Asked for one mart, all it needs comes before it, and nothing else."""
    folder = project(
        tmp_path,
        staging__s="select * from raw.r",
        intermediate__i="select * from staging.s",
        marts__m="select * from intermediate.i join staging.s using (a)",
        marts__other="select * from raw.q",
    )
    models = find_models(folder)
    assert [model.name for model in upstream(models, ["m"])] == ["staging.s", "intermediate.i", "marts.m"]
    assert len(upstream(models, models)) == 4
    assert physical_inputs(models["marts.m"], models) == {"raw.r"}


def test_models_cycle_is_told(tmp_path: Path) -> None:
    """Models that read each other are named in their order, with a line."""
    folder = project(tmp_path, marts__a="select *\nfrom marts.b", marts__b="select * from marts.a")
    with pytest.raises(ModelError, match=r"b\.sql:6: marts\.b reads itself: marts\.a → marts\.b → marts\.a"):
        upstream(find_models(folder), ["a"])


def test_models_unknown_table_is_told_with_the_nearest(tmp_path: Path) -> None:
    """A table nobody makes is told with model, line and the nearest name, of models and of sources."""
    folder = project(tmp_path, staging__stg_sales="select 1", marts__m="select *\nfrom staging.stg_sale")
    with pytest.raises(ModelError, match=r"m\.sql:7: marts\.m reads staging\.stg_sale,.*'staging\.stg_sales'"):
        upstream(find_models(folder), ["m"])
    folder = project(tmp_path, marts__m="select * from raw.sale")
    with pytest.raises(ModelError, match=r"Did you mean 'raw\.sales'"):
        upstream(find_models(folder), ["m"], {"raw.sales"})


def test_models_wanted_by_an_unknown_name_is_told(tmp_path: Path) -> None:
    """A mart nobody wrote, and a name that fits two, are told with what is there."""
    models = find_models(project(tmp_path, staging__a="select 1", marts__a="select 1", marts__daily="select 1"))
    with pytest.raises(ModelError, match=r"no model 'dayly'.*Did you mean 'daily'"):
        name_model(models, "dayly")
    with pytest.raises(ModelError, match=r"'a' names several models.*staging\.a, marts\.a"):
        name_model(models, "a")


def test_models_folder_that_is_no_layer_is_told(tmp_path: Path) -> None:
    """A model in a mistyped folder is not passed over in silence."""
    project(tmp_path, mart__daily="select 1")
    with pytest.raises(ModelError, match=r"'mart' is no layer.*Did you mean 'marts'"):
        find_models(tmp_path)


def test_models_file_name_is_a_table_name(tmp_path: Path) -> None:
    """A file name that would need quoting is refused."""
    project(tmp_path, marts__Sales="select 1")
    with pytest.raises(ModelError, match="'Sales' is no table name"):
        find_models(tmp_path)


def test_models_digest_sees_code_and_not_layout(tmp_path: Path) -> None:
    """White space and comments leave the digest alone; text, case of a name and way of keeping it do not."""
    digests = [
        read_model(write(tmp_path, "marts.m", HEADER.replace("*/", extra + "*/") + sql), "marts").digest
        for extra, sql in [
            ("", "select a, 'x  y' as b from raw.r"),
            ("", "select\n    a, -- a remark\n    'x  y' as b\nfrom raw.r;\n"),
            ("", "select a, 'x y' as b from raw.r"),
            ("", "select A, 'x  y' as b from raw.r"),
            ("partition: a\n", "select a, 'x  y' as b from raw.r"),
        ]
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_models_code_digest_reaches_through_views_to_tables(tmp_path: Path) -> None:
    """A mart's code is its own and that of the views below it, not that of the tables it reads."""
    write(tmp_path, "staging.t", HEADER.replace("*/", "materialise: table\n*/") + "select 1 as a")
    project(tmp_path, staging__v="select * from staging.t", marts__m="select * from staging.v")
    before = code_digest(find_models(tmp_path)["marts.m"], find_models(tmp_path))
    write(tmp_path, "staging.t", HEADER.replace("*/", "materialise: table\n*/") + "select 2 as a")
    models = find_models(tmp_path)
    assert code_digest(models["marts.m"], models) == before
    project(tmp_path, staging__v="select *, 1 as b from staging.t")
    models = find_models(tmp_path)
    assert code_digest(models["marts.m"], models) != before


def test_models_parameters_are_bound_as_literals(tmp_path: Path) -> None:
    """`getvariable` stands for the run's literal, on the same line; in a text or a comment it stays."""
    sql = "select getvariable( 'run_started_at' ) as at,\n    'getvariable(''run_id'')' as t -- getvariable('run_id')\n"
    run = begin_run("test")
    bound = bind_parameters(sql, run_parameters(run))
    assert bound.startswith(f"select timestamptz '{run.started_at.isoformat(sep=' ')}' as at,\n    'getvariable")
    assert bound.endswith("-- getvariable('run_id')\n")
    models = find_models(project(tmp_path, staging__v=sql, marts__m="select * from staging.v"))
    assert read_parameters(models["marts.m"], models) == {"run_started_at"}
