"""The pipeline in Prefect: a real server and worker, started once by `sluice up` itself."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from flows.prefect_api import configured_api
from lake.demo.commerce import commerce_tables
from tests.commerce_parts import ROOT, make_project
from tests.commerce_parts import deliver as deliver_tables
from tests.platform_parts import ask
from tests.shop_project import deliver_negative_orders, write_shop

READY_SECONDS = 150.0
BUSY_TRIES = 20
DEPLOYMENT = """\
name: shop
deployments:
  - name: daily
    entrypoint: flows.prefect_flows.pipeline
    parameters: {marts: [daily_orders]}
    work_pool: {name: sluice}
    concurrency_limit: {limit: 1, collision_strategy: ENQUEUE}
  - name: land-uploads
    entrypoint: flows.prefect_flows.land
    parameters: {sources: [orders]}
    work_pool: {name: sluice}
"""
OURS = ("commerce-hourly", "commerce-daily", "metadata-sync", "platform-health")  # of this project's own prefect.yaml
DONE, FINAL = "COMPLETED", {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
COMMERCE_PAGES = ("daily_operations", "customer_insights", "product_performance")
FLAKY_FLOW = """\
from pathlib import Path

from prefect import flow

from flows.prefect_steps import prefect_step
from lake.errors import GateFailed, SourceError
from lake.settings import Settings

tries = []


def land(error):
    tries.append(error)
    if len(tries) < 3:
        raise error("not-there", "The provider did not answer.")
    return len(tries)


@flow
def flaky(error):
    settings = Settings.read(Path("."), retry_delays_seconds=(0.01, 0.02, 0.04))
    return prefect_step(settings)("land orders", land)(error)


print("landed at try", flaky(SourceError))
tries.clear()
try:
    flaky(GateFailed)
except GateFailed:
    print("refused at try", len(tries))
"""


@dataclass(frozen=True)
class Served:
    """A shop with its own Prefect up: the project, the address, and a way to run programs beside it."""

    shop: Path
    process: subprocess.Popen[str]
    commerce: Path

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Runs `python ...` in the project, with what `sluice up` wrote as the only word on where the server is."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        environment |= {"PREFECT_PROFILES_PATH": str(self.shop / ".prefect" / "profiles.toml")}
        return subprocess.run(
            [sys.executable, *arguments], cwd=self.shop, env=environment, capture_output=True, text=True, timeout=120
        )

    def api(self, path: str, body: dict[str, object] | None = None) -> Any:
        """What the server answers: to a question, or to something told."""
        address = f"{configured_api(self.shop, {})}/{path}"
        for _ in range(BUSY_TRIES):
            method = "GET" if body is None else "POST"
            answer = httpx.request(method, address, json=body, timeout=READY_SECONDS)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(0.5)  # its database is busy
        return answer.raise_for_status().json()


def write_commerce(folder: Path) -> Path:
    """Gives this project with deliveries of the shop, and its three pages alone."""
    project = make_project(folder, COMMERCE_PAGES)
    deliver_tables(project, commerce_tables(300))
    return project


def deploy(shop: Path, commerce: Path) -> None:
    """Writes a prefect.yaml of the test's own deployments and of this project's, for the clock to leave alone."""
    document = yaml.safe_load(DEPLOYMENT)
    for each in yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"]:
        if each["name"] in OURS:
            parameters = {**each.get("parameters", {}), "project": str(commerce)}
            document["deployments"].append({**each, "parameters": parameters, "schedules": []})
    with (shop / "prefect.yaml").open("w", encoding="utf-8") as file:
        yaml.safe_dump(document, file)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`sluice up` on a free port; everything it started must be gone when it is told to stop."""
    shop = write_shop(tmp_path_factory.mktemp("up") / "shop")
    commerce = write_commerce(tmp_path_factory.mktemp("commerce"))
    deploy(shop, commerce)
    command = [sys.executable, "-m", "flows", "up", "--port", "0", "--project", str(shop)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Sluice is up: http://127.0.0.1:"), line
        yield Served(shop, process, commerce)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(READY_SECONDS)
    assert process.returncode == 130
    assert _children_of(shop) == []


def _children_of(shop: Path) -> list[str]:
    """Gives the command lines of processes that still run for a project."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            environment = (folder / "environ").read_bytes() if folder.name.isdecimal() else b""
            if f"PREFECT_HOME={shop}/.prefect".encode() in environment:
                found.append((folder / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it ended while we looked, or is not ours to read
    return found


def test_prefect_flows_deployment_runs_and_exits_zero(served: Served) -> None:
    """A deployment's run completes, `--watch` exits 0, and the marts are there."""
    ran = served.call("-m", "prefect", "deployment", "run", "pipeline/daily", "--watch")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ask(served.shop, "select sum(order_count) from marts.daily_orders") == [(3,)]


def test_prefect_flows_run_by_hand_is_in_the_history(served: Served) -> None:
    """`sluice run` finds the server by itself, and its flow and task runs have names a person understands."""
    ran = served.call("-m", "flows", "run", "daily_orders")

    assert ran.returncode == 0, ran.stderr
    assert f"in the history of {configured_api(served.shop, {})}" in ran.stderr
    names = {run["name"].rpartition(" 20")[0] for run in served.api("flow_runs/filter", {})}
    assert {"daily_orders", "daily"} <= names
    assert "land orders" in {run["name"] for run in served.api("task_runs/filter", {})}


def test_prefect_flows_land_is_a_deployment_too(served: Served) -> None:
    """What came since is landed by its own flow, and the marts stay as they are."""
    (served.shop / "incoming" / "orders-late.csv").write_text("order_id,ordered_on,amount\nL1,2026-11-20,1.00\n")

    deployment = served.api("deployments/name/land/land-uploads")["id"]
    run = served.api(f"deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    end = time.monotonic() + READY_SECONDS
    while run["state"]["type"] not in ("COMPLETED", "FAILED", "CRASHED") and time.monotonic() < end:
        time.sleep(0.2)
        run = served.api(f"flow_runs/{run['id']}")

    assert run["state"]["type"] == "COMPLETED", run["state"]
    assert ask(served.shop, "select status from ops.ingestion_log where origin like '%late%'") == [("landed",)]


def test_prefect_flows_failed_gate_exits_non_zero(served: Served) -> None:
    """A closed gate makes the flow run Failed, with its reason, and both ways of running exit non-zero."""
    deliver_negative_orders(served.shop)

    watched = served.call("-m", "prefect", "deployment", "run", "pipeline/daily", "--watch")
    by_hand = served.call("-m", "flows", "run", "daily_orders", "-q")

    assert watched.returncode == 1
    assert "Failed" in watched.stdout
    assert by_hand.returncode == 1
    assert "[gate-failed]" in by_hand.stderr
    assert "Traceback" not in by_hand.stderr


def test_prefect_flows_step_is_retried_when_its_source_fails(served: Served, tmp_path: Path) -> None:
    """A source that fails twice is tried a third time; a closed gate is not tried again."""
    script = tmp_path / "flaky.py"
    script.write_text(FLAKY_FLOW, encoding="utf-8")

    tried = served.call(str(script))

    assert tried.stdout.splitlines() == ["landed at try 3", "refused at try 1"], tried.stderr


def test_prefect_flows_sweep_ends_what_was_left_running(served: Served) -> None:
    """A run nobody runs any more is marked Crashed, and of missed scheduled runs the newest stays."""
    api = configured_api(served.shop, {})
    assert api is not None
    script = f"""
from datetime import UTC, datetime, timedelta
from uuid import UUID
from prefect.client.orchestration import SyncPrefectClient
from prefect.states import Running
from flows.provision import sweep

with SyncPrefectClient({api!r}) as client:
    deployment = client.read_deployment_by_name("pipeline/daily")
    left = client.create_flow_run_from_deployment(deployment.id)
    client.set_flow_run_state(left.id, Running(), force=True)
    print(sweep({api!r}).crashed >= 1, client.read_flow_run(left.id).state.type.value)
"""

    swept = served.call("-c", script)

    assert swept.stdout.split() == ["True", "CRASHED"], swept.stderr


CATCH_UP = """
import subprocess
import sys
import time
from datetime import UTC, datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.schedules import IntervalSchedule

from flows.prefect_catchup import find_newer
from flows.provision import create_pool

api, seconds = sys.argv[1], 5
create_pool(api, "nobody")
with SyncPrefectClient(api) as client:
    flow_id = client.create_flow_from_name("platform-health")
    schedule = DeploymentScheduleCreate(schedule=IntervalSchedule(interval=seconds), active=True)
    deployment = client.create_deployment(
        flow_id, "often", schedules=[schedule], work_pool_name="nobody", path=".", pull_steps=[],
        entrypoint="flows.prefect_chores.platform_health",
    )
    where = FlowRunFilter.model_validate({"deployment_id": {"any_": [deployment]}})
    for _ in range(120):
        found = client.read_flow_runs(flow_run_filter=where, limit=200)
        now = datetime.now(UTC)
        due = sorted((run for run in found if run.expected_start_time < now), key=lambda run: run.expected_start_time)
        if len(due) >= 3:
            break
        time.sleep(0.5)
    client.update_deployment_schedule(deployment, client.read_deployment_schedules(deployment)[0].id, active=False)
    print("due", len(due) >= 3, all(run.auto_scheduled for run in due))
    print("newer", find_newer(client, due[0], now) is not None, find_newer(client, due[-1], now) is None)
    done = subprocess.run(
        [sys.executable, "-m", "prefect", "flow-run", "execute", str(due[0].id)], capture_output=True, text=True
    )
    state = client.read_flow_run(due[0].id).state
    print("state", state.type.value, state.name)
    client.delete_deployment(deployment)
    if state.name != "Skipped":
        print(done.stdout, done.stderr)
"""


def test_prefect_flows_missed_schedule_catches_up_once(served: Served, tmp_path: Path) -> None:
    """Of the runs a schedule made and nobody started, an older one ends as skipped, and the newest does the work."""
    script = tmp_path / "catch_up.py"
    script.write_text(CATCH_UP, encoding="utf-8")

    ran = served.call(str(script), configured_api(served.shop, {}) or "")

    assert ran.stdout.splitlines() == ["due True True", "newer True True", "state COMPLETED Skipped"], ran.stderr


def test_prefect_flows_chores_run_as_flows(served: Served) -> None:
    """Health, metadata and exports run as flows of their own, by name, and are runs of their own in the history."""
    script = """
from flows.prefect_chores import daily_exports, metadata_sync, platform_health

for flow in (platform_health, metadata_sync, daily_exports):
    flow(project=".")
"""
    ran = served.call("-c", script)

    assert ran.returncode == 0, ran.stderr
    found = ask(served.shop, "select distinct pipeline from ops.pipeline_metrics where step = 'run'")
    assert {"daily-exports", "metadata-sync", "platform-health", "shop"} <= {name for (name,) in found}


VAULT = """
import sys
from pathlib import Path
from flows.vault import open_vault
from lake.errors import SettingsError

secrets = open_vault(Path(sys.argv[1]))
for name in sys.argv[2:]:
    try:
        print(secrets.reveal(name))
    except SettingsError as error:
        print(error.code)
print("prefect" in sys.modules)
"""


def test_prefect_flows_secret_blocks_are_the_last_place(served: Served, tmp_path: Path) -> None:
    """A secret in a Secret block is found by its name; `.env` comes first, and what is nowhere is told."""
    save = "from prefect.blocks.system import Secret\nSecret(value='from-a-block').save('meter-token', overwrite=True)"
    (served.shop / ".env").write_text("OTHER_TOKEN=from-dotenv\n", encoding="utf-8")

    found = served.call("-c", save + VAULT, str(served.shop), "METER_TOKEN", "OTHER_TOKEN", "NO_TOKEN")
    alone = served.call("-c", VAULT, str(tmp_path), "METER_TOKEN")

    assert found.stdout.split() == ["from-a-block", "from-dotenv", "secret-missing", "True"], found.stderr
    assert alone.stdout.split() == ["secret-missing", "False"], alone.stderr


STEPS = """
    select
        actor,
        min(started_at) as began,
        max(ended_at) filter (step like 'land %') as landed,
        min(started_at) filter (step like 'build %') as building,
        max(ended_at) filter (step like 'build %') as built,
        min(started_at) filter (step = 'gate pipeline') as gating,
        max(ended_at) filter (step = 'gate pipeline') as gated,
        min(started_at) filter (step = 'publish release') as publishing,
        max(ended_at) as ended,
    from ops.pipeline_metrics
    where actor like 'prefect commerce-%'
    group by actor, run_id
    order by began
"""


def test_prefect_flows_deployments_of_commerce_run_in_their_order(served: Served) -> None:
    """Hourly and daily ingestion, metadata and health, asked for at once: all complete.

    In each run transform follows ingestion, quality follows transform, and publishing comes last; the two that share
    marts do not overlap.
    """
    runs = {}
    for name in OURS:
        flow = "pipeline" if name.startswith("commerce") else name
        deployment = served.api(f"deployments/name/{flow}/{name}")["id"]
        runs[name] = served.api(f"deployments/{deployment}/create_flow_run", {"state": {"type": "SCHEDULED"}})["id"]
    states = {}
    until = time.monotonic() + 2 * READY_SECONDS
    while time.monotonic() < until and not all(state["type"] in FINAL for state in states.values() or [{"type": ""}]):
        states = {name: served.api(f"flow_runs/{run}")["state"] for name, run in runs.items()}
        time.sleep(0.5)

    assert {name: (state["type"], state["message"]) for name, state in states.items() if state["type"] != DONE} == {}
    (first, second) = ask(served.commerce, STEPS)
    for _, began, landed, building, built, gating, gated, publishing, ended in (first, second):
        assert began <= landed <= building < built <= gating < gated <= (publishing or ended)
    assert first[-1] <= second[1]
    assert {first[0], second[0]} == {"prefect commerce-hourly", "prefect commerce-daily"}
    pages = {path.name for path in (served.commerce / "lake/data/pages").glob("*.html") if ".mail" not in path.name}
    assert pages == {f"{name}.html" for name in COMMERCE_PAGES}
    kinds = ask(served.commerce, "select distinct pipeline from ops.pipeline_metrics where step = 'run'")
    assert {"metadata-sync", "platform-health", "project"} <= {kind for (kind,) in kinds}
