"""From logits to tokens: greedy or sampled, within what a grammar allows, until something says stop. Knows no text and no model."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from model.base import Coordinate, GenerationConfig, ModelError, StopReason

Choose = Callable[[torch.Tensor], int]
"""The next token from float32 logits (vocabulary,)."""


def greedy(logits: torch.Tensor) -> int:
    """The likeliest token; the first of equals."""
    return int(logits.argmax())


class Sampler:
    """A token drawn at a temperature from the smallest set of likeliest tokens that hold `top_p` of the probability."""

    def __init__(self, config: GenerationConfig) -> None:
        """Raises ModelError when temperature or top_p is out of range."""
        if config.temperature <= 0 or not 0 < config.top_p <= 1:
            raise ModelError(f"temperature must not be negative and top_p lie in (0, 1]: {config.temperature} and {config.top_p} do not.")
        self._temperature, self._top_p = config.temperature, config.top_p
        self._generator = torch.Generator()
        if config.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(config.seed)

    def __call__(self, logits: torch.Tensor) -> int:
        scaled = (logits.cpu().double() - logits.max().cpu()) / self._temperature
        probabilities, tokens = scaled.softmax(-1).sort(descending=True)
        before = probabilities.cumsum(-1) - probabilities
        kept = probabilities.masked_fill(before >= self._top_p, 0.0)
        return int(tokens[torch.multinomial(kept, 1, generator=self._generator)])


@dataclass(frozen=True, slots=True)
class Stop:
    """tokens: any of these ends the reply and is its last token. length: at most so many. deadline: on the clock of time.monotonic."""

    tokens: Collection[int]
    length: int
    deadline: float

    def reason(self, ids: list[int]) -> StopReason | None:
        if ids and ids[-1] in self.tokens:
            return "stop"
        if len(ids) >= self.length:
            return "length"
        return "time" if ids and time.monotonic() >= self.deadline else None


class Matcher(Protocol):
    """What a grammar allows next. forced: the tokens it leaves no choice about, accepted already. ended: nothing may follow but the end."""

    @property
    def ended(self) -> bool: ...

    def mask(self, logits: torch.Tensor) -> torch.Tensor: ...

    def accept(self, token: int) -> None: ...

    def forced(self) -> list[int]: ...


@dataclass(frozen=True, slots=True)
class Thinking:
    """A reply that begins with a thought, which `end` closes; then comes `after`. budget: at most so many tokens, then it is closed."""

    end: int
    after: tuple[int, ...] = ()
    budget: int | None = None


@dataclass(slots=True)
class Reply:
    """The tokens of one answer, chosen one at a time.

    barred: never chosen. matcher: of the answer, once the thought is over. coordinate: tells what coordinate a token at the end of some
    tokens is, given its logits, if it is one.
    ids: the tokens so far; forced: how many of them the grammar or the budget left no choice about. logprobs: one for each, within what was
    allowed. reason: why the reply is over, once it is.
    """

    choose: Choose
    stop: Stop
    barred: Collection[int] = ()
    matcher: Matcher | None = None
    thinking: Thinking | None = None
    coordinate: Callable[[Sequence[int], torch.Tensor], Coordinate | None] | None = None
    logprobs_wanted: bool = False
    ids: list[int] = field(default_factory=list)
    forced: int = 0
    logprobs: list[float] = field(default_factory=list)
    coordinates: list[Coordinate] = field(default_factory=list)
    reason: StopReason | None = None

    def begin(self) -> list[int]:
        """The tokens before the first choice: those that are forced from the start."""
        self.reason = self.stop.reason(self.ids)
        if self.thinking is None and self.reason is None:
            self._force(self._by_grammar())
        return list(self.ids)

    def next(self, logits: torch.Tensor) -> list[int]:
        """Choose from float32 logits (vocabulary,); the tokens that follow, none if the reply is over with them.

        Raises ModelError when the logits are no numbers or nothing that is allowed can be chosen.
        """
        before = len(self.ids)
        allowed = self._allowed(logits)
        token = self.choose(allowed)
        if not bool(allowed[token] > -torch.inf):
            raise ModelError("No token may follow here: what is allowed and what is barred leave nothing.")
        self.ids.append(token)
        if self.logprobs_wanted:
            self.logprobs.append(float(allowed[token] - allowed.logsumexp(-1)))
        if self.coordinate and (found := self.coordinate(self.ids, allowed)):
            self.coordinates.append(found)
        self._took(token)
        return [] if self.reason else self.ids[before:]

    def _allowed(self, logits: torch.Tensor) -> torch.Tensor:
        if not bool(logits.isfinite().all()):
            raise ModelError("The model's logits are not finite numbers: damaged weights, or an overflow that dtype='float32' avoids.")
        allowed = logits.clone()
        allowed[list(self.barred)] = -torch.inf
        if self.matcher is None:
            return allowed
        if self.thinking is None:
            return self.matcher.mask(allowed)
        allowed[list(self.stop.tokens)] = -torch.inf  # an answer is wanted: a thought does not end the reply
        return allowed

    def _took(self, token: int) -> None:
        """What follows from a token that was chosen."""
        if self.thinking is None:
            if self.matcher is not None:
                self.matcher.accept(token)
                self._force(self._by_grammar())
        elif token == self.thinking.end:
            self._close(())
        elif self.thinking.budget is not None and len(self.ids) >= self.thinking.budget:
            self._close((self.thinking.end,))
        self.reason = self.reason or self.stop.reason(self.ids)

    def _close(self, end: tuple[int, ...]) -> None:
        """The thought is over."""
        assert self.thinking is not None
        after = self.thinking.after if self.matcher else ()
        self.thinking = None
        self._force([*end, *after])
        self._force(self._by_grammar())

    def _by_grammar(self) -> list[int]:
        """What the grammar forces; when it is complete, the reply is over without a stop token being chosen."""
        if self.matcher is None:
            return []
        tokens = self.matcher.forced()
        if self.matcher.ended:
            self.reason = "stop"
        return tokens

    def _force(self, tokens: Sequence[int]) -> None:
        room = self.stop.length - len(self.ids)
        if len(tokens) > room:
            tokens, self.reason = tokens[:room], "length"
        self.ids += tokens
        self.forced += len(tokens)
        if self.logprobs_wanted:
            self.logprobs += [0.0] * len(tokens)
