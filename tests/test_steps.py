"""Steps: the same work, seen, timed and noted."""

import pytest

from flows.steps import noted_step, plain_step
from lake.run import begin_run


def test_steps_pass_arguments_and_answer_through() -> None:
    """A step gives the work's own answer, and keeps the work's own name."""
    step = noted_step(plain_step, begin_run("test"), {})

    def add(one: int, other: int = 0) -> int:
        return one + other

    wrapped = step("add", add)

    assert wrapped(2, other=3) == 5
    assert wrapped.__name__ == "add"


def test_steps_note_start_end_and_seconds() -> None:
    """Every step is noted when it starts and when it ends, with how long it took."""
    run = begin_run("test")
    seconds: dict[str, float] = {}

    noted_step(plain_step, run, seconds)("land sales", lambda: None)()

    assert [(event.kind, event.subject) for event in run.events] == [
        ("step-started", "land sales"),
        ("step-finished", "land sales"),
    ]
    assert seconds == {"land sales": run.events[-1].details["seconds"]}


def test_steps_note_a_failure_and_let_it_through() -> None:
    """A failing step is noted as failed, with the error's kind but not its words, which may hold data."""
    run = begin_run("test")

    def fail() -> None:
        raise ValueError("secret row")

    with pytest.raises(ValueError, match="secret row"):
        noted_step(plain_step, run, {})("land sales", fail)()

    assert run.events[-1].details["outcome"] == "failed"
    assert run.events[-1].details["error"] == "ValueError"
    assert "secret" not in str(run.events[-1])


def test_steps_seconds_add_up_over_attempts() -> None:
    """A step that is tried twice counts the seconds of both attempts."""
    run = begin_run("test")
    seconds = {"land sales": 10.0}

    noted_step(plain_step, run, seconds)("land sales", lambda: None)()

    assert seconds["land sales"] >= 10.0
