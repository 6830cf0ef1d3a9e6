"""What is said to a model and what comes back: messages in, a completion out. Knows no weights, no tokens, no screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from PIL import Image

Role = Literal["system", "user", "assistant", "tool"]
StopReason = Literal["stop", "length", "time"]
Grid = tuple[int, int, int]
"""Patches of an image: (frames, rows, columns)."""


class ModelError(RuntimeError):
    """A model that cannot be loaded or cannot answer. Its text is one line for a person: what happened, to what, and the way out."""


class PromptError(ModelError):
    """A prompt that this model cannot read: empty, longer than the context, an image of an unfit shape."""


class GrammarError(ModelError):
    """A grammar that cannot be compiled, or that no token of this model satisfies."""


class CacheFull(ModelError):
    """A prompt whose keys and values do not fit into the engine's memory budget."""


class OutOfMemory(ModelError):
    """The machine's memory did not suffice for this request."""


class Cancelled(ModelError):
    """The caller withdrew the request."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call in the model's native form: strings are raw text, everything else is JSON."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. Text in `content` is never trusted: whatever it says, it cannot become a control token.

    reasoning, calls: of an assistant turn only, put where the chat template puts them. token_ids: how the model itself spelled such a turn
    (`Completion.token_ids`); taken instead where they spell the same text, so that a KV cache need not be computed anew behind them.
    """

    role: Role
    content: tuple[str | Image.Image, ...] = ()
    reasoning: str = ""
    calls: tuple[ToolCall, ...] = ()
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ScreenshotWindow:
    """Old screenshots leave a prompt in blocks: at least the last `keep` stay, and beyond them the oldest leave `drop` at a time.

    evict: take a screenshot's keys and values out of the KV cache and leave everything else as it was computed. That is cheap, and not the
    same as a prompt without it: the text behind was read while it was there. Otherwise the screenshot's place is taken by the words
    `OMITTED` and what follows is read again, which costs no vision work and equals a prompt written so in the first place.
    """

    keep: int
    drop: int = 1
    evict: bool = False

    def __post_init__(self) -> None:
        """Raises ValueError unless both numbers are at least 1."""
        if min(self.keep, self.drop) < 1:
            raise ValueError(f"a window keeps and drops at least one screenshot, not {self.keep} and {self.drop}")

    def dropped(self, images: int) -> int:
        """How many of the oldest of so many images are gone."""
        return max(0, images - self.keep) // self.drop * self.drop


OMITTED = "(Omitted in context.)"
"""What stands for a screenshot that has left (the words of GLM-V's desktop protocol, examples/gui-agent/glm-45v/agent.md)."""


@dataclass(frozen=True, slots=True)
class GenerationConfig:
    """How to answer.

    max_tokens: at most this many new tokens. temperature: 0 is greedy; top_p: in (0, 1]. seed: of the sampling.
    thinking: let the model reason before it answers; thinking_budget: at most this many tokens of it, then the thought is closed.
    tools: JSON schemas of the functions it may call natively ({"name", "description", "parameters"}).
    grammar: what the answer, after the reasoning, must look like: a grammar in llguidance's Lark, control tokens by name; "off" for none.
    stop: control tokens (such as "</tool_call>") that end the reply, besides the model's own.
    max_seconds: stop decoding after this long (stop reason "time"). window: how many screenshots stay in the prompt; None keeps all.
    logprobs: give the log-probability of each new token.
    on_text: called with each piece of the reply's text as it comes, from the engine's thread. cancelled: asked between decode steps;
    once true, the request ends with `Cancelled`.
    """

    max_tokens: int = 1024
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    thinking: bool = False
    thinking_budget: int | None = None
    tools: tuple[Mapping[str, Any], ...] = ()
    grammar: str = "off"
    stop: tuple[str, ...] = ()
    max_seconds: float | None = None
    window: ScreenshotWindow | None = None
    logprobs: bool = False
    on_text: Callable[[str], object] | None = field(default=None, compare=False)
    cancelled: Callable[[], bool] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Coordinate:
    """A coordinate the model wrote. index: of its token in token_ids. value: 0 to 999. probability: that the model gave, there, to this
    value and its neighbours within `NEIGHBOURS` thousandths, of all coordinates it could have written."""

    index: int
    value: int
    probability: float


NEIGHBOURS = 12
"""Thousandths to either side that count as the same place: on a 1080p screen 23 pixels across and 13 down, about a small button."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said: the answer with its control tokens as text, the reasoning apart, and what it cost in tokens.

    cached_tokens: how many of prompt_tokens were not computed again. token_ids: the new tokens exactly as decoded, the stop token included.
    forced_tokens: how many of them the grammar left no choice about; they were fed without being decoded. logprobs: natural logarithms,
    one for each new token, if they were asked for. coordinates: those in the reply, with how sure the model was.
    """

    content: str
    reasoning: str = ""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    stop_reason: StopReason = "stop"
    token_ids: tuple[int, ...] = ()
    forced_tokens: int = 0
    logprobs: tuple[float, ...] = ()
    coordinates: tuple[Coordinate, ...] = ()


@runtime_checkable
class Model(Protocol):
    """Anything that answers. Raises ModelError, never an error of the library beneath it."""

    @property
    def name(self) -> str: ...

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion: ...
