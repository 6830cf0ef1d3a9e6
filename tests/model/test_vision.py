"""Preprocessing equals the library's own, and is countable without an image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.base import ModelError
from model.vision import Preprocessor
from tests.model.checkpoints import LIMITS
from tests.model.conftest import Noise

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
RELEASED = Preprocessor(LIMITS["shortest_edge"], LIMITS["longest_edge"], MEAN, STD)


def library(image: Image.Image) -> tuple[torch.Tensor, list[int]]:
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

    output = Glm4vImageProcessorPil(size=LIMITS)(images=[image], return_tensors="pt")
    return output["pixel_values"], output["image_grid_thw"][0].tolist()


@pytest.mark.parametrize("size", [(252, 336), (640, 360), (333, 217), (160, 210), (20, 400), (9, 11), (1, 1), (28, 3000)])
def test_patches_equal_the_library_s(noise: Noise, size: tuple[int, int]) -> None:
    image = noise(1, *size)
    patches, grid = library(image)
    assert list(RELEASED.grid(image)) == grid
    torch.testing.assert_close(RELEASED.patches(image), patches, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mode", ["RGBA", "L", "P", "1", "CMYK"])
def test_an_image_of_any_mode_is_taken_as_rgb_as_the_library_does(noise: Noise, mode: str) -> None:
    image = noise(2, 90, 70).convert(mode)
    torch.testing.assert_close(RELEASED.patches(image), library(image)[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("size", "tokens"),
    [((1920, 1080), 2691), ((1280, 720), 1196), ((1366, 768), 1323), ((960, 540), 646), ((640, 360), 299),
     ((2560, 1440), 4641), ((3840, 2160), 6032), ((160, 210), 48)],
)  # fmt: skip
def test_a_screenshot_costs_the_known_number_of_tokens(size: tuple[int, int], tokens: int) -> None:
    assert RELEASED.tokens(*size) == tokens


@given(st.integers(1, 6000), st.integers(1, 6000))
def test_the_size_is_whole_tokens_within_the_limits(width: int, height: int) -> None:
    if max(width, height) > 200 * min(width, height):
        return
    wide, high = RELEASED.size(width, height)
    assert wide % 28 == high % 28 == 0
    assert min(wide, high) >= 28
    assert RELEASED.tokens(width, height) == wide * high // 784
    if max(width, height) < 20 * min(width, height):
        assert LIMITS["shortest_edge"] <= 2 * wide * high <= LIMITS["longest_edge"]


@pytest.mark.parametrize("size", [(30_000, 20), (20, 30_000), (0, 5)])
def test_an_image_of_no_use_is_refused_with_its_size(size: tuple[int, int]) -> None:
    with pytest.raises(ModelError, match=f"{size[0]}×{size[1]}"):
        RELEASED.grid(Image.new("RGB", size))


def test_limits_come_from_either_file_the_library_writes(tmp_path: Path) -> None:
    spec = {"size": {"shortest_edge": 784, "longest_edge": 78_400}, "image_mean": MEAN, "image_std": STD, "patch_size": 14, "merge_size": 2}
    (tmp_path / "processor_config.json").write_text(json.dumps({"image_processor": spec, "video_processor": {}}))
    assert Preprocessor.load(tmp_path) == Preprocessor(784, 78_400, MEAN, STD)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(spec | {"size": LIMITS}))
    assert Preprocessor.load(tmp_path) == RELEASED


@pytest.mark.parametrize("text", [None, "{", "{}", "[]", '{"size": {"height": 3}}'])
def test_a_configuration_that_is_missing_or_damaged_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(ModelError, match=str(tmp_path)):
        Preprocessor.load(tmp_path)
