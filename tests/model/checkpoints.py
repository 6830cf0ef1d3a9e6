"""Tiny Glm4vMoe checkpoints with random weights, whole on disk: the real classes, files and control tokens, half a million parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

ADDED = (  # noqa: SIM905
    "<|endoftext|> [MASK] [gMASK] [sMASK] <sop> <eop> <|system|> <|user|> <|assistant|> <|observation|> "
    "<|begin_of_image|> <|end_of_image|> <|begin_of_video|> <|end_of_video|> <|begin_of_audio|> <|end_of_audio|> "
    "<|begin_of_transcription|> <|end_of_transcription|> <|code_prefix|> <|code_middle|> <|code_suffix|> <think> </think> "
    "<tool_call> </tool_call> <tool_response> </tool_response> <arg_key> </arg_key> <arg_value> </arg_value> /nothink "
    "<|begin_of_box|> <|end_of_box|> <|image|> <|video|>"
).split()
"""GLM's added tokens in the order of their ids; the first 18 are marked special."""

CORPUS = ["left_click(start_box='[412,305]') the button says OK, the field is empty; scroll down a page and look again 0 1 2 3 4 5 6 7 8 9"]
LIMITS = {"shortest_edge": 12_544, "longest_edge": 9_633_792}
"""Pixels (two frames) of the released checkpoints' image processors."""


def tokenizer(thousandths: bool = False) -> Tokenizer:
    """A byte-level BPE with GLM's control tokens; on request with one token for each of `[0` … `[999` and `,0` … `,999`."""
    made = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    made.pre_tokenizer = pre_tokenizers.Sequence([words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False))
    made.add_tokens([AddedToken(name, special=i < 18, normalized=False) for i, name in enumerate(ADDED)])
    if thousandths:
        made.add_tokens([AddedToken(f"{first}{n}", special=False, normalized=False) for first in "[," for n in range(1000)])
    return made


def text_config(tokens: Tokenizer, hidden: int = 64, head: int = 32) -> dict[str, Any]:
    """Arguments of a small Glm4vMoeTextConfig: one dense layer, two of experts."""
    rotated = head // 4  # mrope_section must sum to half of the rotated half of a head
    side = 3 * rotated // 8
    return {
        "vocab_size": tokens.get_vocab_size(), "hidden_size": hidden, "intermediate_size": 2 * hidden, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": head, "moe_intermediate_size": 32, "n_routed_experts": 8,
        "num_experts_per_tok": 2, "first_k_dense_replace": 1, "max_position_embeddings": 2048,
        "pad_token_id": tokens.token_to_id("<|endoftext|>"),
        "eos_token_id": [tokens.token_to_id(name) for name in ("<|endoftext|>", "<|user|>", "<|observation|>")],
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5, "mrope_section": [rotated - 2 * side, side, side],
        },
    }  # fmt: skip


def vision_config(hidden: int = 64) -> dict[str, Any]:
    """Arguments of a small Glm4vMoeVisionConfig; its output must be as wide as the text model."""
    return {"depth": 2, "hidden_size": 48, "num_heads": 4, "intermediate_size": 96, "out_hidden_size": hidden}


def draw_wide(model: torch.nn.Module, seed: int = 0) -> None:
    """Weights so wide that images, positions and routing visibly matter: near-uniform logits would hide every error."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0.0, 0.08, generator=generator)
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.normal_(0.0, 0.05, generator=generator)


def build(folder: Path, thousandths: bool = False) -> Path:
    """Write a whole checkpoint into a folder."""
    from transformers import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration

    tokens = tokenizer(thousandths)
    names = {"image_token_id": "<|image|>", "video_token_id": "<|video|>", "image_start_token_id": "<|begin_of_image|>",
             "image_end_token_id": "<|end_of_image|>", "video_start_token_id": "<|begin_of_video|>",
             "video_end_token_id": "<|end_of_video|>"}  # fmt: skip
    ids: dict[str, Any] = {key: tokens.token_to_id(name) for key, name in names.items()}
    config = Glm4vMoeConfig(text_config=text_config(tokens), vision_config=vision_config(), **ids)
    kind: Any = Glm4vMoeForConditionalGeneration
    model = kind._from_config(config, dtype=torch.float32).eval()
    draw_wide(model)
    model.save_pretrained(folder)
    tokens.save(str(folder / "tokenizer.json"))
    images = {"size": LIMITS, "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    (folder / "preprocessor_config.json").write_text(json.dumps(images | {"patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}))
    return folder
