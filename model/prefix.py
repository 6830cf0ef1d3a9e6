"""What has been read is not read again: sequences that are kept, and which of them a prompt goes on from. Knows no weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.kv import KV
from model.layout import Layout, common

AT_REST = 128
"""So many sequences are kept at most: a prompt is compared with each of them, and a small model's would never fill the budget."""


@dataclass(slots=True, eq=False)
class Sequence:
    """Tokens that were read, and their keys and values. kept: false for those that were evicted, of which kv holds nothing."""

    kv: KV
    keys: NDArray[np.int64]
    kept: NDArray[np.bool_]

    @classmethod
    def empty(cls, kv: KV) -> Sequence:
        return cls(kv, np.empty(0, dtype=np.int64), np.empty(0, dtype=bool))

    def common(self, layout: Layout) -> int:
        """How many tokens a prompt shares with this sequence from the start; its last token is always to be read, for its logits."""
        same = common(self.keys, layout.keys[:-1])
        lost = np.flatnonzero(layout.kept[:same] & ~self.kept[:same])  # evicted here, wanted there
        return int(lost[0]) if len(lost) else same

    def fit(self, layout: Layout, length: int) -> None:
        """Go back to the first tokens, which the prompt shares, and evict those of them that it does not keep."""
        kept = self.kept[:length]
        self.kv.crop(int(kept.sum()))
        if (kept & ~layout.kept[:length]).any():
            self.kv.keep(torch.from_numpy(np.flatnonzero(layout.kept[:length][kept])))
        self.keys, self.kept = self.keys[:length], kept & layout.kept[:length]

    def bytes_of(self, length: int) -> int:
        """That `fork` would take."""
        return self.kv.bytes_of(int(self.kept[:length].sum()))

    def fork(self, length: int) -> Sequence:
        """Another that begins with the same tokens."""
        kept = self.kept[:length]
        return Sequence(self.kv.copy(int(kept.sum())), self.keys[:length], kept)


class PrefixCache:
    """Sequences at rest, the least recently used first: AT_REST at most, and with those in use no more than `budget` bytes."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.idle: list[Sequence] = []

    @property
    def bytes(self) -> int:
        return sum(sequence.kv.bytes for sequence in self.idle)

    def give(self, sequence: Sequence) -> None:
        """Keep a sequence for later, in place of those it goes on from."""
        if len(sequence.keys):
            self.idle.append(sequence)
            del self.idle[:-AT_REST]

    def take(self, layout: Layout, busy: Iterable[Sequence], used: int) -> tuple[Sequence | None, int]:
        """The sequence that shares most with a prompt, and how many tokens; (None, 0) when none does.

        A sequence at rest is handed out itself when at least half of it is shared or it would have to go for its copy, else forked, so that
        what else it holds is not lost; one in use is always forked, or nothing is shared. used: bytes of those in use.
        """
        resting, best = max(((s, s.common(layout)) for s in self.idle), key=lambda found: found[1], default=(None, 0))
        working, most = max(((s, s.common(layout)) for s in busy), key=lambda found: found[1], default=(None, 0))
        if working is not None and most > best:
            if not self.make_room(working.bytes_of(most), used):
                return None, 0
            found, best = working.fork(most), most
        elif resting is None or not best:
            return None, 0
        elif 2 * best < len(resting.keys) and self.make_room(resting.bytes_of(best), used) and resting in self.idle:
            found = resting.fork(best)
        else:
            self.idle = [sequence for sequence in self.idle if sequence is not resting]
            found = resting
        found.fit(layout, best)
        return found, best

    def make_room(self, wanted: int, used: int) -> bool:
        """Forget the least recently used until so many bytes are free beside those used elsewhere; whether that could be done."""
        while self.idle and self.bytes + used + wanted > self.budget:
            self.idle.pop(0)
        return self.bytes + used + wanted <= self.budget
