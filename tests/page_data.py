"""A lake as a page finds it: the tables of the sales project with a few thousand rows, the same every time."""

from datetime import UTC, datetime
from decimal import Decimal

from lake.engine import EngineLimits, Session
from reports.context import GateCount, PageContext

SALES = """
create table marts.sales_daily as
with cells as (
    select
        (date '2026-04-01' + day::integer) as sold_on,
        region,
        product_group,
        hash(day, region, product_group) as seed,
    from range(234) as days(day)
    cross join (values ('North'), ('South'), ('East'), ('West'), ('Central')) as regions(region)
    cross join (values ('Electronics'), ('Grocery'), ('Apparel'), ('Home'), ('Beauty')) as groups(product_group)
),
measured as (
    select
        *,
        1 + (seed % 9)::bigint as order_count,
        2 + (seed % 9)::bigint + ((seed >> 8) % 40)::bigint as unit_count,
    from cells
    where seed % 13 <> 0
)
select
    date_trunc('month', sold_on)::date as sold_month,
    sold_on,
    region,
    product_group,
    order_count,
    unit_count,
    (unit_count * (150 + (seed >> 16) % 90000 / 100.0 + month(sold_on) * 11))::decimal(18, 2) as revenue_inr,
    (revenue_inr / unit_count)::decimal(18, 4) as revenue_per_unit_inr,
from measured
order by sold_on, region, product_group;

create table marts.sales_regional as
select
    sold_month,
    region,
    sum(order_count)::bigint as order_count,
    sum(unit_count)::bigint as unit_count,
    sum(revenue_inr)::decimal(18, 2) as revenue_inr,
    (sum(revenue_inr) / sum(unit_count))::decimal(18, 4) as revenue_per_unit_inr,
    (sum(revenue_inr) / sum(sum(revenue_inr)) over (partition by sold_month))::double as revenue_share_ratio,
from marts.sales_daily
group by sold_month, region;

create table marts.sales_product as
select
    sold_month,
    product_group,
    product_group || ' ' || letter as product,
    sum(order_count)::bigint as order_count,
    sum(unit_count)::bigint as unit_count,
    sum(revenue_inr)::decimal(18, 2) as revenue_inr,
    (sum(revenue_inr) / sum(unit_count))::decimal(18, 4) as revenue_per_unit_inr,
from (select *, chr((65 + hash(sold_on, region) % 6)::integer) as letter from marts.sales_daily)
group by sold_month, product_group, letter;

create table marts.sales_monthly as
with monthly as (
    select
        sold_month,
        sum(order_count)::bigint as order_count,
        sum(unit_count)::bigint as unit_count,
        sum(revenue_inr)::decimal(18, 2) as revenue_inr,
        (sum(revenue_inr) / sum(unit_count))::decimal(18, 4) as revenue_per_unit_inr,
    from marts.sales_daily
    group by sold_month
)
select
    *,
    lag(revenue_inr) over (order by sold_month) as previous_revenue_inr,
    (revenue_inr / previous_revenue_inr - 1)::double as revenue_growth_ratio,
from monthly;
"""

OPS = """
create table runs as
select
    strftime(timestamptz '2026-11-14 20:30:00+00' + number * interval '1 day', '%Y%m%dT%H%M%SZ')
        || '-' || substr(md5(number::varchar), 1, 6) as run_id,
    timestamptz '2026-11-14 20:30:00+00' + number * interval '1 day' as started_at,
    number,
from range(7) as numbers(number);

create table ops.ingestion_log as
with counted as (
    select
        *,
        4000 + number * 37 as read_count,
        (300 + hash(number) % 60)::bigint as quarantined_count,
        (80 + hash(number, 1) % 9)::bigint as duplicate_count,
    from runs
)
select
    run_id,
    md5(run_id) as batch_id,
    'sales' as source,
    'file' as kind,
    case when number = 3 then 'held' else 'landed' end as status,
    started_at,
    started_at + interval '1.734821 seconds' as ended_at,
    read_count,
    read_count - quarantined_count - duplicate_count as accepted_count,
    quarantined_count,
    duplicate_count,
    read_count * 118 as byte_count,
    sha256(run_id) as checksum,
    (started_at - interval '3 hours')::varchar as watermark,
    number as table_version,
    case when number = 3 then 'Check ''volume'' failed on raw.sales.' end as error,
from counted;

create table ops.exceptions as
select
    run_id,
    md5(run_id) as batch_id,
    'sales' as source,
    line,
    substr(md5(run_id), 1, 16) || ':' || line as record_id,
    'raw' as stage,
    [
        'MISSING_REQUIRED_FIELD', 'DUPLICATE_RECORD', 'BUSINESS_RULE_VIOLATION', 'DATA_FORMAT_ERROR',
        'DATA_QUALITY_ISSUE',
    ][1 + pick] as category,
    [
        'sold_at required', 'order_id unique', 'revenue_inr not negative', 'units integer', 'region known',
    ][1 + pick] as rule,
    [rule] as reasons,
    ['sold_at', 'order_id', 'revenue_inr', 'units', 'region'][1 + pick] as column_name,
    [
        'is missing', 'is a repeat', '''-412.50'' is below 0', '''many'' is no integer', '''Atlantis'' is unknown',
    ][1 + pick] as details,
    'O-' || line || ',2026-11-14 10:00,North,Grocery,Grocery A,3,137.50,412.50,C-19,asha.rao' || line
        || '@example.in,+919812345678' as raw_data,
    '1.0.0' as contract_version,
    started_at + interval '0.9 seconds' as quarantined_at,
    case when number < 2 and line % 5 = 0 then started_at + interval '2 days' end as replayed_at,
    null::varchar as replay_run_id,
from runs
cross join (
    select 2 + seed * 11 as line, [0, 0, 0, 1, 1, 2, 3, 4][1 + (hash(seed) % 8)::bigint] as pick,
    from range(340) as seeds(seed)
);

create table ops.validation_results as
select
    run_id,
    stage,
    table_name,
    check_name,
    kind,
    case
        when check_name = 'volume within 20% of usual' and number = 3 then 'fail'
        when check_name like 'share of rows%' and hash(number, check_name) % 3 = 0 then 'warn'
        else 'pass'
    end as outcome,
    case when kind = 'reconciliation' then 0.0 else round((hash(number, check_name) % 1000) / 25000, 4) end as measured,
    threshold,
    case when outcome = 'pass' then 0 else (1 + hash(number) % 40)::bigint end as failed_count,
    started_at + interval '1.2 seconds' as checked_at,
from runs
cross join (
    values
        ('raw', 'raw.sales', 'order_id is present', 'schema', '= 0'),
        ('raw', 'raw.sales', 'units is an integer', 'schema', '= 0'),
        ('raw', 'raw.sales', 'volume within 20% of usual', 'volume', '<= 0.2'),
        ('raw', 'raw.sales', 'share of rows quarantined', 'quality', '<= 0.12'),
        ('staging', 'staging.stg_sales', 'order_id is unique', 'uniqueness', '= 0'),
        ('staging', 'staging.stg_sales', 'revenue is units times price', 'business rule', '= 0'),
        ('staging', 'staging.stg_sales', 'share of rows without customer', 'quality', '<= 0.05'),
        ('marts', 'marts.sales_daily', 'one row per day, region, group', 'uniqueness', '= 0'),
        ('marts', 'marts.sales_monthly', 'revenue per unit is positive', 'business rule', '= 0'),
        ('pipeline', 'marts.sales_daily', 'revenue equals accepted source rows', 'reconciliation', '= 0'),
        ('pipeline', 'raw.sales', 'read = accepted + quarantined + duplicate', 'reconciliation', '= 0'),
        ('pipeline', 'ops.audit_log', 'every batch has its audit events', 'reconciliation', '= 0')
) as checks(stage, table_name, check_name, kind, threshold);

create table ops.audit_log as
select
    run_id,
    started_at + step * interval '0.211347 seconds' as at,
    'scheduler' as actor,
    [
        'run-started', 'batch-archived', 'batch-validated', 'records-quarantined', 'batch-landed', 'gate-passed',
        'model-built', 'release-published',
    ][1 + step] as event,
    ['sales_daily', 'sales', 'sales', 'sales', 'raw.sales', 'raw', 'marts.sales_daily', 'release'][1 + step] as subject,
    case when step between 1 and 6 then 4000 + number * 37 - step end as record_count,
    '{"seconds": ' || round(step * 0.2113, 3) || '}' as details,
from runs
cross join range(8) as steps(step);

create table ops.data_metrics as
select
    run_id,
    started_at as at,
    table_name,
    'quality_score' as metric,
    (0.9 + (hash(number, table_name) % 100) / 1000.0)::double as value,
from runs
cross join (
    values ('raw.sales'), ('staging.stg_sales'), ('marts.sales_daily'), ('marts.sales_monthly')
) as measured(table_name);
"""

GATES = (
    GateCount("raw", "raw.sales", 4, 0, 0),
    GateCount("staging", "staging.stg_sales", 2, 1, 0),
    GateCount("marts", "marts.sales_daily", 1, 0, 0),
    GateCount("marts", "marts.sales_monthly", 1, 0, 0),
    GateCount("pipeline", "marts.sales_daily", 1, 0, 0),
    GateCount("pipeline", "raw.sales", 1, 0, 0),
    GateCount("pipeline", "ops.audit_log", 1, 0, 0),
)


def open_sales_lake() -> Session:
    """Gives a session that holds what the sales page reads."""
    session = Session(EngineLimits(memory="512MB", threads=1))
    session.execute(SALES)
    session.execute(OPS)
    return session


def make_context(**changes: object) -> PageContext:
    """Gives what a page is told, of release 41, with single facts changed."""
    facts: dict[str, object] = {
        "run_id": "20261120T203000Z-167909",
        "release_id": 41,
        "published_at": datetime(2026, 11, 20, 20, 30, 4, tzinfo=UTC),
        "data_as_of": datetime(2026, 11, 20, 17, 30, tzinfo=UTC),
        "gates": GATES,
        "timezone": "Asia/Kolkata",
        "previous_figures": {
            "revenue": Decimal("92804377.18"),
            "orders": Decimal(27168),
            "units": Decimal(137920),
            "revenue-per-unit": Decimal("672.8856"),
            "records-refused": Decimal(2040),
            "still-open": Decimal(1904),
            "rules-broken": Decimal(5),
        },
        "previous_label": "release 40",
    }
    return PageContext(**{**facts, **changes})  # type: ignore[arg-type]
