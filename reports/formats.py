"""How values are written: money, counts, shares, dates and instants, alike on the page, in the mail and in the text.

A format is a short string: `money:INR`, `count`, `number:4`, `percent`, `date`, `month`, `instant`, `seconds`, `bytes`,
`outcome`, `sentence` (text with amounts in it) or `text`. The page's own script (assets/formats.js) knows the same
ones; a browser test holds the two equal.
"""

import re
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from zoneinfo import ZoneInfo

import pyarrow as pa
from babel.numbers import format_compact_currency, format_compact_decimal, format_currency, format_decimal

ABSENT = "–"
NUMERIC = ("money", "count", "number", "percent", "seconds", "bytes")
KINDS = (*NUMERIC, "date", "month", "instant", "outcome", "sentence", "text")
MOST_LETTERS = 28  # of a name beside or below a chart
MOST_DIGITS = 4  # of a float, whose further digits are rarely meant
DECIMAL_PRECISION = 50  # decimal(38) and room for a shift by two
KILOBYTE = 1024
CURRENCIES = "inr|usd|eur|gbp|jpy|aed|sgd|chf|aud|cad"
CURRENCY_SUFFIX = re.compile(rf"_({CURRENCIES})$")
UNIT_SUFFIX = re.compile(rf"_({CURRENCIES}|at|on|ratio|seconds|name)$", flags=re.IGNORECASE)
MARKDOWN = re.compile(r"[\\`*_~{}\[\]()#+.!|-]")  # markup of HTML is escaped by the templates
BARE_AMOUNT = re.compile(rf"\b({CURRENCIES.upper()}) (-?\d++(?:\.\d++)?)(?![.,]?\d)")  # none grouped


def is_numeric(code: str) -> bool:
    """Tells whether values of a format are numbers: set to the right, summed and compared."""
    return code.split(":")[0] in NUMERIC


def infer_format(name: str, kind: pa.DataType, currency: str) -> str:
    """Gives the format a column's name and type ask for, by the naming rules of the house."""
    suffix = CURRENCY_SUFFIX.search(name)
    if suffix and _is_number(kind):
        return f"money:{suffix[1].upper()}"
    if _is_number(kind):
        return _number_format(name, kind, currency)
    if pa.types.is_timestamp(kind):
        return "instant"
    if pa.types.is_date(kind):
        return "month" if name.endswith("_month") else "date"
    return "outcome" if name == "outcome" else "text"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _number_format(name: str, kind: pa.DataType, currency: str) -> str:
    if name.endswith("_money"):
        return f"money:{currency}"
    for ending, code in (("_ratio", "percent"), ("_seconds", "seconds"), ("byte_count", "bytes")):
        if name.endswith(ending):
            return code
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return "count"
    return f"number:{kind.scale}" if pa.types.is_decimal(kind) else "number"


def literal_words(text: str) -> str:
    """Gives a text as Markdown that is written letter by letter: data makes no link, picture or list."""
    return MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


def shorten(name: str) -> str:
    """Gives a name as a chart has room for it."""
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1].rstrip() + "…"


def label(name: str) -> str:
    """Gives a column's heading: its name without the unit, as words."""
    words = UNIT_SUFFIX.sub("", name.strip("_")).replace("_", " ")
    return words[:1].upper() + words[1:]


def exact(value: int | float | Decimal) -> Decimal:
    """Gives a number as the decimal its shortest writing names."""
    return value if isinstance(value, Decimal) else Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def plain(value: object, zone: ZoneInfo) -> object:
    """Gives a value as JSON and CSV carry it: decimals as exact strings, instants in the zone, whole numbers bare."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float | Decimal):
        return format(exact(value), "f")
    if isinstance(value, datetime):
        return in_zone(value, zone).isoformat(timespec="microseconds" if value.microsecond else "seconds")
    if isinstance(value, date):
        return value.isoformat()
    return value if isinstance(value, int) else str(value)


def in_zone(moment: datetime, zone: ZoneInfo) -> datetime:
    """Gives an instant in a zone; one without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo("UTC"))
    return aware.astimezone(zone)


class Formatter:
    """Writes values for people, in one zone and with one currency's customs."""

    def __init__(self, timezone: str, currency: str) -> None:
        """Takes an IANA zone name and an ISO 4217 code; Indian grouping goes with INR."""
        self.zone = ZoneInfo(timezone)
        self.currency = currency

    def locale(self, code: str) -> str:
        """Gives the customs a format follows: India's for rupees, and for everything where rupees are the currency."""
        currency = code.partition(":")[2] if code.startswith("money") else self.currency
        return "en_IN" if currency == "INR" else "en_US"

    def show(self, value: object, code: str) -> str:
        """Gives a value in full; nothing is a dash."""
        if value is None:
            return ABSENT
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            return self._number(exact(value), code)
        if isinstance(value, datetime):
            return f"{in_zone(value, self.zone):%-d %b %Y, %H:%M:%S}"
        if isinstance(value, date):
            return f"{value:%b %Y}" if code == "month" else f"{value:%-d %b %Y}"
        return self.words(str(value)) if code == "sentence" else str(value)

    def words(self, text: str) -> str:
        """Gives a sentence with its bare amounts (`INR 1234567.50`) written as money: ₹12,34,567.50."""
        return BARE_AMOUNT.sub(lambda found: self.show(Decimal(found[2]), f"money:{found[1]}"), text)

    def instant(self, moment: datetime | None) -> str:
        """Gives an instant to the minute, with its zone's name, for headings."""
        return ABSENT if moment is None else f"{in_zone(moment, self.zone):%-d %b %Y, %H:%M %Z}"

    def brief(self, value: object, code: str) -> str:
        """Gives a category as an axis or narrow heading wants it: `20 Nov`, `21 Nov 02:00`, the head of a long name."""
        if isinstance(value, datetime):
            return f"{in_zone(value, self.zone):%-d %b %H:%M}"
        if isinstance(value, date) and code == "date":
            return f"{value:%-d %b}"
        return shorten(self.show(value, code))

    def short(self, value: float, code: str) -> str:
        """Gives a number as an axis wants it: ₹1.2Cr, 40K, 12%."""
        kind, _, detail = code.partition(":")
        if kind == "percent":
            return f"{value * 100:g}%"
        if kind == "money":
            return str(format_compact_currency(value, detail, locale=self.locale(code), fraction_digits=1))
        return str(format_compact_decimal(value, locale=self.locale(code), fraction_digits=1))

    def _number(self, number: Decimal, code: str) -> str:
        if not number.is_finite():
            return str(number)
        kind, _, detail = code.partition(":")
        locale = self.locale(code)
        grouping = "#,##,##0" if locale == "en_IN" else "#,##0"
        with localcontext(prec=DECIMAL_PRECISION, rounding=ROUND_HALF_UP):
            if kind == "money":
                return str(format_currency(number, detail, locale=locale))
            if kind == "percent":
                return f"{format_decimal(number * 100, f'{grouping}.0', locale='en_US')}%"
            if kind == "bytes":
                return f"{format_decimal(number / KILOBYTE, grouping, locale='en_US')} kB"
            digits = "" if kind == "count" else "." + ("0" * int(detail) if detail else "#" * MOST_DIGITS)
            shown = format_decimal(number, grouping + digits, locale="en_US")
            return f"{shown} s" if kind == "seconds" else str(shown)
