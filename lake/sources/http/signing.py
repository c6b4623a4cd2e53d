"""How requests are signed: a token, a password, a key, or a token that is fetched with OAuth 2 client credentials."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from lake.errors import SourceError
from lake.secrets import Secrets
from lake.sources.http.endpoint import Endpoint

EARLY = timedelta(seconds=30)  # a token is renewed this long before it ends: requests and clocks take their time

# Posts a form with headers, and gives the JSON of the answer.
Post = Callable[[str, Mapping[str, str], Mapping[str, str]], Any]


class Signature(Protocol):
    """What is added to every request."""

    def headers(self) -> Mapping[str, str]:
        """Gives headers, fresh ones when those before have ended."""
        ...

    def parameters(self) -> Mapping[str, str]:
        """Gives query parameters."""
        ...

    def renew(self) -> bool:
        """Forgets what the server did not accept; False when asking again would send the very same."""
        ...


@dataclass(frozen=True)
class Fixed:
    """The same headers and parameters for every request."""

    fixed_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    fixed_parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    def headers(self) -> Mapping[str, str]:
        return self.fixed_headers

    def parameters(self) -> Mapping[str, str]:
        return self.fixed_parameters

    def renew(self) -> bool:
        return False


@dataclass
class ClientCredentials:
    """A token of OAuth 2, fetched when it is first needed, when it is about to end, and when it is refused."""

    endpoint: Endpoint
    secrets: Secrets
    post: Post
    clock: Callable[[], datetime]
    _token: str | None = field(default=None, repr=False)
    _ends_at: datetime | None = None

    def headers(self) -> Mapping[str, str]:
        if self._token is None or (self._ends_at is not None and self.clock() >= self._ends_at):
            self._fetch()
        return {"Authorization": f"Bearer {self._token}"}

    def parameters(self) -> Mapping[str, str]:
        return {}

    def renew(self) -> bool:
        self._token = None
        return True

    def _fetch(self) -> None:
        options = self.endpoint.options
        user, password = (
            _reveal(self.secrets, options, "clientIdSecret"),
            _reveal(self.secrets, options, "clientSecret"),
        )
        form = {"grant_type": "client_credentials"}
        form |= {"scope": options["scope"]} if "scope" in options else {}
        is_body = options.get("clientAuth") == "body"
        form |= {"client_id": user, "client_secret": password} if is_body else {}
        asked_at = self.clock()
        answer = self.post(options["tokenUrl"], {} if is_body else _basic(self.secrets, user, password), form)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise SourceError(
                "api-token-missing",
                f"{options['tokenUrl']} answered without an 'access_token'.",
                cure="Check `tokenUrl`, `scope` and the client of the contract.",
            )
        self._token = self.secrets.guard(token)
        self._ends_at = _end_of(answer.get("expires_in"), asked_at)


def sign(endpoint: Endpoint, secrets: Secrets, post: Post, clock: Callable[[], datetime]) -> Signature:
    """Gives the signature that a contract asks for; raises SettingsError when one of its secrets is not set."""
    options = endpoint.options
    if endpoint.auth == "oauth2":
        return ClientCredentials(endpoint, secrets, post, clock)
    if endpoint.auth == "bearer":
        return Fixed({"Authorization": f"Bearer {_reveal(secrets, options, 'tokenSecret')}"})
    if endpoint.auth == "basic":
        user = _reveal(secrets, options, "userSecret")
        return Fixed(_basic(secrets, user, _reveal(secrets, options, "passwordSecret")))
    if endpoint.auth == "header-key":
        return Fixed({options["keyName"]: _reveal(secrets, options, "keySecret")})
    if endpoint.auth == "query-key":
        return Fixed({}, {options["keyName"]: _reveal(secrets, options, "keySecret")})
    return Fixed()


def _reveal(secrets: Secrets, options: Mapping[str, str], name: str) -> str:
    """Gives a secret without the line feed that files of secrets end in: no header can hold one."""
    return secrets.guard(secrets.reveal(options[name]).strip())


def _basic(secrets: Secrets, user: str, password: str) -> Mapping[str, str]:
    token = secrets.guard(b64encode(f"{user}:{password}".encode()).decode())
    return {"Authorization": f"Basic {token}"}


def _end_of(seconds: Any, asked_at: datetime) -> datetime | None:
    """Gives when a token ends; None when the answer does not say."""
    if isinstance(seconds, str) and seconds.isdecimal():
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return None
    span = timedelta(seconds=seconds)
    return asked_at + max(span - EARLY, span / 2)
