"""Demo data of five offices over 2025: electricity invoices, print jobs and sessions at shared devices.

Beside the planted faults there are planted facts, whose numbers stand below: landing takes them, marts must show them.
"""

from pathlib import Path

from lake.demo.planting import DemoTable, Fault

METERS = 10  # two at each of five sites; each is billed for 31 or 59 days at a time
INVOICES_PER_METER = 8
HEAVY_SITE = "Salt Lake"  # uses half as much again per square metre
OPEN_SESSIONS_PER_THOUSAND = 5
STATEMENTS = Path(__file__).with_suffix(".sql")

INVOICE_FAULTS = (
    Fault("missing-site", "MISSING_REQUIRED_FIELD", 13, "site"),
    Fault("units-in-words", "DATA_FORMAT_ERROR", 13, "kwh", "many"),
    Fault("period-backwards", "BUSINESS_RULE_VIOLATION", 13, "period_end_on", "2020-01-01"),
)
PRINT_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 10),
    Fault("missing-printer", "MISSING_REQUIRED_FIELD", 5, "printer_id"),
    Fault("no-pages", "DATA_QUALITY_ISSUE", 5, "pages", "0"),
    Fault("duplex-in-words", "DATA_FORMAT_ERROR", 5, "is_duplex", "perhaps"),
)
DEVICE_FAULTS = (
    Fault("repeat", "DUPLICATE_RECORD", 10),
    Fault("missing-beginning", "MISSING_REQUIRED_FIELD", 5, "started_at"),
    Fault("ends-before-it-begins", "BUSINESS_RULE_VIOLATION", 5, "ended_at", "2024-12-31T00:00:00+05:30"),
)


def footprint_tables(rows: int) -> tuple[DemoTable, ...]:
    """Gives the three deliveries: 80 invoices whatever the size, and `rows` print jobs and sessions each."""
    return (
        DemoTable(
            "electricity_invoices",
            "electricity_invoices/invoices_2025.csv",
            _select("electricity_invoices", METERS * INVOICES_PER_METER),
            INVOICE_FAULTS,
        ),
        DemoTable("print_logs", "print_logs/print_logs_2025.jsonl", _select("print_logs", rows), PRINT_FAULTS),
        DemoTable(
            "device_audit_log",
            "device_audit_log/device_audit_log_2025.parquet",
            _select("device_audit_log", rows),
            DEVICE_FAULTS,
        ),
    )


def _select(source: str, count: int) -> str:
    """Gives a source's select; `:count` in it is how many rows there are to be."""
    parts = STATEMENTS.read_text(encoding="utf-8").split("-- source: ")
    text = next(part.removeprefix(source) for part in parts if part.startswith(source + "\n"))
    return text.replace(":count", str(count))
