"""Tables of a finished run, copied to be damaged: what check files and alert rules say of that, and of nothing."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from checks.gate import run_gate
from checks.suites import Suite
from checks.verdict import CheckResult
from lake.engine import EngineLimits, Session

ALERTS = Path(__file__).parents[1] / "sql" / "alerts"
Damage = tuple[str, str, str]  # a statement, the check that is to notice it, and the outcome it is to have

OPERATIONS = ("ops.ingestion_log", "ops.quarantine", "ops.audit_log")


def copy_lake(session: Session, lake_file: Path, tables: Sequence[str]) -> None:
    """Makes plain tables of a lake's tables and views in a session, to be damaged, and a pristine copy of each."""
    session.execute(f"attach '{lake_file}' as finished (read_only); create schema pristine")
    for name in (*tables, *OPERATIONS):
        session.execute(f"create table pristine.{name.replace('.', '__')} as from finished.{name} order by all")
    session.execute("detach finished")
    mend(session, (*tables, *OPERATIONS))


def mend(session: Session, tables: Sequence[str]) -> None:
    """Puts tables back as they were."""
    for name in tables:
        session.execute(f"create or replace table {name} as from pristine.{name.replace('.', '__')}")


def harm(session: Session, suite: Suite, damage: str, now: datetime) -> dict[str, CheckResult]:
    """Gives what a check file says of a damage, which is mended then."""
    session.execute(damage)
    results = judge(session, suite, now)
    mend(session, sorted(set(re.findall(r"\b(?:raw|reference|staging|intermediate|marts|ops)\.\w+", damage))))
    return results


def judge(session: Session, suite: Suite, now: datetime) -> dict[str, CheckResult]:
    """Gives the results of one check file by check name."""
    results = run_gate(session, suite.stage, [suite], {}, now=now).results
    named = {result.check_name: result for result in results}
    assert len(named) == len(results), "two checks of one table have the same name"
    return named


def common_damages(suite: Suite) -> list[tuple[str, str, str]]:
    """Gives what can be wrong with any table, for the checks that its file has under the names all files use."""
    table = suite.table_name
    first = f"where rowid = (select min(rowid) from {table})"
    damages = []
    for name in re.findall(r"name: (.*)", suite.sodacl):
        if found := re.fullmatch(r"(\w+) is never missing", name):
            damages.append((f"update {table} set {found[1]} = null {first}", name, "fail"))
        elif name.startswith("one row per "):
            damages.append((f"insert into {table} from {table} limit 1", name, "fail"))
        elif name == "has the promised columns":
            column = re.findall(r"\n          (\w+): ", suite.sodacl)[-1]
            damages.append((f"alter table {table} drop {column}", name, "fail"))
        elif name == "has rows":
            damages.append((f"delete from {table}", name, "warn"))
    return damages


@contextmanager
def copied(project: Path, tables: Sequence[str]) -> Iterator[Session]:
    """Gives a session with plain tables of what a project's run left."""
    with Session(EngineLimits("512MB", 1)) as opened:
        copy_lake(opened, project / "lake/data/lake.duckdb", tables)
        yield opened


def expect_noticed(session: Session, suite: Suite, tried: Sequence[Damage], now: datetime) -> None:
    """Every check passes on good tables, every check is tried, and each notices the damage it is there for."""
    good = judge(session, suite, now)
    assert {name: str(result) for name, result in good.items() if result.outcome != "pass"} == {}
    assert set(good) == {check for _, check, _ in tried}
    found = [(harm(session, suite, damage, now)[check].outcome, damage) for damage, check, _ in tried]
    assert found == [(outcome, damage) for damage, _, outcome in tried]


def failing_on_nothing(session: Session, suite: Suite, tables: Sequence[str], now: datetime) -> set[str]:
    """Gives the checks that fail where no source has delivered yet."""
    for name in (*tables, "ops.ingestion_log", "ops.quarantine"):
        session.execute(f"delete from {name}")
    return {name for name, result in judge(session, suite, now).items() if result.outcome == "fail"}


def breaches(session: Session, rule: str) -> list[dict[str, object]]:
    """Gives what an alert rule of the project says of the session's tables."""
    text = (ALERTS / f"{rule}.sql").read_text("utf-8")
    return list(session.arrow(re.sub(r"\A\s*/\*.*?\*/", "", text, count=1, flags=re.DOTALL)).to_pylist())
