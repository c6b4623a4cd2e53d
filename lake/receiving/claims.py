"""Idempotency keys: the same key with the same body is one request, however often it comes and whoever takes it."""

from collections.abc import Collection
from pathlib import Path

from lake.errors import SourceError
from lake.receiving.register import Claim, Register
from lake.receiving.segments import FILES, find_frame, find_segment, is_being_written, segment_of


def take_key(
    register: Register, spool: Path, source: str, key: str, claim: Claim, at: str, *, own: Collection[str] = ()
) -> str | None:
    """Claims a key, and gives None; or gives the receipt that it brought before.

    `own` are the segments that the caller writes. To be called within `register.together()`, so that of two processes
    one comes first. Raises SourceError when the key came with another body, or is being taken elsewhere.
    """
    found = register.find_claim(source, key)
    if found is not None and stands(register, spool, source, found.receipt, own):
        expect_same_body(found.body, claim.body)
        return found.receipt
    register.claim(source, key, claim, at)
    return None


def stands(register: Register, spool: Path, source: str, receipt: str, own: Collection[str] = ()) -> bool:
    """Says whether what a receipt was given for is kept; raises SourceError when another process is at it just now."""
    while (path := find_segment(spool, receipt)) is not None:
        # asked before its frames are read: what its writer has let go of holds all that it ever will
        is_growing = segment_of(receipt) not in own and is_being_written(path)
        if find_frame(path, receipt) is not None:
            return True
        if is_growing:
            raise SourceError(
                "key-busy",
                "A request with this Idempotency-Key is being taken just now.",
                cure="Send it again in a second.",
            )
        if path.exists():  # else it was closed, or landed, since it was found
            break
    return (spool / source / FILES / receipt).exists() or register.find_settled(receipt) is not None


def expect_same_body(before: str, now: str) -> None:
    """Raises SourceError when a key comes with another body than before."""
    if before != now:
        raise SourceError(
            "key-reused",
            "This Idempotency-Key came with another body before.",
            cure="Give every request a key of its own; send the same key only with the same body.",
        )
