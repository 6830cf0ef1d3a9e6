"""What is said to a model and what comes back: messages in, a completion out. Knows no weights, no tokens, no screen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

Role = Literal["system", "user", "assistant", "tool"]
StopReason = Literal["stop", "length", "time"]
Grid = tuple[int, int, int]
"""Patches of an image: (frames, rows, columns)."""


class ModelError(RuntimeError):
    """A model that cannot be loaded or cannot answer. Its text is one line for a person: what happened, to what, and the way out."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call in the model's native form: strings are raw text, everything else is JSON."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Text in `content` is never trusted: whatever it says, it cannot become a control token.

    reasoning, calls: of an assistant turn only, put where the chat template puts them.
    """

    role: Role
    content: tuple[str | Image.Image, ...] = ()
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How to answer.

    max_tokens: at most this many new tokens. temperature: 0 is greedy; top_p: in (0, 1]. seed: of the sampling.
    thinking: let the model reason before it answers. tools: JSON schemas of the functions it may call natively
    ({"name", "description", "parameters"}). max_seconds: stop decoding after this long (stop reason "time").
    """

    max_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    thinking: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    max_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said: the answer with its control tokens as text, the reasoning apart, and what it cost in tokens.

    cached_tokens: how many of prompt_tokens were not computed again. token_ids: the new tokens exactly as decoded, the stop token included.
    """

    content: str
    reasoning: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    stop_reason: StopReason = "stop"
    token_ids: tuple[int, ...] = ()


@runtime_checkable
class Model(Protocol):
    """Anything that answers. Raises ModelError, never an error of the library beneath it."""

    @property
    def name(self) -> str: ...

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion: ...
