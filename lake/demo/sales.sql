/* Sales of a retailer in the order its tills send them. Everything follows from line number and
   seed by integer arithmetic and md5, so that the same seed gives the same bytes on every machine.

   Variables, each with `demo_` in front: seed, row_count, first_day, day_count, first_order,
   customer_count, multiplier, first_spot, lag, and the ends of the ranges of faults.

   `spot` is a permutation of 0 .. row_count - 1; the range a line's spot falls in is its fault,
   hence every line has at most one and the counts are exact. */

-- one row per day: how many lines it gets, by growth (10 % a year), season and weekday
create or replace temp table demo_day as
with calendar as (
    select
        day,
        getvariable('demo_first_day')::date + day::integer as sold_on,
    from range(getvariable('demo_day_count')) as days(day)
),

weighed as (
    select
        day,
        sold_on,
        (3650 + day)
        * [88, 84, 96, 92, 97, 90, 94, 108, 102, 142, 131, 112][month(sold_on)]
        * [97, 92, 94, 98, 108, 131, 120][isodow(sold_on)] as weight,
    from calendar
),

summed as (
    select
        sold_on,
        sum(weight) over (order by day) as upto,
        sum(weight) over () as total,
        weight,
    from weighed
)

select
    sold_on,
    (getvariable('demo_row_count')::hugeint * (upto - weight) // total)::bigint as first_line,
    (getvariable('demo_row_count')::hugeint * upto // total)::bigint as end_line,
from summed
order by sold_on;

-- one row per line: its spot, and the second of the sale in Indian wall time, ever later down the file
create or replace temp table demo_line as
with lines as (
    select
        unnest(range(first_line, end_line)) as line,
        first_line,
        end_line - first_line as line_count,
        epoch(sold_on)::bigint as midnight,
    from demo_day
),

placed as (
    select
        line,
        midnight,
        (line * getvariable('demo_multiplier') + getvariable('demo_first_spot'))
        % getvariable('demo_row_count') as spot,
        -- millionths of the day's lines that came before, the spot standing in for chance
        (
            (line - first_line) * 1000000
            + spot * 1000000 // getvariable('demo_row_count')
        ) // line_count as share,
    from lines
),

timed as (
    select
        line,
        spot,
        -- twice as many sales at midday as on average, half as many around midnight
        midnight + (
            share + share * (1000000 - share) // 1000000 * (1000000 - 2 * share) // 1000000
        ) * 86400 // 1000000 as sold_second,
    from placed
)

-- a repeated line is the line `lag` lines above it, again
select
    spot,
    case
        when spot < getvariable('demo_repeat_end') then line - getvariable('demo_lag')
        else line
    end as line,
    case
        when spot < getvariable('demo_repeat_end')
            then lag(sold_second, getvariable('demo_lag')) over ()
        else sold_second
    end as sold_second,
from timed;

-- a list and not a table: `copy` of a hash join does not keep the order of the lines
set variable demo_products = [
    {product_group: 'Electronics', product: 'Smartphone', base_paise: 1349950},
    {product_group: 'Electronics', product: 'Bluetooth Speaker', base_paise: 219925},
    {product_group: 'Electronics', product: 'LED Television', base_paise: 2789900},
    {product_group: 'Electronics', product: 'Power Bank', base_paise: 129975},
    {product_group: 'Electronics', product: 'Wireless Earbuds', base_paise: 179949},
    {product_group: 'Grocery', product: 'Basmati Rice 5 kg', base_paise: 64950},
    {product_group: 'Grocery', product: 'Toor Dal 1 kg', base_paise: 16475},
    {product_group: 'Grocery', product: 'Sunflower Oil 1 l', base_paise: 15325},
    {product_group: 'Grocery', product: 'Assam Tea 500 g', base_paise: 28550},
    {product_group: 'Grocery', product: 'Filter Coffee 500 g', base_paise: 34125},
    {product_group: 'Apparel', product: 'Cotton Kurta', base_paise: 89999},
    {product_group: 'Apparel', product: 'Silk Saree', base_paise: 459950},
    {product_group: 'Apparel', product: 'Denim Jeans', base_paise: 149925},
    {product_group: 'Apparel', product: 'Running Shoes', base_paise: 249990},
    {product_group: 'Apparel', product: 'Woollen Shawl', base_paise: 129945},
    {product_group: 'Home', product: 'Pressure Cooker', base_paise: 189975},
    {product_group: 'Home', product: 'Mixer Grinder', base_paise: 329950},
    {product_group: 'Home', product: 'Bedsheet Set', base_paise: 99925},
    {product_group: 'Home', product: 'Ceiling Fan', base_paise: 219990},
    {product_group: 'Home', product: 'Steel Tiffin', base_paise: 54935},
    {product_group: 'Beauty', product: 'Herbal Shampoo', base_paise: 24975},
    {product_group: 'Beauty', product: 'Sandalwood Soap', base_paise: 6845},
    {product_group: 'Beauty', product: 'Face Cream', base_paise: 34990},
    {product_group: 'Beauty', product: 'Hair Oil', base_paise: 18965},
    {product_group: 'Beauty', product: 'Perfume', base_paise: 79915},
];

-- one row per line as it will be written, typed and still faultless, with the fault it is to get
create or replace temp view demo_sale as
with drawn as (
    select
        case
            when spot < getvariable('demo_repeat_end') then 'repeat'
            when spot < getvariable('demo_missing_sold_at_end') then 'missing-sold-at'
            when spot < getvariable('demo_negative_revenue_end') then 'negative-revenue'
            when spot < getvariable('demo_unknown_region_end') then 'unknown-region'
            when spot < getvariable('demo_text_in_units_end') then 'text-in-units'
            else 'none'
        end as fault,
        line,
        make_timestamp(sold_second * 1000000) as sold_at,
        md5_number_lower(
            concat(getvariable('demo_seed'), ':', line + getvariable('demo_first_order'))
        ) as draw,
    from demo_line
),

chosen as (
    select
        fault,
        line,
        sold_at,
        getvariable('demo_products')[1 + (draw & 1048575)::bigint * 25 // 1048576] as item,
        ((draw >> 20) & 31)::bigint as region_draw,
        ((draw >> 25) & 1023)::bigint as unit_draw,
        ((draw >> 35) & 7)::bigint as email_draw,
        ((draw >> 38) & 16777215)::bigint as customer_draw,
    from drawn
)

select
    'ORD-' || lpad((line + getvariable('demo_first_order'))::varchar, 9, '0') as order_id,
    sold_at,
    [
        'Maharashtra', 'Maharashtra', 'Maharashtra', 'Maharashtra',
        'Maharashtra', 'Maharashtra', 'Maharashtra',
        'Karnataka', 'Karnataka', 'Karnataka', 'Karnataka', 'Karnataka',
        'Tamil Nadu', 'Tamil Nadu', 'Tamil Nadu', 'Tamil Nadu', 'Tamil Nadu',
        'Delhi', 'Delhi', 'Delhi', 'Delhi',
        'Gujarat', 'Gujarat', 'Gujarat', 'Gujarat',
        'Uttar Pradesh', 'Uttar Pradesh', 'Uttar Pradesh',
        'West Bengal', 'West Bengal', 'West Bengal',
        'Assam',
    ][region_draw + 1] as region,
    item.product_group as product_group,
    item.product as product,
    -- 1 in 1024 orders was cancelled at the till and keeps its line with nothing sold
    case
        when unit_draw = 0 and fault <> 'negative-revenue' then 0
        when unit_draw < 560 then 1
        when unit_draw < 800 then 2
        when unit_draw < 920 then 3
        when unit_draw < 990 then 5
        else 10
    end as units,
    -- prices rise by half a per cent each month
    (item.base_paise * (1000 + 5 * (
        (year(sold_at) - year(getvariable('demo_first_day')::date)) * 12
        + month(sold_at) - month(getvariable('demo_first_day')::date)
    )) // 1000)::bigint as price_paise,
    units * price_paise as revenue_paise,
    'CUST-'
    || lpad((customer_draw % getvariable('demo_customer_count'))::varchar, 8, '0') as customer_id,
    case when email_draw < 6 then lower(customer_id) || '@example.com' end as customer_email,
    fault,
from chosen;

-- the same with the faults planted, as text
create or replace temp view demo_delivery as
select
    order_id,
    case
        when fault <> 'missing-sold-at' then strftime(sold_at, '%Y-%m-%dT%H:%M:%S+05:30')
    end as sold_at,
    case when fault = 'unknown-region' then 'Atlantis' else region end as region,
    product_group,
    product,
    case when fault = 'text-in-units' then 'two' else units::varchar end as units,
    price_paise // 100 || '.' || lpad((price_paise % 100)::varchar, 2, '0') as unit_price_inr,
    case when fault = 'negative-revenue' then '-' else '' end
    || revenue_paise // 100 || '.' || lpad((revenue_paise % 100)::varchar, 2, '0') as revenue_inr,
    customer_id,
    customer_email,
    date_trunc('month', sold_at)::date as sold_month,
from demo_sale;
