"""The moment or number from which on an API is asked, written as it wants it."""

from datetime import UTC, date, datetime

WHOLE_NUMBERS = ("bigint", "integer", "smallint")
MILLIS = 1000


def write_mark(mark: str, kind: str, form: str | None) -> str:
    """Gives a watermark of an SQL type as the text of a query parameter.

    `form` is `iso`, `date`, `epoch-seconds`, `epoch-millis` or a strftime pattern; None is what goes with the type.
    Instants are written in UTC. What a form cannot say is cut off, so that the mark is never later than it was.
    """
    if kind in WHOLE_NUMBERS:
        return mark
    moment = _moment(mark, kind)
    if form == "date" or (form is None and kind == "date"):
        return moment.date().isoformat()
    if form in (None, "iso"):
        return _iso(moment, kind)
    if form == "epoch-seconds":
        return str(_epoch_millis(moment) // MILLIS)
    if form == "epoch-millis":
        return str(_epoch_millis(moment))
    return moment.strftime(form or "")


def _moment(mark: str, kind: str) -> datetime:
    """Gives the moment in UTC; a wall clock's time and a date count as if they were."""
    if kind == "date":
        day = date.fromisoformat(mark)
        return datetime(day.year, day.month, day.day, tzinfo=UTC)
    moment = datetime.fromisoformat(mark)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _iso(moment: datetime, kind: str) -> str:
    if kind == "date":
        return moment.date().isoformat()
    text = moment.replace(tzinfo=None).isoformat()
    return f"{text}Z" if kind == "timestamptz" else text


def _epoch_millis(moment: datetime) -> int:
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * MILLIS + since.microseconds // MILLIS
