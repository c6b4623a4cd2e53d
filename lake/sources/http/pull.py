"""Pulling an API: page after page into batches, each with the place where reading goes on once it is in raw.

What belongs together is a *set*: all pages from one `since` on. A batch is cut only when the page after it has arrived,
so the last batch of a set says that the set is complete, and a set that broke off is read on from its place with the
`since` it began with.
"""

import hashlib
import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace

from lake.errors import SluiceError, SourceError
from lake.odcs.servers.address import named_in
from lake.sources.delivery import PULL, Delivery
from lake.sources.http.client import Client
from lake.sources.http.endpoint import Endpoint, find_address, read_endpoint
from lake.sources.http.faults import Loop, MalformedPage, Refused
from lake.sources.http.pages import Page
from lake.sources.http.paging import Place, address_of, first_place, loop_at, next_place
from lake.sources.http.since import write_mark
from lake.sources.http.spool import Spool
from lake.sources.visit import ORDINAL, Visit, numbered_batch

MOST_EMPTY_PAGES = 1000  # in a row, with the API promising more: it does not get on
PART_DIGITS = 16  # of the sha256 of a batch's bytes: enough to see that an answer is the one before
LONGEST_ORIGIN = 300
PLACE_GONE = (400, 404, 410, 422)  # what APIs answer to a cursor or link that has ended


def pull_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives what an API has that raw has not, in batches of pages, in the API's order.

    Nothing where the contract leaves the address to be set, none is, and that is fine with it.

    Raises SourceError, without any secret in it, when the API fails for good; what came before that was given.
    """
    try:
        address = find_address(visit.contract, visit.secrets.lookup)
        if address is None:
            name = named_in(visit.contract.server.path)
            visit.run.note("source-unconnected", visit.contract.source, None, unset=name)
            return
        endpoint = read_endpoint(visit.contract, address)
        with Client(endpoint, visit) as client:
            yield from _Pull(visit, endpoint, client).deliveries()
    except SourceError as error:
        raise _redacted(error, visit) from None  # what it came from may quote a URL with a key


@dataclass(frozen=True)
class PageSet:
    """The pages of one question: what was asked for, where reading begins, and the batches it has given so far.

    `since` and `until` are as the API wants them, None when it is not asked. `parts` are digests of the set's batches;
    `is_begun` says that some of them are in raw.
    """

    since: str | None
    until: str | None
    place: Place
    parts: tuple[str, ...] = ()
    is_begun: bool = False


@dataclass
class _Pull:
    """One visit to one API."""

    visit: Visit
    endpoint: Endpoint
    client: Client
    _given: int = 0
    _pages: int = 0
    _records: int = 0
    _parts_before: tuple[str, ...] = field(default=())

    @property
    def _is_whole(self) -> bool:
        """Whether a set must be one batch, because a batch is the whole table."""
        return self.visit.contract.load == "replace"

    def deliveries(self) -> Iterator[Delivery]:
        """Gives the rest of a set that broke off; when it has none, or there is no such set, all of a fresh one."""
        begun = begun_set(self.visit.position, self.endpoint)
        if begun is not None:
            try:
                yield from self._pull(begun)
            except Refused as refusal:
                if self._pages or refusal.status not in PLACE_GONE:
                    raise
                self._note("pull-begun-anew", reason=self.visit.secrets.redact(refusal.message))
                yield from self._pull(replace(begun, place=first_place(self.endpoint), parts=(), is_begun=False))
        if not self._given:
            self._parts_before = _parts_of(self.visit.position)
            yield from self._pull(self._fresh_set())
        self._note("source-pulled", self._records, pages=self._pages, requests=self.client.request_count)

    def _fresh_set(self) -> PageSet:
        contract, options = self.visit.contract, self.endpoint.options
        if "sinceParam" not in options or contract.watermark is None:
            return PageSet(None, None, first_place(self.endpoint))
        kind, form = contract.column(contract.watermark).sql_type, options.get("sinceFormat")
        mark = self.visit.since or options.get("startAt")
        since = None if mark is None else write_mark(mark, kind, form)
        until = write_mark(_instant(self.visit, kind), kind, form) if "untilParam" in options else None
        return PageSet(since, until, first_place(self.endpoint))

    def _pull(self, asked: PageSet) -> Iterator[Delivery]:
        """Gives the batches of a set; what had arrived when the API failed is given first, and counts."""
        place: Place | None = asked.place
        pending: Spool | None = None
        walk = _Walk(self.endpoint)
        while place is not None:
            try:
                page, following = self._step(asked, place, walk)
            except Loop:
                raise  # nothing of a circle is landed: the next run would only go round once more
            except SourceError as error:
                if pending is not None and not self._is_whole:
                    yield from self._give(asked, pending, place)
                yield from _evidence(self.visit, error)
                raise
            if page is not None and page.count:
                if pending is not None and not pending.takes(page, is_whole=self._is_whole):
                    asked, pending = (yield from self._give(asked, pending, place)), None
                pending = pending or Spool.begin(self.visit, self.endpoint, f"{len(asked.parts) + 1}", str(page.url))
                pending.add(page)
            place = following
        if pending is not None:
            asked = yield from self._give(asked, pending, None)
        self._note_quiet(asked)

    def _step(self, asked: PageSet, place: Place, walk: "_Walk") -> tuple[Page | None, Place | None]:
        """Gets the page of a place and the place after it; no page and no place where the API says that it is over."""
        page = self._fetch(asked, place)
        if page is None or walk.is_over_by(page):
            return None, None
        return page, walk.next(place, page)

    def _fetch(self, asked: PageSet, place: Place) -> Page | None:
        """Gets the page of a place; None where the API says by a status that there is none."""
        try:
            page = self.client.fetch(address_of(self.endpoint, place, self._parameters(asked)))
        except Refused as refusal:
            is_end = str(refusal.status) == self.endpoint.options.get("endStatus")
            if is_end and (asked.is_begun or self._pages):
                return None
            raise
        self._pages += 1
        self._records += page.count
        return page

    def _parameters(self, asked: PageSet) -> Mapping[str, str]:
        options, given = self.endpoint.options, {}
        if asked.since is not None:
            given[options["sinceParam"]] = asked.since
        if asked.until is not None:
            given[options["untilParam"]] = asked.until
        return given

    def _give(self, asked: PageSet, spool: Spool, resume: Place | None) -> Generator[Delivery, None, PageSet]:
        """Gives one batch, unless it and all of the set before it are what the set before had; gives the set on."""
        path, digest = spool.close()
        parts = (*asked.parts, digest[:PART_DIGITS])
        asked = replace(asked, parts=parts)
        if asked.is_begun or parts != self._parts_before[: len(parts)]:
            asked = replace(asked, is_begun=True)
            self._given += 1
            ordinal = self.visit.next_ordinal + self._given - 1
            position = {ORDINAL: str(ordinal), **self._position(asked, resume)}
            origin = self.visit.secrets.redact(spool.origin)[:LONGEST_ORIGIN]
            yield Delivery(
                origin, path, self.endpoint.format, kind=PULL, batch_id=numbered_batch(self.visit.contract, ordinal),
                position=position,
            )  # fmt: skip
        path.unlink()
        return asked

    def _position(self, asked: PageSet, resume: Place | None) -> dict[str, str]:
        text = "" if resume is None else json.dumps(dict(resume))
        is_tellable = self.visit.secrets.redact(text) == text  # else a crash reads the set from its first page again
        return {
            "paging": self.endpoint.paging,
            "since": asked.since or "",
            "until": asked.until or "",
            "resume": text if is_tellable else json.dumps(dict(first_place(self.endpoint))),
            "parts": ",".join(asked.parts),
        }

    def _note_quiet(self, asked: PageSet) -> None:
        if not asked.is_begun and asked.parts:
            self._note("source-unchanged", batches=len(asked.parts))
        elif not asked.parts:
            self._note("source-empty", since=asked.since)

    def _note(self, kind: str, count: int | None = None, **details: object) -> None:
        self.visit.run.note(kind, self.visit.contract.source, count, **details)


class _Walk:
    """The way through one set: no place twice, no page twice, no end of empty pages."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._seen: set[str] = set()
        self._before: Page | None = None
        self._empty = 0

    def is_over_by(self, page: Page) -> bool:
        """Says whether a page is the last one once more, as the contract says the API answers past its end."""
        is_told = self._endpoint.options.get("lastPageRepeats") == "true"
        return is_told and self._before is not None and page.is_same(self._before)

    def next(self, place: Place, page: Page) -> Place | None:
        """Gives the place after a page, None at the end; raises Loop where there would be none."""
        following = next_place(self._endpoint, place, page, self._before)
        self._seen.add(_key_of(place))
        self._before = page
        self._empty = 0 if page.count else self._empty + 1
        if following is not None and (_key_of(following) in self._seen or self._empty > MOST_EMPTY_PAGES):
            raise loop_at(page, "its next page was there before" if self._empty == 0 else "empty pages without end")
        return following


def begun_set(position: Mapping[str, str], endpoint: Endpoint) -> PageSet | None:
    """Gives the set that broke off, by the position that raw has; None when the last one is complete.

    When the contract pages in another way now, the set is read from its first page again.
    """
    if not position.get("resume"):
        return None
    is_same = position.get("paging") == endpoint.paging
    place = json.loads(position["resume"]) if is_same else first_place(endpoint)
    options = endpoint.options
    return PageSet(
        since=position.get("since") or None if "sinceParam" in options else None,
        until=position.get("until") or None if "untilParam" in options else None,
        place=place,
        parts=_parts_of(position),
        is_begun=True,
    )


def _parts_of(position: Mapping[str, str]) -> tuple[str, ...]:
    parts = position.get("parts", "")
    return tuple(parts.split(",")) if parts else ()


def _key_of(place: Place) -> str:
    return hashlib.sha256(json.dumps(dict(place), sort_keys=True).encode()).hexdigest()


def _instant(visit: Visit, kind: str) -> str:
    """Gives the run's instant as a watermark of a type."""
    moment = visit.run.started_at
    return (
        moment.date().isoformat()
        if kind == "date"
        else moment.replace(tzinfo=None).isoformat() + ("+00:00" if kind == "timestamptz" else "")
    )


def _evidence(visit: Visit, error: SourceError) -> Iterator[Delivery]:
    """Gives the bytes of a page that is none, for the archive to keep; landing refuses them for what is wrong."""
    if isinstance(error, MalformedPage):
        fault = _redacted(error, visit)
        form = visit.contract.server.format
        yield Delivery(visit.contract.server.path, error.page, form, kind=PULL, fault=fault)


def _redacted(error: SluiceError, visit: Visit) -> SourceError:
    """Gives an error whose words hold no secret; it points at the contract, where its cure is."""
    redact = visit.secrets.redact
    path = error.path or visit.contract.path
    return SourceError(error.code, redact(error.message), cure=redact(error.cure), path=path, line=error.line)
