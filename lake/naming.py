"""Names: how those of a source become ours, and which of them tell who somebody is."""

import itertools
import re
import unicodedata
from collections.abc import Sequence

PERSON_WORDS = frozenset(
    {
        *("email", "mail", "phone", "mobile", "telephone", "tel", "fax", "address", "street", "birth", "dob"),
        *("passport", "ssn", "aadhaar", "pan", "iban"),
    }
)
NAME_OWNERS = frozenset(
    {
        *("first", "last", "full", "customer", "contact", "client", "person", "employee", "patient", "user"),
        *("family", "given", "sur"),
    }
)
WHOLE_NAMES = frozenset({"surname", "firstname", "lastname"})
ROW_NUMBER = "rowid"  # the engine's name for the number of a row, which no column of ours may have


def snake_case(text: str) -> str:
    """Gives a name in lower case and underscores: `InvoiceNo` → `invoice_no`, `Unit price (£)` → `unit_price`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    parted = re.sub(r"([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])", r"\1\3_\2\4", plain)
    name = re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
    return f"n{name}" if name[:1].isdigit() else name


def own_names(columns: Sequence[str]) -> dict[str, str]:
    """Gives each column a name of ours, all different."""
    names: dict[str, str] = {}
    for place, column in enumerate(columns, 1):
        name = snake_case(column) or f"column_{place}"
        name = "row_id" if name == ROW_NUMBER else name
        repeats = (f"{name}_{number}" for number in itertools.count(2))
        names[column] = name if name not in names.values() else next(n for n in repeats if n not in names.values())
    return names


def sounds_personal(name: str) -> bool:
    """Says whether a column's name (ours) sounds as if it told who somebody is."""
    words = frozenset(name.split("_"))
    return bool(words & PERSON_WORDS or ("name" in words and words & NAME_OWNERS) or words & WHOLE_NAMES)
