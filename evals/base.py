"""What a benchmark is: tasks, where each starts, how an episode is scored. Knows no benchmark by name: the folder is the registry."""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, runtime_checkable

if TYPE_CHECKING:
    from agent.trajectory import Trajectory
    from environments.base import Environment
    from evals.episode import Episode
    from model.base import Model


class EvalError(ValueError):
    """A request that cannot be met: an unknown benchmark, task or seed. Its text is one line for a person and names the way out."""


class ScoringError(RuntimeError):
    """The checker itself failed: the episode counts as an error of the evaluation, never as a failure of the agent."""


class Unjudged(ScoringError):
    """Nobody was there to judge: what was recorded is whole and waits for a verdict, and running it again would not bring one."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a benchmark comes from, as the constant SOURCE of its file, written in literals: it is read without importing the file.

    data: whose tasks, pictures or pages. licence: of them. ran: what this project did with it: "whole" (whole episodes, on the real data),
    "part" (real data, not all of it), "loader" (its records are read and scored, nothing was run). get: how to get the data, in one line.
    synthetic: made by this project, never beside published numbers.
    """

    data: str
    licence: str
    ran: Literal["whole", "part", "loader"]
    get: str
    synthetic: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do.

    instruction: empty when it is known only once the environment has started (see `Benchmark.instruction`).
    seed: what this variant of the task is made from, None when there are no variants.
    max_steps, max_seconds: the benchmark's own budgets, None when it has none. times: how often the benchmark's list has it.
    metadata: JSON only; what the benchmark needs to score it.
    """

    id: str
    instruction: str = ""
    seed: int | None = None
    max_steps: int | None = None
    tags: tuple[str, ...] = ()
    max_seconds: float | None = None
    times: int = 1
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Score:
    """How an episode went.

    reward: in [0, 1]. raw: the benchmark's own number before any scaling, None when it gives none. reason: one line for a person.
    details: the benchmark's own, JSON only.
    """

    success: bool
    reward: float
    raw: float | None = None
    reason: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class Benchmark(Protocol):
    """Tasks, where each starts, how an episode is scored.

    Lives in evals/<name>.py beside a function `make(*, tasks: Sequence[str] = (), seeds: Sequence[int] = (), **options)` that
    builds it: no tasks means all of them, no seeds the benchmark's own. `make` raises EvalError for what it does not know.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def skipped(self) -> Mapping[str, str]:
        """The tasks that cannot be run here, by id, each with the reason in one line; they are not among `tasks`."""
        ...

    def tasks(self) -> Sequence[Task]:
        """The episodes asked for, in the order they are run: one Task for each task name and seed."""
        ...

    def environment(self, task: Task) -> Environment:
        """A fresh environment whose `reset` leads to the task's start. Who asked for it closes it."""
        ...

    def instruction(self, task: Task, env: Environment) -> str:
        """What the agent is told; asked before the agent resets the environment, which may be reset to find it out."""
        ...

    def score(self, task: Task, trajectory: Trajectory, env: Environment) -> Score:
        """Judge an episode that has ended, while its environment is still open."""
        ...

    def close(self) -> None:
        """Give everything back; may be called any number of times."""
        ...


@runtime_checkable
class Judged(Protocol):
    """A benchmark whose scores a judge gives, which may be a model and take its time."""

    judge: Any


@runtime_checkable
class Scripted(Protocol):
    """A benchmark that comes with oracles: models that know how each task is done."""

    @property
    def oracle_prompt(self) -> str:
        """The protocol they write in."""
        ...

    def oracle(self, task: Task, env: Environment) -> Model:
        """One for one episode. Raises EvalError for a task that has none."""
        ...


def benchmarks() -> tuple[str, ...]:
    """The names `make_benchmark` knows: the modules beside this one that define `make`, found without importing any."""
    return tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.py") if "\ndef make(" in file.read_text(encoding="utf-8")))


def make_benchmark(name: str, *, tasks: Sequence[str] = (), seeds: Sequence[int] = (), **options: Any) -> Benchmark:
    """The benchmark in evals/<name>.py. Raises EvalError when there is none of that name, or no such task."""
    known = benchmarks()
    if name not in known:
        raise EvalError(f"There is no benchmark {name!r}; there are: {', '.join(known)}.")
    return cast("Benchmark", importlib.import_module(f"evals.{name}").make(tasks=tasks, seeds=seeds, **options))


def official_metrics(benchmark: str, episodes: Sequence[Episode]) -> dict[str, Any]:
    """The benchmark's own figures, of a benchmark whose module has a function `metrics(episodes)`; JSON only. {} for any other."""
    if benchmark not in benchmarks():
        return {}
    metrics = getattr(importlib.import_module(f"evals.{benchmark}"), "metrics", None)
    return {} if metrics is None or not episodes else dict(metrics(episodes))


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds in "0-49,60": numbers from 0 and ranges with both ends included, each once. Raises EvalError for anything else."""
    seeds: dict[int, None] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", part, re.ASCII)
        if found is None or int(found[2] or found[1]) < int(found[1]):
            raise EvalError(f"{part!r} is no seed: give numbers and ranges from low to high, such as 0-49,60.")
        seeds.update(dict.fromkeys(range(int(found[1]), int(found[2] or found[1]) + 1)))
    return tuple(seeds)


def format_seeds(seeds: Sequence[int]) -> str:
    """What `parse_seeds` reads, as short as can be: "10000-10002,10005"."""
    runs: list[list[int]] = []
    for seed in sorted(set(seeds)):
        if runs and runs[-1][-1] == seed - 1:
            runs[-1][1:] = [seed]
        else:
            runs.append([seed])
    return ",".join("-".join(map(str, run)) for run in runs)


def parse_names(text: str) -> tuple[str, ...]:
    """The names in "a, b"."""
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def match_names(patterns: Sequence[str], known: Sequence[str], of: str) -> list[str]:
    """The known names that fit the patterns, each once: in the order of the patterns, then of the names.

    A pattern is a name, or has the wildcards of the shell: *, ? and [abc]. of: whose tasks these are, for the message.
    Raises EvalError for a pattern that fits none.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        fitting = [name for name in known if pattern == name or fnmatchcase(name, pattern)]
        if not fitting:
            near = difflib.get_close_matches(pattern, known, 3, 0.5) or known[:3]
            raise EvalError(f"{of} has no task {pattern!r}; it has {len(known)}, such as {', '.join(near)}.")
        found.update(dict.fromkeys(fitting))
    return list(found)
