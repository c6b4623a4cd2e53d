"""Electricity readings as the demo has them: made beside the invoices, and given by the demo's own API."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.demonstrating import ADDRESS, TOKEN
from lake.demo.footprint import footprint_tables
from lake.demo.meter_api import served_readings
from lake.demo.meters import meter_tables
from lake.demo.planting import Planted, plant_all
from lake.engine import EngineLimits, Session

SECRET = "t0ken-of-the-demo"


@contextmanager
def metered(project: Path, rows: int, *, seed: int = 7) -> Iterator[Planted]:
    """Makes readings that go with the invoices of a project, and serves them to it while the block runs."""
    with Session(EngineLimits("512MB", 2)) as session:
        tables = (*footprint_tables(0)[:1], *meter_tables(rows))
        *_, planted = plant_all(session, tables, project / "lake/data/demo_apis", seed=seed)
    with served_readings(planted.path, SECRET) as address:
        settings = project / ".env"
        settings.write_text(f"{ADDRESS}={address}\n{TOKEN}={SECRET}\n", encoding="utf-8")
        yield planted
        settings.unlink()
