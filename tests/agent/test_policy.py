"""When a run is over: budgets, replies that cannot be read, circles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.base import Step
from agent.policy import Limits, repeats, unread
from tests.agent.scenes import click, did, seen


def walk(*moves: tuple[int, int]) -> list[Step]:
    """Steps of (where was clicked, the colour of the screen before)."""
    return [did(index, click(x), colour) for index, (x, colour) in enumerate(moves)]


def status(limits: Limits, steps: list[Step], seconds: float = 0.0, period: int = 1) -> str | None:
    """How a run ends whose last step, or round of so many, led back to the screen before it."""
    ending = limits.ending(steps, seconds, steps[-period].seen)
    return ending and ending.status


def test_a_run_within_its_limits_goes_on() -> None:
    assert Limits().ending([], 0.0, seen()) is None
    assert Limits().ending(walk((1, 1), (2, 2)), 1e9, seen()) is None


def test_each_budget_ends_a_run_when_it_is_used_up() -> None:
    steps = [did(index, click(index), index, tokens=10) for index in range(3)]
    assert status(Limits(max_steps=3), steps) == "max_steps"
    assert status(Limits(max_steps=4), steps) is None
    assert status(Limits(max_tokens=30), steps) == "max_tokens"
    assert status(Limits(max_tokens=31), steps) is None
    assert status(Limits(max_seconds=2.5), steps, 2.5) == "timeout"
    assert status(Limits(max_seconds=2.5), steps, 2.4) is None


@pytest.mark.parametrize("limit", ["max_steps", "max_seconds", "max_tokens", "parse_retries", "stuck_repeats"])
def test_a_limit_is_more_than_nothing(limit: str) -> None:
    value: Any
    for value in (0, -1, float("nan")):
        with pytest.raises(ValueError, match=f"{limit} must be more than 0"):
            replace(Limits(), **{limit: value})


def test_replies_that_cannot_be_read_count_only_in_a_row() -> None:
    bad, good = did(0, None, error="no action"), did(0, click(1))
    assert unread([bad, bad, good, bad]) == 1
    assert status(Limits(parse_retries=3), [good, bad, bad]) is None
    assert status(Limits(parse_retries=3), [good, bad, bad, bad]) == "parse_error"


def test_the_same_action_on_the_same_screen_is_a_repeat() -> None:
    assert [repeats(walk(*[(1, 1)] * n)) for n in range(5)] == [0, 1, 2, 3, 4]
    assert repeats(walk((1, 1), (1, 2), (1, 3), (1, 4))) == 1
    assert repeats(walk((1, 1), (2, 1), (3, 1), (4, 1))) == 1
    assert repeats(walk((9, 1), (1, 1), (1, 1))) == 2


@pytest.mark.parametrize("period", [2, 3])
def test_a_round_of_two_or_three_is_a_repeat(period: int) -> None:
    turn = [(move, move) for move in range(period)]
    assert repeats(walk(*turn * 3)) == 3
    assert repeats(walk((9, 9), *turn * 4)) == 4
    assert status(Limits(), walk(*turn * 4), period=period) == "stuck"
    assert status(Limits(), walk(*turn * 4)) is None
    assert status(Limits(), walk(*turn * 3), period=period) is None


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1)), max_size=14))
def test_repeats_are_those_that_a_plain_search_finds(moves: list[tuple[int, int]]) -> None:
    def times(period: int) -> int:
        last = moves[-period:]
        found = 1
        while len(moves) >= period * (found + 1) and moves[len(moves) - period * (found + 1) : len(moves) - period * found] == last:
            found += 1
        return found

    assert repeats(walk(*moves)) == max((times(period) for period in (1, 2, 3) if moves), default=0)


def test_what_changed_the_screen_at_last_is_no_repeat() -> None:
    steps = walk(*[(1, 1)] * 4)
    assert (repeats(steps, seen(1)), repeats(steps, seen(2))) == (4, 1)
    assert Limits().ending(steps, 0.0, seen(2)) is None


def test_the_model_is_told_before_the_last_repeat() -> None:
    notes = [Limits(stuck_repeats=4).advice(walk(*[(1, 1)] * n)) for n in range(5)]
    assert [bool(note) for note in notes] == [False, False, False, True, False]
    assert "3 times" in notes[3]


def test_replies_without_an_action_are_no_circle() -> None:
    assert status(Limits(parse_retries=9), [did(n, None) for n in range(6)]) is None
