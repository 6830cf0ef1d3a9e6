"""How a trajectory is put to a model and its reply read: one protocol a file, found by the file's name. Knows no loop and no disk."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from agent.base import Step
from environments.base import Observation
from model.base import Completion, GenerationConfig, Message
from tools.base import ActionSpace, Surface, Tool
from tools.grammar import is_free_text

Constraint = Literal["actions", "off"]
"""What a reply may be: one that holds an action of the protocol, or anything."""
FOLDER = Path(__file__).parent
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")


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

    @property
    def actions(self) -> ActionSpace:
        """What the model may do, and how it is written."""
        ...

    def render(self, task: str, steps: Sequence[Step], seen: Observation) -> list[Message]:
        """The messages for the next step: a pure function of the task, the steps done and what is seen now."""
        ...

    def read(self, completion: Completion, seen: Observation) -> Reply:
        """The action in a completion. Raises ParseError, whose text tells the model what to do."""
        ...

    def reply(self, step: Step) -> str:
        """What a model says for this step, control tokens spelled out, its reasoning first where the protocol has it reason: what `read`
        takes a step's action, thought and memory from. A thought that the grammar does not admit is left out.

        Raises ValueError for a step without an action of this protocol, and for a memory that it cannot say.
        """
        ...

    def generation(self) -> GenerationConfig:
        """How this protocol is best answered: its length, whether to think, the tools to declare, the grammar of a reply."""
        ...


def prompts() -> tuple[str, ...]:
    """The names `make_prompt` knows."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if module.name != "base"))


def make_prompt(name: str, surface: Surface) -> Prompt:
    """The protocol in agent/prompts/<name>.py. Raises ValueError, listing those there are, when there is none of that name."""
    if name not in prompts():
        raise ValueError(f"There is no prompt {name!r}; there are: {', '.join(prompts())}.")
    return cast("Prompt", importlib.import_module(f"agent.prompts.{name}").make(surface))


@cache
def wording(name: str) -> Any:
    """The sentences of a protocol: the macros in prompts/<name>.jinja2, each a function that gives text.

    Whatever a screen may have put into a value is written with the filter `quoted`: on one line, so that it can neither end what marks it
    as words from the screen nor begin anything else.
    """
    source = Environment(loader=FileSystemLoader(FOLDER), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
    source.filters |= {"quoted": quoted, "unboxed": unboxed}
    return source.get_template(f"{name}.jinja2").module


def called(actions: ActionSpace, step: Step) -> str:
    """A step's call. Raises ValueError when its action is none of these."""
    if step.action is None or type(step.action) not in actions.tools:
        raise ValueError(f"Step {step.index} has no action of this protocol: leave it out.")
    return actions.render(step.action)


def reasoned(step: Step, said: str) -> str:
    """What was said in a step behind its reasoning, as the chat template puts both."""
    return f"<think>{step.completion.reasoning.strip()}</think>\n{said}"


def prose_of(step: Step, most: int) -> str:
    """A step's thought as a line before its call, where a grammar's free text of so many characters admits it; else nothing."""
    line = f"{step.thought.strip()}\n"
    return line if line.strip() and is_free_text(line, most) else ""


def unboxed(text: str) -> str:
    """A model's words without the tokens with which GLM marks what matters: told again, they would be other tokens that spell the same."""
    return _BOX.sub("", text)


def quoted(text: str, room: int = 1000) -> str:
    """Text in double quotes on one line, with escapes for all that cannot be seen; what goes beyond its room in characters is left out."""
    line = json.dumps(text if len(text) <= room else f"{text[: room - 1]}…", ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)
