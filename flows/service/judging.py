"""Judging together what waits: a judgement costs much by itself, and little by the row."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from lake.receiving.verdicts import Judge, RowFaults, Verdicts

MOST_ROWS = 5_000  # judged at once: a few hundredths of a second

Waiting = tuple[Sequence[bytes], "asyncio.Future[Verdicts]"]


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
                rows = [line for lines, _ in group for line in lines]
                verdicts = await asyncio.to_thread(self._judge, rows)
                for (_, told), part in zip(group, parted(verdicts, [len(lines) for lines, _ in group]), strict=True):
                    if not told.done():  # its sender may have gone
                        told.set_result(part)
        except BaseException as error:
            for _, told in (*group, *self._waiting):
                if not told.done():
                    told.set_exception(error)
            self._waiting.clear()
            raise

    def _next_group(self) -> list[Waiting]:
        """Takes requests off those that wait: one at least, and no more rows than are judged at once."""
        sizes = accumulate(len(lines) for lines, _ in self._waiting)
        count = max(1, sum(size <= MOST_ROWS for size in sizes))
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
