"""From the types of ODCS to those of DuckDB, and the date formats of both worlds."""

import re
from collections.abc import Mapping

from lake.odcs.document import Part, check_keys, did_you_mean

LOGICAL_TYPES = ("string", "integer", "number", "boolean", "date", "timestamp", "object", "array")

# What each logical type may be in the lake; the first is what it is when the contract says no more.
PHYSICAL_TYPES: Mapping[str, tuple[str, ...]] = {
    "string": ("varchar",),
    "integer": ("bigint", "integer", "smallint", "tinyint", "decimal"),
    "number": ("decimal", "double", "float"),
    "boolean": ("boolean",),
    "date": ("date",),
    "timestamp": ("timestamptz", "timestamp"),
    "object": ("json", "struct"),
    "array": ("json",),
}
ALIASES: Mapping[str, str] = {
    "bool": "boolean",
    "char": "varchar",
    "datetime": "timestamp",
    "double precision": "double",
    "float4": "float",
    "float8": "double",
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "jsonb": "json",
    "long": "bigint",
    "nchar": "varchar",
    "numeric": "decimal",
    "nvarchar": "varchar",
    "real": "float",
    "string": "varchar",
    "text": "varchar",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}
INTEGER_FORMATS: Mapping[str, str] = {"i8": "tinyint", "i16": "smallint", "i32": "integer", "i64": "bigint"}
NUMBER_FORMATS: Mapping[str, str] = {"f32": "float", "f64": "double"}
MOST_DIGITS = 38  # of a decimal, in DuckDB and in Delta

NESTED_KEYS = (
    "name",
    "logicalType",
    "physicalType",
    "description",
    "properties",
    "items",
    "businessName",
    "tags",
    "id",
)

STRPTIME_LETTERS = frozenset("aAbBcdDfgHIjmMnpSuUVwWxXyYzZ%")
JAVA_DATE_PARTS: Mapping[str, str] = {
    "yyyy": "%Y",
    "uuuu": "%Y",
    "yy": "%y",
    "uu": "%y",
    "MMMM": "%B",
    "MMM": "%b",
    "MM": "%m",
    "M": "%-m",
    "dd": "%d",
    "d": "%-d",
    "DDD": "%j",
    "EEEE": "%A",
    "EEE": "%a",
    "E": "%a",
    "HH": "%H",
    "H": "%-H",
    "hh": "%I",
    "h": "%-I",
    "mm": "%M",
    "m": "%-M",
    "ss": "%S",
    "s": "%-S",
    "SSS": "%g",
    "SSSSSS": "%f",
    "SSSSSSSSS": "%n",
    "a": "%p",
    "X": "%z",
    "XX": "%z",
    "XXX": "%z",
    "Z": "%z",
    "VV": "%Z",
    "z": "%Z",
}


def sql_type(part: Part) -> str:
    """Gives the DuckDB type of a property, e.g. `decimal(18,2)`; raises ContractError when it has none."""
    logical = logical_type(part)
    if logical == "object" and physical_name(part) != "json" and part.value.get("properties"):
        return _struct(part)
    if logical == "array" and physical_name(part) != "json" and (items := part.get("items")) is not None:
        check_keys(items, NESTED_KEYS, "the items of a list")
        return f"{sql_type(items)}[]"
    physical = physical_name(part) or _by_format(part, logical) or _by_zone(part, logical)
    if physical not in PHYSICAL_TYPES[logical]:
        raise _unfit(part, logical, physical)
    if physical == "struct":
        cure = "List its fields under 'properties', or write 'physicalType: json'."
        raise part.fault("type-unfit", "A struct needs its fields.", cure, "physicalType")
    return _decimal(part) if physical == "decimal" else physical


def logical_type(part: Part) -> str:
    """Gives the logical type of a property; raises ContractError when it is missing, unknown or not to be stored."""
    logical = part.value.get("logicalType")
    if logical is None:
        cure = f"Add 'logicalType: …', one of: {', '.join(LOGICAL_TYPES)}."
        raise part.fault("type-missing", f"{_who(part)} has no 'logicalType'.", cure)
    if logical == "time" or physical_name(part) in ("time", "interval"):
        cure = "Write 'logicalType: string' with a pattern, or seconds as 'logicalType: integer'."
        message = f"{_who(part)} is a time of day or an interval, which Delta tables cannot hold ('logicalType')."
        raise part.fault("type-not-storable", message, cure, "logicalType")
    if logical in ("map", "vector"):
        cure = "Write 'logicalType: object' with 'physicalType: json', or 'logicalType: array' with 'items'."
        raise part.fault("type-not-storable", f"{_who(part)} is of logicalType '{logical}'.", cure, "logicalType")
    if logical not in LOGICAL_TYPES:
        message = f"{_who(part)} has the unknown logicalType '{logical}'."
        raise part.fault("type-unknown", message, did_you_mean(str(logical), LOGICAL_TYPES), "logicalType")
    return str(logical)


def physical_name(part: Part) -> str:
    """Gives DuckDB's name of a property's physical type without its arguments, and "" when there is none."""
    name = re.sub(r"\s*\(.*\)\s*", " ", part.text("physicalType").lower()).strip()
    return ALIASES.get(name, name)


def check_types_given(part: Part) -> None:
    """Raises ContractError for the first property, nested ones included, that has no `logicalType`.

    The standard's JSON schema takes such a property for one of every type at once and complains about that.
    """
    items = part.get("items")
    for entry in (*part.each("properties"), *(() if items is None else (items,))):
        if isinstance(entry.value, dict) and "logicalType" not in entry.value:
            logical_type(entry)
        check_types_given(entry)


def type_arguments(part: Part) -> tuple[int, ...]:
    """Gives the numbers in the brackets of a physical type: (18, 2) of `decimal(18,2)`."""
    inside = re.search(r"\(([^()]*)\)", part.text("physicalType"))
    return () if inside is None else tuple(int(number) for number in re.findall(r"\d+", inside[1]))


def _who(part: Part) -> str:
    return f"Column '{part.text('name')}'" if part.text("name") else "The items of a list"


def _by_format(part: Part, logical: str) -> str | None:
    formats = {"integer": INTEGER_FORMATS, "number": NUMBER_FORMATS}.get(logical)
    options = part.get("logicalTypeOptions")
    if formats is not None and options is not None and options.text("format"):
        name = options.text("format")
        if name not in formats:
            message = f"{_who(part)} has the format '{name}', which Delta tables cannot hold."
            raise options.fault("type-not-storable", message, did_you_mean(name, tuple(formats)), "format")
        return formats[name]
    if logical == "number":
        cure = "Write 'physicalType: decimal(18,2)' for money and counts, 'physicalType: double' for measurements."
        raise part.fault("type-undecided", f"{_who(part)} is a number of unknown precision ('physicalType').", cure)
    return None


def _by_zone(part: Part, logical: str) -> str:
    options = part.get("logicalTypeOptions")
    local = logical == "timestamp" and options is not None and options.value.get("timezone") is False
    if local and options is not None and not options.text("defaultTimezone"):
        return "timestamp"
    return PHYSICAL_TYPES[logical][0]


def _unfit(part: Part, logical: str, physical: str) -> Exception:
    fitting = PHYSICAL_TYPES[logical]
    message = f"{_who(part)} has the physicalType '{part.text('physicalType')}', which no {logical} can have."
    cure = did_you_mean(physical, [f"{name}(18,2)" if name == "decimal" else name for name in fitting])
    return part.fault("type-unfit", message, cure, "physicalType")


def _decimal(part: Part) -> str:
    sizes = type_arguments(part)
    if len(sizes) == 1:
        sizes = (*sizes, 0)
    if len(sizes) != 2 or not 0 < sizes[0] <= MOST_DIGITS or sizes[1] > sizes[0]:
        message = f"{_who(part)} has the physicalType '{part.text('physicalType')}', a decimal of no usable size."
        cure = f"Write digits and decimals, e.g. 'decimal(18,2)'; at most {MOST_DIGITS} digits."
        raise part.fault("type-undecided", message, cure, "physicalType")
    return f"decimal({sizes[0]},{sizes[1]})"


def _struct(part: Part) -> str:
    fields: dict[str, str] = {}
    for entry in part.each("properties"):
        name = entry.text("name")
        what = f"the nested property '{name}' (only its type is read; write conditions as a row rule)"
        check_keys(entry, NESTED_KEYS, what)
        if name.lower() in (known.lower() for known in fields):
            raise entry.fault("column-repeated", f"Property '{name}' stands twice.", "Rename one of them.", "name")
        fields[name] = sql_type(entry)
    inside = ", ".join('"' + name.replace('"', '""') + '" ' + kind for name, kind in fields.items())
    return f"struct({inside})"


def strptime_format(text: str, part: Part, key: str) -> str:
    """Gives a date format as strptime writes it; takes that, or Java's letters (`dd/MM/yyyy`) as ODCS does.

    Raises ContractError for a letter that neither of them knows.
    """
    if "%" in text:
        for letter in re.findall(r"%-?(.?)", text):
            if letter == "" or letter not in STRPTIME_LETTERS:
                raise _no_format(text, f"%{letter}", part, key)
        return text
    pieces = re.finditer(r"''|'(?:[^']|'')+'|([A-Za-z])\1*|[^A-Za-z']+|'", text)
    found = [_java_piece(piece[0], text, part, key) for piece in pieces]
    if not any(piece.startswith("%") for piece in found):
        raise _no_format(text, text, part, key)
    return "".join(found)


def _java_piece(piece: str, text: str, part: Part, key: str) -> str:
    if piece.startswith("'"):
        return piece[1:-1].replace("''", "'") or "'"
    if not piece[0].isalpha():
        return piece
    if piece not in JAVA_DATE_PARTS:
        raise _no_format(text, piece, part, key)
    return JAVA_DATE_PARTS[piece]


def _no_format(text: str, piece: str, part: Part, key: str) -> Exception:
    message = f"Key '{key}' holds '{text}', no date format: '{piece}' means nothing."
    cure = "Write it as '%d/%m/%Y %H:%M' (strptime) or 'dd/MM/yyyy HH:mm' (ODCS)."
    return part.fault("date-format-unknown", message, cure, key)
