"""The released models by their published configuration, so that their needs can be told without a download.

GLM-4.5V: config.json of zai-org/GLM-4.5V as public dumps show it; 107,710,933,120 stored numbers in 46 files, which the arithmetic meets.
GLM-4.6V: reported to be of the same class and the same 106 billion parameters, its context 131,072 tokens; that its other sizes are
GLM-4.5V's is an assumption.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Released:
    """A model that was published. source: where its sizes are from, for a person."""

    name: str
    source: str
    config: Mapping[str, Any]


_GLM_45V: dict[str, Any] = {
    "model_type": "glm4v_moe", "dtype": "bfloat16", "tie_word_embeddings": False,
    "text_config": {
        "vocab_size": 151_552, "hidden_size": 4096, "intermediate_size": 10_944, "num_hidden_layers": 46, "num_attention_heads": 96,
        "num_key_value_heads": 8, "head_dim": 128, "attention_bias": True, "moe_intermediate_size": 1408, "n_routed_experts": 128,
        "num_experts_per_tok": 8, "n_shared_experts": 1, "first_k_dense_replace": 1, "max_position_embeddings": 65_536,
    },
    "vision_config": {
        "depth": 24, "hidden_size": 1536, "num_heads": 12, "attention_bias": False, "in_channels": 3, "image_size": 336, "patch_size": 14,
        "temporal_patch_size": 2, "spatial_merge_size": 2, "out_hidden_size": 4096, "intermediate_size": 10_944,
    },
}  # fmt: skip
_GLM_46V = _GLM_45V | {"text_config": _GLM_45V["text_config"] | {"max_position_embeddings": 131_072}}

RELEASED = {
    "glm-4.5v": Released("GLM-4.5V", "the published config.json of zai-org/GLM-4.5V", _GLM_45V),
    "glm-4.6v": Released(
        "GLM-4.6V", "reported: GLM-4.5V's sizes with a context of 131,072 tokens; its own config.json was not seen", _GLM_46V
    ),
}

PIXELS = (12_544, 9_633_792)
"""Bounds of frames × height × width in the published preprocessor_config.json of both."""
