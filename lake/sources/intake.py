"""What uploads in a folder and in a bucket share: hearing what became of a file, and the words that go beside it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from lake.sources.archives import is_archive, member_deliveries
from lake.sources.delivery import Delivery, Fate
from lake.sources.naming import is_unfinished
from lake.sources.visit import Visit

UPLOADS = "uploads"  # the value of `intake`
DONE, REFUSED = "done", "refused"
REASON = ".reason.txt"
WORST_FIRST: tuple[Fate, ...] = (
    "held",
    "refused",
    "landed",
)  # a file of which a part is held stays until it is decided


@dataclass(frozen=True)
class Heard:
    """What became of one delivery of a file: the file itself, or one member of it."""

    origin: str
    batch_id: str
    fate: Fate
    why: str | None


@dataclass
class Hearing:
    """Gathers what became of all deliveries that one uploaded file held."""

    heard: list[Heard] = field(default_factory=list)

    def of(self, delivery: Delivery) -> Delivery:
        """Gives a delivery, its receipt known, whose fate will be heard."""
        batch_id = delivery.batch_id or ("" if delivery.receipt is None else delivery.receipt.batch_id)

        def settle(fate: Fate, why: str | None) -> None:
            self.heard.append(Heard(delivery.origin, batch_id, fate, why))

        return replace(delivery, settle=settle)

    @property
    def fate(self) -> Fate | None:
        """What is to become of the file; None when nothing was heard, and it stays."""
        found = {each.fate for each in self.heard}
        return next((fate for fate in WORST_FIRST if fate in found), None)

    def reason(self, visit: Visit, origin: str) -> str:
        """Gives the text that goes beside a refused file: what was refused and why, its batch, and what to do."""
        refused = [each for each in self.heard if each.fate == "refused"]
        landed = len(self.heard) - len(refused)
        lines = [f"{origin} was refused, at {visit.run.clock():%Y-%m-%d %H:%M:%S} UTC.", ""]
        for each in refused:
            lines += [f"What:   {each.origin}", f"Why:    {visit.secrets.redact(each.why or 'refused')}"]
            lines += [f"Batch:  {each.batch_id}", f"Source: {visit.contract.source}", ""]
        lines += [f"The other {landed} of the files in it landed, and stay landed.", ""] if landed else []
        batch = refused[0].batch_id[:12]
        lines += [
            "What to do: mend the file and upload it again; or mend the contract and take the bytes, which are kept,",
            f"through it again: sluice batch reland {batch}. All that is known: sluice batch show {batch}.",
        ]
        return "\n".join(lines) + "\n"


def hear(visit: Visit, whole: Delivery, hearing: Hearing) -> Iterator[Delivery]:
    """Gives what an uploaded file holds: itself, or the members of an archive."""
    found = member_deliveries(visit, whole, again=True) if is_archive(Path(whole.origin)) else [whole]
    for delivery in found:
        yield hearing.of(delivery)


def is_upload(below: PurePath) -> bool:
    """Says whether a place below the uploads' root is that of a delivery, not of what was done with one."""
    *folders, name = below.parts
    if below.parts[:1] in ((DONE,), (REFUSED,)) or any(part.startswith(".") for part in folders):
        return False
    return not is_unfinished(name) and not name.endswith(REASON)


def is_waiting(visit: Visit, origin: str, state: str) -> bool:
    """Says whether a person has yet to decide on what is at a place: it was held back, and is untouched since."""
    return any(
        record.status == "held"
        and record.file_state == state
        and record.contract_digest == visit.contract.digest
        and (record.origin == origin or record.origin.startswith(f"{origin}!"))
        for record in visit.known.values()
    )


def numbered(name: str, number: int) -> str:
    """Gives a name that another file does not have: `a.csv.gz` becomes `a.2.csv.gz`."""
    if number == 1:
        return name
    stem, dot, endings = name.partition(".")
    return f"{stem}.{number}{dot}{endings}"
