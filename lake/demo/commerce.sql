-- The faultless rows of each source, in order. Integers and md5 alone, so that every version of the engine agrees.
-- source: customers
with drawn as (
    select
        c,
        md5_number_lower(concat('customer:', c)) as draw,
        -- seven of ten registered in 2024, the others in the course of 2025
        case
            when c * 10 < :count * 7 then c * 366 * 86400 * 10 // (:count * 7)
            else 366 * 86400 + (c * 10 - :count * 7) * 365 * 86400 // (:count * 3)
        end as registered_second,
    from range(:count) as customers(c)
),

placed as (
    select
        *,
        make_timestamp((1704067200 + registered_second + (draw % 3600)::bigint) * 1000000) as registered,
        [
            {city: 'Mumbai', state: 'Maharashtra'}, {city: 'Pune', state: 'Maharashtra'},
            {city: 'Nagpur', state: 'Maharashtra'}, {city: 'Bengaluru', state: 'Karnataka'},
            {city: 'Mysuru', state: 'Karnataka'}, {city: 'Chennai', state: 'Tamil Nadu'},
            {city: 'Coimbatore', state: 'Tamil Nadu'}, {city: 'New Delhi', state: 'Delhi'},
            {city: 'Ahmedabad', state: 'Gujarat'}, {city: 'Hyderabad', state: 'Telangana'},
            {city: 'Kolkata', state: 'West Bengal'}, {city: 'Lucknow', state: 'Uttar Pradesh'},
            {city: 'Kochi', state: 'Kerala'}, {city: 'Jaipur', state: 'Rajasthan'},
            {city: 'Ludhiana', state: 'Punjab'}, {city: 'Guwahati', state: 'Assam'},
        ][1 + ((draw >> 12) & 15)::bigint] as home,
    from drawn
)

select
    'CUST-' || lpad(c::varchar, 8, '0') as customer_id,
    [
        'Asha', 'Ravi', 'Meera', 'Arjun', 'Lakshmi', 'Imran', 'Kavya', 'Joseph',
    ][1 + ((draw >> 16) & 7)::bigint]
    || ' '
    || ['Rao', 'Sharma', 'Iyer', 'Khan', 'Patel', 'Das', 'Nair', 'Singh'][1 + ((draw >> 19) & 7)::bigint]
    as full_name,
    'cust-' || lpad(c::varchar, 8, '0') || '@example.com' as email,
    home.city as city,
    home.state as state,
    strftime(registered, '%Y-%m-%dT%H:%M:%S+05:30') as registered_at,
    ((draw >> 22) & 3) < 3 as has_consented,
    strftime(
        least(registered + to_days((draw >> 24 & 63)::integer), timestamp '2025-12-31 20:00:00'),
        '%Y-%m-%dT%H:%M:%S+05:30'
    ) as updated_at,
from placed
order by c
-- source: products
with items as (
    select unnest([
        {name: 'Smartphone', code: 'ELE', cost: 1189900, price: 1349950},
        {name: 'Bluetooth Speaker', code: 'ELE', cost: 184950, price: 219925},
        {name: 'LED Television', code: 'ELE', cost: 2449900, price: 2789900},
        {name: 'Power Bank', code: 'ELE', cost: 98975, price: 129975},
        {name: 'Wireless Earbuds', code: 'ELE', cost: 139949, price: 179949},
        {name: 'Basmati Rice 5 kg', code: 'GRO', cost: 54125, price: 64950},
        {name: 'Toor Dal 1 kg', code: 'GRO', cost: 13675, price: 16475},
        {name: 'Sunflower Oil 1 l', code: 'GRO', cost: 13190, price: 15325},
        {name: 'Assam Tea 500 g', code: 'GRO', cost: 22150, price: 28550},
        {name: 'Filter Coffee 500 g', code: 'GRO', cost: 26325, price: 34125},
        {name: 'Cotton Kurta', code: 'APP', cost: 46999, price: 89999},
        {name: 'Silk Saree', code: 'APP', cost: 259950, price: 459950},
        {name: 'Denim Jeans', code: 'APP', cost: 84925, price: 149925},
        {name: 'Running Shoes', code: 'APP', cost: 139990, price: 249990},
        {name: 'Woollen Shawl', code: 'APP', cost: 69945, price: 129945},
        {name: 'Pressure Cooker', code: 'HOM', cost: 129975, price: 189975},
        {name: 'Mixer Grinder', code: 'HOM', cost: 229950, price: 329950},
        {name: 'Bedsheet Set', code: 'HOM', cost: 65925, price: 99925},
        {name: 'Ceiling Fan', code: 'HOM', cost: 159990, price: 219990},
        {name: 'Steel Tiffin', code: 'HOM', cost: 37935, price: 54935},
        {name: 'Herbal Shampoo', code: 'BEA', cost: 14975, price: 24975},
        {name: 'Sandalwood Soap', code: 'BEA', cost: 3845, price: 6845},
        {name: 'Face Cream', code: 'BEA', cost: 19990, price: 34990},
        {name: 'Hair Oil', code: 'BEA', cost: 11965, price: 18965},
        {name: 'Perfume', code: 'BEA', cost: 44915, price: 79915},
        {name: 'Building Blocks', code: 'TOY', cost: 79990, price: 124990},
        {name: 'Wooden Puzzle', code: 'TOY', cost: 22450, price: 34950},
        {name: 'Cricket Bat', code: 'TOY', cost: 118900, price: 174900},
        {name: 'Carrom Board', code: 'TOY', cost: 129900, price: 199900},
        {name: 'Cat Food 1 kg', code: 'PET', cost: 28900, price: 37900},
    ]) as item
),

numbered as (
    select
        item,
        row_number() over () as number,
    from items
)

select
    'PROD-' || lpad(number::varchar, 3, '0') as product_id,
    item.name as product_name,
    item.code as category_code,
    item.cost // 100 || '.' || lpad((item.cost % 100)::varchar, 2, '0') as unit_cost_inr,
    item.price // 100 || '.' || lpad((item.price % 100)::varchar, 2, '0') as list_price_inr,
    number <> 29 as is_active,
    '2025-01-01T09:00:00+05:30' as updated_at,
from numbered
order by number
-- source: orders
with buyers as (
    select
        customer_id,
        row_number() over (order by customer_id) - 1 as place,
    from demo_customers
    where _fault in ('none', 'repeat') and substr(customer_id, 6)::bigint % 10 <> 9
),

shelf as (
    select
        product_id,
        replace(list_price_inr, '.', '')::bigint as paise,
        row_number() over (order by product_id) - 1 as place,
    from demo_products
    where _fault = 'none' and is_active
),

counted as (
    select
        (select count(*) from buyers) as all_buyers,
        (select count(*) from shelf) as all_items,
),

orders as (
    select
        o,
        all_buyers,
        all_items,
        md5_number_lower(concat('order:', o)) as draw,
        o * 1000000 // :count as share,
    from range(:count) as orders(o)
    cross join counted
),

-- the shop grows, and one order in eight waits for Saturday
dated as (
    select
        *,
        date '2025-01-01' + ((share + share * (1000000 - share) // 4000000) * 365 // 1000000)::integer as day,
        case when draw % 8 = 0 then least(day + (6 - isodow(day) % 7)::integer, date '2025-12-31') else day end as on_day,
    from orders
),

-- those who registered early order most; nobody orders before the registration
placed as (
    select
        *,
        make_timestamp(
            (epoch(on_day)::bigint + 7 * 3600 + ((draw >> 8) & 65535)::bigint * 59400 // 65536) * 1000000
        ) as ordered,
        all_buyers * (700000 + share * 3 // 10) // 1000000 as buyer_count,
        ((draw >> 24) & 1048575)::bigint as buyer_draw,
        buyer_draw * buyer_draw // 1048576 * buyer_count // 1048576 as buyer,
    from dated
),

lined as (
    select
        *,
        unnest(range(1, [2, 3, 2, 4][1 + o % 4])) as line_number,
    from placed
),

picked as (
    select
        *,
        md5_number_lower(concat('line:', o, ':', line_number)) as line_draw,
        (line_draw & 1048575)::bigint * all_items // 1048576 as item,
    from lined
),

priced as (
    select
        picked.*,
        shelf.product_id,
        shelf.paise,
        case
            when list_contains([11, 31, 61], o) then 'GUEST-' || lpad(o::varchar, 8, '0')
            else buyers.customer_id
        end as customer_id,
        [1, 1, 1, 2, 1, 3, 2, 1][1 + ((line_draw >> 20) & 7)::bigint] as quantity,
        -- one line in four has a tenth taken off, to the rupee
        case
            when ((line_draw >> 23) & 3) = 0 then quantity * shelf.paise // 1000 * 100 else 0
        end as discount,
        o % 40 = 7 or (o % 30 = 3 and line_number = 2) as is_cancelled,
    from picked
    join shelf on picked.item = shelf.place
    join buyers on picked.buyer = buyers.place
)

select
    'ORD-' || lpad(o::varchar, 9, '0') as order_id,
    line_number,
    customer_id,
    product_id,
    strftime(ordered, '%Y-%m-%dT%H:%M:%S+05:30') as ordered_at,
    case
        when is_cancelled then 'cancelled'
        when on_day >= date '2025-12-30' then 'placed'
        when on_day >= date '2025-12-27' then 'shipped'
        else 'delivered'
    end as status,
    quantity,
    paise // 100 || '.' || lpad((paise % 100)::varchar, 2, '0') as unit_price_inr,
    discount // 100 || '.' || lpad((discount % 100)::varchar, 2, '0') as discount_inr,
    strftime(
        greatest(least(ordered + interval 3 day, timestamp '2025-12-31 23:30:00'), ordered), '%Y-%m-%dT%H:%M:%S+05:30'
    ) as updated_at,
from priced
order by o, line_number
-- source: transactions
with lines as (
    select
        order_id,
        substr(order_id, 5)::bigint as o,
        line_number,
        status,
        quantity,
        quantity * replace(unit_price_inr, '.', '')::bigint - replace(discount_inr, '.', '')::bigint as paise,
        strptime(ordered_at[:19], '%Y-%m-%dT%H:%M:%S') as ordered,
    from demo_orders
    where _fault in ('none', 'repeat')
),

-- one order in fifty has no transaction yet; of the cancelled ones every second was never paid
orders as (
    select
        order_id,
        o,
        min(ordered) as ordered,
        sum(paise)::bigint as paise,
    from lines
    where o % 50 <> 11 and not (o % 80 = 7)
    group by order_id, o
),

movements as (
    -- one order in 25 is paid in two halves, and one in 200 a rupee short
    select
        order_id,
        null::bigint as line_number,
        part,
        'payment' as kind,
        case
            when o % 25 <> 5 then paise
            when part = 1 then paise // 2
            else paise - paise // 2
        end - case when o % 200 = 101 then 100 else 0 end as paise,
        0 as returned_quantity,
        ordered + to_minutes((part * 4 - 3)::integer) as moved,
    from orders
    cross join (values (1), (2)) as parts(part)
    where part = 1 or o % 25 = 5
    union all by name
    -- cancelled lines are paid back, but for those of every second partly cancelled order
    select
        order_id,
        line_number,
        10 + line_number as part,
        'refund' as kind,
        paise,
        0 as returned_quantity,
        ordered + interval 5 day as moved,
    from lines
    where status = 'cancelled' and o % 50 <> 11 and not (o % 80 = 7) and not (o % 60 = 33)
    union all by name
    -- of one order in twelve a piece of the first line comes back, of every fifth of these all pieces
    select
        order_id,
        line_number,
        20 + line_number as part,
        'return' as kind,
        case when o % 60 = 4 then paise else paise // quantity end as paise,
        case when o % 60 = 4 then quantity else 1 end as returned_quantity,
        ordered + interval 12 day as moved,
    from lines
    where status = 'delivered' and line_number = 1 and o % 12 = 4 and o % 50 <> 11
    union all by name
    select
        'ORD-LOST-' || number as order_id,
        1 as part,
        'payment' as kind,
        49900 as paise,
        0 as returned_quantity,
        timestamp '2025-07-01 11:00:00' as moved,
    from range(1, 3) as strays(number)
)

select
    'TXN-' || substr(order_id, 5) || '-' || part as transaction_id,
    order_id,
    line_number,
    kind,
    ['upi', 'upi', 'card', 'netbanking', 'cash_on_delivery'][
        1 + (md5_number_lower(concat('method:', order_id)) % 5)::bigint
    ] as method,
    paise // 100 || '.' || lpad((paise % 100)::varchar, 2, '0') as amount_inr,
    returned_quantity,
    strftime(least(moved, timestamp '2025-12-31 23:59:59'), '%Y-%m-%dT%H:%M:%S+05:30') as occurred_at,
from movements
order by moved, transaction_id
