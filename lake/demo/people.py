"""Demo data of people and spend: a hospital of any size in the year 2025, the same rows every time.

Departments, staff, leave, incidents here; money in `spend.py`, locum doctors in `locums.py`. Rows follow from their
numbers and from md5 alone. What is planted as a fact of business is told by `spend.PLANTED_BREACHES` and its like.
"""

from lake.demo.locums import locum_tables
from lake.demo.people_parts import DEPARTMENTS, LEAST_STAFF, drawn, indian, picked
from lake.demo.planting import DemoTable, Fault
from lake.demo.spend import spend_tables

LEAST_APPLICATIONS, LEAST_INCIDENTS = 200, 120
DAYS_OF_LEAVE = 330  # of the year, in which each person's applications have their turns
LONGEST_LEAVE = 7
FIRST_NAMES = ("Asha", "Vikram", "Meera", "Arjun", "Kavya", "Rohan", "Lakshmi", "Imran", "Sunita", "Daniel", "Priya")
LAST_NAMES = ("Rao", "Shah", "Iyer", "Khan", "Das", "Nair", "Patel", "Singh", "Fernandes", "Bose", "Kulkarni")
TITLES = ("Nurse", "Resident Doctor", "Technician", "Ward Clerk", "Pharmacist", "Analyst", "Attendant")
REASONS = ("Fever", "Wedding in the family", "Visit to the dentist", "House move", "Operation of a parent")
CATEGORIES = ("equipment", "infection-control", "it-system", "medication", "patient-fall", "security")


def people_tables(rows: int) -> tuple[DemoTable, ...]:
    """Gives the deliveries of all sources of people and spend, in the order in which they are to be planted.

    `rows` is how many expenses there are; the other sources grow with it, from a least size on.
    """
    staff = max(LEAST_STAFF, rows // 20)
    return (
        DemoTable("departments", "departments/departments.csv", _departments()),
        DemoTable("staff", "staff/staff.jsonl", _staff(staff), STAFF_FAULTS),
        DemoTable("leave_balances", "leave_balances/leave_balances_2025.csv", _balances(staff), BALANCE_FAULTS),
        DemoTable(
            "leave_applications",
            "leave_applications/leave_applications.csv",
            _applications(max(LEAST_APPLICATIONS, rows // 2), staff),
            APPLICATION_FAULTS,
        ),
        DemoTable(
            "incidents",
            "incidents/incidents.jsonl",
            _incidents(max(LEAST_INCIDENTS, rows // 4), staff),
            INCIDENT_FAULTS,
        ),
        *spend_tables(rows, staff),
        *locum_tables(rows),
    )


STAFF_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 20),
    Fault("missing-name", "MISSING_REQUIRED_FIELD", 10, "full_name"),
    Fault("text-in-joined-on", "DATA_FORMAT_ERROR", 10, "joined_on", "last spring"),
    Fault("address-without-at", "DATA_QUALITY_ISSUE", 10, "email", "nobody.example.com"),
)
BALANCE_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 20),
    Fault("negative-entitlement", "DATA_QUALITY_ISSUE", 5, "entitled_days", "-4.0"),
    Fault("text-in-carried-days", "DATA_FORMAT_ERROR", 5, "carried_days", "many"),
)
APPLICATION_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 20),
    Fault("missing-staff", "MISSING_REQUIRED_FIELD", 10, "staff_id"),
    Fault("ends-before-it-begins", "BUSINESS_RULE_VIOLATION", 10, "last_on", "2024-12-31"),
    Fault("unknown-type", "DATA_QUALITY_ISSUE", 5, "leave_type", "sabbatical"),
    Fault("text-in-first-on", "DATA_FORMAT_ERROR", 5, "first_on", "Monday"),
)
INCIDENT_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 20),
    Fault("missing-opened-at", "MISSING_REQUIRED_FIELD", 10, "opened_at"),
    Fault("resolved-before-opened", "BUSINESS_RULE_VIOLATION", 10, "resolved_at", "2024-01-01T00:00:00+05:30"),
    Fault("unknown-category", "DATA_QUALITY_ISSUE", 5, "category", "paperwork"),
    Fault("text-in-sla-hours", "DATA_FORMAT_ERROR", 5, "sla_hours", "soon"),
)


def _departments() -> str:
    rows = ", ".join(f"({number}, '{key}', '{name}')" for number, (key, name) in enumerate(DEPARTMENTS.items()))
    return f"""
        select department_id, department_name, 'CC-' || (1000 + number * 10) as cost_centre
        from (values {rows}) as departments(number, department_id, department_name)
        order by number
    """


def _staff(staff: int) -> str:
    """The first person heads the hospital, the next ones a department each, all others report to one of these."""
    heads = len(DEPARTMENTS)
    place = (
        f"case when number between 1 and {heads} then number - 1 else {drawn('staff-place', 'number')} % {heads} end"
    )
    return f"""
        with people as (
            select
                number,
                {place} as place,
                {picked(FIRST_NAMES, "first-name", "number")} as first_name,
                {picked(LAST_NAMES, "last-name", "number")} as last_name,
            from range({staff}) as numbers(number)
        )
        select
            'EMP-' || lpad((number + 1)::varchar, 5, '0') as staff_id,
            first_name || ' ' || last_name as full_name,
            lower(first_name) || '.' || lower(last_name) || (number + 1) || '@example.com' as email,
            case when number = 0 then 'ADM' else {_department("place")} end as department_id,
            case
                when number between 1 and {heads} then 'EMP-00001'
                when number > {heads} then 'EMP-' || lpad((place + 2)::varchar, 5, '0')
            end as manager_id,
            case
                when number = 0 then 'Director'
                when number <= {heads} then 'Head of Department'
                else {picked(TITLES, "title", "number")}
            end as job_title,
            date '2008-04-01' + ({drawn("joined", "number")} % 6000)::integer as joined_on,
            number <= {heads} or {drawn("active", "number")} % 25 > 0 as is_active,
        from people
        order by number
    """


def _department(place: str) -> str:
    return f"{list(DEPARTMENTS)}[1 + ({place})::integer]"


def _balances(staff: int) -> str:
    return f"""
        select
            'EMP-' || lpad((number + 1)::varchar, 5, '0') as staff_id,
            leave_type,
            2025 as leave_year,
            entitled_days,
            case
                when leave_type = 'earned' then ({drawn("carried", "number")} % 20)::integer * 0.5
                else 0.0
            end as carried_days,
        from range({staff}) as numbers(number)
        cross join (values ('casual', 8.0), ('earned', 18.0), ('sick', 10.0)) as granted(leave_type, entitled_days)
        order by number, leave_type
    """


def _applications(count: int, staff: int) -> str:
    """Each person's applications have turns of their own in the year, so that nobody asks for a day twice.

    A third of the decided ones were sent before, when they were new: such an application has two lines, far apart.
    """
    turns = -(-count // staff)
    days = max(DAYS_OF_LEAVE // turns, LONGEST_LEAVE + 2)
    return f"""
        with asked as (
            select
                number,
                date '2025-01-06' + ((number // {staff}) * {days}
                    + {drawn("leave-start", "number")} % {days - LONGEST_LEAVE - 1})::integer as first_on,
                first_on + ({drawn("leave-length", "number")} % {LONGEST_LEAVE})::integer as last_on,
                ['casual', 'casual', 'earned', 'earned', 'earned', 'sick', 'sick', 'unpaid']
                    [1 + ({drawn("leave-type", "number")} % 8)::integer] as leave_type,
                case
                    when {drawn("leave-status", "number")} % 100 < 70 then 'approved'
                    when {drawn("leave-status", "number")} % 100 < 80 then 'rejected'
                    when {drawn("leave-status", "number")} % 100 < 88 then 'cancelled'
                    else 'submitted'
                end as decision,
            from range({count}) as numbers(number)
        ),
        lines as (
            select *, 0 as pass, case when number % 3 = 0 then 'submitted' else decision end as status from asked
            union all
            select *, 1 as pass, decision as status from asked where number % 3 = 0 and decision <> 'submitted'
        )
        select
            'LV-' || lpad(number::varchar, 8, '0') as application_id,
            'EMP-' || lpad((1 + number % {staff})::varchar, 5, '0') as staff_id,
            leave_type,
            status,
            first_on,
            last_on,
            {drawn("first-half", "number")} % 8 = 0 as is_first_half_day,
            first_on < last_on and {drawn("last-half", "number")} % 8 = 0 as is_last_half_day,
            {picked(REASONS, "reason", "number")} as reason,
            {indian(f"epoch(first_on)::bigint - ({drawn('applied', 'number')} % 1900000)::bigint")} as applied_at,
        from lines
        order by pass, number
    """


def _incidents(count: int, staff: int) -> str:
    """A quarter of the incidents was sent twice: when it was reported, and when it was resolved."""
    return f"""
        with told as ({_fates(count, staff)}),
        lines as (
            select *, 0 as pass, number % 4 <> 0 as is_told from told
            union all
            select *, 1 as pass, true as is_told from told where number % 4 = 0 and resolved_second is not null
        )
        select
            'INC-' || lpad(number::varchar, 8, '0') as incident_id,
            owners.department_id,
            {picked(CATEGORIES, "category", "number")} as category,
            severity,
            {indian("opened_second + 19800")} as opened_at,
            case when is_told then {indian("resolved_second + 19800")} end as resolved_at,
            case when is_told then {indian("reopened_second + 19800")} end as reopened_at,
            sla_hours,
            owners.staff_id as owner_id,
            case when number % 10 = 3 then 'EMP-00001' end as manager_id,
            'Seen near bed ' || (1 + number % 40) || ' by the sister of patient ' || (70000 + number) as narrative,
        from lines
        join demo_staff as owners on owners._line = lines.owner_number
        order by pass, number
    """


def _fates(count: int, staff: int) -> str:
    """One row per incident: when it was reported, resolved and opened again.

    Three in ten take up to four times the hours there are; of the last month a quarter is not resolved and a tenth was
    opened again and is still open.
    """
    return f"""
        select
            number,
            1735669800 + 31536000 * number // {count} as opened_second,
            ['critical', 'high', 'high', 'medium', 'medium', 'medium', 'low', 'low']
                [1 + ({drawn("severity", "number")} % 8)::integer] as severity,
            case severity when 'critical' then 4 when 'high' then 24 when 'medium' then 72 else 168 end as sla_hours,
            (13 + {drawn("owner", "number")} % {staff - 13})::bigint as owner_number,
            ({drawn("fate", "number")} % 60)::integer as fate,
            number >= {count * 11 // 12} or {drawn("forgotten", "number")} % 150 = 0 as is_recent,
            opened_second + sla_hours * 36 * (1 + ({drawn("took", "number")} % 90)::bigint
                + case when {drawn("late", "number")} % 10 < 3 then 100 + ({drawn("later", "number")} % 200)::bigint
                else 0 end) as done_second,
            case when fate >= 15 or not is_recent then done_second end as resolved_second,
            case
                when fate between 15 and 20 and is_recent then done_second + 7200
                when fate between 21 and 25 then (opened_second + done_second) // 2
            end as reopened_second,
        from range({count}) as numbers(number)
    """
