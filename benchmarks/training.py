"""How well a training uses the machine: `python -m benchmarks.training DATA… [--from CHECKPOINT] [--steps N] [--json]`.

Training steps as `glimpse train` takes them, on recorded demonstrations, with torch.compile where there is a C++ compiler. What their
matrix products and attention come to in FLOPs is counted by torch on such steps without it (torch.utils.flop_counter; of attention's
backward what it must compute, the scores it computes again included) over the median time of a step, reading the pictures and the optimiser
included; beside it, in the same run, the best float32 product at shapes of that training. Times are of this machine: compare within a run.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from torch.utils import flop_counter
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.limit import product_rates
from evals.training_data import examples, split
from model import embedded_path
from model.batched import can_compile
from model.trainer import TrainConfig, Trainer

FORMULAS: Any = flop_counter
"""torch leaves these unannotated; they take shapes."""
WARM_UP, COUNTED = 3, 3
"""Steps before those that are timed, and steps whose FLOPs are counted."""


def _forward(query: Any, key: Any, value: Any, *others: Any, **options: Any) -> int:
    return int(FORMULAS.sdpa_flop_count(query, key, value))


def _backward(grad: Any, query: Any, key: Any, value: Any, *others: Any, **options: Any) -> int:
    return int(FORMULAS.sdpa_backward_flop_count(grad, query, key, value))


ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _forward,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _backward,
}
"""What torch's counter has no formula for: the CPU's kernels, which compute the same. Both are given shapes."""


def peak(trainer: Trainer) -> dict[str, float]:
    """FLOP/s of float32 products at shapes of a step: vision tower, text layers, and a large square one."""
    batch = trainer.builder.build([trainer.examples[i] for i in trainer._next()], trainer.rng)
    patches, tokens = batch.patches.shape[0] * batch.patches.shape[1], batch.ids.numel()
    vision, hidden = trainer.model.model.visual.config.hidden_size, trainer.text.config.hidden_size
    shapes = {
        "vision qkv": (patches, vision, 3 * vision),
        "vision MLP": (patches, vision, 2 * hidden),
        "dense layer": (tokens, hidden, 4 * hidden),
        "square": (2048, 2048, 2048),
    }
    return dict(product_rates(shapes))


def flops_of_a_step(trainer: Trainer) -> float:
    """Steps are of one shape. trainer: one that compiles nothing, for torch counts what it runs itself."""
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        for _ in range(COUNTED):
            trainer.train_step()
    return int(counter.get_total_flops()) / COUNTED


def measure(trainer: Trainer, flops: float, steps: int) -> dict[str, Any]:
    """flops: of a step."""
    for _ in range(WARM_UP):
        trainer.train_step()
    times = []
    for _ in range(steps):
        began = time.perf_counter()
        trainer.train_step()
        times.append(time.perf_counter() - began)
    seconds, rates = statistics.median(times), peak(trainer)
    return {
        "seconds_step": seconds,
        "samples_per_second": trainer.config.batch / seconds,
        "flops_step": flops,
        "flops": flops / seconds,
        "peak": max(rates.values()),
        "products": rates,
        "share_of_peak": flops / seconds / max(rates.values()),
        "threads": torch.get_num_threads(),
    }


def main(
    data: Annotated[list[Path], typer.Argument(help="Folders of demonstrations.")],
    start: Annotated[Path | None, typer.Option("--from", help="The checkpoint that is trained on, in memory: else the embedded.")] = None,
    steps: Annotated[int, typer.Option(min=1)] = 20,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    shown, checkpoint = split(list(examples(*data))), start or embedded_path()
    flops = flops_of_a_step(Trainer.begin(shown, TrainConfig(), checkpoint))
    found = measure(Trainer.begin(shown, TrainConfig(compiled=can_compile()), checkpoint), flops, steps)
    if as_json:
        print(json.dumps(found))
        return
    console = Console()
    for name, rate in found["products"].items():
        console.print(f"{name}: {rate / 1e9:.0f} GFLOP/s")
    console.print(
        f"A step of {TrainConfig().batch} screenshots: {found['seconds_step']:.2f} s ({found['samples_per_second']:.1f} a second), "
        f"{found['flops_step'] / 1e9:.0f} GFLOP, {found['flops'] / 1e9:.0f} GFLOP/s: {found['share_of_peak']:.2f} of the best product."
    )


if __name__ == "__main__":
    typer.run(main)
