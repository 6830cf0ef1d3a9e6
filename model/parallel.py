"""One model held by several processes: tensor and expert parallelism as the library gives it, started by torchrun."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.base import ModelError
from model.sizes import Architecture

if TYPE_CHECKING:
    from transformers.distributed import DistributedConfig


def plan(folder: Path, config: Mapping[str, Any], processes: int, experts: bool) -> DistributedConfig:
    """How so many processes share a model: attention by heads, MLPs by width, and with `experts` each expert whole on one of them.

    The vision tower is on every one of them. Raises ModelError when they were not started by torchrun or the model does not divide.
    """
    _check_started(processes)
    _check_divides(folder, Architecture.of(config), processes, experts)
    from transformers.distributed import DistributedConfig

    return DistributedConfig(tp_size=processes, ep_size=processes if experts else None)


def _check_started(processes: int) -> None:
    started = os.environ.get("WORLD_SIZE", "1") if {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= os.environ.keys() else "1"
    if started != str(processes):
        raise ModelError(
            f"tensor_parallel={processes} needs {processes} processes started together and there is {started}: "
            f"torchrun --nproc-per-node {processes} your_script.py."
        )


def _check_divides(folder: Path, architecture: Architecture, processes: int, experts: bool) -> None:
    text = architecture.text
    shared = {"KV heads": text.num_key_value_heads, "attention heads": text.num_attention_heads, "MLP columns": text.intermediate_size}
    shared |= {"experts": text.n_routed_experts} if experts else {"expert columns": text.moe_intermediate_size}
    for what, number in shared.items():
        if number % processes:
            fitting = [n for n in range(1, number + 1) if not any(count % n for count in shared.values())]
            raise ModelError(f"{folder} has {number} {what}, which {processes} processes cannot share evenly: use one of {fitting}.")
