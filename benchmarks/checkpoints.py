"""Random Glm4vMoe checkpoints to measure on: `python -m benchmarks.checkpoints [small large] [--folder F]`.

The real classes, files and control tokens, the geometry GLM's in small: grouped queries, one dense layer and then experts with a shared
one, a vision tower. The weights are drawn wide, so that images, positions and routing decide what is said. The output rows of all tokens
but three-digit numbers are small: a reply is always as long as it may be, and its text is read back as the tokens it was written in.
"""

from __future__ import annotations

import json
import random
import shutil
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

CACHE = Path.home() / ".cache" / "glimpse" / "benchmarks"
TEMPLATE = Path(__file__).with_name("chat_template.jinja")
RECIPE = 2
"""Raised when the same geometry is to give another checkpoint."""
PIECES = 4000
NUMBERS = [str(n) for n in range(100, 1000)]
UNLIKELY = 0.05
"""Scale of the output rows of all tokens that are no three-digit number."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of a checkpoint, by the names of the library's configuration."""

    hidden: int
    layers: int
    heads: int
    kv_heads: int
    dense: int
    experts: int
    chosen: int
    expert_width: int
    vision_hidden: int
    vision_depth: int
    vision_heads: int
    vision_dense: int
    head_dim: int = 64
    context: int = 32_768
    seed: int = 0


GEOMETRIES = {
    "small": Geometry(256, 6, 8, 2, 640, 12, 4, 160, 256, 6, 4, 512),
    "large": Geometry(1024, 12, 16, 4, 2816, 48, 8, 448, 768, 12, 12, 2816),
}


def checkpoint(name: str, folder: Path = CACHE) -> Path:
    """The folder of a checkpoint, written the first time it is asked for."""
    geometry = GEOMETRIES[name]
    mark = sha256(f"{RECIPE} {geometry} {TEMPLATE.read_text(encoding='utf-8')}".encode()).hexdigest()[:8]
    path = folder / f"{name}-{mark}"
    if not path.is_dir():
        half = path.with_name(f"{path.name}.part")
        shutil.rmtree(half, ignore_errors=True)
        write(geometry, half)
        half.rename(path)
    return path


def write(geometry: Geometry, folder: Path) -> None:
    """Weights in float16, tokenizer, processors and chat template, so that every engine finds what it looks for."""
    from model.small import save_checkpoint

    tokens = tokenizer()
    model = _model(tokens, geometry)
    save_checkpoint(model, tokens, str(folder), {})
    shutil.copyfile(TEMPLATE, folder / "chat_template.jinja")
    image = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
    shared = {"processor_class": "Glm4vProcessor", "patch_size": 14, "merge_size": 2, "temporal_patch_size": 2}
    image |= shared | {"image_processor_type": "Glm4vImageProcessor"}
    video = {key: image[key] for key in ("size", "image_mean", "image_std")} | shared | {"video_processor_type": "Glm4vVideoProcessor"}
    for file, content in (("preprocessor_config.json", image), ("video_preprocessor_config.json", video)):
        (folder / file).write_text(json.dumps(content, indent=2), encoding="utf-8")
    (folder / "geometry.json").write_text(json.dumps(asdict(geometry), indent=2), encoding="utf-8")


def words(seed: int, count: int) -> str:
    """So many made-up words, common ones more often; the same for the same seed."""
    source = random.Random(seed)
    return " ".join(_WORDS[int(len(_WORDS) * source.random() ** 3)] for _ in range(count))


def _made_up(count: int) -> list[str]:
    source, made = random.Random(1), dict[str, None]()
    while len(made) < count:
        made["".join(source.choice("bdfgklmnprstvw") + source.choice("aeiou") for _ in range(source.choice((1, 2, 2, 3))))] = None
    return list(made)


_WORDS = _made_up(2000)


def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE cut like GLM's (numbers in threes, words with the space before them), each number from 100 to 999 one token."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    from model.small import CONTROL_TOKENS, wrap_tokenizer

    bpe = Tokenizer(models.BPE())
    cut = pre_tokenizers.Split(Regex(r"\p{N}{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    bpe.pre_tokenizer = pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    bpe.decoder = decoders.ByteLevel()
    corpus = [words(seed, 2000) for seed in range(40)] + [" ".join(NUMBERS)] * 40
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=PIECES, initial_alphabet=alphabet, show_progress=False))
    bpe.add_tokens([AddedToken(name, special=i < 18, normalized=False) for i, name in enumerate(CONTROL_TOKENS)])
    if lacking := [number for number in NUMBERS if bpe.token_to_id(number) is None]:
        raise SystemExit(f"The tokenizer has no token for {', '.join(lacking[:3])} …: train it on more numbers.")
    return wrap_tokenizer(bpe)


def _model(tokens: PreTrainedTokenizerFast, geometry: Geometry) -> Any:
    import torch
    from transformers import Glm4vMoeForConditionalGeneration

    kind: Any = Glm4vMoeForConditionalGeneration
    model = kind._from_config(_config(tokens, geometry), dtype=torch.float32).eval()
    generator = torch.Generator().manual_seed(geometry.seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() >= 2:
                parameter.normal_(0.0, _std(name, parameter), generator=generator)
        for name, buffer in model.named_buffers():
            if name.endswith("e_score_correction_bias"):
                buffer.normal_(0.0, 0.05, generator=generator)
        likely = torch.zeros(len(tokens), dtype=torch.bool)
        likely[tokens.convert_tokens_to_ids(NUMBERS)] = True
        model.lm_head.weight[~likely] *= UNLIKELY
    return model


def _std(name: str, parameter: torch.Tensor) -> float:
    """Each layer's output about as wide as its input; attention peaked, so that it matters what is where; plain winners among tokens."""
    if "embed" in name and "proj" not in name:
        return 1.0
    fan_in = parameter.shape[-1] if parameter.dim() <= 3 else parameter[0].numel()
    wide = 2.0 if "lm_head" in name else 1.5 if name.endswith(("q_proj.weight", "k_proj.weight")) else 1.0
    return wide / sqrt(fan_in)


def _config(tokens: PreTrainedTokenizerFast, g: Geometry) -> Any:
    from transformers import Glm4vMoeConfig

    ids: dict[str, Any] = {name: tokens.convert_tokens_to_ids(f"<|{name}|>") for name in (
        "endoftext", "user", "observation", "image", "video", "begin_of_image", "end_of_image", "begin_of_video", "end_of_video",
    )}  # fmt: skip
    rotated = g.head_dim // 4  # half of the head is rotated (partial_rotary_factor 0.5), in pairs
    side = 3 * rotated // 8
    text = {
        "vocab_size": len(tokens), "hidden_size": g.hidden, "intermediate_size": g.dense, "num_hidden_layers": g.layers,
        "num_attention_heads": g.heads, "num_key_value_heads": g.kv_heads, "head_dim": g.head_dim, "attention_bias": True,
        "moe_intermediate_size": g.expert_width, "n_routed_experts": g.experts, "num_experts_per_tok": g.chosen, "n_shared_experts": 1,
        "first_k_dense_replace": 1, "use_qk_norm": False, "max_position_embeddings": g.context, "pad_token_id": ids["endoftext"],
        "eos_token_id": [ids["endoftext"], ids["user"], ids["observation"]],
        "rope_parameters": {
            "rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.5, "mrope_section": [rotated - 2 * side, side, side],
        },
    }  # fmt: skip
    vision = {
        "depth": g.vision_depth, "hidden_size": g.vision_hidden, "num_heads": g.vision_heads, "intermediate_size": g.vision_dense,
        "out_hidden_size": g.hidden,
    }  # fmt: skip
    return Glm4vMoeConfig(
        text_config=text, vision_config=vision, image_token_id=ids["image"], video_token_id=ids["video"],
        image_start_token_id=ids["begin_of_image"], image_end_token_id=ids["end_of_image"],
        video_start_token_id=ids["begin_of_video"], video_end_token_id=ids["end_of_video"],
    )  # fmt: skip


def main(
    names: Annotated[list[str] | None, typer.Argument(help="small, large; both when none is given.")] = None,
    folder: Annotated[Path, typer.Option(help="Where checkpoints are kept.")] = CACHE,
) -> None:
    """Write the checkpoints and say how large they are."""
    from benchmarks.limit import Work

    for name in names or list(GEOMETRIES):
        work = Work.of(checkpoint(name, folder))
        print(f"{name}: {work.parameters / 1e6:.1f} M parameters, {work.active / 1e6:.1f} M of them at work on a token, "
              f"{work.kv_token / 1024:.1f} KiB of KV a token: {checkpoint(name, folder)}")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
