"""A table of PostgreSQL as the SQL that would create it, made from its catalogue."""

import re

from lake.engine import literal, quote
from lake.sources.database.client import Client

# Types that say more than that a value is a text; others are declared as text, which is how they are read.
SPOKEN = (
    *("int2", "int4", "int8", "float4", "float8", "numeric", "bool", "varchar", "bpchar", "date", "time", "timetz"),
    *("timestamp", "timestamptz", "uuid", "json", "jsonb", "bytea", "interval", "money"),
)
COLUMNS = """
with recursive found as (
    select attnum, attname, attnotnull as required, atttypid as type_id, atttypmod as modifier,
        pg_get_expr(adbin, adrelid) as standing_in
    from pg_catalog.pg_attribute
    left join pg_catalog.pg_attrdef on adrelid = attrelid and adnum = attnum and attgenerated = ''
    where attrelid = {table} and attnum > 0 and not attisdropped
    union all
    select attnum, attname, required or typnotnull, typbasetype, typtypmod, coalesce(standing_in, typdefault)
    from found inner join pg_catalog.pg_type as types on types.oid = type_id
    where typtype = 'd'
)

select attname::text, required, standing_in, col_description({table}, attnum), typname::text, typtype::text,
    typcategory::text, format_type(type_id, modifier),
    (select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder)
        from pg_catalog.pg_enum where enumtypid = type_id)
from found inner join pg_catalog.pg_type as types on types.oid = type_id
where typtype <> 'd'
order by attnum
"""
CONSTRAINTS = """
select quote_ident(conname), pg_get_constraintdef(oid) from pg_catalog.pg_constraint
where conrelid = {table} and contype in ('p', 'u', 'f', 'c') order by contype desc, conname
"""


LITERAL = re.compile(r"('(?:[^']|'')*')")
SAID_BY_ITSELF = re.compile(
    r"\((\w+|\d+(?:\.\d+)?)\)::(?:numeric(?!\()|text)|::(?:character varying|text|bpchar)(?:\[\])?"
)


def declare_table(client: Client, relation: str, number: int) -> str:
    """Gives a table of the catalogue as SQL; what its domains are made of stands in their place."""
    types, columns, comments = [], [], []
    for name, required, standing_in, comment, kind, sort, category, shown, labels in client.rows(
        COLUMNS.format(table=number)
    ):
        written = "text[]" if category == "A" else shown if kind in SPOKEN else "jsonb" if sort == "c" else "text"
        if labels is not None:
            types.append(f"create type {quote(kind)} as enum ({labels});")
            written = quote(kind)
        filled = "" if standing_in is None else f" default {standing_in}"
        columns.append(f"    {quote(name)} {written}{filled}{' not null' if required else ''}")
        if comment:
            comments.append(f"comment on column {relation}.{quote(name)} is {literal(comment)};")
    found = client.rows(CONSTRAINTS.format(table=number))
    constraints = [f"    constraint {name} {_as_written(rule)}" for name, rule in found]
    ((told,),) = client.rows(f"select obj_description({number}, 'pg_class')")
    comments += [f"comment on table {relation} is {literal(told)};"] if told else []
    body = ",\n".join([*columns, *constraints])
    return "\n".join([*dict.fromkeys(types), f"create table {relation} (\n{body}\n);", *comments]) + "\n"


def _as_written(rule: str) -> str:
    """Gives a constraint without the casts that PostgreSQL writes into it, which say nothing of its values."""
    parts = LITERAL.split(rule)
    return "".join(part if place % 2 else SAID_BY_ITSELF.sub(r"\1", part) for place, part in enumerate(parts))
