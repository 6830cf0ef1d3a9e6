"""What we rely on in the library: its seven Glm4vMoe classes, their real sizes, and the entry points we call."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import (
    DynamicCache,
    Glm4vMoeConfig,
    Glm4vMoeForConditionalGeneration,
    Glm4vMoeModel,
    Glm4vMoeTextModel,
    Glm4vMoeVisionModel,
)
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.glm4v_moe.configuration_glm4v_moe import Glm4vMoeTextConfig, Glm4vMoeVisionConfig

from tests.model import checkpoints

GLM_45V: dict[str, Any] = {
    "text_config": {
        "vocab_size": 151_552, "hidden_size": 4096, "intermediate_size": 10_944, "num_hidden_layers": 46, "num_attention_heads": 96,
        "num_key_value_heads": 8, "head_dim": 128, "attention_bias": True, "use_qk_norm": False, "max_position_embeddings": 65_536,
        "rms_norm_eps": 1e-5, "hidden_act": "silu", "moe_intermediate_size": 1408, "n_routed_experts": 128, "num_experts_per_tok": 8,
        "n_shared_experts": 1, "routed_scaling_factor": 1.0, "n_group": 1, "topk_group": 1, "norm_topk_prob": True,
        "first_k_dense_replace": 1, "eos_token_id": [151_329, 151_336, 151_338], "pad_token_id": 151_329,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5, "mrope_section": [8, 12, 12],
        },
    },
    "vision_config": {
        "depth": 24, "hidden_size": 1536, "num_heads": 12, "intermediate_size": 10_944, "out_hidden_size": 4096, "patch_size": 14,
        "temporal_patch_size": 2, "spatial_merge_size": 2, "image_size": 336, "attention_bias": False, "rms_norm_eps": 1e-5,
    },
    "image_token_id": 151_363, "video_token_id": 151_364, "image_start_token_id": 151_339, "image_end_token_id": 151_340,
    "video_start_token_id": 151_341, "video_end_token_id": 151_342, "tie_word_embeddings": False,
}  # fmt: skip
"""The released configuration of zai-org/GLM-4.5V, as far as it decides sizes."""

GLM_46V: dict[str, Any] = GLM_45V | {"text_config": GLM_45V["text_config"] | {"max_position_embeddings": 131_072}}
TOKENS = checkpoints.tokenizer()
IMAGE: Any = TOKENS.token_to_id("<|image|>")
GRID = torch.tensor([[1, 4, 6]])


def text_config() -> Glm4vMoeTextConfig:
    return Glm4vMoeTextConfig(**checkpoints.text_config(TOKENS))


def vision_config() -> Glm4vMoeVisionConfig:
    return Glm4vMoeVisionConfig(**checkpoints.vision_config())


def whole_config() -> Glm4vMoeConfig:
    return Glm4vMoeConfig(text_config=text_config(), vision_config=vision_config(), image_token_id=IMAGE)


def made(kind: Any, config: Any) -> Any:
    """A model of the library's class `kind` with random weights."""
    return kind._from_config(config).eval()


def patches() -> torch.Tensor:
    return torch.randn(24, 3 * 2 * 14 * 14, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("values", "context"), [(GLM_45V, 65_536), (GLM_46V, 131_072)], ids=["GLM-4.5V", "GLM-4.6V"])
def test_the_released_models_have_their_published_size(values: dict[str, Any], context: int) -> None:
    config: Any = Glm4vMoeConfig(**values)
    with torch.device("meta"):
        model = made(Glm4vMoeForConditionalGeneration, config)
    parameters = {name: parameter.numel() for name, parameter in model.named_parameters()}
    routed = sum(count for name, count in parameters.items() if ".experts." in name)
    assert sum(parameters.values()) == pytest.approx(107.7e9, rel=0.001)
    assert routed / sum(parameters.values()) == pytest.approx(0.92, abs=0.01)
    assert config.text_config.max_position_embeddings == context
    assert config.get_text_config(decoder=True) is config.text_config


def test_the_configurations_survive_being_written_and_read() -> None:
    config = Glm4vMoeConfig(**GLM_45V)
    again: Any = Glm4vMoeConfig.from_dict(config.to_dict())
    assert again.to_dict() == config.to_dict()
    assert isinstance(again.text_config, Glm4vMoeTextConfig)
    assert isinstance(again.vision_config, Glm4vMoeVisionConfig)
    assert again.to_dict()["text_config"]["rope_parameters"]["mrope_section"] == [8, 12, 12]
    assert again.text_config.head_dim == 128
    assert again.vision_config.num_hidden_layers == 24
    assert text_config().num_local_experts == text_config().n_routed_experts == 8


def test_the_vision_model_turns_four_patches_into_one_token() -> None:
    vision = made(Glm4vMoeVisionModel, vision_config())
    assert vision(patches(), grid_thw=GRID).pooler_output.shape == (6, 64)


def test_features_of_an_image_do_not_depend_on_its_neighbours() -> None:
    vision = made(Glm4vMoeVisionModel, vision_config())
    both = vision(torch.cat([patches(), -patches()]), grid_thw=GRID.repeat(2, 1)).pooler_output
    torch.testing.assert_close(both[:6], vision(patches(), grid_thw=GRID).pooler_output, atol=1e-5, rtol=1e-4)


def test_the_text_model_takes_three_positions_a_token() -> None:
    text = made(Glm4vMoeTextModel, text_config())
    ids = torch.tensor([[1, 2, 3, 4]])
    flat, spread = torch.arange(4).expand(3, 1, 4), torch.tensor([[0, 1, 2, 3], [0, 5, 2, 9], [0, 1, 8, 3]])[:, None]
    assert text(input_ids=ids, position_ids=flat).last_hidden_state.shape == (1, 4, 64)
    assert not torch.allclose(
        text(input_ids=ids, position_ids=flat).last_hidden_state, text(input_ids=ids, position_ids=spread).last_hidden_state
    )


def test_the_inner_model_takes_encoded_images_in_place_of_pixels() -> None:
    inner = made(Glm4vMoeModel, whole_config())
    ids = torch.tensor([[1, *[IMAGE] * 6, 2]])
    places = torch.arange(8).expand(3, 1, 8)
    features = inner.get_image_features(patches(), GRID).pooler_output
    assert [feature.shape for feature in features] == [(6, 64)]
    encoded = {"image": BaseModelOutputWithPooling(pooler_output=features)}
    by_features = inner(input_ids=ids, position_ids=places, mm_encoder_outputs=encoded).last_hidden_state
    by_pixels = inner(input_ids=ids, position_ids=places, pixel_values=patches(), image_grid_thw=GRID).last_hidden_state
    torch.testing.assert_close(by_features, by_pixels)
    assert inner.rope_deltas is None


def test_the_whole_model_keeps_the_cache_and_the_logits_it_is_asked_for() -> None:
    whole = made(Glm4vMoeForConditionalGeneration, whole_config())
    cache = DynamicCache(config=whole.config.get_text_config(decoder=True))
    output = whole(
        input_ids=torch.tensor([[1, 2, 3]]), position_ids=torch.arange(3).expand(3, 1, 3), past_key_values=cache, logits_to_keep=1
    )
    assert output.logits.shape == (1, 1, TOKENS.get_vocab_size())
    assert cache.get_seq_length() == 3


@pytest.mark.parametrize("experts", ["eager", "grouped_mm", "batched_mm"])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_every_implementation_of_attention_and_experts_gives_the_same_logits(attention: str, experts: str) -> None:
    whole = made(Glm4vMoeForConditionalGeneration, whole_config())
    checkpoints.draw_wide(whole)
    inputs = {"input_ids": torch.tensor([[5, 6, 7, 8]]), "position_ids": torch.arange(4).expand(3, 1, 4)}
    expected = whole(**inputs).logits
    whole.set_attn_implementation(attention)
    whole.set_experts_implementation(experts)
    torch.testing.assert_close(whole(**inputs).logits, expected, atol=1e-4, rtol=0)
