"""From logits to tokens: greedy or sampled, until something says stop. Knows no text and no model."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch

from model.base import GenerationConfig, ModelError, StopReason

Choose = Callable[[torch.Tensor], int]
"""The next token from float32 logits (vocabulary,)."""


def greedy(logits: torch.Tensor) -> int:
    """The likeliest token; the first of equals."""
    return int(logits.argmax())


def barring(token: int, choose: Choose) -> Choose:
    """The same choice among all tokens but one."""

    def other(logits: torch.Tensor) -> int:
        allowed = logits.clone()
        allowed[token] = -torch.inf
        return choose(allowed)

    return other


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


def decode(logits: torch.Tensor, feed: Callable[[list[int]], torch.Tensor], choose: Choose, stop: Stop) -> tuple[list[int], StopReason]:
    """New tokens, and why they end. logits: after the prompt; feed: gives those after one more token."""
    ids: list[int] = []
    while not (reason := stop.reason(ids)):
        if ids:
            logits = feed(ids[-1:])
        if not bool(logits.isfinite().all()):
            raise ModelError("The model's logits are not finite numbers: damaged weights, or an overflow that dtype='float32' avoids.")
        ids.append(choose(logits))
    return ids, reason
