"""A converted checkpoint is the same model: same numbers, same answers, the library's own layout; and it is written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.base import ModelError
from model.checkpoint import tensors
from model.convert import convert
from model.loading import Placement, load_weights

CPU = Placement(device_map="cpu")


def logits(folder: Path, placement: Placement = CPU) -> torch.Tensor:
    model: Any = load_weights(folder, placement)
    with torch.inference_mode():
        answered: torch.Tensor = model(input_ids=torch.tensor([[5, 6, 7, 8]]), position_ids=torch.arange(4).expand(3, 1, 4)).logits
    return answered


def assert_same_model(folder: Path, other: Path) -> None:
    """Every weight equal, and so the logits, up to sums being ordered by where a weight lies in memory."""
    ours, theirs = (load_weights(one, CPU).state_dict() for one in (folder, other))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    torch.testing.assert_close(logits(folder), logits(other), atol=1e-6, rtol=1e-5)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def edit(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    held = load_file(folder / "model.safetensors")
    change(held)
    save_file(held, folder / "model.safetensors", {"format": "pt"})


def test_it_answers_as_the_original_does(checkpoint: Path, tmp_path: Path) -> None:
    out = convert(checkpoint, tmp_path / "new" / "fused")
    assert_same_model(out, checkpoint)
    assert (out.stat().st_mode & 0o777) == 0o755


def test_it_is_the_library_s_own_layout(checkpoint: Path, tmp_path: Path) -> None:
    load_weights(checkpoint, CPU).save_pretrained(tmp_path / "library", save_original_format=False)
    ours, theirs = weights(convert(checkpoint, tmp_path / "ours")), weights(tmp_path / "library")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_what_is_converted_can_be_converted_again(checkpoint: Path, tmp_path: Path) -> None:
    once = convert(checkpoint, tmp_path / "once")
    twice = convert(once, tmp_path / "twice", dtype="float32")
    assert all(torch.equal(tensor, weights(once)[name]) for name, tensor in weights(twice).items())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_another_type_is_that_type_and_is_said_to_be(checkpoint: Path, tmp_path: Path, dtype: Any) -> None:
    out = convert(checkpoint, tmp_path / "out", dtype=dtype)
    wanted, original = getattr(torch, dtype), weights(convert(checkpoint, tmp_path / "same"))
    for name, tensor in weights(out).items():
        kept = name.endswith("e_score_correction_bias")
        assert tensor.dtype == (torch.float32 if kept else wanted)
        assert torch.equal(tensor, original[name].to(tensor.dtype))
    config = json.loads((out / "config.json").read_text())
    assert {config["dtype"], config["text_config"].get("dtype", dtype)} == {dtype}
    assert load_weights(out, CPU).dtype == torch.float32


def test_files_are_no_larger_than_asked_and_the_index_names_them(checkpoint: Path, tmp_path: Path) -> None:
    out = convert(checkpoint, tmp_path / "out", shard_bytes=300_000)
    files = sorted(out.glob("*.safetensors"))
    assert len(files) > 3
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert index["weight_map"] == {tensor.name: tensor.file.name for tensor in tensors(out)}
    assert index["metadata"]["total_size"] == sum(tensor.size for tensor in tensors(out))
    for file in files:
        held = load_file(file)
        assert len(held) == 1 or sum(tensor.nbytes for tensor in held.values()) <= 300_000
    assert_same_model(out, checkpoint)


def test_sharded_experts_are_gathered_from_all_files(checkpoint: Path, tmp_path: Path) -> None:
    held = load_file(checkpoint / "model.safetensors")
    parts = {f"model-0000{n + 1}-of-00003.safetensors": list(held)[n::3] for n in range(3)}
    source = tmp_path / "source"
    source.mkdir()
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        (source / name).write_bytes((checkpoint / name).read_bytes())
    for file, names in parts.items():
        save_file({name: held[name] for name in names}, source / file, {"format": "pt"})
    places = {name: file for file, names in parts.items() for name in names}
    (source / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert_same_model(convert(source, tmp_path / "out"), checkpoint)


def test_settings_and_every_other_file_come_along_and_the_config_says_who_wrote_it(copied: Path, tmp_path: Path) -> None:
    config = json.loads((copied / "config.json").read_text()) | {"glimpse": {"prompt": "compact"}}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "chat_template.jinja").write_text("{{ messages }}")
    (copied / "notes.bin").write_text("")
    out = convert(copied, tmp_path / "out")
    written = json.loads((out / "config.json").read_text())
    marker = written.pop("glimpse_converted")
    assert written == config
    assert (marker["format"], marker["source"]) == ("glimpse-fused", str(copied))
    for name in ("tokenizer.json", "preprocessor_config.json", "generation_config.json", "chat_template.jinja"):
        assert (out / name).read_bytes() == (copied / name).read_bytes()
    assert not (out / "notes.bin").exists()


def test_a_folder_that_holds_something_is_refused_and_an_empty_one_is_taken(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    for taken in (tmp_path / "full", tmp_path / "file", checkpoint):
        with pytest.raises(ModelError, match="holds something already"):
            convert(checkpoint, taken)
    assert (convert(checkpoint, tmp_path / "empty") / "config.json").is_file()


def test_nothing_is_left_behind_when_it_fails(copied: Path, tmp_path: Path) -> None:
    edit(copied, lambda held: held.pop("model.language_model.layers.2.mlp.experts.7.up_proj.weight"))
    place = tmp_path / "place"
    with pytest.raises(ModelError, match=r"layers\.2\.mlp\.experts") as caught:
        convert(copied, place / "out")
    assert "\n" not in str(caught.value)
    assert list(place.iterdir()) == []


def test_experts_of_different_shapes_are_refused(copied: Path, tmp_path: Path) -> None:
    name = "model.language_model.layers.1.mlp.experts.3.down_proj.weight"
    edit(copied, lambda held: held.update({name: held[name][:, :8].contiguous()}))
    with pytest.raises(ModelError, match="more than one shape"):
        convert(copied, tmp_path / "out")


def test_quantized_weights_and_unknown_types_are_refused(copied: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no dtype 'int4'"):
        convert(copied, tmp_path / "out", dtype="int4")  # type: ignore[arg-type]
    edit(copied, lambda held: held.update({"lm_head.weight": held["lm_head.weight"].to(torch.float8_e4m3fn)}))
    with pytest.raises(ModelError, match="is quantized"):
        convert(copied, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_without_room_is_told_before_anything_is_written(copied: Path, tmp_path: Path) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    with (copied / "model.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + 2**42)  # sparse: takes no room on the disk
    with pytest.raises(ModelError, match="would take"):
        convert(copied, tmp_path / "out")
