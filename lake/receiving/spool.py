"""The spool: rows that were posted, on disk before they are answered, until a landing takes them.

One thread writes for all requests of a process: what has come while it waited for the disk is written, and waited for,
together. A request is answered when its rows are on disk; none of a request that failed is kept.
"""

import queue
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from lake.errors import SettingsError, SluiceError
from lake.receiving.claims import expect_same_body, take_key
from lake.receiving.frames import Head, encode_frame, join_rows, read_heads
from lake.receiving.register import Claim, Register
from lake.receiving.segments import SegmentWriter, all_segments, name_segment, segments_folder
from lake.receiving.writing import spool_failure
from lake.run import Clock

SEGMENT_BYTES = (
    16 << 20
)  # a segment is closed beyond this, or when a landing asks for it; parsed it is many times as large
GROUP_BYTES = 16 << 20  # what is written before the disk is waited for
LOOK_SECONDS = 0.05  # how soon a landing that asks for a segment is answered


@dataclass(frozen=True)
class Post:
    """The rows of one request, each the JSON text of a record on one line. `key` "" means no Idempotency-Key.

    `body` is the digest by which the same request is known when it comes again; needed with a key only.
    """

    source: str
    lines: Sequence[bytes]
    key: str = ""
    body: str = ""


@dataclass(frozen=True)
class Kept:
    """Rows that are on disk: their receipt, and whether an earlier request of the same key had brought them."""

    receipt: str
    is_repeat: bool = False


@dataclass(eq=False)
class _Waiting:
    """A request that waits for the disk; `receipt` "" until its frame is made."""

    post: Post
    done: "Future[Kept]" = field(default_factory=Future)
    receipt: str = ""
    frame: bytes = b""


class Spool:
    """The spool of one serving process. Others may serve, and land, from the same folder."""

    def __init__(self, folder: Path, clock: Clock, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self._clock, self._segment_bytes = clock, segment_bytes
        self._register = Register(folder)
        self._register.remember(_claims_in(folder))
        self._segments: dict[str, SegmentWriter] = {}
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._is_over = False
        self._thread = threading.Thread(target=self._work, name="spool", daemon=True)
        self._thread.start()

    @property
    def is_taking(self) -> bool:
        """Whether rows are still taken."""
        return not self._is_over

    def keep(self, post: Post) -> "Future[Kept]":
        """Gives what is done once the rows are on disk.

        It raises SettingsError when the disk is full or not to be written to, and SourceError for a key that came
        with another body before, or whose first request is still at work elsewhere.
        """
        waiting = _Waiting(post)
        self._queue.put(waiting)
        if self._is_over:
            self._refuse_rest()
        return waiting.done

    def close(self) -> None:
        """Writes what waits, closes all segments and ends the thread."""
        self._queue.put(None)
        self._thread.join()
        self._register.close()

    def _work(self) -> None:
        group: list[_Waiting] = []
        try:
            is_going_on = True
            while is_going_on:
                group, is_going_on = self._next_group()
                group.sort(key=lambda waiting: waiting.post.source)  # stable: each source in the order of its requests
                for source, found in groupby(group, key=lambda waiting: waiting.post.source):
                    self._keep_group(source, list(found))
                self._close_segments(everything=not is_going_on)
        finally:
            self._is_over = True
            for waiting in group:  # of what has ended the thread
                _fail(waiting, stopping())
            self._refuse_rest()

    def _next_group(self) -> tuple[list[_Waiting], bool]:
        """Gives what waits, as much as is written at once, and whether there may be more."""
        group: list[_Waiting] = []
        size, timeout = 0, LOOK_SECONDS if self._segments else None
        while size < GROUP_BYTES:
            try:
                found = self._queue.get_nowait() if group else self._queue.get(timeout=timeout)
            except queue.Empty:
                break
            if found is None:
                return group, False
            if found.done.set_running_or_notify_cancel():  # else nobody waits for it any more
                group.append(found)
                size += sum(map(len, found.post.lines))
        return group, True

    def _keep_group(self, source: str, group: list[_Waiting]) -> None:
        """Keeps the rows of some requests in one go, and answers each."""
        fresh: list[_Waiting] = []
        repeats: list[tuple[_Waiting, _Waiting]] = []
        try:
            for waiting in group:
                self._take_up(waiting, fresh, repeats)
            if fresh:
                self._append(source, fresh)
        except (OSError, SluiceError) as error:
            failure = error if isinstance(error, SluiceError) else spool_failure(self.folder, error)
            for waiting in group:
                _fail(waiting, failure)
            return
        for waiting in fresh:
            waiting.done.set_result(Kept(waiting.receipt))
        for waiting, first in repeats:
            waiting.done.set_result(Kept(first.receipt, is_repeat=True))

    def _take_up(self, waiting: _Waiting, fresh: list[_Waiting], repeats: list[tuple[_Waiting, _Waiting]]) -> None:
        """Puts a request, its key claimed, among the fresh ones, or answers it by what its key brought before."""
        post = waiting.post
        first = next((each for each in fresh if each.post.key == post.key), None) if post.key else None
        try:
            if first is not None:
                expect_same_body(first.post.body, post.body)
                repeats.append((waiting, first))
                return
            segment = self._segment(post.source)
            receipt, now = segment.next_receipt(), self._clock().isoformat()
            before = self._claimed(post, receipt, now) if post.key else None
        except SluiceError as refusal:
            _fail(waiting, refusal)
            return
        if before is not None:
            waiting.done.set_result(Kept(before, is_repeat=True))
            return
        rows = join_rows(post.lines)
        waiting.receipt = receipt
        waiting.frame = encode_frame(Head(receipt, len(post.lines), len(rows), now, post.key, post.body), rows)
        fresh.append(waiting)

    def _claimed(self, post: Post, receipt: str, now: str) -> str | None:
        own = {segment.name for segment in self._segments.values()}
        with self._register.together():
            claim = Claim(post.body, receipt)
            return take_key(self._register, self.folder, post.source, post.key, claim, now, own=own)

    def _append(self, source: str, fresh: list[_Waiting]) -> None:
        """Writes frames to the source's segment; when that fails, its keys are given back and nothing is kept."""
        segment = self._segment(source)
        try:
            segment.append(b"".join(waiting.frame for waiting in fresh))
        except OSError:
            if segment.is_beyond_mending:
                del self._segments[source]
            keyed = [waiting.receipt for waiting in fresh if waiting.post.key]
            if keyed:
                self._register.unclaim(keyed)
            raise

    def _segment(self, source: str) -> SegmentWriter:
        """Gives the segment of a source, a new one where there is none."""
        if source not in self._segments:
            folder = segments_folder(self.folder, source)
            self._segments[source] = SegmentWriter(folder, name_segment(self._clock()))
        return self._segments[source]

    def _close_segments(self, *, everything: bool) -> None:
        for source, segment in list(self._segments.items()):
            if everything or segment.is_wanted or segment.size >= self._segment_bytes:
                segment.close()
                del self._segments[source]

    def _refuse_rest(self) -> None:
        """Answers what came after the thread had ended."""
        while not self._queue.empty():
            waiting = self._queue.get()
            if waiting is not None:
                _fail(waiting, stopping())


def stopping() -> SettingsError:
    """Gives the error of a spool that takes no rows any more."""
    return SettingsError("spool-closed", "The service is stopping.", cure="Send it again in a moment.")


def _fail(waiting: _Waiting, error: SluiceError) -> None:
    if not waiting.done.done():
        waiting.done.set_exception(error)


def _claims_in(folder: Path) -> Iterator[tuple[str, str, Claim, str]]:
    """Gives the claims that waiting segments tell of: a register that lost its last moments learns them again."""
    for source, path in all_segments(folder):
        for head in _heads(path):
            if head.key:
                yield source, head.key, Claim(head.body, head.receipt), head.received_at


def _heads(path: Path) -> Iterable[Head]:
    try:
        with path.open("rb") as file:
            yield from read_heads(file)
    except FileNotFoundError:  # a landing was faster
        return
