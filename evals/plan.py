"""Which episodes a run has, and under which limits. Knows no folder and runs nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from agent.policy import Limits
from agent.prompts.base import Constraint
from evals.base import EvalError, Task
from evals.episode import key_of

STALL = 600.0
"""Seconds in which an episode may show no sign of life, the time of its model and of a judge not counted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a benchmark is run.

    prompt, limits, grammar: the agent's. max_steps: instead of the tasks' own budgets. limit: only the first so many episodes.
    repeats: how often each task and seed, times how often the benchmark's list has it. shard: (i, n), only each n-th episode, from the i-th
    on, counted from 1. workers: episodes at a time, each in an environment of its own. retries: how often an episode that ends in an error
    which is not the agent's is run again.
    stall: seconds; an episode that shows no sign of life for longer, while neither model nor judge is thinking, is given up and its
    environment replaced.
    """

    prompt: str
    limits: Limits = field(default_factory=Limits)
    grammar: Constraint = "actions"
    max_steps: int | None = None
    limit: int | None = None
    repeats: int = 1
    shard: tuple[int, int] | None = None
    workers: int = 1
    retries: int = 2
    stall: float = STALL

    def limits_of(self, task: Task) -> Limits:
        steps, seconds = self.max_steps or task.max_steps or self.limits.max_steps, self.limits.max_seconds or task.max_seconds
        return replace(self.limits, max_steps=steps, max_seconds=seconds)

    def settings(self) -> dict[str, Any]:
        """What an episode's outcome depends on; JSON only. How many run at a time, and which of them here, is not among it."""
        return {"prompt": self.prompt, "limits": asdict(self.limits), "grammar": self.grammar, "max_steps": self.max_steps}

    def slots(self, tasks: Sequence[Task]) -> list[Slot]:
        """The episodes, in the order they are run: all tasks once, then again. Raises EvalError when two have one key, or there is none."""
        most = self.repeats * max((task.times for task in tasks), default=0)
        slots = [Slot(task, repeat) for repeat in range(most) for task in tasks if repeat < self.repeats * task.times]
        if self.shard is not None:
            first, of = self.shard
            slots = slots[first - 1 :: of]
        slots = slots[: self.limit]
        if not slots:
            raise EvalError("There is no episode to run.")
        seen: set[str] = set()
        for slot in slots:
            if slot.key in seen:
                raise EvalError(f"The episode {slot.key} is asked for twice.")
            seen.add(slot.key)
        return slots


@dataclass(frozen=True, slots=True)
class Slot:
    """One episode of a plan."""

    task: Task
    repeat: int = 0

    @property
    def key(self) -> str:
        return key_of(self.task, self.repeat)


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) in "i/n". Raises EvalError unless 1 ≤ i ≤ n."""
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise EvalError(f"{text!r} is no shard: write i/n with i from 1 to n, such as 1/4.")
    return int(found[1]), int(found[2])
