"""The alert rule of the sales project."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lake.engine import EngineLimits, Session

RULE = Path(__file__).parents[1] / "sql" / "alerts" / "sales_exception_share.sql"


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(EngineLimits("256MB", 1)) as opened:
        opened.execute(
            """
            create table ops.ingestion_log
            (batch_id varchar, source varchar, status varchar, read_count bigint, quarantined_count bigint)
            """
        )
        yield opened


def breaches(session: Session) -> list[dict[str, object]]:
    sql = re.sub(r"\A\s*/\*.*?\*/", "", RULE.read_text(), count=1, flags=re.DOTALL)
    return list(session.arrow(sql).to_pylist())


def test_sales_alerts_tell_the_delivery_with_too_many_refused(session: Session) -> None:
    """More than a tenth of a landed delivery refused is one alert, with its share and words; a tenth is none."""
    session.execute(
        """
        insert into ops.ingestion_log values
            ('good', 'sales', 'landed', 1000, 100), ('bad', 'sales', 'landed', 1000, 101),
            ('other', 'orders', 'landed', 10, 9), ('held', 'sales', 'held', null, null),
            ('empty', 'sales', 'landed', 0, 0)
        """
    )
    assert breaches(session) == [
        {
            "subject": "sales batch bad",
            "breach_key": "bad",
            "measured": 0.101,
            "threshold": 0.1,
            "message": "101 of 1000 lines were refused (10.1 %); allowed are 10 %.",
        }
    ]


def test_sales_alerts_are_silent_without_deliveries(session: Session) -> None:
    """An empty ledger is no breach."""
    assert breaches(session) == []
