"""What is told of a checkpoint before a weight is read: its arithmetic is that of the real classes, and what fits is what adds up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.base import ModelError
from model.inspect import SIZES, inspect, rich_table
from model.machines import MACHINES, Machine, Screenshots, activations, fits, here
from model.released import RELEASED
from model.sizes import Architecture, Text, Vision
from model.vision import Preprocessor
from tests.model import checkpoints

GIB = 2**30
GLM_45V = Architecture.of(RELEASED["glm-4.5v"].config)
TOKENS = checkpoints.tokenizer()
TINY: dict[str, Any] = {"text_config": checkpoints.text_config(TOKENS), "vision_config": checkpoints.vision_config()}


def changed(**text: Any) -> dict[str, Any]:
    return TINY | {"text_config": TINY["text_config"] | text}


def built(config: dict[str, Any]) -> torch.nn.Module:
    """The library's model of a configuration, without memory for its weights."""
    from transformers import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration

    kind: Any = Glm4vMoeForConditionalGeneration
    with torch.device("meta"):
        model: torch.nn.Module = kind._from_config(Glm4vMoeConfig(**config), dtype=torch.bfloat16)
    return model


@pytest.mark.parametrize(
    "config",
    [
        TINY,
        changed(first_k_dense_replace=0, n_shared_experts=2),
        changed(first_k_dense_replace=3),
        changed(attention_bias=False, num_key_value_heads=4),
        TINY | {"vision_config": TINY["vision_config"] | {"attention_bias": True, "spatial_merge_size": 1, "image_size": 56}},
        TINY | {"tie_word_embeddings": True},
        TINY | {"text_config": {name: value for name, value in TINY["text_config"].items() if name != "head_dim"}},
        {name: value for name, value in RELEASED["glm-4.5v"].config.items() if name not in ("model_type", "dtype")},
    ],
    ids=["tiny", "no dense layer", "no experts", "no bias", "vision", "tied", "no head_dim", "GLM-4.5V"],
)
def test_parameters_by_arithmetic_are_those_of_the_real_classes(config: dict[str, Any]) -> None:
    sizes, model = Architecture.of(config), built(config)
    parameters = {name: parameter.numel() for name, parameter in model.named_parameters()}

    def of(*names: str) -> int:
        return sum(number for name, number in parameters.items() if any(part in name for part in names))

    assert sizes.parameters == sum(parameters.values())
    assert sizes.parts["routed experts"] == of(".experts.")
    assert sizes.parts["shared experts"] == of(".shared_experts.")
    assert sizes.parts["routers"] == of(".mlp.gate.weight")
    assert sizes.parts["attention"] == of(".self_attn.")
    assert sizes.parts["embeddings"] == of("embed_tokens")
    assert sizes.parts["vision tower"] == of("model.visual.")
    assert sizes.buffers == sum(buffer.numel() for name, buffer in model.named_buffers() if name.endswith("e_score_correction_bias"))


def test_glm_4_5v_has_the_numbers_its_files_are_published_with() -> None:
    assert GLM_45V.parameters + GLM_45V.buffers == 107_710_933_120
    assert GLM_45V.weights("bf16/fp16") / GIB == pytest.approx(200.63, abs=0.01)
    assert GLM_45V.cache("bf16/fp16") == 184 * 1024
    assert 12e9 < GLM_45V.active < 13e9  # "12B active"


def test_what_config_json_leaves_out_is_the_library_s_default() -> None:
    from transformers.models.glm4v_moe.configuration_glm4v_moe import Glm4vMoeTextConfig, Glm4vMoeVisionConfig

    text, vision = Glm4vMoeTextConfig(), Glm4vMoeVisionConfig()
    assert Architecture.of({}) == Architecture(Text(), Vision())
    assert all(getattr(Text(), name) == getattr(text, name) for name in Text.__slots__ if name != "head_dim")
    assert all(getattr(Vision(), name) == getattr(vision, name) for name in Vision.__slots__)
    assert Architecture.of({"text_config": {"num_local_experts": 7}}).text.n_routed_experts == 7


@pytest.mark.parametrize("value", ["x", -1, 0, 1.5, [1]])
def test_what_is_no_size_is_named(value: object) -> None:
    with pytest.raises(ModelError, match=r"text_config\.hidden_size is"):
        Architecture.of({"text_config": {"hidden_size": value}})


def test_cache_and_weights_are_as_large_as_the_library_makes_them(checkpoint: Path) -> None:
    from transformers import DynamicCache, Glm4vMoeForConditionalGeneration

    model: Any = Glm4vMoeForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.bfloat16)
    cache: Any = DynamicCache(config=model.config.get_text_config(decoder=True))
    model(input_ids=torch.tensor([[1, 2, 3]]), position_ids=torch.arange(3).expand(3, 1, 3), past_key_values=cache)
    sizes = inspect(checkpoint, machines=()).architecture
    assert sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) == 3 * sizes.cache("bf16/fp16")
    biases = [buffer for name, buffer in model.named_buffers() if name.endswith("e_score_correction_bias")]
    assert sum(tensor.nbytes for tensor in [*model.parameters(), *biases]) == sizes.weights("bf16/fp16")


def test_fp8_halves_the_matrices_and_nothing_else() -> None:
    matrices = sum(GLM_45V.parts[part] for part in ("routed experts", "shared experts", "dense MLP", "attention"))
    saved = GLM_45V.weights("bf16/fp16") - GLM_45V.weights("FP8")
    assert saved == pytest.approx(matrices * (1 - 4 / 128**2), abs=1)


def test_a_machine_holds_what_adds_up_to_less_than_it_has() -> None:
    for machine in MACHINES:
        for fit in fits(GLM_45V, machine, Screenshots(2691, 4 * 2691, 10)):
            more = next(
                other for other in fits(GLM_45V, machine, Screenshots(2691, 4 * 2691, fit.most + 1)) if other.numbers == fit.numbers
            )
            limit = (fit.most + 1) * 2791 > GLM_45V.text.max_position_embeddings
            assert fit.most >= 10 or not fit.fits
            assert limit or not more.fits, "one more would have fitted"


def test_more_devices_need_less_each_and_fp8_less_than_bf16() -> None:
    load = Screenshots(2691, 4 * 2691, 10)
    one, four, eight = (fits(GLM_45V, Machine("", n, 10**12, True), load) for n in (1, 4, 8))
    assert all(a.needed > b.needed > c.needed for a, b, c in zip(one, four, eight, strict=True))
    assert [fit.split for fit in (*one[:1], *four[:1])] == ["", "tensor_parallel=4"]
    assert fits(GLM_45V, Machine("", 3, 10**12, True), load)[0].split == "device_map"  # 8 KV heads
    assert one[2].weights < one[0].weights < one[1].weights


def test_a_cpu_is_not_offered_fp8() -> None:
    load = Screenshots(100, 400, 1)
    assert [fit.numbers for fit in fits(GLM_45V, Machine("", 1, 1, False), load)] == ["bf16/fp16", "fp32"]
    assert all(not fit.fits and fit.most == 0 for fit in fits(GLM_45V, Machine("", 1, 1, False), load))


def test_the_larger_of_vision_and_text_is_what_computing_takes() -> None:
    small, large = (activations(GLM_45V, Screenshots(0, patches, 0), "bf16/fp16", 1) for patches in (1, 10**6))
    assert small == activations(GLM_45V, Screenshots(0, 0, 0), "bf16/fp16", 1) < large
    assert large == 10**6 * (2 * (5 * 1536 + 2 * 4096) + 16 * 1536)


def test_this_machine_is_among_the_machines() -> None:
    assert {machine.name.startswith("here: ") for machine in here()} == {True}
    assert len(inspect("glm-4.5v").fits) > len(inspect("glm-4.5v", machines=MACHINES).fits)


def test_a_folder_is_inspected_by_its_headers(checkpoint: Path, copied: Path) -> None:
    found = inspect(checkpoint, machines=())
    weights = load_file(checkpoint / "model.safetensors")
    assert found.stored == {"F32": sum(tensor.nbytes for tensor in weights.values())}
    assert found.notes == ("Its context takes 0 of the 10 screenshots.",)
    weights.pop("lm_head.weight")
    save_file(weights, copied / "model.safetensors", {"format": "pt"})
    assert "it may not load" in inspect(copied, machines=()).notes[0]


def test_screenshots_are_counted_as_the_checkpoint_s_own_preprocessor_does(checkpoint: Path) -> None:
    found, own = inspect(checkpoint, machines=()), Preprocessor.load(checkpoint)
    assert [shot.tokens for shot in found.shots] == [own.tokens(*size) for size in SIZES]
    assert [shot.tokens for shot in inspect("glm-4.6v").shots] == [1196, 2691, 4641, 6032]
    assert found.shots[0].in_context == 2048 // (1196 + 100)
    assert [shot.width for shot in inspect(checkpoint, sizes=[(640, 360)], machines=()).shots] == [640]


def test_of_weights_elsewhere_the_index_tells_the_bytes(copied: Path) -> None:
    (copied / "model.safetensors").unlink()
    assert inspect(copied, machines=()).stored == {}
    index = {"metadata": {"total_size": 12}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}
    (copied / "model.safetensors.index.json").write_text(json.dumps(index))
    assert inspect(copied, machines=()).stored == {"float32": 12}


@pytest.mark.parametrize(("method", "told"), [("compressed-tensors", "become bfloat16"), ("fp8", "(fp8)")])
def test_quantized_weights_are_said_to_be_so(copied: Path, method: str, told: str) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"quantization_config": {"quant_method": method}}))
    assert told in inspect(copied, machines=()).notes[0]


def test_facts_are_plain_data_and_tables_have_a_cell_for_every_column() -> None:
    found = inspect("GLM-4.5V")
    assert json.loads(json.dumps(found.facts()))["parameters"]["total"] == GLM_45V.parameters
    for table in found.tables():
        assert {len(row) for row in table.rows} == {len(table.columns)}
        assert rich_table(table).row_count == len(table.rows)


def test_no_more_screenshots_are_counted_than_the_context_takes(checkpoint: Path) -> None:
    found = inspect(checkpoint, [(160, 210)], 100, MACHINES)
    assert found.count == found.shots[0].in_context == 2048 // (48 + 100)
    assert "takes 13 of the 100" in found.notes[0]
    assert {fit.most for fit in found.fits} == {13}


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ModelError, match=str(path)):
            inspect(path)
