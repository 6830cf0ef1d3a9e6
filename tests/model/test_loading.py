"""Checkpoints that cannot be loaded: one line each, naming the thing and the way out."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.base import ModelError
from model.checkpoint import Weights
from model.checkpoint import find as find_checkpoint
from model.glm4v_moe import Glm4vMoe
from model.loading import BF16_PAYS, Placement, _dtype
from tests.model.conftest import Noise


def refusal(folder: str | Path, **options: str) -> str:
    with pytest.raises(ModelError) as caught:
        Glm4vMoe.load(folder, offline=True, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "path", ["/nowhere/at/all", "./nowhere", "nowhere", "a/b/c", "~/nowhere-at-all", "~nobody-of-that-name/m", "spaces in/name"]
)
def test_a_folder_that_does_not_exist_is_named(path: str) -> None:
    assert path in refusal(path)
    assert "hub id" in refusal(path)


def test_a_file_is_no_checkpoint(checkpoint: Path) -> None:
    assert "no folder" in refusal(checkpoint / "config.json")


def test_offline_a_hub_id_that_is_not_cached_is_said_to_be_so() -> None:
    assert "offline" in refusal("nobody/no-such-model")


def test_a_hub_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:  # a port on which nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        code = "from model.checkpoint import find; find('nobody/no-such-model', False)"
        environment = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "PATH": ""}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert "ModelError: There is no folder nobody/no-such-model" in run.stderr.splitlines()[-1]


def test_a_cached_hub_model_is_found_offline(checkpoint: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "models--some--model" / "snapshots" / "0123456789abcdef0123456789abcdef01234567"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(checkpoint, target_is_directory=True)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text(snapshot.name)
    code = "from model.checkpoint import find; print(find('some/model', True))"
    run = subprocess.run(
        [sys.executable, "-c", code], env={"HF_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False
    )
    assert Path(run.stdout.strip()) == snapshot


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    (copied / name).unlink()
    assert name in refusal(copied)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "preprocessor_config.json", "generation_config.json"])
@pytest.mark.parametrize("text", ["", '{"a": ', "[]"])
def test_a_damaged_file_is_named(copied: Path, name: str, text: str) -> None:
    (copied / name).write_text(text)
    assert name in refusal(copied) or str(copied) in refusal(copied)


def test_another_kind_of_model_is_refused_with_its_type(copied: Path) -> None:
    (copied / "config.json").write_text('{"model_type": "llama"}')
    assert "'llama'" in refusal(copied)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_weights_file_is_named(copied: Path, share: float) -> None:
    file = copied / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    assert f"{file} is cut short or damaged" in refusal(copied)


def test_a_missing_shard_is_named(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "model-00001-of-00002.safetensors")
    names = dict.fromkeys(load_file(copied / "model-00001-of-00002.safetensors"), "model-00001-of-00002.safetensors")
    index = {"metadata": {}, "weight_map": names | {"lm_head.weight": "model-00002-of-00002.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    assert "model-00002-of-00002.safetensors" in refusal(copied)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("patch_size", 0),
        ("patch_size", 16),
        ("merge_size", 4),
        ("image_mean", ["a", "b", "c"]),
        ("image_mean", [0.5]),
        ("image_std", [0, 0, 0]),
        ("size", {"shortest_edge": 1, "longest_edge": 0}),
        ("size", {"shortest_edge": 9, "longest_edge": 8}),
    ],
)
def test_an_image_processor_that_fits_no_image_or_another_model_is_refused(copied: Path, field: str, value: object) -> None:
    file = copied / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    assert str(copied) in refusal(copied)


@pytest.mark.parametrize("listed", ["x", [["x"]], {"a": 1}, [None]])
def test_what_is_listed_as_an_end_and_is_no_token_is_passed_over(copied: Path, listed: object) -> None:
    (copied / "generation_config.json").write_text(json.dumps({"eos_token_id": listed}))
    assert len(Glm4vMoe.load(copied).stops) == 3


@pytest.mark.parametrize(
    "index", [{}, {"weight_map": ["model.safetensors"]}, {"weight_map": None}, {"weight_map": {"lm_head.weight": [1]}}]
)
def test_an_index_that_names_no_files_is_refused(copied: Path, index: object) -> None:
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    assert str(copied) in refusal(copied)


def test_weights_that_the_checkpoint_lacks_are_named_not_drawn_at_random(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    del weights["lm_head.weight"], weights["model.language_model.layers.1.mlp.gate.e_score_correction_bias"]
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert "lm_head.weight" in refusal(copied)
    assert "e_score_correction_bias" in refusal(copied)


def test_weights_of_another_shape_are_refused(copied: Path) -> None:
    weights = load_file(copied / "model.safetensors")
    weights["lm_head.weight"] = weights["lm_head.weight"][:, :8].contiguous()
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert "other shapes than the weights lm_head.weight" in refusal(copied)


@pytest.mark.parametrize(
    ("field", "value"),
    [("hidden_size", "x"), ("num_attention_heads", 0), ("vocab_size", 10), ("hidden_act", "nope"), ("eos_token_id", "x")],
)
def test_a_configuration_that_makes_no_sense_is_one_line(copied: Path, field: str, value: object) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["text_config"][field] = value
    (copied / "config.json").write_text(json.dumps(config))
    assert str(copied) in refusal(copied)


@pytest.mark.parametrize("settings", ["text", {"point_smoothing": "x"}, {"point_smoothing": 24}, {"point_smoothing": 25}])
def test_settings_of_our_own_that_cannot_be_met_are_refused(copied: Path, settings: object) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"glimpse": settings}))
    assert "glimpse" in refusal(copied) or "point_smoothing" in refusal(copied)


def test_weights_without_a_place_are_left_out_with_a_warning(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 2
    (copied / "config.json").write_text(json.dumps(config))
    with pytest.warns(UserWarning, match=r"no place for the weights model\.language_model\.layers\.2\."):
        Glm4vMoe.load(copied)


def test_another_model_s_tokenizer_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"image_token_id": 3}))
    assert "tokenizer.json is another model's" in refusal(copied)


def test_a_model_larger_than_memory_is_refused_before_it_is_read(copied: Path) -> None:
    header = json.dumps({"w": {"dtype": "F16", "shape": [2**41], "data_offsets": [0, 2**42]}}).encode()
    with (copied / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2**42)  # sparse: takes no room on the disk
    assert "needs 8192 GiB of memory" in refusal(copied)


@pytest.mark.parametrize(
    ("option", "value"), [("dtype", "float12"), ("attention", "nonsense"), ("experts", "nonsense"), ("device_map", "nonsense")]
)
def test_an_option_that_cannot_be_met_is_one_line(checkpoint: Path, option: str, value: str) -> None:
    assert value in refusal(checkpoint, **{option: value}) or "accelerate" in refusal(checkpoint, **{option: value})


def test_sharded_and_half_precision_weights_load_as_float32_on_a_cpu(copied: Path, model: Glm4vMoe, noise: Noise) -> None:
    halves = {name: tensor.half() for name, tensor in load_file(copied / "model.safetensors").items()}
    (copied / "model.safetensors").unlink()
    names = list(halves)
    parts = {f"model-0000{n + 1}-of-00002.safetensors": names[n::2] for n in range(2)}
    for file, members in parts.items():
        save_file({name: halves[name] for name in members}, copied / file, {"format": "pt"})
    index = {"metadata": {}, "weight_map": {name: file for file, members in parts.items() for name in members}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    loaded = Glm4vMoe.load(copied)
    assert loaded.model.dtype == torch.float32
    assert Weights.inspect(copied).stored == "F16"
    assert Weights.inspect(copied).parameters == sum(tensor.numel() for tensor in halves.values())
    expected = model.model.state_dict()
    assert all(torch.equal(value, expected[name].half().float()) for name, value in loaded.model.state_dict().items())


def test_only_large_bfloat16_checkpoints_stay_bfloat16_on_a_cpu() -> None:
    here = Placement(device_map="cpu")
    native = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))
    assert _dtype(here, Weights(BF16_PAYS, "BF16")) == (torch.bfloat16 if native else torch.float32)
    assert _dtype(here, Weights(BF16_PAYS - 1, "BF16")) == torch.float32
    assert _dtype(here, Weights(BF16_PAYS, "F16")) == torch.float32
    assert _dtype(here, Weights(BF16_PAYS, "F8_E4M3")) == _dtype(here, Weights(BF16_PAYS, "BF16"))
    assert _dtype(Placement(device_map={"": "disk"}), Weights(1, "BF16")) == torch.float32  # the CPU computes
    assert _dtype(Placement(device_map="cuda:0"), Weights(1, "BF16")) == "auto"


def test_a_folder_is_taken_as_it_is(checkpoint: Path) -> None:
    assert find_checkpoint(checkpoint, offline=False) == checkpoint
    assert find_checkpoint(str(checkpoint), offline=True) == checkpoint
