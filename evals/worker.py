"""One pair of hands: runs one episode after another, in environments of its own. Knows no plan of many and no other worker."""

from __future__ import annotations

import errno
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from agent.agent import FULL, Agent
from agent.base import Step
from agent.trajectory import Trajectory
from environments.base import Environment, EnvironmentFault, Stopped
from evals.base import Benchmark, EvalError, Judged, Score, ScoringError, Unjudged
from evals.episode import Episode, Outcome, outcome
from evals.plan import Plan, Slot
from model.base import Completion, GenerationConfig, Message, Model, ModelError

UNJUDGED = "unjudged"
"""In an episode's details: it is whole and waits for a verdict, so that it need not be run again."""
OnStep = Callable[[Slot, Step], None]


@dataclass(frozen=True, slots=True)
class PerEpisode:
    """A model made anew for each episode, by its benchmark, slot and environment: an oracle."""

    name: str
    make: Callable[[Benchmark, Slot, Environment], Model]


class WorkerLost(RuntimeError):
    """The worker, or its environment, is gone in the middle of an episode. Its text is one line."""


class Stop(Exception):
    """An episode was stopped by a person or by the kill switch: so is the run. Its text is one line."""


class Worker(Protocol):
    """What runs episodes: here, or on another machine."""

    def run(self, slot: Slot, folder: Path) -> Episode:
        """Run an episode, its trajectory recorded in `folder`, which is new. Raises Stop, WorkerLost; EvalError and OSError end the run."""
        ...

    def stop(self) -> None:
        """End the episode under way before its next action; from another thread."""
        ...

    def close(self) -> None: ...


class LocalWorker:
    """Episodes in this process: each on a thread of its own, so that one that hangs can be left behind.

    make: a benchmark for this worker alone; made when first needed, and again after one was lost.
    """

    def __init__(
        self, make: Callable[[], Benchmark], model: Model | PerEpisode, plan: Plan, on_step: OnStep = lambda slot, step: None
    ) -> None:
        self._make, self._model, self._plan, self._on_step = make, model, plan, on_step
        self._benchmark: Benchmark | None = None
        self._agent: Agent | None = None
        self._stopping = False

    def run(self, slot: Slot, folder: Path) -> Episode:
        sign = _SignOfLife()
        ended: list[Episode | BaseException] = []

        def episode() -> None:
            try:
                ended.append(self._episode(slot, folder, sign))
            except BaseException as fault:  # handed on to the thread that asked
                ended.append(fault)
            sign.ended.set()

        threading.Thread(target=episode, name=f"episode {slot.key}", daemon=True).start()
        while not sign.ended.wait(0.5):
            if sign.silent() > self._plan.stall:
                sign.abandoned = True
                self._abandon()
                raise WorkerLost(f"Nothing happened for {self._plan.stall:g} s; the environment was given up.")
        found = ended[0]
        if isinstance(found, BaseException):
            raise found
        return found

    def stop(self) -> None:
        self._stopping = True
        agent = self._agent
        if agent is not None:
            agent.stop()

    def close(self) -> None:
        if self._benchmark is not None:
            self._benchmark.close()
            self._benchmark = None

    def _abandon(self) -> None:
        """Leave what hangs behind: its closing may hang, too, so nobody waits for it."""
        lost, self._benchmark = self._benchmark, None
        agent = self._agent
        if agent is not None:
            agent.trajectory.folder = None  # should it wake up: its folder is another attempt's by then
            agent.stop()
        if lost is not None:

            def close() -> None:
                with suppress(Exception):
                    lost.close()

            threading.Thread(target=close, daemon=True).start()

    def _episode(self, slot: Slot, folder: Path, sign: _SignOfLife) -> Episode:
        """Run and score one episode. What fails that is not the agent's doing is the episode's outcome; a stop is raised."""
        began = time.perf_counter()
        task = slot.task
        trajectory, score, error, reason, instruction = Trajectory(task.instruction), Score(False, 0.0), None, "", task.instruction
        details: dict[str, Any] = {}
        try:
            benchmark = self._ready(sign)
            with benchmark.environment(task) as env:
                instruction = benchmark.instruction(task, env)
                trajectory = self._act(slot, env, benchmark, instruction, folder, sign)
                if trajectory.status not in ("error", "stopped"):
                    with sign.at_work(isinstance(benchmark, Judged)):
                        score, error, reason, details = _scored(benchmark, slot, trajectory, env)
        except (EnvironmentFault, ModelError) as fault:
            error, reason = "model_error" if isinstance(fault, ModelError) else "env_error", str(fault)
        except EvalError:
            raise
        except Stopped as stopped:
            raise Stop(str(stopped)) from None
        except Exception as fault:  # of a benchmark or an environment: this episode's, not the run's
            if isinstance(fault, OSError) and fault.errno in FULL:
                raise
            error, reason = "env_error", f"{type(fault).__name__}: {fault}"
            details = {"fault": traceback.format_exc()}
        if trajectory.status == "stopped" or (self._stopping and trajectory.status in ("running", "error")):
            raise Stop(trajectory.reason)
        if trajectory.meta.get("fault_of") == "record":
            raise OSError(errno.ENOSPC, trajectory.reason)
        if trajectory.status == "error" and error is None:
            error, reason = "model_error" if trajectory.meta.get("fault_of") == "model" else "env_error", trajectory.reason
        record = _record(slot, trajectory, score, time.perf_counter() - began)
        status = error or outcome(score.success, trajectory.status)
        success = score.success and error is None
        reason = " ".join((reason or score.reason or trajectory.reason).split())
        return replace(record, instruction=instruction, status=status, success=success, reason=reason, details=details)

    def _ready(self, sign: _SignOfLife) -> Benchmark:
        """The benchmark, made if there is none. Raises Stop when the episode was given up meanwhile."""
        benchmark = self._benchmark or self._make()
        if sign.abandoned:
            if benchmark is not self._benchmark:
                benchmark.close()
            raise Stop("Given up.")
        self._benchmark = benchmark
        return benchmark

    def _act(self, slot: Slot, env: Environment, benchmark: Benchmark, instruction: str, folder: Path, sign: _SignOfLife) -> Trajectory:
        if sign.abandoned:
            raise Stop("Given up.")
        made = self._model.make(benchmark, slot, env) if isinstance(self._model, PerEpisode) else self._model

        def on_step(step: Step) -> None:
            sign.beat()
            if self._stopping:
                agent.stop()  # also when it came between two runs
            if not sign.abandoned:
                self._on_step(slot, step)

        plan = self._plan
        agent = self._agent = Agent(
            _Heard(made, sign), env, prompt=plan.prompt, limits=plan.limits_of(slot.task), grammar=plan.grammar, on_step=on_step
        )
        if self._stopping:
            raise Stop("Stopped on request.")
        try:
            return agent.run(instruction, out=folder)
        finally:
            if self._agent is agent:
                self._agent = None


class _SignOfLife:
    """When an episode last did something; while its model or its judge thinks it always does."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.thinking = self.abandoned = False
        self._last = time.monotonic()

    def beat(self) -> None:
        self._last = time.monotonic()

    @contextmanager
    def at_work(self, thinking: bool) -> Iterator[None]:
        self.thinking = thinking
        self.beat()
        try:
            yield
        finally:
            self.beat()
            self.thinking = False

    def silent(self) -> float:
        """Seconds."""
        return 0.0 if self.thinking else time.monotonic() - self._last


class _Heard:
    """A model, heard while it thinks."""

    def __init__(self, model: Model, sign: _SignOfLife) -> None:
        self.name, self._model, self._sign = model.name, model, sign

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        with self._sign.at_work(True):
            return self._model.generate(messages, config)


def _scored(
    benchmark: Benchmark, slot: Slot, trajectory: Trajectory, env: Environment
) -> tuple[Score, Outcome | None, str, dict[str, Any]]:
    """The score; or, when the checker failed: no score, eval_error, why, and the traceback."""
    try:
        score = benchmark.score(slot.task, trajectory, env)
    except (EnvironmentFault, Stopped):
        raise
    except Exception as fault:  # the border of the checker, which may be somebody else's
        if isinstance(fault, Unjudged):
            return Score(False, 0.0), "eval_error", str(fault), {UNJUDGED: True}
        kind = "" if isinstance(fault, ScoringError) else f"{type(fault).__name__}: "
        return Score(False, 0.0), "eval_error", f"{kind}{fault}", {"fault": traceback.format_exc()}
    if not 0.0 <= score.reward <= 1.0:
        return Score(False, 0.0), "eval_error", f"The checker gave a reward of {score.reward}, which is not from 0 to 1.", {}
    return score, None, "", dict(score.details)


def _record(slot: Slot, trajectory: Trajectory, score: Score, seconds: float) -> Episode:
    task, steps = slot.task, trajectory.steps
    return Episode(
        task=task.id,
        seed=task.seed,
        repeat=slot.repeat,
        status="failure",
        ended=trajectory.status if steps or trajectory.status != "running" else None,
        reward=score.reward,
        raw=score.raw,
        tags=task.tags,
        steps=len(steps),
        seconds=round(seconds, 3),
        model_seconds=round(sum(step.timings.get("generate", 0.0) for step in steps), 3),
        prompt_tokens=sum(step.completion.prompt_tokens for step in steps),
        completion_tokens=sum(step.completion.completion_tokens for step in steps),
        screenshot=steps[0].seen.screenshot.size if steps else None,
    )
