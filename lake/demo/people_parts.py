"""What the demo data of people and spend share: the hospital's departments, and SQL that draws by md5."""

from collections.abc import Sequence

DEPARTMENTS = {
    "ADM": "Administration",
    "CAR": "Cardiology",
    "EMR": "Emergency",
    "FAC": "Facilities",
    "FIN": "Finance",
    "ITS": "Information Technology",
    "LAB": "Laboratory",
    "NUR": "Nursing",
    "ORT": "Orthopaedics",
    "PED": "Paediatrics",
    "PHA": "Pharmacy",
    "RAD": "Radiology",
}
LEAST_STAFF = 48


def drawn(what: str, number: str) -> str:
    """Gives SQL for a number that stands for chance: it follows from a word and a number alone."""
    return f"(md5_number_lower(concat('{what}:', {number})) >> 8)"


def picked(choices: Sequence[str], what: str, number: str) -> str:
    """Gives SQL for one of some words, drawn."""
    return f"{list(choices)}[1 + ({drawn(what, number)} % {len(choices)})::integer]"


def indian(second: str) -> str:
    """Gives SQL for an instant as it is delivered, from the seconds of its Indian wall clock since 1970."""
    return f"strftime(make_timestamp(({second}) * 1000000), '%Y-%m-%dT%H:%M:%S+05:30')"
