"""A prompt on its way to an answer: how far it has been read, and what is to be read next. Knows no weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from model.decode import Reply
from model.layout import Layout
from model.prefix import Sequence as Read


@dataclass(slots=True, eq=False)
class Request:
    """A prompt to be answered. on_tokens: told all tokens of the reply so far after each choice. cancelled: asked between rounds.

    cached: how many tokens of the prompt were not read again. read: so many tokens, evicted ones included, are behind it in `sequence`.
    new: the reply's tokens that are to be read behind the prompt. withdrawn: nobody waits for it any more.
    """

    layout: Layout
    reply: Reply
    on_tokens: Callable[[Sequence[int]], object] | None = None
    cancelled: Callable[[], bool] | None = None
    cached: int = 0
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)
    withdrawn: bool = False
    sequence: Read | None = None
    read: int = 0
    new: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Tokens to be read before the next choice."""
        return len(self.layout) + len(self.new)

    @property
    def prefilling(self) -> bool:
        return self.read < len(self.layout)

    @property
    def unwanted(self) -> bool:
        return self.withdrawn or (self.cancelled is not None and self.cancelled())

    def span(self, end: int, keys: bool = False) -> tuple[NDArray[np.int64], torch.Tensor, NDArray[np.bool_]]:
        """ids (or keys), positions (3, n) and kept of the tokens from where it stands up to `end`: of the prompt, then of the reply."""
        layout, start, length = self.layout, self.read, len(self.layout)
        new = np.array(self.new[max(0, start - length) : max(0, end - length)], dtype=np.int64)
        ids = np.concatenate([(layout.keys if keys else layout.ids)[start:end], new])
        first = layout.following + max(0, start - length)
        positions = np.concatenate([layout.positions[:, start:end], np.broadcast_to(np.arange(first, first + len(new)), (3, len(new)))], 1)
        return ids, torch.from_numpy(positions), np.concatenate([layout.kept[start:end], np.ones(len(new), dtype=bool)])
