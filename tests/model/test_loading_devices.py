"""Weights spread over memory and disk, or stored as FP8: the same model; and what is missing for it is named."""

from __future__ import annotations

import importlib.util
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.base import GenerationConfig, Message, ModelError
from model.convert import convert
from model.glm4v_moe import Glm4vMoe
from model.loading import Placement, load_weights
from tests.model.conftest import Noise

needs_accelerate = pytest.mark.skipif(importlib.util.find_spec("accelerate") is None, reason="accelerate is not installed")
needs_compressed = pytest.mark.skipif(importlib.util.find_spec("compressed_tensors") is None, reason="compressed-tensors is not installed")
IDS = torch.tensor([[5, 6, 7, 8]])
SPREAD: Mapping[str, int | str] = {
    "model.visual": "cpu", "model.language_model.embed_tokens": "cpu", "model.language_model.rotary_emb": "cpu",
    "model.language_model.layers.0": "cpu", "model.language_model.layers.1": "disk", "model.language_model.layers.2": "disk",
    "model.language_model.norm": "cpu", "lm_head": "cpu",
}  # fmt: skip


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=IDS, position_ids=torch.arange(4).expand(3, 1, 4)).logits
    return found


def refusal(folder: Path, placement: Placement) -> str:
    with pytest.raises(ModelError) as caught:
        load_weights(folder, placement)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@needs_accelerate
@pytest.mark.parametrize("device_map", ["auto", {"": "cpu"}, SPREAD], ids=["auto", "all on the CPU", "two layers on the disk"])
def test_wherever_the_weights_lie_the_answer_is_the_same(checkpoint: Path, tmp_path: Path, device_map: Any) -> None:
    if device_map == "auto" and torch.cuda.is_available():
        pytest.skip("auto takes the GPU here")
    spread = load_weights(checkpoint, Placement(device_map=device_map, offload_folder=tmp_path / "offload"))
    torch.testing.assert_close(logits(spread), logits(load_weights(checkpoint, Placement())), atol=1e-5, rtol=0)
    if device_map is SPREAD:
        assert spread.model.language_model.layers[1].mlp.experts.gate_up_proj.device.type == "meta"


@needs_accelerate
def test_a_converted_checkpoint_is_read_from_the_disk_as_well(checkpoint: Path, tmp_path: Path) -> None:
    fused = convert(checkpoint, tmp_path / "fused")
    spread = load_weights(fused, Placement(device_map=SPREAD, offload_folder=tmp_path / "offload"))
    torch.testing.assert_close(logits(spread), logits(load_weights(checkpoint, Placement())), atol=1e-5, rtol=0)


@needs_accelerate
def test_the_engine_answers_from_the_disk_as_from_memory(checkpoint: Path, model: Glm4vMoe, noise: Noise, tmp_path: Path) -> None:
    spread = Glm4vMoe.load(checkpoint, device_map=SPREAD, offload_folder=tmp_path / "offload")
    messages = [Message("user", ("Look", noise(0)))]
    replies = [one.generate(messages, GenerationConfig(max_tokens=8)).token_ids for one in (spread, model)]
    assert replies[0] == replies[1]


@needs_accelerate
def test_a_disk_without_a_folder_is_named(checkpoint: Path) -> None:
    assert "give offload_folder" in refusal(checkpoint, Placement(device_map=SPREAD))
    assert "offload_folder" in refusal(checkpoint, Placement(device_map="disk"))


@pytest.mark.skipif(importlib.util.find_spec("accelerate") is not None, reason="accelerate is installed")
def test_what_needs_accelerate_says_so(checkpoint: Path) -> None:
    assert "pip install accelerate" in refusal(checkpoint, Placement(device_map={"": "cpu"}))


def quantized(folder: Path, settings: Mapping[str, Any], scale: str) -> Path:
    """Make FP8 of a checkpoint's text matrices, with one float32 scale for each block of 32 × 32 or, as compressed-tensors, each row."""
    held = load_file(folder / "model.safetensors")
    for name in [name for name in held if ".language_model.layers." in name and name.endswith("_proj.weight")]:
        weight = held[name]
        rows, columns = weight.shape
        step = (32, 32) if scale == "weight_scale_inv" else (1, columns)
        blocks = weight.view(rows // step[0], step[0], columns // step[1], step[1])
        largest = blocks.abs().amax((1, 3), keepdim=True) / 448  # the largest float8_e4m3fn
        held[name] = (blocks / largest).to(torch.float8_e4m3fn).view(rows, columns)
        held[name.replace("weight", scale)] = largest.view(rows // step[0], columns // step[1])
    save_file(held, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": settings}))
    return folder


FINE_GRAINED = {
    "quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [32, 32],
    "modules_to_not_convert": ["model.visual", "lm_head"],
}  # fmt: skip
COMPRESSED = {
    "quant_method": "compressed-tensors", "format": "float-quantized", "quantization_status": "compressed",
    "ignore": ["lm_head", "re:.*visual.*"],
    "config_groups": {"group_0": {
        "targets": ["Linear"], "input_activations": {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True},
        "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "dynamic": False, "symmetric": True},
    }},
}  # fmt: skip


def similarity(quantized_folder: Path, checkpoint: Path, placement: Placement) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours, plain = (logits(load_weights(folder, placement)).flatten() for folder in (quantized_folder, checkpoint))
    return float(torch.nn.functional.cosine_similarity(ours, plain, dim=0))


@needs_accelerate
@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes with FP8")
def test_fine_grained_fp8_becomes_plain_numbers_on_a_cpu_and_says_what_it_would_need(copied: Path, checkpoint: Path) -> None:
    folder = quantized(copied, FINE_GRAINED, "weight_scale_inv")
    assert similarity(folder, checkpoint, Placement("float32", "cpu")) > 0.99
    with pytest.warns(UserWarning, match=r"compute capability 8\.9"):
        loaded = load_weights(folder, Placement("float32", "cpu"))
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}


@needs_compressed
def test_compressed_tensors_become_plain_numbers(copied: Path, checkpoint: Path) -> None:
    folder = quantized(copied, COMPRESSED, "weight_scale")
    assert similarity(folder, checkpoint, Placement("float32", "cpu")) > 0.99
    assert {parameter.dtype for parameter in load_weights(folder, Placement("float32", "cpu")).parameters()} == {torch.float32}


@pytest.mark.skipif(importlib.util.find_spec("compressed_tensors") is not None, reason="compressed-tensors is installed")
def test_what_needs_compressed_tensors_says_so(copied: Path) -> None:
    assert "pip install compressed-tensors" in refusal(quantized(copied, COMPRESSED, "weight_scale"), Placement())


def test_an_unknown_way_of_quantizing_is_one_line(copied: Path) -> None:
    folder = quantized(copied, {"quant_method": "nonsense"}, "weight_scale")
    assert "'nonsense'" in refusal(folder, Placement())
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"quantization_config": None}))
    assert "has no quantization_config" in refusal(folder, Placement())
