"""A small Glm4vMoe from scratch: its tokenizer, its configuration and an initialisation from which it can learn to point.

Two things the library's own initialisation does not give, and without which small models of this class do not learn to ground:
positions that can be read off the features from the first step on, and one token for each coordinate of a point.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration, PreTrainedTokenizerFast

from model.tokens import Tokens

CONTROL_TOKENS = (
    "<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>",
    "<|begin_of_image|>", "<|end_of_image|>", "<|begin_of_video|>", "<|end_of_video|>", "<|begin_of_audio|>", "<|end_of_audio|>",
    "<|begin_of_transcription|>", "<|end_of_transcription|>", "<|code_prefix|>", "<|code_middle|>", "<|code_suffix|>", "<think>",
    "</think>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<arg_key>", "</arg_key>", "<arg_value>",
    "</arg_value>", "/nothink", "<|begin_of_box|>", "<|end_of_box|>", "<|image|>", "<|video|>",
)  # fmt: skip
"""The added tokens of the GLM-4.5V tokenizer, in its order; the first 18 are special there."""

PREPROCESSOR: dict[str, Any] = {
    "min_pixels": 12544, "max_pixels": 9633792, "mean": (0.48145466, 0.4578275, 0.40821073), "std": (0.26862954, 0.26130258, 0.27577711)
}  # fmt: skip
"""How the released checkpoints take their images (the published preprocessor_config.json of GLM-4.5V; mean and std are CLIP's)."""

_HEAD = r"[a-z_]+\([a-z_]+='"
"""How a call begins that has an argument in quotes."""
_PIECES = r"\]'\)|[\[,]\p{N}{1,3}(?!\p{N})|\p{N}|\p{L}+|\s|[^\s\p{L}\p{N}]"
"""The end of a call with a point, a coordinate with the sign before it, single digits, words, single white space, other signs.

Signs are never merged: what a grammar forces up to some sign is then cut as the whole text would be.
"""
_PIECE_LENGTH = 2
"""Letters of a piece of a word. Longer ones are words learned by heart: what the screen shows of them is never taken apart."""


@dataclass(frozen=True, slots=True)
class SmallConfig:
    """Sizes of a small model, and the seed of its first weights. rotated: the part of a head that tells places; the rest tells content."""

    hidden: int = 192
    layers: int = 7
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    rotated: float = 0.25
    experts: int = 8
    expert_width: int = 128
    vision_hidden: int = 128
    vision_depth: int = 6
    vision_heads: int = 4
    seed: int = 0


def coordinate_tokens() -> tuple[list[str], list[str]]:
    """The 1,000 tokens of an x and the 1,000 of a y, as they stand in a call: '[412' and ',305'."""
    return [f"[{v}" for v in range(1000)], [f",{v}" for v in range(1000)]


def build_tokenizer(corpus: Iterable[str], pieces: int = 1000) -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `pieces` short pieces trained on `corpus`, GLM's control tokens by name, one token for each coordinate
    and for the beginning of each call in the corpus."""
    texts = list(corpus)
    heads = sorted({head for text in texts for head in re.findall(_HEAD, text)})
    bpe = Tokenizer(models.BPE())
    pattern = "|".join([*map(re.escape, heads), _PIECES])
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=pieces, initial_alphabet=alphabet, max_token_length=_PIECE_LENGTH, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    state = json.loads(bpe.to_str())
    state["model"]["ignore_merges"] = True  # what the pre-tokenizer isolates and the vocabulary has is one token
    for name in (*heads, "]')", *(name for names in coordinate_tokens() for name in names)):
        state["model"]["vocab"].setdefault(name, len(state["model"]["vocab"]))
    whole = Tokenizer.from_str(json.dumps(state))
    whole.add_tokens([AddedToken(t, special=i < 18, normalized=False) for i, t in enumerate(CONTROL_TOKENS)])
    return wrap_tokenizer(whole)


def wrap_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """The library's class around a tokenizer that has GLM's control tokens."""
    end = CONTROL_TOKENS[0]
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, eos_token=end, pad_token=end, padding_side="left", clean_up_tokenization_spaces=False
    )


def build_config(tokenizer: PreTrainedTokenizerFast, sizes: SmallConfig) -> Glm4vMoeConfig:
    ids: dict[str, Any] = {name: tokenizer.convert_tokens_to_ids(name) for name in CONTROL_TOKENS}
    rotary = int(sizes.head_dim * sizes.rotated) // 2  # in pairs
    side = 3 * rotary // 8
    stops = [ids["<|endoftext|>"], ids["<|user|>"], ids["<|observation|>"]]
    text = {
        "vocab_size": len(tokenizer), "hidden_size": sizes.hidden, "intermediate_size": 2 * sizes.hidden, 
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads, "num_key_value_heads": sizes.kv_heads, "head_dim": sizes.head_dim, "attention_bias": True,
        "moe_intermediate_size": sizes.expert_width, "n_routed_experts": sizes.experts, "num_experts_per_tok": 2,
        "first_k_dense_replace": max(1, sizes.layers - 4),
        "pad_token_id": stops[0], "eos_token_id": stops, "max_position_embeddings": 8192,
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": sizes.rotated,
            "mrope_section": [rotary - 2 * side, side, side]
        },
    }  # fmt: skip
    vision = {
        "depth": sizes.vision_depth, "hidden_size": sizes.vision_hidden, "num_heads": sizes.vision_heads,
        "intermediate_size": 2 * sizes.vision_hidden, "out_hidden_size": sizes.hidden,
    }  # fmt: skip
    return Glm4vMoeConfig(
        text_config=text, vision_config=vision, image_token_id=ids["<|image|>"], video_token_id=ids["<|video|>"],
        image_start_token_id=ids["<|begin_of_image|>"], image_end_token_id=ids["<|end_of_image|>"],
        video_start_token_id=ids["<|begin_of_video|>"], video_end_token_id=ids["<|end_of_video|>"],
    )  # fmt: skip


def build_model(tokenizer: PreTrainedTokenizerFast, sizes: SmallConfig) -> Glm4vMoeForConditionalGeneration:
    """An fp32 model initialised so that a linear probe reads a patch's place off the features in every layer (R² about 1; library: 0.1)."""
    torch.manual_seed(sizes.seed)
    model = empty_model(build_config(tokenizer, sizes))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            _initialise(name, parameter)
        table = model.model.visual.embeddings.position_embedding.weight
        table.copy_(_places(int(math.sqrt(table.shape[0])), table.shape[1]))
        _initialise_pieces(model, tokenizer)
        _initialise_coordinates(model, tokenizer)
    return model


def deepened(model: Glm4vMoeForConditionalGeneration, layers: int) -> Glm4vMoeForConditionalGeneration:
    """The same model with more text layers, dense ones, in front of the others. They have random weights and hand on what they are given,
    so that it says what it said before (as function-preserving growth does, arXiv 1511.05641)."""
    config = Glm4vMoeConfig(**model.config.to_dict())
    text = config.get_text_config(decoder=True)
    text.num_hidden_layers += layers
    text.first_k_dense_replace += layers
    grown = empty_model(config)
    with torch.no_grad():
        for name, parameter in grown.model.language_model.layers[:layers].named_parameters():
            _initialise(name, parameter)
            if "o_proj" in name or "down_proj" in name:
                nn.init.zeros_(parameter)
    weights = grown.state_dict()
    for name, value in model.state_dict().items():
        weights[re.sub(r"(?<=language_model\.layers\.)\d+", lambda at: str(int(at[0]) + layers), name)] = value
    grown.load_state_dict(weights)
    return grown


def empty_model(config: Glm4vMoeConfig) -> Glm4vMoeForConditionalGeneration:
    """In float32, with the library's own initialisation."""
    make: Any = Glm4vMoeForConditionalGeneration  # the library leaves _from_config unannotated
    model: Glm4vMoeForConditionalGeneration = make._from_config(config, dtype=torch.float32)
    return model


def _initialise(name: str, parameter: nn.Parameter) -> None:
    if parameter.dim() < 2:
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        return
    fan_in = parameter.shape[-1] if parameter.dim() == 3 else parameter[0].numel()
    std = 1 / math.sqrt(fan_in)
    if any(part in name for part in ("o_proj", "attn.proj", "down_proj")):
        std *= 0.4
    elif "embed_tokens" in name:
        std = 0.3
    elif "lm_head" in name:
        std *= 0.3
    nn.init.normal_(parameter, 0.0, std)


def _places(side: int, width: int) -> Tensor:
    """(side², width): sines and cosines of 0.25 to 4.25 cycles over the image, of both coordinates."""
    y, x = torch.meshgrid((torch.arange(side) + 0.5) / side, (torch.arange(side) + 0.5) / side, indexing="ij")
    columns: list[Tensor] = []
    for cycles in torch.linspace(0.25, 4.25, width // 4):
        columns += [wave(2 * math.pi * cycles * axis) for axis in (x, y) for wave in (torch.sin, torch.cos)]
    return torch.stack(columns, -1).reshape(side * side, -1)[:, :width]


def _initialise_pieces(model: Glm4vMoeForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """Output rows of pieces of text begin in the direction of their embeddings: a head that looks at one need only pass it on."""
    ids = torch.tensor([token for token, _ in Tokens(tokenizer.backend_tokenizer).spelled()])
    embeddings, rows = model.model.language_model.embed_tokens.weight[ids], model.lm_head.weight[ids]
    model.lm_head.weight[ids] = embeddings * (rows.norm(dim=1) / embeddings.norm(dim=1))[:, None]


def _initialise_coordinates(model: Glm4vMoeForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """Rows of the coordinate tokens start as sinusoids of their value under a random rotation: neighbours are alike from the start."""
    width = model.lm_head.weight.shape[1]
    value = (torch.arange(1000) + 0.5) / 1000
    waves = 2 * math.pi * value[:, None] * torch.linspace(0.25, 8, width // 2)
    smooth = torch.cat([waves.sin(), waves.cos()], 1)
    generator = torch.Generator().manual_seed(3)
    for names in coordinate_tokens():
        rows = smooth @ torch.linalg.qr(torch.randn(width, width, generator=generator))[0]
        ids = torch.tensor(tokenizer.convert_tokens_to_ids(names))
        model.lm_head.weight[ids] = rows * 0.05
        model.model.language_model.embed_tokens.weight[ids] = rows * 0.3


def save_checkpoint(
    model: Glm4vMoeForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: str, extra: dict[str, Any]
) -> None:
    """Write a checkpoint folder that loads like any other: fp16 safetensors, tokenizer, preprocessor and generation configuration.

    extra: what goes under "glimpse" in config.json (how to read the model's points, how it wants its screenshots).
    """
    from transformers.models.glm4v.image_processing_pil_glm4v import Glm4vImageProcessorPil

    model.config.glimpse = extra
    weights = {name: value.half() if value.is_floating_point() else value for name, value in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=weights)
    config = Path(folder) / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"dtype": "float32"', '"dtype": "float16"'), encoding="utf-8")
    tokenizer.save_pretrained(folder)
    size = {"shortest_edge": PREPROCESSOR["min_pixels"], "longest_edge": PREPROCESSOR["max_pixels"]}
    Glm4vImageProcessorPil(size=size, image_mean=list(PREPROCESSOR["mean"]), image_std=list(PREPROCESSOR["std"])).save_pretrained(folder)
