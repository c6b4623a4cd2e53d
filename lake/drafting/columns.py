"""What the values of one text column look like: the type, format and values a drafted contract gives it.

A kind is given only when every value of the file fits it: a draft refuses none of the rows it was drawn from.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lake.engine import Session, literal, quote

SAMPLE_ROWS = 1_000  # enough to name the kinds that are worth counting over the whole file
WORTH_COUNTING = 0.9  # of the sample's values must fit a kind; the others can only be dirt
MOST_ENUM_VALUES = 20
ENUM_REPEATS = 3  # how often, on average, a value must come back before the list of values is a promise
LONGEST_ENUM_VALUE = 40
MOST_DECIMALS = 6  # more than that is measured, or the noise of a binary fraction
MONEY_DECIMALS = 2
NOISE_DECIMALS = (2, 4)  # to what 0.30000000000000004 is rounded when that changes nothing but noise
USUAL_DIGITS, MOST_DIGITS = 18, 38
MOST_FIELDS = 50  # of a nested value; more is kept as JSON

INTEGER = r"[-+]?(0|[1-9]\d{0,17})(\.0+)?"
DECIMAL = r"[-+]?(0|[1-9]\d*)?(\.\d+)?"
DOUBLE = r"[-+]?\d*\.?\d+([eE][-+]?\d+)?"
ISO_DATE = r"\d{4}-\d{2}-\d{2}"
ISO_TIME = ISO_DATE + r"[ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[-+]\d{2}(:?\d{2})?)?"
COMPACT_DATE = r"(19|20)\d{6}"
BOOLEANS = ("true", "false")
SHORT_BOOLEANS = ("t", "f", "yes", "no", "y", "n")
DATE_FORMATS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%Y", "%d/%m/%y", "%m/%d/%y"),
    *("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y"),
)
LIKE_A_DATE = re.compile(r"\d{1,4}[-/. ](\d{1,2}|[A-Za-z]{3,9})[-/. ]\d{2,4}|[A-Za-z]{3,9} \d{1,2}, \d{4}")
FIRST_VALUES = 20  # in which a date would show
TIME_FORMATS = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p")
AMBIGUOUS = {"%d/%m": "%m/%d", "%m/%d": "%d/%m", "%d-%m": "%m-%d", "%m-%d": "%d-%m"}
DIGITS_ARE_NAMES = frozenset({"phone", "mobile", "tel", "telephone", "fax", "zip", "zipcode", "postcode", "pincode"})
DATE_WORDS = frozenset({"date", "day", "on", "dt"})
MONEY_WORDS = frozenset(
    {
        "price",
        "amount",
        "revenue",
        "cost",
        "total",
        "fee",
        "tax",
        "net",
        "gross",
        "balance",
        "salary",
        "inr",
        "eur",
        "usd",
        "gbp",
    }
)


@dataclass(frozen=True)
class Profile:
    """What one column comes to: its ODCS keys in the order they are written, and words for its description.

    `filled` counts the values that are there, `distinct` about how many differ.
    """

    keys: Mapping[str, object]
    filled: int
    distinct: int
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The logical type."""
        return str(self.keys["logicalType"])


@dataclass(frozen=True)
class Kind:
    """A type a column may have: SQL that is true for a text that fits, and the ODCS keys it comes to."""

    title: str
    fits: str
    keys: Mapping[str, object]


def profile_column(session: Session, table: str, column: str, words: frozenset[str]) -> Profile:
    """Looks at one text column of a table; `words` are those of its name."""
    text = quote(column)
    filled, distinct, longest = session.rows(
        f"select count({text}), approx_count_distinct({text}), coalesce(max(length({text})), 0) from {table}"
    )[0]
    keys: dict[str, object] = {"logicalType": "string"}
    if filled == 0:
        return Profile(keys, 0, 0, ("never filled in this file",))
    kinds = _likely_kinds(session, table, text, words)
    counts = _counts(session, table, kinds)
    fitting = [kind for kind, count in zip(kinds, counts, strict=True) if count == filled]
    if fitting:
        notes = _ambiguity(fitting[0], fitting)
        return _refined(session, table, text, fitting[0], Profile(fitting[0].keys, filled, distinct, notes), words)
    values = _enum(session, table, text, filled, distinct, longest)
    near = max(zip(counts, kinds, strict=True), key=lambda pair: pair[0], default=None)
    notes = () if near is None else (f"{filled - near[0]} of {filled} values are no {near[1].title}",)
    return Profile({**keys, **({"enum": values} if values else {})}, filled, distinct, notes)


def _likely_kinds(session: Session, table: str, text: str, words: frozenset[str]) -> list[Kind]:
    sample = f"(select {text} from {table} where {text} is not null limit {SAMPLE_ROWS})"
    kinds = _kinds(text, words)
    first = [row[0] for row in session.rows(f"select {text} from {sample} limit {FIRST_VALUES}")]
    if any(LIKE_A_DATE.search(value) for value in first):
        kinds += _written_dates(text, with_times=any(":" in value for value in first))
    size, *counts = session.rows(f"select count(*), {_count_list(kinds)} from {sample}")[0]
    return [kind for kind, count in zip(kinds, counts, strict=True) if count >= size * WORTH_COUNTING]


def _counts(session: Session, table: str, kinds: Sequence[Kind]) -> list[int]:
    return list(session.rows(f"select {_count_list(kinds)} from {table}")[0]) if kinds else []


def _count_list(kinds: Sequence[Kind]) -> str:
    return ", ".join(f"count(*) filter ({kind.fits})" for kind in kinds)


def _kinds(text: str, words: frozenset[str]) -> list[Kind]:
    """Gives the kinds a column may have, the narrowest first."""
    kinds = [
        Kind("true or false", f"lower({text}) in {BOOLEANS}", {"logicalType": "boolean"}),
        Kind("yes or no", f"lower({text}) in {SHORT_BOOLEANS}", {"logicalType": "boolean"}),
    ]
    if words & DATE_WORDS:
        fits = f"regexp_full_match({text}, '{COMPACT_DATE}') and try_strptime({text}, '%Y%m%d') is not null"
        kinds.append(Kind("date", fits, _temporal("date", "%Y%m%d")))
    if not words & DIGITS_ARE_NAMES:
        kinds += [
            Kind("whole number", f"regexp_full_match(trim({text}), '{INTEGER}')", {"logicalType": "integer"}),
            Kind("number", _decimal_fits(text), {"logicalType": "number", "physicalType": "decimal"}),
            Kind("number", _double_fits(text), {"logicalType": "number", "physicalType": "double"}),
        ]
    kinds += [
        Kind("date", _iso_fits(text, ISO_DATE, "date"), {"logicalType": "date"}),
        Kind("time", _iso_fits(text, ISO_TIME, "timestamp"), _temporal("timestamp", None)),
    ]
    kinds.append(Kind("nested value", f"{text}[1] in ('{{', '[') and json_valid({text})", {"logicalType": "object"}))
    return kinds


def _written_dates(text: str, *, with_times: bool) -> list[Kind]:
    """Gives the kinds of dates that are not ISO 8601; tried only where a value looks like one, for they are many."""
    kinds = []
    for form in DATE_FORMATS:
        kinds.append(Kind("date", f"try_strptime({text}, '{form}') is not null", _temporal("date", form)))
        for time in TIME_FORMATS if with_times else ():
            fits = f"try_strptime({text}, '{form} {time}') is not null"
            kinds.append(Kind("time", fits, _temporal("timestamp", f"{form} {time}")))
    return kinds


def _decimal_fits(text: str) -> str:
    return f"trim({text}) not in ('', '-', '+') and regexp_full_match(trim({text}), '{DECIMAL}')"


def _double_fits(text: str) -> str:
    leading_zeros = f"regexp_matches(trim({text}), '^[-+]?0[0-9]')"
    return (
        f"regexp_full_match(trim({text}), '{DOUBLE}') and not {leading_zeros} and isfinite(try_cast({text} as double))"
    )


def _iso_fits(text: str, pattern: str, kind: str) -> str:
    return f"regexp_full_match({text}, '{pattern}') and try_cast({text} as {kind}) is not null"


def _temporal(logical: str, form: str | None) -> dict[str, object]:
    options = {} if form is None else {"format": form}
    zone = {"defaultTimezone": "Etc/UTC"} if logical == "timestamp" else {}
    found: dict[str, object] = {**options, **zone}
    return {"logicalType": logical, **({"logicalTypeOptions": found} if found else {})}


def _ambiguity(kind: Kind, fitting: Sequence[Kind]) -> tuple[str, ...]:
    options = kind.keys.get("logicalTypeOptions")
    form = str(options.get("format", "")) if isinstance(options, dict) else ""
    twin = form.replace(form[:5], AMBIGUOUS.get(form[:5], ""))
    known = [str(other.keys.get("logicalTypeOptions")) for other in fitting]
    if form[:5] in AMBIGUOUS and any(f"'{twin}'" in options for options in known):
        return ("day and month could as well be the other way round",)
    return ()


def _refined(session: Session, table: str, text: str, kind: Kind, profile: Profile, words: frozenset[str]) -> Profile:
    """Adds what only a second look tells: sizes of decimals, fields of nested values, codes that look like numbers."""
    keys, notes = dict(profile.keys), profile.notes
    if kind.title == "yes or no" and profile.distinct == 1:  # one letter again and again is a code, not an answer
        keys = {"logicalType": "string"}
    elif keys.get("physicalType") in ("decimal", "double"):
        keys["physicalType"] = number_type(session, f"select trim({text}) as value from {table}", words)
    elif kind.title == "nested value":
        structure = session.value(f"select json_group_structure({text}::json) from {table}")
        keys = _nested(session, table, text, "$", json.loads(structure))
    return Profile(keys, profile.filled, profile.distinct, notes)


def number_type(session: Session, values: str, words: frozenset[str]) -> str:
    """Gives the type of numbers given as text by a select of `value`: the decimal they fit, else double."""
    digits, decimals, exponents, *noisy = session.rows(
        f"""
        select
            coalesce(max(length(ltrim(split_part(value, '.', 1), '-+'))), 1),
            coalesce(max(length(split_part(value, '.', 2))), 0),
            count(*) filter (contains(lower(value), 'e')),
            {", ".join(f"count(*) filter ({_is_changed(places)})" for places in NOISE_DECIMALS)}
        from ({values})
        """
    )[0]
    if exponents:
        return "double"
    if decimals > MOST_DECIMALS:
        places = next((places for places, changed in zip(NOISE_DECIMALS, noisy, strict=True) if changed == 0), None)
        if places is None or not words & MONEY_WORDS:
            return "double"
        return f"decimal({USUAL_DIGITS},{places})"
    scale = 0 if decimals == 0 else max(decimals, MONEY_DECIMALS)
    if digits + scale > MOST_DIGITS:
        return "double"
    return f"decimal({USUAL_DIGITS if digits + scale <= USUAL_DIGITS else MOST_DIGITS},{scale})"


def _is_changed(places: int) -> str:
    number = "try_cast(value as double)"
    return f"abs({number} - round({number}, {places})) > 1e-9 * greatest(1, abs({number}))"


def _enum(session: Session, table: str, text: str, filled: int, distinct: int, longest: int) -> tuple[str, ...]:
    if distinct > 2 * MOST_ENUM_VALUES or longest > LONGEST_ENUM_VALUE:
        return ()
    values = tuple(row[0] for row in session.rows(f"select distinct {text} from {table} where {text} <> '' order by 1"))
    few = 1 < len(values) <= MOST_ENUM_VALUES and filled >= ENUM_REPEATS * len(values)
    return values if few and session.value(f"select count(*) from {table} where {text} = ''") == 0 else ()


def _nested(session: Session, table: str, text: str, path: str, structure: object) -> dict[str, object]:
    """Gives the ODCS keys of a nested value, from the structure DuckDB found in all of them."""
    if isinstance(structure, dict) and 0 < len(structure) <= MOST_FIELDS:
        if len({name.lower() for name in structure}) < len(structure) or any('"' in name for name in structure):
            return {"logicalType": "object", "physicalType": "json"}
        fields = [
            {"name": name, **_nested(session, table, text, f'{path}."{name}"', inside)}
            for name, inside in structure.items()
        ]
        return {"logicalType": "object", "properties": fields}
    if isinstance(structure, list) and structure and structure[0] not in ("NULL", "JSON"):
        return {"logicalType": "array", "items": _nested(session, table, text, f"{path}[*]", structure[0])}
    if structure == "DOUBLE":
        found = f"json_extract_string({text}, {literal(path)})"
        values = f"select unnest({found if '[*]' in path else f'[{found}]'}) as value from {table}"
        words = frozenset(re.findall(r"[a-z]+", path.rsplit(".", 1)[-1].lower()))
        return {"logicalType": "number", "physicalType": number_type(session, values, words)}
    simple = {"VARCHAR": "string", "NULL": "string", "BIGINT": "integer", "UBIGINT": "integer", "BOOLEAN": "boolean"}
    if isinstance(structure, str) and structure in simple:
        return {"logicalType": simple[str(structure)]}
    return {"logicalType": "array" if isinstance(structure, list) else "object", "physicalType": "json"}
