"""Judging together what waits: a judgement costs much by itself, and little by the row.

What the judge's engine cannot take (it has a small memory) is judged by itself; then nobody else's rows are touched,
and the landing tells of it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from lake.engine import EngineError
from lake.receiving.verdicts import Judge, RowFaults, Verdicts

MOST_ROWS = 5_000  # judged at once: a few hundredths of a second
MOST_BYTES = 4 << 20

Waiting = tuple[Sequence[bytes], "asyncio.Future[Verdicts]"]
log = logging.getLogger("sluice.service")


class GroupJudge:
    """The judge of one contract for all requests of a process; works beside the loop, on all rows that wait by then."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._waiting: list[Waiting] = []
        self._work: asyncio.Task[None] | None = None

    async def verdicts_on(self, lines: Sequence[bytes]) -> Verdicts:
        """Gives the verdicts on the rows of one request."""
        told: asyncio.Future[Verdicts] = asyncio.get_running_loop().create_future()
        self._waiting.append((lines, told))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._judge_all())
        return await told

    async def _judge_all(self) -> None:
        group: list[Waiting] = []
        try:
            while self._waiting:
                group = self._next_group()
                verdicts = await self._judged([lines for lines, _ in group])
                for (_, told), part in zip(group, verdicts, strict=True):
                    if not told.done():  # its sender may have gone
                        told.set_result(part)
        except BaseException as error:
            for _, told in (*group, *self._waiting):
                if not told.done():
                    told.set_exception(error)
            self._waiting.clear()
            raise

    async def _judged(self, requests: Sequence[Sequence[bytes]]) -> Sequence[Verdicts]:
        """Gives the verdicts on some requests, judged together; each by itself where that is too much at once."""
        try:
            verdicts = await asyncio.to_thread(self._judge, [line for lines in requests for line in lines])
        except EngineError as error:
            if len(requests) > 1:
                return [verdict for lines in requests for verdict in await self._judged([lines])]
            log.error("The rows of a request could not be judged: %s.", type(error).__name__)  # its words may hold rows
            return [Verdicts(0, unjudged_count=len(requests[0]))]
        return parted(verdicts, [len(lines) for lines in requests])

    def _next_group(self) -> list[Waiting]:
        """Takes requests off those that wait: one at least, and no more than is judged at once."""
        rows = accumulate(len(lines) for lines, _ in self._waiting)
        sizes = accumulate(sum(map(len, lines)) for lines, _ in self._waiting)
        count = max(1, sum(each <= MOST_ROWS and size <= MOST_BYTES for each, size in zip(rows, sizes, strict=True)))
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group


def parted(verdicts: Verdicts, sizes: Sequence[int]) -> Sequence[Verdicts]:
    """Gives to each of several requests, `sizes` rows long, the verdicts on its own rows, counted from 1 again."""
    bad: list[list[RowFaults]] = [[] for _ in sizes]
    ends, place, begun = list(accumulate(sizes)), 0, 0
    for each in verdicts.bad:
        while each.row > ends[place]:
            begun, place = ends[place], place + 1
        bad[place].append(replace(each, row=each.row - begun))
    return [Verdicts(size - len(found), tuple(found)) for size, found in zip(sizes, bad, strict=True)]
