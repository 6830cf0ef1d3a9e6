"""How a trajectory is put to a model and how its reply is read: one protocol a file, found by the file's name. Knows no loop and no disk."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, cast, runtime_checkable

from agent.base import Step
from environments.base import Observation
from model.base import Completion, GenerationConfig, Message
from tools.base import Tool

Surface = Literal["browser", "desktop"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a completion says. thought: its visible text without the call. memory: what it asks to be told again, "" when nothing."""

    action: Tool
    thought: str = ""
    memory: str = ""


@runtime_checkable
class Prompt(Protocol):
    """One way of talking to a model."""

    @property
    def name(self) -> str: ...

    def render(self, task: str, steps: Sequence[Step], seen: Observation) -> list[Message]:
        """The messages for the next step: a pure function of the task, the steps done and what is seen now."""
        ...

    def read(self, completion: Completion, seen: Observation) -> Reply:
        """The action in a completion. Raises ParseError, whose text tells the model what to do."""
        ...

    def generation(self) -> GenerationConfig:
        """How this protocol is best answered: its length, whether to think, the tools to declare."""
        ...


def prompts() -> tuple[str, ...]:
    """The names `make_prompt` knows."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "base"))


def make_prompt(name: str, surface: Surface) -> Prompt:
    """The protocol in agent/prompts/<name>.py. Raises ValueError, listing those there are, when there is none of that name."""
    if name not in prompts():
        raise ValueError(f"There is no prompt {name!r}; there are: {', '.join(prompts())}.")
    return cast("Prompt", importlib.import_module(f"agent.prompts.{name}").make(surface))
