"""Reading what a request brings: its body within limits, its type, its key."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable

from fastapi import Request
from starlette.requests import ClientDisconnect

from flows.service.doors import Door
from lake.errors import SourceError
from lake.receiving.bodies import split_body, too_large, unzip_body
from lake.receiving.spool import Post

LONGEST_KEY = 255
SLOWEST_BYTES = 10_000  # a second: who sends a large body has so much more time
IDEMPOTENCY_KEY = "idempotency-key"


async def arriving(request: Request, seconds: float) -> AsyncIterator[bytes]:
    """Gives a body piece by piece; raises SourceError when one, or on the whole all, are too long in coming.

    Only the waiting counts: what is done with a piece is no fault of its sender.
    """
    clock, stream = asyncio.get_running_loop().time, request.stream()
    waited, size = 0.0, 0
    while True:
        began = clock()
        try:
            async with asyncio.timeout(min(seconds, seconds + size / SLOWEST_BYTES - waited)):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise _too_slow(seconds) from error
        except ClientDisconnect as error:
            message, cure = "The connection ended within the body. Nothing of it was kept.", "Send it again."
            raise SourceError("body-cut", message, cure=cure) from error
        if chunk is None:
            return
        waited += clock() - began
        size += len(chunk)
        yield chunk


def _too_slow(seconds: float) -> SourceError:
    return SourceError(
        "body-slow",
        f"The body did not come within {seconds:g} s and a second more for every {SLOWEST_BYTES:,} bytes, "
        f"or paused for {seconds:g} s. Nothing of it was kept.",
        cure="Send it again, in smaller parts over a slow line; its operator may raise SLUICE_BODY_SECONDS.",
        headers={"Connection": "close"},
    )


async def read_body(request: Request, door: Door, seconds: float, take_room: Callable[[int], None]) -> bytes:
    """Gives a body as it was sent; raises SourceError as soon as it is larger, or slower, than what is taken."""
    most_bytes = door.most_bytes
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most_bytes:
        raise too_large(most_bytes)
    parts, size = [], 0
    async for chunk in arriving(request, seconds):
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
    rows = split_body(body, media_type(request), door.most_rows)
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
