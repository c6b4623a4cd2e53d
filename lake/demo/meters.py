"""Demo readings of the electricity meters of five offices over 2025, as their platform would give them by an API.

They are drawn from the invoices' own electricity, so that the two agree but for what is planted: a meter that reads too
little, one that is silent for a while, and the faults in the records.
"""

from pathlib import Path

from lake.demo.planting import DemoTable, Fault

METERS = 10
DAYS = 365
SLOW_METER, SLOW_PERCENT = "MTR-008", 88  # it reads this much of what it is billed
SILENT_METER, SILENT_FROM, SILENT_DAYS = "MTR-003", "2025-08-04", 20
ESTIMATES_PER_THOUSAND = 20  # guessed first, and reported again two days later
PARTS_OF_A_DAY = (24, 12, 8, 6, 4, 3, 2, 1)
STATEMENT = Path(__file__).with_suffix(".sql")

READING_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 5),
    Fault("missing-meter", "MISSING_REQUIRED_FIELD", 3, "meter_id"),
    Fault("kwh-in-words", "DATA_FORMAT_ERROR", 3, "kwh", "n/a"),
    Fault("unknown-status", "DATA_QUALITY_ISSUE", 2, "status", "maybe"),
    Fault("reported-too-early", "BUSINESS_RULE_VIOLATION", 2, "reported_at", "2024-12-31T00:00:00+05:30"),
)


def meter_tables(rows: int) -> tuple[DemoTable, ...]:
    """Gives about `rows` readings of ten meters, at most one an hour; `demo_electricity_invoices` must be there.

    So many times a day as goes into it evenly over the year; with fewer than one a day, of the first days only.
    """
    parts = next((parts for parts in PARTS_OF_A_DAY if parts * METERS * DAYS <= rows), 1)
    filled = {
        ":days": min(DAYS, rows // METERS),
        ":parts": parts,
        ":slow_meter": f"'{SLOW_METER}'",
        ":slow_percent": SLOW_PERCENT,
        ":silent_meter": f"'{SILENT_METER}'",
        ":silent_from": f"date '{SILENT_FROM}'",
        ":silent_days": SILENT_DAYS,
        ":estimates": ESTIMATES_PER_THOUSAND,
    }
    select = STATEMENT.read_text(encoding="utf-8")
    for name, value in filled.items():
        select = select.replace(name, str(value))
    return (DemoTable("electricity_readings", "electricity_readings_2025.jsonl", select, READING_FAULTS),)
