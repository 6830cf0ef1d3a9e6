"""A prompt as the engine reads it: what each token is, where it stands, and whether it is read at all. Knows no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

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
    chunks: list[torch.Tensor] = []
    i, waiting = 0, iter(grids)
    while i < len(ids):
        if ids[i] == image_id:
            place, step = _image_positions(next(waiting, (0, 0, 0)), merge)
            length = place.shape[1]
            if not length or list(ids[i : i + length]) != [image_id] * length:
                raise ValueError("The image placeholders do not match the grids.")
        else:
            length = next((j for j in range(i, len(ids)) if ids[j] == image_id), len(ids)) - i
            place, step = torch.arange(length).expand(3, -1), length
        chunks.append(place + start)
        i, start = i + length, start + step
    if next(waiting, None) is not None:
        raise ValueError("There are more grids than images among the tokens.")
    return torch.cat(chunks, 1).unsqueeze(1), start


def _image_positions(grid: Grid, merge: int) -> tuple[torch.Tensor, int]:
    frames, rows, columns = grid[0], grid[1] // merge, grid[2] // merge
    axes = torch.meshgrid(torch.arange(frames), torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack(axes).reshape(3, -1), max(rows, columns)


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
    positions: torch.Tensor
    following: int
    kept: NDArray[np.bool_]
    images: tuple[PlacedImage, ...]

    def __len__(self) -> int:
        return len(self.ids)


def lay_out(prompt: Prompt, evicted: int = 0, merge: int = 2) -> Layout:
    """The layout of a prompt. evicted: so many of its first images are no longer read, though their places stay."""
    ids = np.array(prompt.ids, dtype=np.int64)
    keys, kept, at = ids.copy(), np.ones(len(ids), dtype=bool), 0
    images: list[PlacedImage] = []
    for segment in prompt.segments:
        length = segment.length if isinstance(segment, ImageSegment) else len(segment)
        if isinstance(segment, ImageSegment):
            placed = PlacedImage(at, segment, image_key(segment))
            keys[at : at + length] = placed.key
            kept[at : at + length] = len(images) >= evicted
            images.append(placed)
        at += length
    positions, following = mrope_positions(prompt.ids, [image.segment.grid for image in images], 0, prompt.image_id, merge)
    return Layout(ids, keys, positions[:, 0], following, kept, tuple(images))


def image_key(segment: ImageSegment) -> int:
    """A negative number that stands for an image's pixels and grid (63 bits of BLAKE2b, RFC 7693)."""
    image = segment.image if segment.image.mode == "RGB" else segment.image.convert("RGB")
    digest = blake2b(image.tobytes(), digest_size=8, key=repr((image.size, segment.grid)).encode()).digest()
    return -1 - (int.from_bytes(digest, "little") >> 1)
