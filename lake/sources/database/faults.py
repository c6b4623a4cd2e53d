"""What can go wrong between a reader and a database, by what is to be done about it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lake.errors import SourceError
from lake.secrets import Secrets

# By SQLSTATE, the standard's code of what went wrong, or by its class (the first two characters).
MAY_PASS = {
    *("08", "40", "53", "58"),  # connection, rollback (of a standby, too), resources, the machine itself
    *("57P01", "57P02", "57P03", "25006"),  # the server stops, crashed, starts; a standby while it is promoted
}
CURES: Mapping[str, str] = {
    "28": "Check the user and the secret that the contract names.",
    "3D": "Check 'database' in the contract.",
    "42501": "Let the role read it: grant select on the table, and usage on its schema.",
    "42P01": "Check 'table' and 'schema' in the contract.",
    "42703": "Check the names of the columns in the contract.",
}
TOO_SLOW = "57014"
UNSAID = "XX000"  # an error of which no more is known than that it is one
MAY_PASS_BY_STATUS = ("IO", "TIMEOUT", "CANCELLED", "UNKNOWN")
LOST = "Nothing was lost. Check the address, the network and the server, and run it again."
REFUSALS = re.compile(  # a refusal at the door comes without SQLSTATE; in other languages it is tried again in vain
    r"authentication failed|no password supplied|no pg_hba\.conf entry|(role|database) \".*\" does not exist"
    r"|not permitted to log in|permission denied for database|SSL was required|certificate"
)
SQLSTATE = re.compile(r"SQLSTATE:? (\w{5})")
NOISE = re.compile(  # what the driver adds to the words of the database
    r"\[libpq\] |(?s:Query was: .*)|\. SQLSTATE: \w{5}|[A-Z_]{2,}: (?=\[|Failed to)|(?m:^LINE \d+: .*\n +\^)"
)
LONGEST_WORDS = 400


class Passing(SourceError):
    """May be over at the next try."""


@contextmanager
def telling_no_secret(secrets: Secrets, path: Path | None = None) -> Iterator[None]:
    """Strikes secrets out of what is raised; `path` is the contract, where the cure is."""
    try:
        yield
    except SourceError as error:
        told, cure = secrets.redact(error.message), secrets.redact(error.cure)
        raise SourceError(error.code, told, cure=cure, path=error.path or path, line=error.line) from None


def fault_of(error: BaseException, place: str, sqlstate: str | None = None, status: str | None = None) -> SourceError:
    """Gives the error of a database as one of ours: Passing when another try may help; `status` is the driver's own."""
    text = str(error)
    found = SQLSTATE.search(text)
    code = sqlstate or (found[1] if found is not None else _by_words(text))
    code = UNSAID if code is None and status not in (None, *MAY_PASS_BY_STATUS) else code
    words = " ".join(NOISE.sub("", text).split())[:LONGEST_WORDS]
    if code is None or code in MAY_PASS or code[:2] in MAY_PASS:
        return Passing("database-unreachable", f"{place} cannot be read: {words}", cure=LOST)
    if code == TOO_SLOW:
        cure = "Raise 'statementTimeout', or give the watermark's column an index."
        return SourceError("database-slow", f"{place} stopped the query: {words}", cure=cure)
    told = "" if code == UNSAID else f" ({code})"
    cure = CURES.get(code) or CURES.get(code[:2], "Read what the database says, and mend it there or in the contract.")
    return SourceError("database-refused", f"{place} refuses: {words}{told}", cure=cure)


def _by_words(text: str) -> str | None:
    """Gives the SQLSTATE of an error told in words only, as while rows are on their way; None for a lost line."""
    if REFUSALS.search(text):
        return "28000"
    if "canceling statement due to statement timeout" in text or "statement timeout" in text:
        return TOO_SLOW
    if re.search(r"recovery|terminating connection|closed the connection|shutting down|starting up", text):
        return None
    said = re.search(r"ERROR: +(.*)", text)
    return UNSAID if said is not None else None
