"""Uploads in a bucket: claimed by one worker, landed, and moved to `done` or `refused` below the prefix.

An object appears whole, so none is waited for. A claim is a small object that only one worker can create; it holds for
a while, then any worker may take it over, and until then nothing that comes after it lands. Two that work on one upload
all the same land it once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import PurePosixPath

from lake.archive import receive
from lake.sources.bucket import Bucket, brought, bucket_faults, open_bucket
from lake.sources.delivery import Delivery
from lake.sources.intake import DONE, REASON, REFUSED, Hearing, hear, is_upload, is_waiting, numbered
from lake.sources.visit import Visit

CLAIMS = ".claims"
LEASE = timedelta(minutes=15)  # how long the upload of a worker that died stays untouched


def bucket_upload_deliveries(visit: Visit) -> Iterator[Delivery]:
    """Gives the uploads of a bucket in the order of their keys, and moves each once it is landed or refused."""
    bucket = open_bucket(visit.contract.server, visit.secrets)
    with bucket_faults(visit):
        found = [each for each in bucket.find() if is_upload(PurePosixPath(each.key))]
    for each in found:
        if is_waiting(visit, bucket.origin(each.key), each.tag):
            continue
        with _claimed(visit, bucket, each.key) as is_ours:
            if not is_ours:  # what comes after it must not land before it
                visit.run.note("upload-elsewhere", visit.contract.source, origin=bucket.origin(each.key))
                return
            yield from _handed_over(visit, bucket, each.key)


@contextmanager
def _claimed(visit: Visit, bucket: Bucket, key: str) -> Iterator[bool]:
    claim = f"{CLAIMS}/{key}"
    with bucket_faults(visit):
        is_ours = _claim(visit, bucket, claim)
    try:
        yield is_ours
    finally:
        if is_ours:
            with bucket_faults(visit):
                bucket.objects.delete(claim)


def _claim(visit: Visit, bucket: Bucket, claim: str) -> bool:
    now = visit.run.clock()
    content = f"{(now + LEASE).isoformat()} {visit.run.id}".encode()
    if bucket.objects.create(claim, content):
        return True
    try:
        until = b"".join(bucket.objects.chunks(claim)).decode().split(" ")[0]
    except FileNotFoundError:
        return False  # its worker is through: the next visit sees what is left
    if now < datetime.fromisoformat(until) <= now + LEASE:  # one further ahead was made by a clock that went wrong
        return False
    bucket.objects.delete(claim)
    return bucket.objects.create(claim, content)


def _handed_over(visit: Visit, bucket: Bucket, key: str) -> Iterator[Delivery]:
    with brought(visit, bucket, key) as whole:
        if whole is None:
            return
        whole = replace(whole, receipt=receive(whole))
        hearing = Hearing()
        yield from hear(visit, whole, hearing)
        if hearing.fate in (None, "held"):
            return
        with bucket_faults(visit):
            _put_away(visit, bucket, key, whole, hearing)


def _put_away(visit: Visit, bucket: Bucket, key: str, whole: Delivery, hearing: Hearing) -> None:
    """Writes the bytes that were read to their place, the reason beside them before, then removes the upload.

    An object that was replaced since it was read stays: the next visit takes it.
    """
    place = f"{DONE if hearing.fate == 'landed' else REFUSED}/{visit.run.started_at:%Y-%m-%d}"
    target = _free_key(bucket, f"{place}/{key}")
    if bucket.objects.tag(key) != whole.state:
        visit.run.note("upload-replaced", visit.contract.source, origin=whole.origin)
        return
    if hearing.fate == "refused":
        bucket.objects.put(target + REASON, hearing.reason(visit, whole.origin).encode())
    bucket.objects.put(target, whole.path)
    if bucket.objects.tag(key) == whole.state:
        bucket.objects.delete(key)
    visit.run.note("upload-moved", visit.contract.source, origin=whole.origin, to=target)


def _free_key(bucket: Bucket, target: str) -> str:
    folder, name = PurePosixPath(target).parent, PurePosixPath(target).name
    keys = (f"{folder}/{numbered(name, number)}" for number in count(1))
    return next(key for key in keys if not bucket.objects.has(key))
