"""Coordinates among the tokens: reading a point off a distribution over thousandths, and how sure the model was of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from model.base import NEIGHBOURS, Coordinate, ModelError


def smooth(probabilities: torch.Tensor, width: int) -> torch.Tensor:
    """Each probability (…, n) averaged with its neighbours, `width` in all (odd); beyond the ends there are zeros."""
    return F.avg_pool1d(probabilities.unsqueeze(-2), width, stride=1, padding=width // 2).squeeze(-2)


class Pointing:
    """Greedy choice of the next token that averages neighbouring coordinates.

    For checkpoints whose vocabulary has one token per coordinate: `[0` … `[999` for x, `,0` … `,999` for y.
    """

    def __init__(self, token_id: Callable[[str], int | None], width: int) -> None:
        """token_id: of a token by its spelling. width: how many neighbouring thousandths are averaged; odd. Raises ModelError."""
        if not isinstance(width, int) or width < 1 or width % 2 == 0:
            raise ModelError(f"point_smoothing must be an odd number of thousandths, not {width!r}.")
        self._width = width
        self._axes = [_axis(token_id, first) for first in "[,"]
        self._members = [frozenset(axis.tolist()) for axis in self._axes]

    def __call__(self, logits: torch.Tensor) -> int:
        """The next token from logits (vocabulary,)."""
        best = int(logits.argmax())
        for axis, members in zip(self._axes, self._members, strict=True):
            if best in members:
                probabilities = logits[axis.to(logits.device)].softmax(-1)
                return int(axis[int(smooth(probabilities, self._width).argmax())])
        return best


class Coordinates:
    """Which tokens are coordinates: `[412` and `,305` where the vocabulary has them whole, else the numbers behind a bracket or a comma."""

    def __init__(self, token_id: Callable[[str], int | None], spelling: Callable[[Sequence[int]], str]) -> None:
        """token_id: of a token by its spelling; spelling: the text of tokens."""
        axes = {first: [token_id(f"{first}{n}") for n in range(1000)] for first in ("[", ",", "")}
        whole = {first: [i for i in axis if i is not None] for first, axis in axes.items() if None not in axis}
        self._places = {token: (first, n) for first, axis in whole.items() for n, token in enumerate(axis)}
        self._axes = {first: torch.tensor(axis) for first, axis in whole.items()}
        self._spelling = spelling

    def __call__(self, ids: Sequence[int], logits: torch.Tensor) -> Coordinate | None:
        """The coordinate that the last of some new tokens is, with the logits it was chosen by; None when it is none."""
        first, value = self._places.get(ids[-1], ("", -1))
        if value < 0 or (not first and not self._spelling(ids[-2:-1]).endswith(("[", ","))):
            return None
        probabilities = logits[self._axes[first].to(logits.device)].softmax(-1)
        near = probabilities[max(0, value - NEIGHBOURS) : value + NEIGHBOURS + 1]
        return Coordinate(len(ids) - 1, value, float(near.sum()))


def _axis(token_id: Callable[[str], int | None], first: str) -> torch.Tensor:
    ids = [token_id(f"{first}{n}") for n in range(1000)]
    if missing := [f"{first}{n}" for n, index in enumerate(ids) if index is None]:
        raise ModelError(f"The tokenizer has no single token for {missing[0]!r} ({len(missing)} are missing), which point_smoothing needs.")
    return torch.tensor(ids)
