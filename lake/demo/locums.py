"""Demo locum doctors: the hours they offer, and the shifts they are given, many of them over midnight."""

from lake.demo.people_parts import drawn, indian
from lake.demo.planting import DemoTable, Fault

LEAST_SHIFTS, LEAST_LOCUMS = 200, 12
DAYS_OF_OFFERS = 350
WARDS = ("CAR", "EMR", "LAB", "ORT", "PED", "RAD")
OFFER_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 20),
    Fault("missing-locum", "MISSING_REQUIRED_FIELD", 10, "locum_id"),
    Fault("text-in-ends-at", "DATA_FORMAT_ERROR", 5, "ends_at", "late"),
)
SHIFT_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 20),
    Fault("missing-starts-at", "MISSING_REQUIRED_FIELD", 10, "starts_at"),
    Fault("ends-before-it-starts", "BUSINESS_RULE_VIOLATION", 10, "ends_at", "2024-01-01T00:00:00+05:30"),
    Fault("unknown-status", "DATA_QUALITY_ISSUE", 5, "status", "maybe"),
)


def locum_tables(rows: int) -> tuple[DemoTable, ...]:
    """Gives offers, and shifts within them; one in ten offers is followed by one that overlaps it."""
    shifts, locums = max(LEAST_SHIFTS, rows // 2), max(LEAST_LOCUMS, rows // 100)
    turns = _turns(shifts, locums)
    return (
        DemoTable("locum_availability", "locum_availability/locum_availability.csv", _offers(turns), OFFER_FAULTS),
        DemoTable("locum_shifts", "locum_shifts/locum_shifts.csv", _shifts(turns), SHIFT_FAULTS),
    )


def _turns(shifts: int, locums: int) -> str:
    """One row per turn of a locum doctor: twelve hours from eight in the morning or, at night, in the evening."""
    days = max(DAYS_OF_OFFERS // -(-shifts // locums), 2)
    return f"""
        select
            number,
            'LOC-' || lpad((1 + number % {locums})::varchar, 4, '0') as locum_id,
            {list(WARDS)}[1 + (number % {locums} % {len(WARDS)})::integer] as department_id,
            1735689600 + ((number // {locums}) * {days} + number % {locums} % {days}) * 86400
                + case when {drawn("night", "number")} % 2 = 0 then 8 else 20 end * 3600 as first_second,
        from range({shifts}) as numbers(number)
    """


def _offers(turns: str) -> str:
    return f"""
        with turns as ({turns}),
        offers as (
            select *, 'OF-' || lpad(number::varchar, 8, '0') as offer_id, 0 as later_hours, 12 as hours from turns
            union all
            select *, 'OX-' || lpad(number::varchar, 8, '0') as offer_id, 6 as later_hours, 8 as hours from turns
            where number % 10 = 0
        )
        select
            offer_id,
            locum_id,
            department_id,
            {indian("first_second + later_hours * 3600")} as starts_at,
            {indian("first_second + (later_hours + hours) * 3600")} as ends_at,
            case when number % 20 = 7 then 'true' when number % 2 = 0 then 'false' end as is_withdrawn,
        from offers
        order by number, offer_id
    """


def _shifts(turns: str) -> str:
    """A shift begins up to two hours into the offer; one in five was sent before, when it looked for somebody."""
    return f"""
        with turns as ({turns}),
        lines as (
            select
                *,
                0 as pass,
                case
                    when number % 5 = 0 then 'open'
                    when {drawn("shift-status", "number")} % 100 < 84 then 'assigned'
                    when {drawn("shift-status", "number")} % 100 < 92 then 'cancelled'
                    else 'open'
                end as status,
            from turns
            union all
            select *, 1 as pass, 'assigned' as status from turns where number % 5 = 0
        )
        select
            'SH-' || lpad(number::varchar, 8, '0') as shift_id,
            department_id,
            case when status <> 'open' then locum_id end as locum_id,
            status,
            {indian(f"first_second + ({drawn('shift-start', 'number')} % 9)::bigint * 900")} as starts_at,
            {indian(f"first_second + 43200 - ({drawn('shift-end', 'number')} % 13)::bigint * 900")} as ends_at,
        from lines
        order by pass, number
    """
