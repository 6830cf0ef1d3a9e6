"""How long a run may go on: budgets, malformed replies, going round in circles. Knows no model, no prompt and no disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agent.base import Status, Step
from environments.base import Observation

LONGEST_CYCLE = 3
"""Going round in circles is recognised for circles of up to this many steps."""


class Ending(NamedTuple):
    """How a run ends, and why in one line for a person."""

    status: Status
    reason: str


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may use up; None is without limit. Raises ValueError for a limit that is not positive.

    max_seconds: from the start, the environment's own included. max_tokens: tokens the model writes, over the whole run.
    parse_retries: so many replies in a row that hold no action end the run. stuck_repeats: so do so many repeats of the same action, or
    the same round of two or three, on a screen where none of them changes anything.
    """

    max_steps: int = 30
    max_seconds: float | None = None
    max_tokens: int | None = None
    parse_retries: int = 3
    stuck_repeats: int = 4

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be more than 0, not {value}.")

    def ending(self, steps: Sequence[Step], seconds: float, now: Observation) -> Ending | None:
        """How a run that has lasted so many seconds and sees this now ends before its next step; None when it goes on."""
        if self.max_seconds is not None and seconds >= self.max_seconds:
            return Ending("timeout", f"The time was up after {self.max_seconds:g} s.")
        if self.max_tokens is not None and tokens_written(steps) >= self.max_tokens:
            return Ending("max_tokens", f"All {self.max_tokens} tokens were used.")
        if unread(steps) >= self.parse_retries:
            return Ending("parse_error", f"{self.parse_retries} replies in a row held no action; the last: {steps[-1].result.error}")
        if repeats(steps, now) >= self.stuck_repeats:
            return Ending("stuck", f"The same was done {self.stuck_repeats} times and nothing changed.")
        if len(steps) >= self.max_steps:
            return Ending("max_steps", f"All {self.max_steps} steps were used.")
        return None

    def advice(self, steps: Sequence[Step]) -> str:
        """What the model is told when one repeat more would end the run, else ""; what the last repeat led to is not known yet."""
        times = repeats(steps)
        if times < 2 or times != self.stuck_repeats - 1:
            return ""
        return f"You have done the same {times} times on the same screen. If it is unchanged, do something else: once more ends the run."


def tokens_written(steps: Sequence[Step]) -> int:
    """The tokens of all completions, reasoning included."""
    return sum(step.completion.completion_tokens for step in steps)


def unread(steps: Sequence[Step]) -> int:
    """How many replies in a row, up to now, held no action."""
    return next((n for n, step in enumerate(reversed(steps)) if step.action is not None), len(steps))


def repeats(steps: Sequence[Step], now: Observation | None = None) -> int:
    """How many times in a row the last action, or round of up to LONGEST_CYCLE actions, was done with the same screens before it.

    now: what is seen after the last time; where that changed the screen, nothing was repeated in vain and it is one time.
    """
    times = {period: 1 + _unchanged(steps, period) // period for period in range(1, min(LONGEST_CYCLE, len(steps)) + 1)}
    if now is not None:
        times = {period: n if n == 1 or _same_screen(steps[-period].seen, now) else 1 for period, n in times.items()}
    return max(times.values(), default=0)


def _unchanged(steps: Sequence[Step], period: int) -> int:
    """How many of the last steps are the same as the one a period before."""
    later, earlier = reversed(steps), reversed(steps[:-period])
    return next((n for n, (a, b) in enumerate(zip(later, earlier, strict=False)) if not _same(a, b)), max(0, len(steps) - period))


def _same(a: Step, b: Step) -> bool:
    return a.action is not None and a.action == b.action and _same_screen(a.seen, b.seen)


def _same_screen(a: Observation, b: Observation) -> bool:
    if a.png is not None and a.png == b.png:
        return True
    return a.screenshot.size == b.screenshot.size and a.screenshot.tobytes() == b.screenshot.tobytes()
