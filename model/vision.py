"""Screenshots as the vision tower takes them: resized, normalised, cut into patches. Knows no weights.

The arithmetic is that of the library's Glm4v image processor (transformers/models/glm4v/image_processing_glm4v.py).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from model.base import Grid, ModelError, PromptError

FRAMES = 2  # a still image is a video of two equal frames


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """How a checkpoint wants its images.

    min_pixels, max_pixels: bounds of frames × height × width after resizing. patch: side in pixels; merge: side in patches of what
    becomes one token. mean, std: of the channels of RGB in 0…1. Raises ValueError for values that no image could be fitted to.
    """

    min_pixels: int
    max_pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    patch: int = 14
    merge: int = 2

    def __post_init__(self) -> None:
        if min(self.patch, self.merge, self.max_pixels, self.max_pixels - self.min_pixels + 1) < 1:
            raise ValueError("sizes must be more than 0, and longest_edge no less than shortest_edge")
        if len(self.mean) != 3 or len(self.std) != 3 or 0 in self.std:
            raise ValueError("image_mean and image_std are three numbers each, those of image_std not 0")

    @classmethod
    def load(cls, folder: Path) -> Preprocessor:
        """From preprocessor_config.json, or processor_config.json's image_processor. Raises ModelError when there is neither."""
        spec = _read(folder)
        try:
            size = spec["size"]
            return cls(
                min_pixels=int(size["shortest_edge"]),
                max_pixels=int(size["longest_edge"]),
                mean=tuple(float(value) for value in spec["image_mean"]),
                std=tuple(float(value) for value in spec["image_std"]),
                patch=int(spec.get("patch_size", 14)),
                merge=int(spec.get("merge_size", 2)),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{folder}: the image processor's configuration is unfit ({error!r}): copy it again.") from error

    def grid(self, image: Image.Image) -> Grid:
        """Patches of an image: (1, rows, columns). Raises ModelError when it has no pixels or one side is over 200 times the other."""
        width, height = self.size(*image.size)
        return 1, height // self.patch, width // self.patch

    def tokens(self, width: int, height: int) -> int:
        """Tokens of a screenshot of this size, without having one."""
        width, height = self.size(width, height)
        return width * height // (self.patch * self.merge) ** 2

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) an image is resized to: multiples of patch × merge within the bounds, about the same shape."""
        unit = self.patch * self.merge
        _check_shape(width, height)
        if min(width, height) < unit:
            scale = max(unit / height, unit / width)
            width, height = int(width * scale), int(height * scale)
        _check_shape(width, height)
        rounded = round(width / unit) * unit, round(height / unit) * unit
        pixels = FRAMES * rounded[0] * rounded[1]
        if pixels > self.max_pixels:
            shrink = math.sqrt(FRAMES * height * width / self.max_pixels)
            return max(unit, math.floor(width / shrink / unit) * unit), max(unit, math.floor(height / shrink / unit) * unit)
        if pixels < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (FRAMES * height * width))
            return math.ceil(width * grow / unit) * unit, math.ceil(height * grow / unit) * unit
        return rounded

    def patches(self, image: Image.Image) -> torch.Tensor:
        """float32 (rows · columns, channels · frames · patch · patch) as the library's processor makes them."""
        frame = self.frame(image)
        return frame.view(len(frame), 3, 1, -1).expand(-1, -1, FRAMES, -1).reshape(len(frame), -1)

    def frame(self, image: Image.Image) -> torch.Tensor:
        """float32 (rows · columns, channels · patch · patch): one of the two equal frames; what merges into one token stands together."""
        size, p, m = self.size(*image.size), self.patch, self.merge
        image = image.convert("RGB")
        pixels = np.asarray(image if image.size == size else image.resize(size, Image.Resampling.BICUBIC))
        rows, columns = size[1] // p, size[0] // p
        blocks = pixels.reshape(rows // m, m, p, columns // m, m, p, 3).transpose(0, 3, 1, 4, 6, 2, 5)
        channels = torch.from_numpy(np.ascontiguousarray(blocks).reshape(rows * columns, 3, p * p)).float()
        mean, std = (torch.tensor(values).view(1, 3, 1) * 255 for values in (self.mean, self.std))
        return channels.sub_(mean).div_(std).flatten(1)


class FeatureCache:
    """What the vision tower made of the latest images, at most `budget` bytes of it: no screenshot is encoded twice."""

    def __init__(self, encode: Callable[[Image.Image, Grid], torch.Tensor], budget: int) -> None:
        self._encode, self._budget = encode, budget
        self._features: dict[int, torch.Tensor] = {}  # the least recently used first
        self.bytes = 0

    def get(self, key: int, image: Image.Image, grid: Grid) -> torch.Tensor:
        """Features (tokens, hidden). key: stands for the image's pixels and its grid. Raises ModelError as `encode` does."""
        found = self._features.pop(key, None)
        if found is None:
            found = self._encode(image, grid)
            self.bytes += found.nbytes
        self._features[key] = found
        while self.bytes > self._budget and len(self._features) > 1:
            self.bytes -= self._features.pop(next(iter(self._features))).nbytes
        return found

    def forget(self) -> None:
        self._features.clear()
        self.bytes = 0


def _check_shape(width: int, height: int) -> None:
    if min(width, height) < 1:
        raise PromptError(f"An image of {width}×{height} pixels has nothing to see.")
    if max(width, height) / min(width, height) > 200:
        raise PromptError(f"An image of {width}×{height} pixels is more than 200 times longer than wide: crop it first.")


def _read(folder: Path) -> dict[str, Any]:
    for name, key in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        file = folder / name
        if not file.is_file():
            continue
        try:
            spec = json.loads(file.read_text(encoding="utf-8"))
            found = spec if key is None else spec[key]
        except (ValueError, KeyError) as error:
            raise ModelError(f"{file} is damaged ({error}): copy it again from the model's own page.") from error
        if isinstance(found, dict):
            return found
    raise ModelError(f"{folder} has no preprocessor_config.json: copy it from the model's own page.")
