"""A Glm4vMoe in training: its model, heads, optimiser and clock; one step, a validation, saving and going on.

One process, CPU, fp32. Knows nothing of environments or trajectories: it is given Examples.
"""

from __future__ import annotations

import json
import math
import pickle
import random
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor
from transformers import Glm4vMoeConfig, Glm4vMoeForConditionalGeneration, PreTrainedTokenizerFast

from model.base import ModelError
from model.batched import BatchedText, BatchedVision
from model.batches import Batch, BatchBuilder, coordinate_ids
from model.examples import Example
from model.loading import Placement, load_weights
from model.losses import WEIGHTS, Look, ReadingHeads, action_losses, glyphs_named, looks, places, reading_losses
from model.muon import Muon
from model.pointing import smooth
from model.small import PREPROCESSOR, SmallConfig, build_model, build_tokenizer, deepened, empty_model, save_checkpoint, wrap_tokenizer
from model.tokens import Tokens
from model.vision import Preprocessor

STATE, HEADS = "training.pt", "letters.safetensors"

_INSIDE = re.compile(r"(layers|blocks)\..*(_proj|qkv|proj)(\.weight)?$|merger\..*proj.*weight$")
"""The matrices between a model's input and output, but for the routers."""
PAGES, READING_PAGES = 0.25, 0.7
"""The share of examples that have nothing to do on them but words to read, where there are others; and while only reading is trained."""
OFTEN = 4


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """minutes: how long to train, on the training clock (a resumed run goes on from its own); the learning rate falls to 5 % over it.

    reading_minutes: the first of these train the vision tower alone to name letters, at half the cost of a step.
    rate: peak learning rate. save_minutes: between checkpoints on disk. smoothing: how many thousandths are averaged when a point is read
    off (odd). threads: of torch, 0 leaves its own choice. compiled: use torch.compile (`model.batched.can_compile`). deepen: how many text
    layers are put in front of those of the checkpoint that a training begins with. often: tasks that are drawn OFTEN times as often.
    """

    minutes: float = 60.0
    reading_minutes: float = 0.0
    batch: int = 12
    rate: float = 1e-3
    warmup: int = 100
    save_minutes: float = 5.0
    seed: int = 0
    smoothing: int = 25
    threads: int = 0
    compiled: bool = False
    deepen: int = 0
    often: tuple[str, ...] = ()


class Trainer:
    """Everything a training run is: model, reading heads, optimisers, clock."""

    def __init__(
        self,
        examples: tuple[Sequence[Example], Sequence[Example]],
        config: TrainConfig,
        model: Glm4vMoeForConditionalGeneration,
        tokenizer: PreTrainedTokenizerFast,
    ) -> None:
        """examples: to train on, and held out. model: in float32, on the CPU; trained in place. Raises ModelError when it has no tokens
        for coordinates, when there is nothing to train on, and for a task wanted often of which there is no example."""
        (self.examples, self.validation), self.config = examples, config
        if not self.examples:
            raise ModelError(f"All {len(self.validation)} examples are held out, so there is nothing to train on: record more runs.")
        self.rng = random.Random(config.seed)
        torch.manual_seed(config.seed)
        self.model, self.tokenizer = model, tokenizer
        tokens = Tokens(tokenizer.backend_tokenizer)
        widths = model.model.visual.config.hidden_size, model.config.get_text_config(decoder=True).hidden_size
        self.heads = ReadingHeads(*widths, tokens.spelled())
        self.builder, self.ids = BatchBuilder(tokens, Preprocessor(**PREPROCESSOR)), coordinate_ids(tokens)
        self.text = BatchedText(self.model, config.compiled)
        self._vision: dict[tuple[int, int], BatchedVision] = {}
        self.optimisers = self._optimisers()
        self.step, self.seconds, self.diverged = 0, 0.0, False
        self.queue: list[int] = []
        self.groups: dict[str, list[int]] = {}  # of examples, by task
        for index, example in enumerate(self.examples):
            self.groups.setdefault(example.task, []).append(index)
        if unknown := sorted({*config.often} - {*self.groups}):
            raise ModelError(
                f"There is no example of {', '.join(unknown)} to train on often, only of: {', '.join(sorted(filter(None, self.groups)))}."
            )

    @classmethod
    def fresh(cls, examples: tuple[Sequence[Example], Sequence[Example]], config: TrainConfig, sizes: SmallConfig) -> Self:
        """A small model from scratch, with a tokenizer made from the examples' texts."""
        tokenizer = build_tokenizer(corpus(examples[0]))
        return cls(examples, config, build_model(tokenizer, sizes), tokenizer)

    @classmethod
    def begin(cls, examples: tuple[Sequence[Example], Sequence[Example]], config: TrainConfig, folder: Path) -> Self:
        """From a checkpoint that `save` wrote: its weights, if wanted with more layers, a new optimiser and clock. Raises ModelError."""
        tokenizer = Tokenizer.from_str(Tokens.load(folder).to_json())
        model = load_weights(folder, Placement(dtype="float32", device_map="cpu"))
        if config.deepen:
            torch.manual_seed(config.seed)
            model = deepened(model, config.deepen)
        trainer = cls(examples, config, model, wrap_tokenizer(tokenizer))
        if (folder / HEADS).exists():
            heads = trainer.heads.state_dict()
            for name, value in load_file(folder / HEADS).items():
                heads[name][: len(value)] = value  # a checkpoint may be older than one of the heads, or than their last labels
        return trainer

    def _optimisers(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Muon for the matrices inside the model, AdamW for what stands at its ends (as arXiv 2502.16982 has it), for heads and vectors."""
        inside, others = list[Tensor](), list[Tensor]()
        for name, parameter in self.model.named_parameters():
            (inside if _INSIDE.search(name) and parameter.dim() in (2, 3) else others).append(parameter)
        others += self.heads.parameters()
        groups = [
            {"params": [p for p in others if p.dim() >= 2], "weight_decay": 0.05},
            {"params": [p for p in others if p.dim() < 2], "weight_decay": 0.0},
        ]
        rate = self.config.rate
        return Muon(inside, rate, weight_decay=0.05), torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.98), fused=True)

    def see(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The vision tower's states before merging (B, patches, vision width), normed, and its features (B, cells, width)."""
        if batch.grid not in self._vision:
            self._vision[batch.grid] = BatchedVision(self.model, batch.grid, self.config.compiled)
        vision = self._vision[batch.grid]
        encoded = vision.encoded(batch.patches)
        return vision.normed(encoded), vision.merged(encoded)

    def forward(
        self, batch: Batch, features: Tensor, taught: Sequence[tuple[str, int, Sequence[Look]]] = ()
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Hidden states of the text model (B, L, width), the attention scores of what is taught, and what each layer is given."""
        embedded = self.model.model.language_model.embed_tokens(batch.ids)
        end = batch.image_start + features.shape[1]
        embedded = torch.cat([embedded[:, : batch.image_start], features, embedded[:, end:]], 1)
        scored = [(layer, places(wanted)) for _, layer, wanted in taught]
        return self.text(embedded, batch.positions, batch.mask, scored)

    def train_step(self) -> dict[str, float]:
        """One step of the optimisers; returns the losses before it. Raises ModelError, and steps nowhere, when they or their gradients are
        no numbers."""
        batch = self.builder.build([self.examples[i] for i in self._next()], self.rng)
        embeddings = self.model.model.language_model.embed_tokens.weight
        vision = self.see(batch)
        losses = reading_losses(vision, embeddings, batch, self.heads)
        if not self._reads():
            taught = looks(batch, len(self.text.text.layers))
            outputs = self.forward(batch, vision[1], taught)
            losses |= action_losses(outputs, batch, taught, (self.model.lm_head.weight, self.heads), self.ids)
        total = torch.stack([WEIGHTS[name] * loss for name, loss in losses.items()]).sum()
        self._demand_finite("loss", total)
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = self.rate()
        torch.autograd.backward(total)
        norm = torch.nn.utils.clip_grad_norm_([*self.model.parameters(), *self.heads.parameters()], 1.0)
        self._demand_finite("norm of the gradient", norm)
        for optimiser in self.optimisers:
            optimiser.step()
        self.step += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _demand_finite(self, name: str, value: Tensor) -> None:
        if not math.isfinite(number := float(value.detach())):
            self.diverged = True
            raise ModelError(f"The {name} is {number} at step {self.step}: lower the learning rate (now {self.config.rate}).")

    def _reads(self) -> bool:
        return self.seconds < 60 * self.config.reading_minutes

    def rate(self) -> float:
        """Linear warm-up, then a cosine over the training clock down to 5 %."""
        done = min(1.0, self.seconds / 60 / self.config.minutes)
        return self.config.rate * min(1.0, (self.step + 1) / self.config.warmup) * (0.05 + 0.475 * (1 + math.cos(math.pi * done)))

    def _next(self) -> list[int]:
        """Examples for a batch: as many of each task, but for those wanted often, and PAGES of those that are pages to read; a task of long
        episodes counts no more."""
        weights = {name: OFTEN if name in self.config.often else 1 for name in self.groups if name}
        while len(self.queue) < self.config.batch:
            page = "" in self.groups and (len(self.groups) == 1 or self.rng.random() < (READING_PAGES if self._reads() else PAGES))
            task = "" if page else self.rng.choices(list(weights), list(weights.values()))[0]
            self.queue.append(self.rng.choice(self.groups[task]))
        chosen, self.queue = self.queue[: self.config.batch], self.queue[self.config.batch :]
        return chosen

    @torch.no_grad()
    def validate(self, most: int = 240) -> dict[str, tuple[int, int]]:
        """Greedy points for held-out questions: how many lie in their target, by tag; "kinds": which action it is, "ends": where there
        is nothing to do; "copied", "read", "text": tokens of what is typed, from the question, from the screen, or otherwise, each behind
        the right ones; "letters": those that the vision tower names."""
        rng, hits = random.Random(0), Counter[str]()
        asked = Counter[str]()
        for at in range(0, min(most, len(self.validation)), 24):
            batch = self.builder.build(self.validation[at : at + 24], rng)
            rows, index = torch.tensor([p.row for p in batch.points]), torch.tensor([p.index for p in batch.points])
            encoded, features = self.see(batch)
            named, there = glyphs_named(encoded, batch, self.heads.glyphs)
            hits["letters"], asked["letters"] = hits["letters"] + named, asked["letters"] + there
            hidden = self.forward(batch, features)[0]
            if batch.points:
                x = self._best(hidden[rows, index], self.ids[0])
                batch.ids[rows, index + 1] = torch.tensor(self.ids[0])[x]
                y = self._best(self.forward(batch, features)[0][rows, index + 1], self.ids[1])
                for point, px, py in zip(batch.points, x.tolist(), y.tolist(), strict=True):
                    left, top, right, bottom = point.target
                    hits[point.tag] += left <= px * batch.size[0] / 1000 <= right and top <= py * batch.size[1] / 1000 <= bottom
                    asked[point.tag] += 1
            for name, labels in (
                ("kinds", batch.kinds), ("ends", batch.ends), ("copied", batch.copied), ("read", batch.read), ("text", batch.text),
            ):  # fmt: skip
                if labels:
                    replies, before, wanted = torch.tensor(labels).T
                    hits[name] += int((self.model.lm_head(hidden[replies, before]).argmax(-1) == wanted).sum())
                    asked[name] += len(wanted)
        return {tag: (hits[tag], count) for tag, count in sorted(asked.items())}

    def _best(self, hidden: Tensor, ids: list[int]) -> Tensor:
        p = F.linear(hidden, self.model.lm_head.weight).softmax(-1)[:, torch.tensor(ids)]
        return smooth(p, self.config.smoothing).argmax(-1)

    def save(self, out: Path, extra: dict[str, Any]) -> None:
        """The checkpoint for use in `out`, and beside it, replaced in one move, all that is needed to go on."""
        out.mkdir(parents=True, exist_ok=True)
        state = {
            "model": self.model.state_dict(), "heads": self.heads.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "step": self.step, "seconds": self.seconds, "queue": self.queue, "rng": self.rng.getstate(),
            "config": self.model.config.to_json_string(use_diff=False), "tokenizer": self.tokenizer.backend_tokenizer.to_str(),
        }  # fmt: skip
        torch.save(state, out / f"{STATE}.part")
        (out / f"{STATE}.part").replace(out / STATE)
        save_checkpoint(self.model, self.tokenizer, str(out), {"point_smoothing": self.config.smoothing, **extra})
        save_file({name: value.half() for name, value in self.heads.state_dict().items()}, out / HEADS)

    @classmethod
    def resume(cls, examples: tuple[Sequence[Example], Sequence[Example]], config: TrainConfig, out: Path) -> Self:
        """Go on from what `save` left in `out`, with the same examples or others; the model and its tokenizer stay.

        Raises ModelError when what was left is damaged.
        """
        try:
            state = torch.load(out / STATE, weights_only=True)
        except (RuntimeError, OSError, pickle.UnpicklingError, EOFError) as error:
            raise ModelError(
                f"{out / STATE} is damaged ({str(error).splitlines()[0]}): delete it to begin anew, or name another --out."
            ) from error
        if "optimisers" not in state:
            raise ModelError(
                f"{out / STATE} was left by an older version, which trained otherwise: go on with --from {out} and another --out."
            )
        model = empty_model(Glm4vMoeConfig(**json.loads(state["config"])))
        trainer = cls(examples, config, model, wrap_tokenizer(Tokenizer.from_str(state["tokenizer"])))
        trainer.model.load_state_dict(state["model"])
        trainer.heads.load_state_dict(state["heads"])
        for optimiser, left in zip(trainer.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(left)
        trainer.step, trainer.seconds = state["step"], state["seconds"]
        trainer.queue = [index for index in state["queue"] if index < len(trainer.examples)]
        version, numbers, gauss = state["rng"]
        trainer.rng.setstate((version, tuple(numbers), gauss))
        return trainer


def corpus(examples: Sequence[Example]) -> list[str]:
    """What the tokenizer is trained on: every text and every reply, without coordinates, which have tokens of their own."""
    texts = [text for e in examples for q in (*e.questions, *e.readings) for text in (q.text, q.reply)]
    return [re.sub(r"[\[,]\d{1,3}", "", text) for text in texts]
