"""Rows a processor second that the door's judge gives verdicts on, beside the landing's whole statement alone.

    python -m benchmarks.verdicts

Good rows of the contract `expenses`, by one thread, both in turn; the best of many rounds each.
"""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from lake.odcs.reader import read_contract
from lake.receiving.landing_statement import LandingStatement
from lake.receiving.records import record_judge

CONTRACT = Path(__file__).resolve().parent.parent / "lake" / "contracts" / "expenses.yaml"
SIZES = (1, 10, 100, 250, 1000, 5000)
ROWS_A_SIZE, FEWEST_ROUNDS, MOST_ROUNDS = 20_000, 10, 300


def main() -> None:
    """Prints a line per number of rows that are judged together."""
    contract = read_contract(CONTRACT)
    with closing(record_judge(contract)) as judge, closing(LandingStatement(contract)) as statement:
        print(f"{'rows':>6} {'judge':>10} {'statement':>10} {'ratio':>6}")
        for size in SIZES:
            lines = [line_of(number) for number in range(size)]
            ours = whole = float("inf")
            for _ in range(max(FEWEST_ROUNDS, min(MOST_ROUNDS, ROWS_A_SIZE // size))):
                ours = min(ours, seconds_of(judge, lines))
                whole = min(whole, seconds_of(statement.judge, lines))
            print(f"{size:>6} {size / ours:>10,.0f} {size / whole:>10,.0f} {whole / ours:>6.2f}")


def line_of(number: int) -> bytes:
    """Gives a good row, as it is posted."""
    row = {
        "expense_id": f"EXP-{number:09}",
        "department_id": "ICU",
        "category": "travel",
        "spent_on": "2025-03-01",
        "amount_inr": 1250.5,
        "receipt_number": f"R-{number}",
        "claimed_by": f"EMP-{number:05}",
    }
    return json.dumps(row).encode()


def seconds_of(judge: Callable[[Sequence[bytes]], object], lines: Sequence[bytes]) -> float:
    """Gives the processor seconds of one judgement."""
    began = time.process_time()
    judge(lines)
    return time.process_time() - began


if __name__ == "__main__":
    main()
