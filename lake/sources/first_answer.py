"""One answer of an HTTP address, for the draft of its contract: fetched once, whole, with what it says about more."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import httpx

from lake.errors import SourceError
from lake.secrets import Secrets

SECONDS = 30.0
MOST_BYTES = 64 << 20
MOST_HOPS = 5
REFUSED = 400
LIKE_A_SECRET = re.compile(
    r"(?i)(^|[-_])(authorization|cookie|secret|password|token|(api|access|private)?[-_]?key|sig)$"
)
LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Request:
    """What is asked: an address, and by name of header or parameter what goes with it; `secret` ones hold a name.

    `bearer` is the name of the secret that is the bearer token, "" for none.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    secret_headers: Mapping[str, str] = field(default_factory=dict)
    secret_parameters: Mapping[str, str] = field(default_factory=dict)
    bearer: str = ""

    @property
    def has_secrets(self) -> bool:
        """Whether anything secret goes with it."""
        return bool(self.bearer or self.secret_headers or self.secret_parameters)


@dataclass(frozen=True)
class Answer:
    """What came back: the body, its media type, and the header `Link`."""

    url: str
    body: bytes
    media_type: str
    link: str


def fetch_answer(request: Request, secrets: Secrets) -> Answer:
    """Fetches an address once; a redirection is followed only where no secret would leave for another host.

    Raises SourceError when there is no answer, or one that is refused or too large; no secret is ever told.
    """
    _expect_private(request)
    headers = {**request.headers, **{name: secrets.reveal(key) for name, key in request.secret_headers.items()}}
    if request.bearer:
        headers["Authorization"] = f"Bearer {secrets.reveal(request.bearer)}"
    parameters = {
        **request.parameters,
        **{name: secrets.reveal(key) for name, key in request.secret_parameters.items()},
    }
    try:
        with (
            httpx.Client(timeout=SECONDS, max_redirects=MOST_HOPS, follow_redirects=not request.has_secrets) as client,
            client.stream("GET", httpx.URL(request.url).copy_merge_params(parameters), headers=headers) as response,
        ):
            return _read(request, response, secrets)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        told = secrets.redact(f"{type(error).__name__}: {error}")
        cure = "Check the address, and that this machine may reach it."
        raise SourceError("url-unanswered", f"{request.url} gave no answer: {told}.", cure=cure) from error


def _expect_private(request: Request) -> None:
    parts = urlsplit(request.url)
    if parts.username or parts.password:
        message = "The address holds a user name or a password."
        raise SourceError("url-unanswered", message, cure="Leave them out; use --bearer NAME or --header.")
    told = [*parse_qs(parts.query), *request.parameters, *request.headers]
    clear = next((name for name in told if LIKE_A_SECRET.search(name)), None)
    if clear is not None:
        message = f"'{clear}' looks like a secret, and it would be written into the contract."
        cure = (
            f"Set it as a secret and write its name: '{clear}=${{NAME}}' with --param, or --header, or --bearer NAME."
        )
        raise SourceError("secret-in-clear", message, cure=cure)
    if request.has_secrets and parts.scheme != "https" and parts.hostname not in LOCAL:
        message = f"{request.url} would be sent a secret unencrypted."
        raise SourceError("url-unanswered", message, cure="Ask by https.")


def _read(request: Request, response: httpx.Response, secrets: Secrets) -> Answer:
    if response.status_code >= REFUSED or response.is_redirect:
        where = f", to {response.headers.get('location', '')}" if response.is_redirect else ""
        message = secrets.redact(f"{request.url} answered {response.status_code} {response.reason_phrase}{where}.")
        raise SourceError(
            "url-refused", message, cure="Mend the address, its parameters, or what it is signed in with."
        )
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > MOST_BYTES:
            message = f"{request.url} gives more than {MOST_BYTES >> 20} MB in one answer."
            raise SourceError("url-refused", message, cure="Ask for fewer records by --param, e.g. --param limit=1000.")
    media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
    return Answer(request.url, bytes(body), media_type, response.headers.get("link", ""))
