"""Supervised training of a Glm4vMoe on screenshots with questions: a small model from scratch, or going on from a checkpoint.

Resumable; what it writes is a checkpoint folder like any other.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from model.examples import Example
from model.small import SmallConfig
from model.trainer import STATE, TrainConfig, Trainer

LOG = "training.jsonl"


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    minutes: float
    samples_per_second: float
    losses: dict[str, float]
    validation: dict[str, tuple[int, int]] | None = None  # tag: (hits, questions)


def fit(
    examples: tuple[Sequence[Example], Sequence[Example]],
    out: Path,
    config: TrainConfig,
    report: Callable[[Progress], None],
    about: dict[str, Any] | None = None,
    start: Path | None = None,
    begun: Callable[[], object] = lambda: None,
) -> None:
    """Go on with the run that `out` holds; else train the checkpoint `start`, or a small model from scratch. Raises ModelError.

    examples: to train on, and held out. about: goes into the checkpoint's config.json under "glimpse". begun: called when all is ready to
    train, before anything is written.
    """
    torch.set_num_threads(config.threads or torch.get_num_threads())
    if (out / STATE).exists():
        trainer = Trainer.resume(examples, config, out)
    elif start is not None:
        trainer = Trainer.begin(examples, config, start)
    else:
        trainer = Trainer.fresh(examples, config, SmallConfig(seed=config.seed))
    begun()
    train(trainer, out, about or {}, report)


def train(trainer: Trainer, out: Path, extra: dict[str, Any], report: Callable[[Progress], None]) -> None:
    """Train until the clock says so, saving to `out`, when it is stopped, too. report: called every 50 steps, and with a validation after
    a save.

    Raises ModelError when the training diverges; `out` keeps what was saved before.
    """
    try:
        for progress in _steps(trainer):
            if progress.validation is not None:
                trainer.save(out, extra)
            _log(out, progress)
            report(progress)
    finally:
        if not trainer.diverged:
            trainer.save(out, extra)
    final = Progress(trainer.step, trainer.seconds / 60, 0.0, {}, trainer.validate(len(trainer.validation)))
    _log(out, final)
    report(final)


def _steps(trainer: Trainer) -> Iterator[Progress]:
    """Train; a word every 50 steps, and one with a validation whenever it is time to save."""
    window: list[dict[str, float]] = []
    began, base, first = time.monotonic(), trainer.seconds, trainer.step
    validated = base
    while trainer.seconds / 60 < trainer.config.minutes:
        window.append(trainer.train_step())
        trainer.seconds = base + time.monotonic() - began
        due = trainer.seconds - validated >= trainer.config.save_minutes * 60
        if trainer.step % 50 == 0 or due:
            speed = (trainer.step - first) * trainer.config.batch / (trainer.seconds - base)
            hits = trainer.validate() if due else None
            validated = trainer.seconds if due else validated
            yield Progress(trainer.step, trainer.seconds / 60, speed, _means(window), hits)
            window = []


def _means(losses: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each loss, over the steps that had it."""
    return {name: fmean(step[name] for step in losses if name in step) for name in dict.fromkeys(name for step in losses for name in step)}


def _log(out: Path, progress: Progress) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (out / LOG).open("a") as log:
        log.write(json.dumps(asdict(progress)) + "\n")
