"""What can go wrong between two machines, by what is to be done about it."""

from pathlib import Path

from lake.errors import SourceError


class Passing(SourceError):
    """May be over at the next try. `retry_after` are the seconds the server asks to wait, None when it asks nothing."""

    def __init__(self, code: str, message: str, *, cure: str, retry_after: float | None = None) -> None:
        super().__init__(code, message, cure=cure)
        self.retry_after = retry_after


class MalformedPage(Passing):
    """An answer that says 200 and is no page; `page` are its bytes, kept for whoever has to ask the provider."""

    def __init__(self, code: str, message: str, *, cure: str, page: Path) -> None:
        super().__init__(code, message, cure=cure)
        self.page = page


class Refused(SourceError):
    """The server will not answer this request, however often it is asked; `status` is its reason."""

    def __init__(self, code: str, message: str, *, cure: str, status: int) -> None:
        super().__init__(code, message, cure=cure)
        self.status = status


class Loop(SourceError):
    """The API leads back to where it has been."""
