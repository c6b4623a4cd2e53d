"""The real shop's invoices: never copied into the repository, they lie beside the checkout."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def find_invoices() -> Path:
    """Gives the shop's file in `shared/data`, some folders above, or in the folder that SHARED_DATA names."""
    named = os.environ.get("SHARED_DATA")
    folders = [Path(named)] if named else [folder / "shared" / "data" for folder in ROOT.parents]
    for folder in folders:
        if (folder / "online_retail.csv").is_file():
            return folder / "online_retail.csv"
    pytest.fail(f"online_retail.csv is in none of {', '.join(map(str, folders))}; name its folder by SHARED_DATA.")
