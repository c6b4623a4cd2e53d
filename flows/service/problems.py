"""What is told when a request cannot be taken: one form for all of it, `application/problem+json` (RFC 9457)."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from lake.errors import SettingsError, SluiceError

PROBLEM = "application/problem+json"
STATUSES: Mapping[str, int] = {
    "key-refused": 401,
    "key-out-of-scope": 403,
    "door-unknown": 404,
    "receipt-unknown": 404,
    "body-slow": 408,
    "key-busy": 409,
    "key-reused": 409,
    "body-too-large": 413,
    "file-too-large": 413,
    "rows-too-many": 413,
    "file-format-unknown": 415,
    "media-type-unfit": 415,
    "rate-limited": 429,
    "disk-full": 507,
}
RETRY_SECONDS = "1"
RETRIED = ("key-busy", "service-busy", "spool-closed")

log = logging.getLogger("sluice.service")


def problem(status: int, code: str, detail: str, cure: str = "", **more: object) -> JSONResponse:
    """Gives a problem as an answer: what happened, and what to do."""
    title = HTTPStatus(status).phrase
    told = {"type": f"urn:sluice:{code}", "title": title, "status": status, "code": code, "detail": detail}
    headers = {"Retry-After": RETRY_SECONDS} if code in RETRIED else None
    content = told | ({"cure": cure} if cure else {}) | more
    return JSONResponse(content, status, headers=headers, media_type=PROBLEM)


def status_of(error: SluiceError) -> int:
    """Gives the status of an error: the sender's fault 4xx, ours 5xx."""
    return STATUSES.get(error.code, 503 if isinstance(error, SettingsError) else 400)


def add_problems(app: FastAPI) -> None:
    """Lets an app tell everything that goes wrong in this form."""
    app.add_exception_handler(SluiceError, _told)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)


def _told(_request: Request, error: Exception) -> Response:
    assert isinstance(error, SluiceError)
    status = status_of(error)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.error("%s", error)
    answer = problem(status, error.code, error.message, error.cure)
    answer.headers.update(error.subject.get("headers", {}))  # type: ignore[arg-type]  # the guard's own
    return answer


def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = problem(error.status_code, "request-refused", str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _failed(_request: Request, _error: Exception) -> Response:
    return problem(500, "service-failed", "This is a bug of the service; what was answered before is kept.")
