"""The trajectory every engine is driven through: a screenshot and some sixty text tokens a step, each reply told again, all of it kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from benchmarks.checkpoints import words
from model.base import Completion, GenerationConfig, Message, Model

SIZE = (644, 364)
"""Pixels of a screenshot: 299 tokens. Multiples of 28, so that nobody resizes it: libraries differ in that, and replies would."""
PATCHES = 46 * 26
WORDS = 48
NEW_TOKENS = 32


def screenshot(seed: int, step: int) -> Image.Image:
    """Coloured blocks: another picture at every step of every trajectory."""
    blocks = np.random.default_rng([seed, step]).integers(0, 256, (SIZE[1] // 7, SIZE[0] // 7, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(SIZE, Image.Resampling.NEAREST)


@dataclass(frozen=True, slots=True)
class Turn:
    """One step of an episode: how long the reply took, and what it was."""

    seconds: float
    completion: Completion


@dataclass(slots=True)
class Episode:
    """One conversation, stepped with whatever answers. No two seeds have a message in common."""

    seed: int
    messages: list[Message] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    def __post_init__(self) -> None:
        source = 1000 * self.seed
        self.messages.append(Message("system", (words(source, WORDS),)))
        self.messages.append(Message("user", (words(source + 1, WORDS), screenshot(self.seed, 0))))

    def run(self, model: Model, steps: int, config: GenerationConfig | None = None, note: Callable[[str], object] = str) -> list[Turn]:
        """So many steps further; the new turns. note: told of each."""
        for _ in range(steps):
            turn = self._step(model, config or GenerationConfig(max_tokens=NEW_TOKENS))
            note(f"seed {self.seed}, step {len(self.turns)}: {turn.seconds:.2f} s, {turn.completion.prompt_tokens} tokens")
        return self.turns[-steps:]

    def _step(self, model: Model, config: GenerationConfig) -> Turn:
        began = time.perf_counter()
        completion = model.generate(self.messages, config)
        turn = Turn(time.perf_counter() - began, completion)
        if completion.completion_tokens != config.max_tokens:
            raise SystemExit(f"{model.name} answered {completion.completion_tokens} tokens, not {config.max_tokens}: no comparison.")
        self.turns.append(turn)
        step = len(self.turns)
        self.messages.append(Message("assistant", (completion.content,)))
        self.messages.append(Message("tool", (words(1000 * self.seed + step + 1, WORDS), screenshot(self.seed, step))))
        return turn
