"""A prompt as the engine reads it: what each token is, where it stands, and whether it is read at all. Knows no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model.base import Grid
from model.tokens import ImageSegment, Prompt


def mrope_positions(ids: Sequence[int], grids: Sequence[Grid], start: int, image_id: int, merge: int = 2) -> tuple[torch.Tensor, int]:
    """Positions (3, 1, len(ids)) of tokens that begin at `start`, and where the next token stands.

    Text moves all three axes by one a token; an image spreads over rows and columns and moves on by its longer side (the library's
    get_rope_index, transformers/models/glm4v_moe/modeling_glm4v_moe.py).
    grids: of the images among the ids, in patches. Raises ValueError when they do not fit.
    """
    chunks: list[NDArray[np.int64]] = []
    i, waiting = 0, iter(grids)
    while i < len(ids):
        if ids[i] == image_id:
            place, step = _image_positions(next(waiting, (0, 0, 0)), merge)
            length = place.shape[1]
            if not length or list(ids[i : i + length]) != [image_id] * length:
                raise ValueError("The image placeholders do not match the grids.")
        else:
            length = next((j for j in range(i, len(ids)) if ids[j] == image_id), len(ids)) - i
            place, step = _text_positions(length), length
        chunks.append(place + start)
        i, start = i + length, start + step
    if next(waiting, None) is not None:
        raise ValueError("There are more grids than images among the tokens.")
    return torch.from_numpy(np.concatenate(chunks, 1))[:, None], start


def _text_positions(length: int) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(length), (3, length))


def _image_positions(grid: Grid, merge: int) -> tuple[NDArray[np.int64], int]:
    frames, rows, columns = grid[0], grid[1] // merge, grid[2] // merge
    return np.indices((frames, rows, columns)).reshape(3, -1), max(rows, columns)


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image in a layout: its tokens are start : start + segment.length. key: stands for its pixels and its grid; negative."""

    start: int
    segment: ImageSegment
    key: int


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """ids: every token, images as placeholders. keys: the same, image tokens as their image's key: equal keys are equal input.
    positions: (3, n); the token behind stands at `following`. kept: false where a token has been evicted and is not read.
    """

    ids: NDArray[np.int64]
    keys: NDArray[np.int64]
    positions: NDArray[np.int64]
    following: int
    kept: NDArray[np.bool_]
    images: tuple[PlacedImage, ...]

    def __len__(self) -> int:
        return len(self.ids)


def lay_out(prompt: Prompt, evicted: int = 0, merge: int = 2) -> Layout:
    """The layout of a prompt. evicted: so many of its first images are no longer read, though their places stay."""
    ids, keys, kept, places, images = [], [], [], [], list[PlacedImage]()
    at, position = 0, 0
    for segment in prompt.segments:
        if isinstance(segment, ImageSegment):
            length, key = segment.length, image_key(segment)
            ids.append(np.full(length, prompt.image_id))
            keys.append(np.full(length, key))
            kept.append(np.full(length, len(images) >= evicted))
            place, step = _image_positions(segment.grid, merge)
            images.append(PlacedImage(at, segment, key))
        else:
            length = len(segment)
            ids.append(np.array(segment, dtype=np.int64))
            keys.append(ids[-1])
            kept.append(np.ones(length, dtype=bool))
            place, step = _text_positions(length), length
        places.append(place + position)
        at, position = at + length, position + step
    return Layout(np.concatenate(ids), np.concatenate(keys), np.concatenate(places, 1), position, np.concatenate(kept), tuple(images))


def image_key(segment: ImageSegment) -> int:
    """A negative number that stands for an image's pixels and grid: 63 bits of Python's hash of bytes, SipHash with a key that every
    process draws for itself (PEP 456), at several gigabytes a second."""
    image = segment.image if segment.image.mode == "RGB" else segment.image.convert("RGB")
    return -1 - (hash((image.size, segment.grid, image.tobytes())) & (2**63 - 1))


def common(one: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """How many keys two sequences share from the start."""
    length = min(len(one), len(other))
    differing = np.flatnonzero(one[:length] != other[:length])
    return int(differing[0]) if len(differing) else length
