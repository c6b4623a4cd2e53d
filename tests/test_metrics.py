"""METRICS.md and ops.metrics: both are what the headers of the models say, and staleness is seen."""

from pathlib import Path

import pytest

from flows.cli import main
from flows.metrics import metric_rows, metrics_markdown
from lake.project import open_project
from sql.models import find_models
from tests.platform_parts import FIRST, ask, run_at, write_platform_shop

ROOT = Path(__file__).resolve().parent.parent


def test_metrics_file_of_this_project_is_current() -> None:
    """METRICS.md is what `sluice metrics` would write now."""
    assert (ROOT / "METRICS.md").read_text(encoding="utf-8") == metrics_markdown(open_project(ROOT))


def test_metrics_of_this_project_say_all_there_is_to_say() -> None:
    """Every metric has a name, a meaning, a formula, a grain and an owner, and each name stands once per table."""
    rows = metric_rows(find_models(ROOT / "sql"))

    assert rows
    assert [row for row in rows if not all(value for key, value in row.items() if key != "unit")] == []
    assert len({(row["table_name"], row["name"]) for row in rows}) == len(rows)


def test_metrics_command_writes_and_checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice metrics` writes the file; `--check` fails before, and after a header changed."""
    root = write_platform_shop(tmp_path / "shop")
    check = ["metrics", "--check", "--project", str(root)]

    assert main(check) == 1
    assert "[metrics-stale]" in capsys.readouterr().err
    assert main(["metrics", "--project", str(root)]) == 0
    assert "| `amount` | What was paid. | `sum(amount)` | INR | Shop |" in (root / "METRICS.md").read_text()
    assert main(check) == 0
    mart = root / "sql/marts/daily_orders.sql"
    mart.write_text(mart.read_text().replace("unit: INR", "unit: EUR"), encoding="utf-8")
    assert main(check) == 1


def test_metrics_cells_keep_their_lines_and_bars(tmp_path: Path) -> None:
    """A bar in a formula does not end its cell."""
    root = write_platform_shop(tmp_path / "shop")
    mart = root / "sql/marts/daily_orders.sql"
    mart.write_text(mart.read_text().replace("formula: sum(amount)", "formula: \"a || 'x'\""), encoding="utf-8")

    assert "`a \\|\\| 'x'`" in metrics_markdown(open_project(root))


def test_metrics_are_a_table_for_readers(tmp_path: Path) -> None:
    """ops.metrics holds one row per metric of the models."""
    root = write_platform_shop(tmp_path / "shop")
    run_at(root, FIRST)

    assert ask(root, "from ops.metrics") == [
        ("amount", "marts.daily_orders", "What was paid.", "sum(amount)", "INR", "one row per ordered_on", "Shop")
    ]
