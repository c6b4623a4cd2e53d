"""Drafting a contract: where the proposal for an unknown file goes."""

import sys
from pathlib import Path

from flows.workplace import Workplace
from lake.drafting.draft import draft_contract
from lake.engine import Session
from lake.errors import ContractError
from lake.naming import snake_case
from lake.settings import Settings

STANDARD_OUTPUT = "-"


def write_draft(workplace: Workplace, file: Path, source: str | None, out: Path | None) -> Path | None:
    """Writes the contract and gives where; None when it went to standard output.

    The default place is the project's `lake/contracts/`, which is made if need be: a draft begins a project. Raises
    ContractError rather than write over a contract that is there.
    """
    name = source or snake_case(file.name.split(".", 1)[0])
    target = out or workplace.project / "lake" / "contracts" / f"{name}.yaml"
    if str(target) != STANDARD_OUTPUT and target.exists():
        raise ContractError(
            "contract-exists", f"{target} is there already.", cure="Give --out FILE, or --out - to look at the draft."
        )
    with Session(Settings.read(workplace.project).limits) as session:
        text = draft_contract(session, file, name=name)
    if str(target) == STANDARD_OUTPUT:
        sys.stdout.write(text)
        return None
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    return target
