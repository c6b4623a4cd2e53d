"""The command line: what it prints, what it loads, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from flows.cli import main
from tests.shop_project import deliver_negative_orders, write_shop
from tests.warm_parts import run_warm

SECONDS_TO_THE_QUERY = 3.0
NO_SERVER = "http://127.0.0.1:9/api"
HEAVY = ("prefect", "plotly", "duckdb", "deltalake", "polars", "pyarrow", "soda", "matplotlib", "pydantic", "rich")


def sluice(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own, without a Prefect server at hand."""
    return run_warm("flows.cli:main", *arguments, environment=os.environ | {"PREFECT_API_URL": NO_SERVER} | environment)


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """No Prefect server is at hand, whatever runs on this machine."""
    monkeypatch.setenv("PREFECT_API_URL", NO_SERVER)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose pipeline ran once, by the command line as a user calls it."""
    root = write_shop(tmp_path_factory.mktemp("cli") / "shop")
    command = [sys.executable, "-m", "flows", "run", "--project", str(root), "--json"]
    given = os.environ | {"PREFECT_API_URL": NO_SERVER}
    ran = subprocess.run(command, capture_output=True, text=True, env=given, timeout=120)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["sources"][0]["read"] == 4
    assert "this run is plain" in ran.stderr
    return root


def told(shop: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    """What a command prints as JSON, run in this process."""
    assert main([*arguments, "--project", str(shop), "--json"]) == 0
    return json.loads(capsys.readouterr().out, parse_float=Decimal)  # type: ignore[no-any-return]


def test_cli_help_loads_nothing_heavy() -> None:
    """`sluice --help` answers without Prefect, Plotly, DuckDB or any other slow import."""
    code = f"import sys, flows.cli; flows.cli.main(['--help']); print([m for m in {HEAVY} if m in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert shown.stdout.splitlines()[-1] == "[]", shown.stderr
    assert "quarantine" in shown.stdout


@pytest.mark.parametrize(
    "command",
    [
        "up",
        "run",
        "sql",
        "demo",
        "draft",
        "contract check",
        "contract schema",
        "batch list",
        "batch reland",
        "quarantine replay",
        "release rollback",
        *("health", "sync", "export", "metrics"),
    ],
)
def test_cli_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command has a help text that names its project option."""
    assert main([*command.split(), "--help"]) == 0

    assert "--project" in capsys.readouterr().out


def test_cli_sql_prints_exact_json(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is an array of objects whose decimals keep every digit."""
    rows = told(shop, capsys, "sql", "from marts.daily_orders order by ordered_on")

    assert rows == [
        {"ordered_on": "2026-11-20", "order_count": 2, "amount": Decimal("30.75")},
        {"ordered_on": "2026-11-21", "order_count": 1, "amount": Decimal("5.00")},
    ]
    assert str(rows[1]["amount"]) == "5.00"


def test_cli_sql_writes_instants_and_odd_numbers_as_json_can(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Instants are ISO 8601 in UTC, what JSON cannot say is null, and no row is an empty array."""
    query = "select timestamptz '2026-11-21 05:30:00+05:30' as at_utc, 'nan'::double as odd, 1.5::double as even"

    assert told(shop, capsys, "sql", query) == [
        {"at_utc": "2026-11-21T00:00:00.000000Z", "odd": None, "even": Decimal("1.5")}
    ]
    assert told(shop, capsys, "sql", "from marts.daily_orders where false") == []


def test_cli_sql_prints_text_in_a_pipe(shop: Path) -> None:
    """Without a terminal a result is tab-separated, with --csv comma-separated, and `head` may hang up."""
    query = "select ordered_on, order_count from marts.daily_orders order by 1"

    assert sluice("sql", query, "--project", str(shop)).stdout.splitlines()[1] == "2026-11-20\t2"
    assert sluice("sql", query, "--csv", "--project", str(shop)).stdout.splitlines()[1] == "2026-11-20,2"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sql", "from nowhere"], 1, "[query-refused]"),
        (["sql", "drop schema marts"], 1, "[query-refused]"),
        (["run", "daily_order"], 1, "[model-unknown]"),
        (["batch", "show", "ffffffff"], 1, "[batch-unknown]"),
        (["release", "show", "99"], 1, "[release-unknown]"),
        (["release", "resume"], 1, "[nothing-held]"),
        (["sql", "select 1", "--json", "--csv"], 2, "not both"),
        (["release", "show", "zero"], 2, "not a valid number of a release"),
        (["nonsense"], 2, "No such command"),
        (["draft", "nowhere.csv"], 2, "does not exist"),
    ],
)
def test_cli_says_what_is_wrong_in_one_line(
    shop: Path,
    arguments: list[str],
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a person can mend is one message and no traceback: exit 1 for a failure, 2 for a wrong argument."""
    monkeypatch.setenv("SLUICE_PROJECT", str(shop))

    assert main([*arguments, "-q"] if code == 1 else arguments) == code

    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err


def test_cli_project_may_stand_before_the_command(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`sluice --project DIR command` is `sluice command --project DIR`, and the command's own comes first."""
    assert main(["--project", str(shop), "sql", "select 1 as one", "--json"]) == 0
    assert main(["--project", "/nowhere", "sql", "select 1 as one", "--json", "--project", str(shop)]) == 0
    assert main(["--project", "/nowhere", "sql", "select 1"]) == 1

    assert "[project-missing]" in capsys.readouterr().err


def test_cli_lists_batches_quarantine_and_releases(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What operators ask for comes as JSON arrays: the ledger, the refused records, the releases."""
    (batch,) = told(shop, capsys, "batch", "list")
    (refused,) = told(shop, capsys, "quarantine", "show", str(batch["batch_id"])[:8])
    releases = told(shop, capsys, "release", "list")

    assert (batch["read_count"], batch["accepted_count"], batch["quarantined_count"]) == (4, 3, 1)
    assert refused["line"] == 5
    assert "never" in str(refused["raw_data"])
    assert releases[-1]["release_id"] == 1


def test_cli_replay_lands_mended_records_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A mended record lands, the next run shows it in the mart, and a second replay finds nothing to do."""
    shop = write_shop(tmp_path / "shop")
    quietly = ["-q", "--project", str(shop)]
    mended = tmp_path / "mended.csv"
    mended.write_text("line,ordered_on\n5,2026-11-21\n", encoding="utf-8")
    assert main(["run", *quietly]) == 0
    capsys.readouterr()
    (batch,) = told(shop, capsys, "batch", "list")
    replay = ["quarantine", "replay", str(batch["batch_id"])[:8], "--with", str(mended), *quietly]

    assert main(replay) == 0
    assert main(replay) == 1
    assert main(["run", *quietly]) == 0
    capsys.readouterr()

    (total,) = told(shop, capsys, "sql", "select sum(amount) as amount from marts.daily_orders")
    assert total["amount"] == Decimal("36.75")


def test_cli_rollback_holds_until_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A rollback shows the older release and survives the next run; resume lets the tables move on."""
    shop = write_shop(tmp_path / "shop")
    quietly = ["-q", "--project", str(shop)]
    count = ["sql", "select sum(order_count) as orders from marts.daily_orders"]
    assert main(["run", *quietly]) == 0
    (shop / "incoming" / "orders-2.csv").write_text(
        "order_id,ordered_on,amount\nC1,2026-11-22,1.00\n", encoding="utf-8"
    )
    assert main(["run", *quietly]) == 0
    capsys.readouterr()
    assert told(shop, capsys, *count) == [{"orders": 4}]

    assert main(["release", "rollback", "1", *quietly]) == 0
    assert main(["run", *quietly]) == 0
    capsys.readouterr()
    assert told(shop, capsys, *count) == [{"orders": 3}]

    assert main(["release", "resume", *quietly]) == 0
    assert main(["run", *quietly]) == 0
    capsys.readouterr()
    assert told(shop, capsys, *count) == [{"orders": 4}]


def test_cli_failed_run_exits_non_zero(tmp_path: Path) -> None:
    """A closed gate is exit code 1, its reason on standard error, the outcome on standard output."""
    shop = write_shop(tmp_path / "shop")
    deliver_negative_orders(shop)

    ran = sluice("run", "--project", str(shop))

    assert ran.returncode == 1
    assert "[gate-failed]" in ran.stderr
    assert "FAILED" in ran.stdout
    assert "Traceback" not in ran.stderr


def test_cli_logs_json_lines_where_asked(tmp_path: Path) -> None:
    """`--log-json` tells events as JSON lines, and the log file holds them whatever the terminal shows."""
    shop = write_shop(tmp_path / "shop")

    ran = sluice("run", "--log-json", "--project", str(shop))

    lines = [json.loads(line) for line in ran.stderr.splitlines() if line.startswith("{")]
    kept = (shop / "lake" / "data" / "sluice.log").read_text(encoding="utf-8").splitlines()
    assert {line["event"] for line in lines} >= {"batch-landed", "release-published", "run-finished"}
    assert [json.loads(line)["event"] for line in kept] == [line["event"] for line in lines]


def test_cli_interrupted_is_130(shop: Path) -> None:
    """Ctrl-C ends a command with 130 and no traceback, in the middle of a query too."""
    endless = "select count(*) as n from range(1000000000) as one, range(1000000) as other"
    command = [sys.executable, "-m", "flows", "sql", endless, "--project", str(shop)]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    time.sleep(SECONDS_TO_THE_QUERY)
    child.send_signal(signal.SIGINT)

    _, said = child.communicate(timeout=30)

    assert child.returncode == 130, said
    assert "Traceback" not in said


def test_cli_drafts_a_contract_the_pipeline_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A draft begins a project: the contract is written to its place, never over one that is there."""
    orders = write_shop(tmp_path / "shop") / "incoming" / "orders-1.csv"
    other = tmp_path / "other"
    other.mkdir()

    assert main(["draft", str(orders), "--source", "orders", "--project", str(other)]) == 0
    assert main(["draft", str(orders), "--source", "orders", "--project", str(other)]) == 1

    assert "[contract-exists]" in capsys.readouterr().err
    assert "order_id" in (other / "lake" / "contracts" / "orders.yaml").read_text(encoding="utf-8")


def test_cli_maintain_says_what_each_table_uses(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Upkeep names every table and loses nothing that the release names."""
    assert main(["maintain", "--project", str(shop), "-q"]) == 0
    told = capsys.readouterr().out
    assert "ops.events: " in told
    assert main(["sql", "select count(*) as n from ops.releases", "--json", "--project", str(shop)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["n"] > 0
