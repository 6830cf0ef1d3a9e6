"""What each process of test_loading_parallel.py runs: two of them hold one model together, and rank 0 says how far they are off."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import DynamicCache

from model.base import Completion, GenerationConfig, Message, ModelError
from model.glm4v_moe import Glm4vMoe
from model.loading import Placement, load_weights
from model.parallel import Lead, follow, leads

GRID = torch.tensor([[1, 4, 6]])
IMAGE = 24 // 4  # tokens of that grid


def answers(model: Any) -> torch.Tensor:
    """Logits of a screenshot between words, and of two more tokens read with the keys and values of the first."""
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    pixels = torch.randn((24, 1176), generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[5, 6, *[model.config.image_token_id] * IMAGE, 7]])
    places = torch.arange(ids.shape[1] + 2).expand(3, 1, -1)
    with torch.inference_mode():
        encoded = model.model.get_image_features(pixels, GRID)
        first = model(input_ids=ids, position_ids=places[..., :-2], past_key_values=cache, mm_encoder_outputs={"image": encoded}).logits
        second = model(input_ids=torch.tensor([[8, 9]]), position_ids=places[..., -2:], past_key_values=cache).logits
    return torch.cat([first, second], 1)


class Echo:
    """Says back the last text it was told, and remembers what it was asked."""

    name = "echo"

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[Message], GenerationConfig]] = []

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        self.asked.append((messages, config))
        if not messages:
            raise ModelError("An empty prompt.")
        return Completion(str(messages[-1].content[-1]))


def conversation(folder: Path) -> None:
    """Rank 0 leads through two requests and a mistake; the other one writes down what it heard."""
    echo = Echo()
    if not leads():
        follow(echo)
        heard = [[len(messages), config.max_tokens, config.max_seconds] for messages, config in echo.asked]
        (folder / "heard.json").write_text(json.dumps(heard))
        (folder / "drawn.json").write_text(json.dumps([config.seed for _, config in echo.asked]))
        return
    lead, said = Lead(echo), list[str]()
    config = GenerationConfig(max_tokens=3, max_seconds=1.0, on_text=said.append, cancelled=lambda: True)
    for messages in ([Message("user", ("Hello",))], [], [Message("user", ("Once",)), Message("user", ("more",))]):
        try:
            said.append(lead.generate(messages, config).content)
        except ModelError as error:
            said.append(str(error))
        config = replace(config, max_tokens=config.max_tokens + 1, temperature=1.0)
    (folder / "said.json").write_text(json.dumps(said))
    (folder / "seeds.json").write_text(json.dumps([config.seed for _, config in echo.asked]))
    lead.close()


def answer_together(checkpoint: Path, folder: Path) -> None:
    """A conversation with screenshots, through the engine: rank 0 compares what two say with what it says alone."""
    shared = Glm4vMoe.load(checkpoint, tensor_parallel=2)
    if not leads():
        follow(shared)
        return
    alone, lead = Glm4vMoe.load(checkpoint), Lead(shared)
    messages, told = list[Message](), list[tuple[list[int], list[int], int]]()
    for step in range(3):
        messages.append(Message("user", ("Look", Image.new("RGB", (120, 90), (80 * step, 40, 200)))))
        ours, theirs = (model.generate(messages, GenerationConfig(max_tokens=8)) for model in (lead, alone))
        told.append((list(ours.token_ids), list(theirs.token_ids), ours.cached_tokens))
        messages.append(Message("assistant", (ours.content,)))
    lead.close()
    (folder / "together.json").write_text(json.dumps(told))


def main(checkpoint: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    whole = answers(load_weights(checkpoint, Placement()))
    off: dict[str, float] = {}
    for name, experts in (("tensor", False), ("expert", True)):
        model: Any = load_weights(checkpoint, Placement(tensor_parallel=2, expert_parallel=experts))
        off[name] = float((answers(model) - whole).abs().max())
        experts_here = model.model.language_model.layers[1].mlp.experts.down_proj.to_local()
        off[f"{name} share"] = experts_here.numel() / model.model.language_model.layers[1].mlp.experts.down_proj.numel()
    if leads():
        (folder / "off.json").write_text(json.dumps(off))
    conversation(folder)
    answer_together(checkpoint, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
