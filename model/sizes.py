"""How large a Glm4vMoe is, by arithmetic on its config.json: parameters, keys and values, features. Reads no weights, imports no torch.

The shapes are those of the library's classes (transformers/models/glm4v_moe/modeling_glm4v_moe.py), the defaults those of its own
configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from model.base import ModelError

Numbers = Literal["bf16/fp16", "fp32", "FP8"]
"""How weights are held. FP8 is the fine-grained kind: matrices of the text model in blocks of 128 × 128 with a float32 scale each."""

FP8_BLOCK = 128 * 128


@dataclass(frozen=True, slots=True)
class Text:
    """Of text_config, what decides sizes. head_dim 0 is hidden_size / num_attention_heads."""

    vocab_size: int = 151_424
    hidden_size: int = 4096
    intermediate_size: int = 10_944
    num_hidden_layers: int = 46
    num_attention_heads: int = 96
    num_key_value_heads: int = 8
    head_dim: int = 0
    attention_bias: bool = True
    moe_intermediate_size: int = 1408
    n_routed_experts: int = 128
    num_experts_per_tok: int = 8
    n_shared_experts: int = 1
    first_k_dense_replace: int = 1
    max_position_embeddings: int = 65_536

    @property
    def head(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def sparse_layers(self) -> int:
        """Layers with experts; those before have one dense MLP."""
        return max(0, self.num_hidden_layers - self.first_k_dense_replace)

    @property
    def attention(self) -> int:
        """Parameters of one layer's attention."""
        queries, keys = self.num_attention_heads * self.head, self.num_key_value_heads * self.head
        return 2 * self.hidden_size * (queries + keys) + self.attention_bias * (queries + 2 * keys)

    @property
    def expert(self) -> int:
        """Parameters of one expert of one layer."""
        return 3 * self.hidden_size * self.moe_intermediate_size


@dataclass(frozen=True, slots=True)
class Vision:
    """Of vision_config, what decides sizes."""

    depth: int = 24
    hidden_size: int = 1536
    num_heads: int = 12
    attention_bias: bool = False
    in_channels: int = 3
    image_size: int = 336
    patch_size: int = 14
    temporal_patch_size: int = 2
    spatial_merge_size: int = 2
    out_hidden_size: int = 4096
    intermediate_size: int = 13_696

    @property
    def parameters(self) -> int:
        width, out = self.hidden_size, self.out_hidden_size
        patches = width * self.in_channels * self.temporal_patch_size * self.patch_size**2 + width
        places = (self.image_size // self.patch_size) ** 2 * width
        block = 2 * width + 4 * width**2 + self.attention_bias * 3 * width + 3 * width * out
        downsample = out * width * self.spatial_merge_size**2 + out
        merger = out**2 + 2 * out + 3 * out * self.intermediate_size
        return patches + places + self.depth * block + 2 * width + downsample + merger


@dataclass(frozen=True, slots=True)
class Architecture:
    """The sizes of a model. tied: the output head is the embedding table."""

    text: Text
    vision: Vision
    tied: bool = False

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> Architecture:
        """From what config.json holds; what it leaves out is the library's default. Raises ModelError for what is no size."""
        tied = config.get("tie_word_embeddings") or (config.get("text_config") or {}).get("tie_word_embeddings")
        return cls(
            _section(Text, config, "text_config", {"num_local_experts": "n_routed_experts"}),
            _section(Vision, config, "vision_config", {"num_attention_heads": "num_heads", "num_hidden_layers": "depth"}),
            bool(tied),
        )

    @property
    def parts(self) -> dict[str, int]:
        """Parameters by part."""
        text = self.text
        table = text.vocab_size * text.hidden_size
        return {
            "routed experts": text.sparse_layers * text.n_routed_experts * text.expert,
            "shared experts": text.sparse_layers * text.n_shared_experts * text.expert,
            "routers": text.sparse_layers * text.n_routed_experts * text.hidden_size,
            "dense MLP": (text.num_hidden_layers - text.sparse_layers) * 3 * text.hidden_size * text.intermediate_size,
            "attention": text.num_hidden_layers * text.attention,
            "norms": (2 * text.num_hidden_layers + 1) * text.hidden_size,
            "embeddings": table,
            "output head": 0 if self.tied else table,
            "vision tower": self.vision.parameters,
        }

    @property
    def parameters(self) -> int:
        return sum(self.parts.values())

    @property
    def active(self) -> int:
        """Parameters that one text token is multiplied with: neither the vision tower, nor the table, nor the experts not chosen."""
        text, parts = self.text, self.parts
        idle = text.sparse_layers * (text.n_routed_experts - text.num_experts_per_tok) * text.expert
        return self.parameters - idle - parts["vision tower"] - (0 if self.tied else parts["embeddings"])

    @property
    def buffers(self) -> int:
        """float32 numbers stored beside the parameters: each router's correction bias."""
        return self.text.sparse_layers * self.text.n_routed_experts

    def weights(self, numbers: Numbers) -> int:
        """Bytes of all weights."""
        if numbers == "fp32":
            return 4 * (self.parameters + self.buffers)
        whole = 2 * self.parameters + 4 * self.buffers
        if numbers == "bf16/fp16":
            return whole
        matrices = sum(self.parts[part] for part in ("routed experts", "shared experts", "dense MLP", "attention"))
        return whole - matrices + 4 * matrices // FP8_BLOCK

    def cache(self, numbers: Numbers) -> int:
        """Bytes of keys and values of one token."""
        return 2 * self.text.num_hidden_layers * self.text.num_key_value_heads * self.text.head * itemsize(numbers)


def itemsize(numbers: Numbers) -> int:
    """Bytes of a number that is computed with; FP8 weights are multiplied with bfloat16 activations."""
    return 4 if numbers == "fp32" else 2


Section = TypeVar("Section", Text, Vision)


def _section(kind: type[Section], config: Mapping[str, Any], key: str, aliases: Mapping[str, str]) -> Section:
    found = config.get(key) or {}
    if not isinstance(found, Mapping):
        raise ModelError(f"config.json: {key} is no object: copy it again from the model's own repository.")
    named = {aliases.get(name, name): value for name, value in found.items() if value is not None}
    chosen = {field.name: named[field.name] for field in fields(kind) if field.name in named}
    for name, value in chosen.items():
        if not isinstance(value, int) or value < (name in _POSITIVE):
            raise ModelError(f"config.json: {key}.{name} is {value!r}, which is no size: copy it again from the model's own repository.")
    return kind(**chosen)


_POSITIVE = {field.name for kind in (Text, Vision) for field in fields(kind)} - {
    "head_dim", "attention_bias", "n_shared_experts", "first_k_dense_replace",
}  # fmt: skip
