"""The sales job by the product: one run of the pipeline in this process, imports told apart from the run.

    python benchmarks/product_sales.py PROJECT

It prints seconds per step, processor seconds and peak memory as JSON.
"""

import argparse
import json
import resource
import time

STARTED = time.perf_counter()

from pathlib import Path  # noqa: E402  # imports are part of what is timed

import deltalake  # noqa: E402, F401
import sqlglot  # noqa: E402, F401

import checks.soda_duckdb  # noqa: E402, F401  # what the pipeline itself imports late
from flows.pipeline import run_pipeline  # noqa: E402
from flows.steps import plain_step  # noqa: E402
from lake.project import open_project  # noqa: E402
from lake.run import begin_run  # noqa: E402
from lake.settings import Settings  # noqa: E402

MARTS = ("sales_daily", "sales_regional", "sales_product", "sales_monthly")  # those that the bare script builds


def main() -> None:
    """Runs the pipeline of a project once and prints what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("project", type=Path)
    asked = parser.parse_args()
    imported, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    project = open_project(asked.project)
    outcome = run_pipeline(project, Settings.read(project.root), begin_run("benchmark"), MARTS, (), plain_step)
    took, usage = time.perf_counter() - imported, resource.getrusage(resource.RUSAGE_SELF)
    if outcome.failure is not None:
        raise outcome.failure
    spent = usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime
    print(
        json.dumps(
            {
                "read": sum(source.read for source in outcome.sources),
                "accepted": sum(source.accepted for source in outcome.sources),
                "checks": sum(gate.checks for gate in outcome.gates),
                "seconds": {
                    "imports": round(imported - STARTED, 3),
                    **outcome.seconds,
                    "total without imports": round(took, 3),
                },
                "cpu_seconds": {"total without imports": round(spent, 3)},
                "peak_mb": usage.ru_maxrss // 1024,
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
