"""Demo events of a shop's site: 60 Indian days of page views, searches, carts and checkouts, as JSON lines."""

from lake.demo.planting import DemoTable, Fault

DAYS = 60
EVENTS_PER_SESSION = 6
EVENT_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 10),
    Fault("missing-session", "MISSING_REQUIRED_FIELD", 10, "session_id"),
    Fault("unknown-kind", "DATA_QUALITY_ISSUE", 5, "kind", "teleport"),
    Fault("another-day", "BUSINESS_RULE_VIOLATION", 5, "occurred_on", "2024-12-31"),
)
EVENTS = """
    with numbered as (
        select
            e,
            e // :visit as session,
            md5_number_lower(concat('event:', e)) as draw,
            md5_number_lower(concat('visit:', e // :visit)) as visit_draw,
            date '2025-10-01' + (e // :visit * :days // (:count // :visit + 1))::integer as day,
        from range(:count) as events(e)
    ),

    timed as (
        select
            *,
            make_timestamp(
                (epoch(day)::bigint + (visit_draw % 85000)::bigint + e % :visit * 60 + (draw % 60)::bigint) * 1000000
            ) as occurred,
        from numbered
    )

    select
        'EVT-' || lpad(e::varchar, 9, '0') as event_id,
        occurred::date as occurred_on,
        strftime(occurred, '%Y-%m-%dT%H:%M:%S+05:30') as occurred_at,
        case
            when e % :visit = 5 and visit_draw % 4 = 0 then 'checkout'
            when e % :visit = 4 and visit_draw % 2 = 0 then 'add_to_cart'
            when e % :visit = 1 then 'search'
            else 'page_view'
        end as kind,
        'VIS-' || lpad(session::varchar, 9, '0') as session_id,
        'BRW-' || lpad((visit_draw % (:count // 10 + 1))::varchar, 9, '0') as visitor_id,
        ['/', '/offers', '/electronics', '/grocery', '/apparel', '/home'][1 + ((draw >> 8) % 6)::bigint] as path,
    from timed
    order by e
"""


def events_tables(rows: int) -> tuple[DemoTable, ...]:
    """Gives the delivery of the site, with `rows` events."""
    select = EVENTS.replace(":visit", str(EVENTS_PER_SESSION)).replace(":days", str(DAYS)).replace(":count", str(rows))
    return (DemoTable("site_events", "site_events/site_events_2025.jsonl", select, EVENT_FAULTS),)
