"""The alerts of people and spend: who is told of what, once, when it is worse, and when it is over."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from email import policy
from email.parser import BytesParser
from pathlib import Path

import polars as pl
import pytest

from flows.pipeline import run_pipeline
from flows.steps import plain_step
from lake.engine import Session
from lake.project import open_project
from lake.run import begin_run
from lake.settings import Settings
from reports.alerts import Alert, address, evaluate, find_alerts
from tests.people_parts import ROOT, make_project, run
from tests.platform_parts import ask
from tests.test_channels import Postbox, mail_server

RULES = find_alerts(ROOT / "sql" / "alerts")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DEPARTMENTS = "department_id,department_name,cost_centre\nCAR,Cardiology,CC-1000\n"


def test_people_alerts_budget_is_exceeded_beyond_a_tenth(session: Session) -> None:
    """A tenth too much is none, a paisa more is one; spend without a budget is one; money back and thrift are none.

    So it is of the largest budget that the contract takes.
    """
    session.execute(
        """
        create table marts.expense_summary as
        select date '2025-03-01' as spend_month, 'CAR' as department_id, 'Cardiology' as department_name, category,
            budget_inr::decimal(18, 2) as budget_inr, actual_inr::decimal(18, 2) as actual_inr,
            ((actual_inr - budget_inr) / nullif(budget_inr, 0))::decimal(18, 6) as variance_ratio,
        from (values ('at', 1000, 1100), ('over', 1000, 1100.01), ('none', 0, 5.5), ('back', 0, -5), ('less', 10, 1),
            ('far', 200, 300), ('vast', 900000000000, 990000000000.01)) as cells(category, budget_inr, actual_inr)
        """
    )
    found = {alert.breach_key: (alert.measured, alert.message) for alert in evaluate(RULES["budget_breach"], session)}
    assert found == {
        "CAR/far/2025-03": (
            0.5,
            "INR 300.00 was spent of a budget of INR 200.00: 50.0 % too much; allowed are 10 %.",
        ),
        "CAR/none/2025-03": (None, "INR 5.50 was spent without a budget."),
        "CAR/over/2025-03": (
            0.10001,
            "INR 1100.01 was spent of a budget of INR 1000.00: 10.0 % too much; allowed are 10 %.",
        ),
        "CAR/vast/2025-03": (
            0.1,
            "INR 990000000000.01 was spent of a budget of INR 900000000000.00: 10.0 % too much; allowed are 10 %.",
        ),
    }


def test_people_alerts_incident_goes_to_its_manager(session: Session) -> None:
    """The manager named with an incident is told, else the owner's; the newest address counts, and none is none."""
    session.execute(
        """
        create table staging.stg_incidents as from (values ('I1', 'E2', 'E9'), ('I2', 'E2', null), ('I3', 'E1', null),
            ('I4', 'E7', null)) as incidents(incident_id, owner_id, manager_id);
        create table staging.stg_staff as from (values ('E1', null), ('E2', 'E1'), ('E9', 'E1'))
            as staff(staff_id, manager_id);
        create table raw.staff as from (values
            ('E1', 'old@example.com', 1, 9), ('E1', 'new@example.com', 2, 1), ('E9', 'nine@example.com', 1, 2)
        ) as staff(staff_id, email, _ingested_at, _line)
        """
    )
    rule = RULES["incident_past_sla"]
    alerts = [Alert(rule, key, key, 1.0, 1.0, "late") for key in ("I1", "I2", "I3", "I4", "I5")]
    told = {alert.breach_key: alert.recipient for alert in address(alerts, session)}
    assert told == {"I1": "nine@example.com", "I2": "new@example.com", "I3": None, "I4": None, "I5": None}


def test_people_alerts_sum_up_the_errors_of_a_day_that_is_over(session: Session) -> None:
    """The refused records of each Indian day before today are one alert, without repeats and what was replayed."""
    session.execute(
        """
        create table ops.ingestion_errors as from (values
            ('sales', 'DATA_FORMAT_ERROR', timestamptz '2026-03-01 18:29:59+00', null),
            ('sales', 'DATA_FORMAT_ERROR', timestamptz '2026-03-01 10:00:00+00', null),
            ('sales', 'DATA_FORMAT_ERROR', timestamptz '2026-03-01 10:00:00+00', timestamptz '2026-03-01 11:00:00+00'),
            ('sales', 'DUPLICATE_RECORD', timestamptz '2026-03-01 10:00:00+00', null),
            ('leave', 'MISSING_REQUIRED_FIELD', timestamptz '2026-03-01 10:00:00+00', null),
            ('leave', 'MISSING_REQUIRED_FIELD', timestamptz '2026-03-01 18:30:00+00', null)
        ) as errors(source, category, quarantined_at, replayed_at);
        create table ops.audit_log as select timestamptz '2026-03-02 01:00:00+00' as "at"
        """
    )
    [alert] = evaluate(RULES["ingestion_errors_daily"], session)
    assert (alert.subject, alert.breach_key, alert.measured) == ("1 Mar 2026", "2026-03-01", 3.0)
    assert alert.message == "leave 1 MISSING_REQUIRED_FIELD; sales 2 DATA_FORMAT_ERROR."


BREACHES = """
    select state, measured from ops.alert_history as told where rule = 'budget_breach' order by told.at
"""
EXPENSES = "expense_id,department_id,category,spent_on,amount_inr,currency,receipt_number,claimed_by,account_number\n"


def spend(project: Path, number: int, amount: str) -> None:
    """Delivers one expense of the department whose budget is told of."""
    line = f"EXP-{number},CAR,travel,2026-02-1{number},{amount},INR,,EMP-00001,\n"
    write_inbox(project, f"expenses/{number}.csv").write_text(EXPENSES + line)


def allow(project: Path, revision: int, amount: str) -> None:
    """Delivers a revision of that budget."""
    budget = {"department_id": "CAR", "category": "travel", "budget_month": date(2026, 2, 1)}
    row = {**budget, "revision_number": revision, "budget_inr": Decimal(amount)}
    types = {"revision_number": pl.Int32, "budget_inr": pl.Decimal(14, 2)}
    pl.DataFrame([row], schema_overrides=types).write_parquet(write_inbox(project, f"budgets/{revision}.parquet"))


@pytest.fixture
def purse(tmp_path: Path) -> Path:
    """A project with one budget, of which a twentieth too much is spent."""
    project = make_project(tmp_path / "purse", ["expense_summary"], [])
    write_inbox(project, "departments/all.csv").write_text(DEPARTMENTS)
    allow(project, 1, "1000.00")
    spend(project, 1, "1050.00")
    return project


def test_people_alerts_budget_is_told_once_when_worse_and_when_over(purse: Path) -> None:
    """Beyond a tenth it is told, not for little more, again when the excess grew by half, and once it is allowed."""
    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: spend(purse, 2, "60.00"),
        lambda: spend(purse, 3, "2.00"),
        lambda: spend(purse, 4, "30.00"),
        lambda: allow(purse, 2, "2000.00"),
    ]
    heard = []
    for hour, step in enumerate(steps):
        step()
        assert run(purse, at=NOON + timedelta(hours=hour)).failure is None
        heard.append({subject for _, subject in told(purse)})

    late, over = {"[warning] Budget exceeded"}, {"[over] Budget exceeded"}
    assert heard == [set(), late, set(), late, over]
    assert ask(purse, BREACHES) == [("open", 0.11), ("worse", 0.142), ("over", None)]


def write_inbox(project: Path, name: str) -> Path:
    """Gives where a delivery of that name belongs, in a folder that is there."""
    path = project / "lake/data/inbox" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def deliver(project: Path, source: str, name: str, *rows: dict[str, object]) -> None:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write_inbox(project, f"{source}/{name}.jsonl").write_text(lines)


def person(number: int, email: str, manager: int | None) -> dict[str, object]:
    return {
        "staff_id": f"EMP-0000{number}",
        "full_name": f"Person {number}",
        "email": email,
        "department_id": "CAR",
        "manager_id": None if manager is None else f"EMP-0000{manager}",
        "job_title": "Nurse",
        "joined_on": "2020-01-01",
        "is_active": "true",
    }


def incident(number: int, owner: int, **changes: object) -> dict[str, object]:
    row: dict[str, object] = {
        "incident_id": f"INC-{number}",
        "department_id": "CAR",
        "category": "equipment",
        "severity": "high",
        "opened_at": "2026-03-02T16:30:00+05:30",
        "resolved_at": None,
        "reopened_at": None,
        "sla_hours": "1",
        "owner_id": f"EMP-0000{owner}",
        "manager_id": None,
        "narrative": None,
    }
    return {**row, **changes}


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """A project with two incidents: one under a manager with an address, one under one whose address is none."""
    project = make_project(tmp_path / "ward", ["incidents_open"], [])
    write_inbox(project, "departments/all.csv").write_text(DEPARTMENTS)
    people = [person(1, "asha@example.com", None), person(2, "b@example.com", 1), person(4, "d@example.com", 3)]
    deliver(project, "staff", "all", *people, person(3, "vikram..shah@example.com", 1))
    deliver(project, "incidents", "first", incident(1, 2), incident(2, 4))
    return project


def told(project: Path) -> set[tuple[str, str]]:
    """Gives who has been told what by the mails in the outbox, which are taken out of it."""
    found = set()
    for path in sorted((project / "lake/data/outbox").glob("*.eml")):
        mail = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        found.add((mail["To"], mail["Subject"].partition(":")[0]))
        path.unlink()
    return found


def test_people_alerts_tell_a_manager_once_when_worse_and_when_over(ward: Path) -> None:
    """The manager is told once, again when it is twice as late, and when it is over; nobody else reads of it."""
    late = "[critical] Incident past its time"
    assert run(ward, at=NOON - timedelta(minutes=30)).failure is None
    assert told(ward) == set()
    assert run(ward, at=NOON + timedelta(hours=1)).failure is None
    assert ("asha@example.com", late) in told(ward)
    again = run(ward, at=NOON + timedelta(hours=1, minutes=30))
    assert (again.failure, again.is_new_release) == (None, False)  # hours go by, and no row with them
    assert told(ward) == set()
    assert run(ward, at=NOON + timedelta(hours=3)).failure is None
    assert ("asha@example.com", late) in told(ward)
    deliver(ward, "incidents", "second", incident(1, 2, resolved_at="2026-03-02T21:00:00+05:30"))
    assert run(ward, at=NOON + timedelta(hours=4)).failure is None
    assert told(ward) == {("asha@example.com", "[over] Incident past its time")}
    states = ask(ward, "select state from ops.alert_history where breach_key = 'INC-1' order by run_id")
    written = str(ask(ward, "from ops.audit_log")) + str(ask(ward, "from raw.staff"))
    assert states == [("open",), ("worse",), ("over",)]
    assert "asha@example.com" not in written


def test_people_alerts_reach_somebody_when_the_manager_has_no_address(ward: Path) -> None:
    """An address that is none costs nobody the alert: the project's own people get it, and the run is good."""
    outcome = run(ward, at=NOON + timedelta(hours=1))
    assert outcome.failure is None
    recipients = {recipient for recipient, _ in told(ward)}
    assert recipients == {"asha@example.com", Settings.read(ward).mail_to[0]}
    assert "vikram" not in "".join(outcome.deliveries)
    assert f"  2 mails: {ward / 'lake/data/outbox'}" in outcome.as_lines()


def test_people_alerts_refused_by_the_mail_server_reach_somebody(ward: Path) -> None:
    """A mailbox the server does not know is replaced by the project's own, and its address is in no event."""
    postbox = Postbox(refused=frozenset({"asha@example.com"}))
    with mail_server(postbox) as server:
        (ward / ".env").write_text(
            f"SLUICE_SMTP_HOST={server.host}\nSLUICE_SMTP_PORT={server.port}\nSLUICE_SMTP_STARTTLS=false\n"
        )
        outcome = run(ward, at=NOON + timedelta(hours=1))
    assert outcome.failure is None
    assert postbox.recipients == [Settings.read(ward).mail_to[0]] * 2
    events = str(ask(ward, "from ops.audit_log"))
    assert "recipient-unreachable" in events
    assert "asha@example.com" not in events + "".join(outcome.deliveries)


def test_people_alerts_wait_for_the_run_that_makes_their_tables(ward: Path) -> None:
    """A run of other marts leaves incidents alone: what it cannot see is neither told nor over."""
    assert run(ward, at=NOON + timedelta(hours=1)).failure is None
    told(ward)
    place = open_project(ward)
    begun = begin_run("tester", clock=lambda: NOON + timedelta(hours=9))
    assert run_pipeline(place, Settings.read(place.root), begun, ["stg_departments"], (), plain_step).failure is None
    assert told(ward) == set()
