"""One API through httpx: signed, no faster than agreed, tried again while that may help, streamed to a file."""

import logging
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from lake.disk import room_to_write
from lake.errors import SourceError
from lake.sources.http.endpoint import Endpoint
from lake.sources.http.faults import MalformedPage, Passing, Refused
from lake.sources.http.pages import Page, read_page
from lake.sources.http.signing import sign
from lake.sources.visit import Visit

FIRST_WAIT, LONGEST_WAIT, JITTER = 0.5, 60.0, 0.5  # seconds; each wait doubles, and is up to half as long again
MALFORMED_TRIES = 3
ANSWERED_CHARACTERS = 200  # of what a server says, in a message
CHUNK_BYTES = 1 << 16
TOO_MANY, UNAUTHORIZED = 429, 401
MAY_PASS = (408, 425, TOO_MANY)  # and every 5xx
REDIRECTS, BAD_REQUEST, SERVER_ERROR = 300, 400, 500
MIME_TYPES = {"json": "application/json", "jsonl": "application/x-ndjson, */*", "csv": "text/csv, */*"}
CURES = {
    401: "Check the secrets that the contract names.",
    403: "Check what the account behind the secrets may read.",
    404: "Check `location`; for an API that answers so past its last page, write `endStatus: 404`.",
}
LOGGERS = ("httpx", "httpcore")  # their lines quote URLs, and so would tell keys

Result = TypeVar("Result")


class Client:
    """Asks one API. `request_count` is how often it did."""

    def __init__(self, endpoint: Endpoint, visit: Visit) -> None:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        self.endpoint = endpoint
        self.request_count = 0
        self._visit = visit
        self._clock = visit.run.clock
        self._asked_at = self._clock() - timedelta(seconds=endpoint.least_interval)
        self._chance = random.Random(visit.run.id)  # jitter is no secret
        self._signature = sign(endpoint, visit.secrets, self._post, visit.run.clock)
        headers = {"Accept": MIME_TYPES[endpoint.format], "User-Agent": "sluice", **endpoint.headers}
        self._http = httpx.Client(timeout=endpoint.timeout, headers=headers, follow_redirects=False)

    def fetch(self, url: httpx.URL) -> Page:
        """Gets one page into a file; `url` is without secrets.

        Raises Refused when the server will not answer, another SourceError when it did not in the time there is.
        """
        return self._insist(url, lambda: self._try_page(url))

    def close(self) -> None:
        """Lets the connections go."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _insist(self, url: httpx.URL | str, attempt: Callable[[], Result]) -> Result:
        """Tries until it goes well, until trying longer would not help, or until the time for one page is over."""
        began, waited, malformed, tries = self._clock(), 0.0, 0, 0
        while True:
            tries += 1
            try:
                return attempt()
            except Passing as fault:
                malformed += isinstance(fault, MalformedPage)
                wait = self._wait_after(fault, tries)
                spent = max(waited, (self._clock() - began).total_seconds())
                if malformed >= MALFORMED_TRIES or spent + wait > self.endpoint.give_up_after:
                    raise _given_up(fault, tries, wait) from fault
                self._note_retry(url, fault, wait)
            self._visit.pause(wait)
            waited += wait

    def _wait_after(self, fault: Passing, tries: int) -> float:
        """Gives the seconds to wait: what the server asks for, else twice as many each time, and some by chance."""
        if fault.retry_after is not None:
            return fault.retry_after
        doubled: float = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(tries - 1, 16))
        return doubled * (1 + JITTER * self._chance.random())

    def _note_retry(self, url: httpx.URL | str, fault: Passing, wait: float) -> None:
        redact = self._visit.secrets.redact
        self._visit.run.note(
            "request-retried",
            self._visit.contract.source,
            url=redact(str(url)),
            reason=redact(fault.message),
            wait_seconds=round(wait, 3),
        )

    def _try_page(self, url: httpx.URL) -> Page:
        """Asks once, and once more when a token was refused that can be renewed."""
        for _ in range(2):
            signed = self._signature.parameters()
            whole = url.copy_merge_params(signed) if signed else url
            request = self._build("GET", whole, self._signature.headers())
            with self._answered(request, url) as answer:
                if answer.status_code == UNAUTHORIZED and self._signature.renew():
                    continue
                _expect_page(answer, url, self._clock)
                path = self._receive(answer, url)
                return read_page(self._visit.contract, path, url, answer.headers)
        raise Refused(
            "api-refused", f"{url} refused a fresh token, too.", cure=CURES[UNAUTHORIZED], status=UNAUTHORIZED
        )

    def _post(self, url: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Any:
        """Posts a form and gives the JSON of the answer, None when it is none."""

        def attempt() -> Any:
            request = self._build("POST", url, {**headers, "Accept": "application/json"}, form)
            with self._answered(request, url) as answer:
                _expect_page(answer, url, self._clock)
                answer.read()
                try:
                    return answer.json()
                except ValueError:
                    return None

        return self._insist(url, attempt)

    def _build(
        self, method: str, url: httpx.URL | str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> httpx.Request:
        try:
            return self._http.build_request(method, url, headers=headers, data=form)
        except UnicodeEncodeError as error:
            message = "A header or secret of the contract holds a character that no header can."
            raise SourceError("api-request-unfit", message, cure="Write it in ASCII.") from error

    @contextmanager
    def _answered(self, request: httpx.Request, url: httpx.URL | str) -> Iterator[httpx.Response]:
        """Sends a request, not before its time, and gives the answer while it is open.

        Raises Passing for whatever breaks on the way: nobody there, silence, a connection cut in the middle.
        """
        self._keep_pace()
        self.request_count += 1
        try:
            answer = self._http.send(request, stream=True)
            try:
                yield answer
            finally:
                answer.close()
        except (httpx.TimeoutException, httpx.NetworkError, httpx.RemoteProtocolError, httpx.ProxyError) as error:
            raise _unreachable(url, error) from error
        except httpx.DecodingError as error:
            message = f"{url} answered with bytes that cannot be decompressed."
            raise Passing("api-unreachable", message, cure="Run it again; if it stays so, ask the provider.") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            message = f"{url} cannot be asked: {type(error).__name__}."
            cure = "Check address, parameters and headers in the contract, and the secrets for stray characters."
            raise SourceError("api-request-unfit", message, cure=cure) from error

    def _keep_pace(self) -> None:
        """Waits until the next request may go; a clock that was set back makes that no longer than one interval."""
        passed = (self._clock() - self._asked_at).total_seconds()
        wait = min(self.endpoint.least_interval - passed, self.endpoint.least_interval)
        if wait > 0:
            self._visit.pause(wait)
        self._asked_at = self._clock()

    def _receive(self, answer: httpx.Response, url: httpx.URL) -> Path:
        """Streams an answer into a file; a server that never ends is given up like one that is silent."""
        path = self._visit.scratch / f"{self._visit.contract.source}.page"
        began = self._clock()
        with room_to_write(path.parent), path.open("wb") as file:
            for chunk in answer.iter_bytes(CHUNK_BYTES):
                file.write(chunk)
                if (self._clock() - began).total_seconds() > self.endpoint.give_up_after:
                    raise SourceError(
                        "api-unreachable",
                        f"{url} still sent its answer after {self.endpoint.give_up_after:g} seconds.",
                        cure="Ask for smaller pages, or raise `giveUpAfter` in the contract.",
                    )
        return path


def _expect_page(answer: httpx.Response, url: httpx.URL | str, clock: Callable[[], Any]) -> None:
    """Raises Passing for a status that may be over soon, Refused for one that will not."""
    status = answer.status_code
    if status < REDIRECTS:
        return
    said = _first_words(answer)
    if status < BAD_REQUEST:
        place = answer.headers.get("location", "nowhere")
        message = f"{url} redirects to {place} ({status})."
        raise Refused("api-redirected", message, cure="Write the new address into the contract.", status=status)
    if status >= SERVER_ERROR or status in MAY_PASS:
        raise Passing(
            "api-failing",
            f"{url} answered {status}: {said}",
            cure="Nothing was lost. Run it again later.",
            retry_after=_retry_after(answer, clock),
        )
    cure = CURES.get(status, "Compare the parameters in the contract with the API's description.")
    raise Refused("api-refused", f"{url} answered {status}: {said}", cure=cure, status=status)


def _first_words(answer: httpx.Response) -> str:
    start = b""
    for chunk in answer.iter_bytes(ANSWERED_CHARACTERS):
        start += chunk
        if len(start) >= ANSWERED_CHARACTERS:
            break
    words = " ".join(start[:ANSWERED_CHARACTERS].decode("utf-8", errors="replace").split())
    return repr(words) if words else "nothing."


def _retry_after(answer: httpx.Response, clock: Callable[[], Any]) -> float | None:
    """Gives the seconds a server asks to wait, told as a number or as a date by its own clock; None for none."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isdecimal():
        return float(asked)
    try:
        then = parsedate_to_datetime(asked)
        now = parsedate_to_datetime(answer.headers["date"]) if "date" in answer.headers else clock()
        return max(0.0, float((then - now).total_seconds()))
    except (ValueError, TypeError):
        return None


def _unreachable(url: httpx.URL | str, error: httpx.HTTPError) -> SourceError:
    if isinstance(error, httpx.ConnectError) and "CERTIFICATE" in str(error).upper():
        message = f"{url} shows a certificate that cannot be trusted."
        return SourceError("api-untrusted", message, cure="Check the address; or let this machine trust who signed it.")
    kinds: dict[type[httpx.HTTPError], str] = {
        httpx.ConnectError: "is not there",
        httpx.ConnectTimeout: "is not there",
        httpx.ReadTimeout: "was silent for too long",
        httpx.RemoteProtocolError: "broke off in the middle of its answer",
        httpx.ReadError: "broke off in the middle of its answer",
    }
    message = f"{url} {kinds.get(type(error), 'could not be reached')} ({type(error).__name__})."
    return Passing("api-unreachable", message, cure="Nothing was lost. Check address and network, and run it again.")


def _given_up(fault: Passing, tries: int, wait: float) -> SourceError:
    """Makes the error of the last try: its own, with how often it was tried and how long the server wants peace."""
    asked = f" It asks to be left alone for {wait:g} seconds." if fault.retry_after is not None else ""
    message = f"{fault.message} Tried {tries} {'time' if tries == 1 else 'times'}.{asked}"
    if isinstance(fault, MalformedPage):
        return MalformedPage(fault.code, message, cure=fault.cure, page=fault.page)
    return SourceError(fault.code, message, cure=fault.cure)
