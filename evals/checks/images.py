"""Metrics of pictures (Pillow)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageOps, ImageStat, UnidentifiedImageError

from evals.checks.rules import of_rule

ALIKE = 3.0
"""The mean difference of two pictures' channels, of 255, up to which they are taken as the same: lossy formats change pixels a little."""


def check_image_size(result: Path | None, rules: Any) -> float:
    """Pixels: `width` and `height`, each where the rule names it; with `ignore_transparent` of the part that is not transparent."""
    image = _opened(result)
    if image is None:
        return 0.0
    if of_rule(rules, "ignore_transparent", False):
        image = image.crop(image.convert("RGBA").getchannel("A").getbbox())
    return float(all(of_rule(rules, side, None) in (None, getattr(image, side)) for side in ("width", "height")))


def check_image_mirror(result: Path | None, expected: Path | None) -> float:
    """The one is the other seen in a mirror, left and right swapped."""
    image, original = _opened(result), _opened(expected)
    return float(image is not None and original is not None and _alike(image, ImageOps.mirror(original)))


def check_image_mode(result: Path | None, rules: Any) -> float:
    """Our own: Pillow's mode of the file ("L" grey, "P" palette, "RGB" …), one of the rule's list `modes`."""
    image = _opened(result)
    return float(image is not None and image.mode in of_rule(rules, "modes"))


def check_image_same(result: Path | None, expected: Path | None, *, grey: bool = False, within: float = ALIKE) -> float:
    """Our own: two pictures of one size that show the same; grey: but for their colours. within: as ALIKE (ways to grey differ more)."""
    image, original = _opened(result), _opened(expected)
    if image is None or original is None:
        return 0.0
    return float(_alike(image.convert("L"), original.convert("L"), within) if grey else _alike(image, original, within))


def _opened(file: Path | None) -> Image.Image | None:
    if file is None:
        return None
    try:
        image = Image.open(file)
        image.load()
    except (UnidentifiedImageError, OSError):
        return None
    return image


def _alike(one: Image.Image, other: Image.Image, within: float = ALIKE) -> bool:
    if one.size != other.size:
        return False
    difference = ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean
    return max(difference) <= within


METRICS = (check_image_size, check_image_mirror, check_image_mode, check_image_same)
