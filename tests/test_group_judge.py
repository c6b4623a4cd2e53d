"""Rows of many requests are judged together, and each request hears of its own."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from flows.service.judging import MOST_BYTES, MOST_ROWS, GroupJudge, parted
from lake.engine import EngineLimits, Session
from lake.receiving.verdicts import Fault, RowFaults, Verdicts

WRONG = (Fault(None, "wrong", "It is wrong."),)


def judged(groups: list[int], lines: Sequence[bytes]) -> Verdicts:
    """A judge that finds every row `x` wrong, and remembers how many rows it was handed at once."""
    groups.append(len(lines))
    bad = tuple(RowFaults(place, WRONG) for place, line in enumerate(lines, 1) if line == b"x")
    return Verdicts(len(lines) - len(bad), bad)


def test_group_judge_gives_each_request_its_own_rows() -> None:
    """Whatever is judged together, a request hears of its rows alone, counted from 1."""
    groups: list[int] = []
    requests = [[b"x" if (number + place) % 3 == 0 else b"." for place in range(number)] for number in range(1, 40)]

    async def ask() -> list[Verdicts]:
        judge = GroupJudge(lambda lines: judged(groups, lines))
        return list(await asyncio.gather(*(judge.verdicts_on(lines) for lines in requests)))

    assert asyncio.run(ask()) == [judged([], lines) for lines in requests]
    assert len(groups) < len(requests)


def test_group_judge_takes_no_more_than_its_most_at_once() -> None:
    """A large request is judged by itself, and many small ones in groups of a bounded size."""
    groups: list[int] = []

    async def ask() -> None:
        judge = GroupJudge(lambda lines: judged(groups, lines))
        await asyncio.gather(*(judge.verdicts_on([b"."] * size) for size in (MOST_ROWS * 2, *[MOST_ROWS // 2] * 5)))

    asyncio.run(ask())
    assert groups == [MOST_ROWS * 2, MOST_ROWS, MOST_ROWS, MOST_ROWS // 2]


def test_group_judge_that_fails_lets_nobody_wait() -> None:
    """A judge that fails is told to all who wait, and the next request is judged again."""
    is_broken = threading.Event()
    is_broken.set()

    def judge(lines: Sequence[bytes]) -> Verdicts:
        if is_broken.is_set():
            raise RuntimeError("no engine")
        return Verdicts(len(lines))

    async def ask() -> list[object]:
        group = GroupJudge(judge)
        first = await asyncio.gather(*(group.verdicts_on([b"."]) for _ in range(3)), return_exceptions=True)
        is_broken.clear()
        return [*first, await group.verdicts_on([b"."])]

    *failed, good = asyncio.run(ask())
    assert ([str(error) for error in failed], good) == (["no engine"] * 3, Verdicts(1))


def test_group_judge_tells_when_its_engine_cannot_take_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """What is too much for the engine's memory is not judged; the requests beside it are, and no value is logged."""
    with Session(EngineLimits(memory="20MB", threads=1)) as session:

        def judge(lines: Sequence[bytes]) -> Verdicts:
            many = 10_000_000 if b"planted-secret" in lines else 1
            session.rows("select len(list(place || 'planted-secret')) from range(?) as numbers(place)", [many])
            return Verdicts(len(lines))

        async def ask() -> list[Verdicts]:
            group = GroupJudge(judge)
            requests = ([b"a", b"b"], [b"c", b"planted-secret"], [b"d"])
            return list(await asyncio.gather(*(group.verdicts_on(lines) for lines in requests)))

        assert asyncio.run(ask()) == [Verdicts(2), Verdicts(0, unjudged_count=2), Verdicts(1)]
    assert "could not be judged" in caplog.text and "planted-secret" not in caplog.text


def test_group_judge_takes_no_more_bytes_than_its_most_at_once() -> None:
    """Requests of few and long rows are judged in groups of a bounded size, too."""
    groups: list[int] = []

    async def ask() -> None:
        judge = GroupJudge(lambda lines: judged(groups, lines))
        await asyncio.gather(*(judge.verdicts_on([b"." * (MOST_BYTES // 2)]) for _ in range(5)))

    asyncio.run(ask())
    assert groups == [2, 2, 1]


@pytest.mark.parametrize("sizes", [[1], [2, 1], [1, 1, 1], [3]])
def test_group_judge_parts_what_is_all_bad(sizes: list[int]) -> None:
    """When every row is bad, each request has all of its own."""
    bad = tuple(RowFaults(row, WRONG) for row in range(1, sum(sizes) + 1))
    assert [len(each.bad) for each in parted(Verdicts(0, bad), sizes)] == sizes
    assert all(
        [fault.row for fault in each.bad] == list(range(1, len(each.bad) + 1))
        for each in parted(Verdicts(0, bad), sizes)
    )
