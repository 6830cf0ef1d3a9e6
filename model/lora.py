"""Fine-tuning of any Glm4vMoe checkpoint by low-rank adapters (LoRA: E. Hu et al., arXiv 2106.09685), through the peft library.

The weights stay as they are; adapters on the projections of the text model's attention learn. What comes out is an adapter folder, which
`Glm4vMoe.load` takes like a checkpoint (model/adapter.py). The vision tower, the router and the experts do not learn.
"""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from model.adapter import ABOUT, ADAPTER, load_peft
from model.base import ModelError
from model.examples import Lesson
from model.forward import LibraryForward
from model.layout import lay_out
from model.tokens import OBSERVATION, USER, Tokens, assemble
from model.train import Progress
from model.vision import Preprocessor

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

TARGETS = r".*language_model\.layers\.\d+\.self_attn\.[qkvo]_proj"


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """rank: of the adapters; they are scaled by two. rate: peak learning rate, after a warm-up of 3 % a cosine down to zero.

    batch: lessons whose gradients are added up for one step. epochs: how often each lesson is read.
    """

    rank: int = 16
    rate: float = 2e-4
    batch: int = 8
    epochs: int = 1
    seed: int = 0


class LoraTrainer:
    """Adapters on a model, an optimiser for them, and what turns lessons into losses."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration, tokens: Tokens, preprocessor: Preprocessor, config: LoraConfig) -> None:
        """Raises ModelError when peft is not installed."""
        peft = load_peft()
        torch.manual_seed(config.seed)
        self.base, self.tokens, self.preprocessor, self.config = model, tokens, preprocessor, config
        adapters = peft.LoraConfig(r=config.rank, lora_alpha=2 * config.rank, target_modules=TARGETS, bias="none")
        self.model: Any = peft.get_peft_model(model, adapters)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(self.parameters, lr=config.rate, weight_decay=0.0)
        self._forward = LibraryForward(model)

    def loss(self, lesson: Lesson) -> Tensor:
        """Mean cross-entropy of the reply's tokens, the token that ends the turn included. Raises PromptError when it cannot be read."""
        return self.token_losses(lesson).mean()

    def token_losses(self, lesson: Lesson) -> Tensor:
        """Cross-entropy of each of the reply's tokens (tokens,), last that of the one that ends the turn. Raises as `loss` does."""
        prompt = assemble(lesson.messages, lesson.config, self.tokens, self.preprocessor.grid, self.preprocessor.merge)
        layout = lay_out(prompt, 0, self.preprocessor.merge)
        end = self.tokens.control[OBSERVATION if lesson.config.tools else USER]
        reply = torch.tensor([*self.tokens.encode_trusted(lesson.reply), end])
        ids = torch.cat([torch.from_numpy(layout.ids), reply])
        behind = torch.arange(len(reply)) + layout.following
        positions = torch.cat([torch.from_numpy(layout.positions), behind.expand(3, -1)], 1)
        features: Any = [self._features(image.segment.image) for image in layout.images]  # one tensor an image, as the library takes them
        device = self.base.device
        output = self.base(
            input_ids=ids[None].to(device),
            position_ids=positions[:, None].to(device),
            mm_encoder_outputs={"image": BaseModelOutputWithPooling(pooler_output=features)} if features else None,
            use_cache=False,
            logits_to_keep=len(reply) + 1,
        )
        return F.cross_entropy(output.logits[0, :-1].float(), reply.to(output.logits.device), reduction="none")

    @torch.no_grad()
    def _features(self, image: Any) -> Tensor:
        return self._forward.features(self.preprocessor.frame(image), self.preprocessor.grid(image))

    def step(self, lessons: Sequence[Lesson], rate: float) -> float:
        """One step of the optimiser over some lessons; returns their mean loss before it. Raises ModelError, and steps nowhere, when that
        or its gradient is no number."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for lesson in lessons:
            loss = self.loss(lesson) / len(lessons)
            torch.autograd.backward(loss)
            total += float(loss.detach())
        norm = float(torch.nn.utils.clip_grad_norm_(self.parameters, 1.0))
        if not math.isfinite(total + norm):
            raise ModelError(f"The loss is {total}, the norm of its gradient {norm}: lower the learning rate (now {self.config.rate}).")
        self.optimiser.step()
        return total

    def save(self, out: Path, base: str, about: dict[str, Any]) -> None:
        """The adapter, and beside it the name of the base and what the checkpoint says of its use."""
        self.model.save_pretrained(str(out))
        spec = json.loads((out / ADAPTER).read_text(encoding="utf-8"))
        (out / ADAPTER).write_text(json.dumps({**spec, "base_model_name_or_path": base}, indent=2), encoding="utf-8")
        (out / ABOUT).write_text(json.dumps(about), encoding="utf-8")


def fit_lora(trainer: LoraTrainer, lessons: Sequence[Lesson], report: Callable[[Progress], None]) -> None:
    """Read every lesson `epochs` times in an order of chance. report: called after each step."""
    config, rng = trainer.config, random.Random(trainer.config.seed)
    order = [i for _ in range(config.epochs) for i in rng.sample(range(len(lessons)), len(lessons))]
    batches = [order[at : at + config.batch] for at in range(0, len(order), config.batch)]
    began = time.monotonic()
    for number, batch in enumerate(batches, 1):
        warm = min(1.0, number / max(1, len(batches) * 0.03))
        rate = config.rate * warm * 0.5 * (1 + math.cos(math.pi * (number - 1) / len(batches)))
        loss = trainer.step([lessons[i] for i in batch], rate)
        seconds = time.monotonic() - began
        report(Progress(number, seconds / 60, number * config.batch / seconds, {"reply": loss}))
