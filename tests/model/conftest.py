"""One tiny random checkpoint for the whole session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from tests.model import checkpoints

if TYPE_CHECKING:
    from model.glm4v_moe import Glm4vMoe

Noise = Callable[..., Image.Image]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)  # half a million parameters: two threads would only wait for each other
    return checkpoints.build(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def model(checkpoint: Path) -> Glm4vMoe:
    from model.glm4v_moe import Glm4vMoe

    return Glm4vMoe.load(checkpoint)


@pytest.fixture
def copied(checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint that a test may damage."""
    return Path(copytree(checkpoint, tmp_path / "copied"))


@pytest.fixture(scope="session")
def noise() -> Noise:
    """Screenshots of nothing: noise(seed, width=…, height=…)."""

    def make(seed: int, width: int = 120, height: int = 90) -> Image.Image:
        return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))

    return make
