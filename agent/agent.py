"""The loop: look, think, act, remember. Knows no model, no environment and no protocol by name."""

from __future__ import annotations

import errno
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from math import inf
from pathlib import Path
from typing import Any

from agent.base import Step
from agent.policy import Ending, Limits, tokens_written
from agent.prompts.base import Constraint, Prompt, make_prompt
from agent.trajectory import Trajectory
from environments.base import ActionError, Browser, Environment, EnvironmentFault, Observation, Stopped
from model.base import Completion, GenerationConfig, Model, ModelError
from tools.base import ParseError, Surface, Tool, ToolResult
from tools.control import AskUser, Wait

ENDED = Ending("done", "The environment ended the episode.")
STOPPED = Ending("stopped", "Stopped on request.")
FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS))
"""A disk that takes no more."""


class Agent:
    """A model at an environment. One run at a time; the environment is its owner's to close.

    prompt: a protocol or the name of one. generation: instead of the protocol's own way of answering; its tools and its grammar are the
    protocol's where it names none. grammar: "off" to let the model write what it likes, whatever the way of answering says.
    ask: answers a question of the model. on_step: told each step once it is recorded.
    """

    def __init__(
        self,
        model: Model,
        environment: Environment,
        *,
        prompt: Prompt | str = "tool_call",
        limits: Limits = Limits(),
        generation: GenerationConfig | None = None,
        grammar: Constraint = "actions",
        ask: Callable[[str], str] | None = None,
        on_step: Callable[[Step], None] | None = None,
    ) -> None:
        surface: Surface = "browser" if isinstance(environment, Browser) else "desktop"
        self.model, self.environment, self.limits = model, environment, limits
        self.prompt = make_prompt(prompt, surface) if isinstance(prompt, str) else prompt
        usual = self.prompt.generation()
        self.generation = usual if generation is None else replace(generation, tools=generation.tools or usual.tools)
        if generation is not None and generation.grammar == "off":
            self.generation = replace(self.generation, grammar=usual.grammar)
        if grammar == "off":
            self.generation = replace(self.generation, grammar="off")
        self.trajectory = Trajectory("", status="stopped")
        self._ask, self._on_step = ask, on_step
        self._stopping = threading.Event()
        self._began = time.monotonic()

    def run(self, task: str, *, out: Path | str | None = None) -> Trajectory:
        """Work on a task until it ends in one way or another, and say how: see `Trajectory.status`.

        out: a folder to record in. Raises OSError, before anything is done, when it holds a run already or cannot be written; whatever
        happens afterwards is saved with the run instead: Ctrl-C as "stopped", a fault as "error" with its traceback in meta["fault"] and
        whose it was in meta["fault_of"]: "model", "environment", or "record" when the disk takes no more.
        """
        self.start(task, out=out)
        try:
            while self.trajectory.status == "running":
                self.step()
        except KeyboardInterrupt:
            self._finish(Ending("stopped", "Interrupted from the keyboard."))
        except Stopped as stopped:
            self._finish(Ending("stopped", str(stopped)))
        except Exception as fault:  # the border of an episode: no fault is lost, none takes the other episodes with it
            self.trajectory.meta["fault"] = traceback.format_exc()
            full = isinstance(fault, OSError) and fault.errno in FULL
            self.trajectory.meta["fault_of"] = "model" if isinstance(fault, ModelError) else "record" if full else "environment"
            self._finish(Ending("error", _one_line(fault)))
        return self.trajectory

    def start(self, task: str, *, out: Path | str | None = None) -> None:
        """Begin a run that `step` carries on. Raises OSError as `run` does."""
        self._stopping.clear()
        self._began = time.monotonic()
        self.trajectory = Trajectory.start(task, out, self._meta())

    def step(self) -> Step | None:
        """Look, think, act and remember once; None when the run is over instead. A fault goes on to the caller, with its step recorded."""
        timings: dict[str, float] = {}
        with _timed(timings, "observe"):
            seen = self._look()
        if isinstance(seen, Ending):
            self._finish(seen)
            return None
        step = Step(len(self.trajectory.steps), seen, self._think(seen, timings), None, ToolResult(), timings=timings)
        try:
            with _timed(timings, "read"):
                reply = self.prompt.read(step.completion, seen)
            step = replace(step, action=reply.action, thought=reply.thought, memory=reply.memory)
            with _timed(timings, "act"):
                step = replace(step, result=self._act(reply.action, seen))
        except ParseError as error:
            step = replace(step, result=ToolResult(error=f"{_cut_off(step.completion)}{error}"))
        except ActionError as error:
            step = replace(step, result=ToolResult(error=str(error)))
        except BaseException as fault:
            self.trajectory.add(replace(step, result=ToolResult(error=_one_line(fault))))
            raise
        return self._remember(step, timings)

    def stop(self) -> None:
        """End the run under way before its next action; to be called from another thread or a signal handler."""
        self._stopping.set()

    def _look(self) -> Observation | Ending:
        if self.trajectory.status != "running" or self._stopping.is_set():
            return STOPPED
        seen = self.environment.observe() if self.trajectory.steps else self.environment.reset()
        if seen.terminated:
            return ENDED
        spent = self.limits.ending(self.trajectory.steps, self._seconds(), seen)
        return STOPPED if self._stopping.is_set() else spent or seen

    def _think(self, seen: Observation, timings: dict[str, float]) -> Completion:
        with _timed(timings, "render"):
            messages = self.prompt.render(self.trajectory.task, self.trajectory.steps, seen)
        with _timed(timings, "generate"):
            return self.model.generate(messages, self._budgeted())

    def _act(self, action: Tool, seen: Observation) -> ToolResult:
        if self._stopping.is_set():
            return ToolResult(error="This was not done: the run was stopped.")
        if isinstance(action, Wait):  # the one action that lasts: a stop or the end of the time ends it
            self._stopping.wait(min(action.seconds, self._seconds_left()))
            return ToolResult()
        if not isinstance(action, AskUser):
            return action.run(self.environment, seen)
        if self._ask is None:
            return ToolResult(error="Nobody is there to ask. Go on as well as you can without an answer.")
        return ToolResult(output=self._ask(action.question))

    def _remember(self, step: Step, timings: dict[str, float]) -> Step:
        step = replace(step, note=self.limits.advice([*self.trajectory.steps, step]))
        with _timed(timings, "record"):
            self.trajectory.add(step)
        if self._on_step is not None:
            self._on_step(step)
        if step.result.status == "done":
            self._finish(Ending("done", "The model says so."), step.result.output)
        elif step.result.status == "failed":
            self._finish(Ending("failed", step.result.output or "The model gave up."))
        return step

    def _finish(self, ending: Ending, answer: str = "") -> None:
        """End the run, once. What cannot be written is no reason to lose what is in memory."""
        if self.trajectory.status != "running":
            return
        reason = " ".join(ending.reason.split())  # a model's words, in part
        try:
            self.trajectory.finish(ending.status, reason, answer)
        except OSError as error:
            self.trajectory.status = "error"
            self.trajectory.reason = f"{reason} How it ended could not be recorded: {_one_line(error)}"

    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _seconds_left(self) -> float:
        return inf if self.limits.max_seconds is None else max(0.0, self.limits.max_seconds - self._seconds())

    def _budgeted(self) -> GenerationConfig:
        """The way of answering, cut to what is left of the budgets."""
        config = self.generation
        if self.limits.max_tokens is not None:
            config = replace(config, max_tokens=min(config.max_tokens, self.limits.max_tokens - tokens_written(self.trajectory.steps)))
        if self.limits.max_seconds is not None:
            config = replace(config, max_seconds=min(self._seconds_left(), inf if config.max_seconds is None else config.max_seconds))
        return config

    def _meta(self) -> dict[str, Any]:
        answering = asdict(replace(self.generation, on_text=None, cancelled=None))
        answering |= {"tools": [tool["name"] for tool in self.generation.tools]}
        usual, grammar = self.prompt.generation().grammar, self.generation.grammar
        answering |= {"grammar": "off" if grammar == "off" else "actions" if grammar == usual else "own"}
        return {
            "model": self.model.name,
            "environment": type(self.environment).__name__,
            "prompt": self.prompt.name,
            "limits": asdict(self.limits),
            "generation": answering,
        }


@contextmanager
def _timed(timings: dict[str, float], phase: str) -> Iterator[None]:
    began = time.perf_counter()
    try:
        yield
    finally:
        timings[phase] = time.perf_counter() - began


def _cut_off(completion: Completion) -> str:
    """Why a reply may hold no action, which its text alone does not tell: a thought too long leaves nothing of it."""
    if completion.stop_reason == "stop":
        return ""
    return f"The reply was cut off after {completion.completion_tokens} tokens: think and say less. "


def _one_line(fault: BaseException) -> str:
    """Our own faults say what happened in words; any other needs its kind to be understood."""
    text = " ".join(str(fault).split())
    return text if isinstance(fault, ModelError | EnvironmentFault | Stopped) else f"{type(fault).__name__}: {text}".removesuffix(": ")
