"""Reading what a request brings: its body within limits, its type, its key."""

import hashlib
from collections.abc import Callable

from fastapi import Request

from flows.service.state import Door
from lake.errors import SourceError
from lake.receiving.bodies import split_body, too_large, too_many_rows, unzip_body
from lake.receiving.spool import Post

LONGEST_KEY = 255
IDEMPOTENCY_KEY = "idempotency-key"


async def read_body(request: Request, most_bytes: int, take_room: Callable[[int], None]) -> bytes:
    """Gives a body as it was sent; raises SourceError as soon as it is larger than what is taken."""
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most_bytes:
        raise too_large(most_bytes)
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most_bytes:
            raise too_large(most_bytes)
        take_room(len(chunk))
        parts.append(chunk)
    return b"".join(parts)


def make_post(door: Door, request: Request, body: bytes) -> Post:
    """Gives a body's rows, ready to be kept; raises SourceError for what cannot be taken."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        body = unzip_body(body, door.most_bytes)
    elif encoding != "identity":
        raise SourceError(
            "media-type-unfit", f"The body is encoded as '{encoding}'.", cure="Send it plain, or as 'gzip'."
        )
    rows = split_body(body, media_type(request))
    if len(rows) > door.most_rows:
        raise too_many_rows(len(rows), door.most_rows)
    key = key_of(request)
    return Post(door.contract.source, rows, key, hashlib.sha256(body).hexdigest() if key else "")


def media_type(request: Request) -> str:
    """Gives the type of a body without its parameters, "" when none is told."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def key_of(request: Request) -> str:
    """Gives the digest of a request's Idempotency-Key and of who sends it, "" without one.

    Raises SourceError for a key that is empty or too long.
    """
    key = request.headers.get(IDEMPOTENCY_KEY)
    if key is None:
        return ""
    if not 0 < len(key) <= LONGEST_KEY:
        raise SourceError(
            "idempotency-key-unfit",
            f"The Idempotency-Key has {len(key)} characters.",
            cure=f"Send 1 to {LONGEST_KEY}, e.g. a UUID.",
        )
    return hashlib.sha256(f"{request.state.sender}\n{key}".encode()).hexdigest()
