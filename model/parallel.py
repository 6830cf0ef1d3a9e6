"""One model held by several processes: tensor and expert parallelism as the library gives it, started by torchrun.

All of them compute every token together, so all must be asked the same at the same time: one of them leads, the others follow.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from model.base import Completion, GenerationConfig, Message, Model, ModelError
from model.sizes import Architecture

if TYPE_CHECKING:
    from transformers.distributed.configuration_utils import DistributedConfig


def plan(folder: Path, config: Mapping[str, Any], processes: int, experts: bool) -> DistributedConfig:
    """How so many processes share a model: attention by heads, MLPs by width, and with `experts` each expert whole on one of them.

    The vision tower is on every one of them. Raises ModelError when they were not started by torchrun or the model does not divide.
    """
    _check_started(processes)
    _check_divides(folder, Architecture.of(config), processes, experts)
    if importlib.util.find_spec("accelerate") is None:
        raise ModelError("tensor_parallel needs the package accelerate: pip install accelerate.")
    from transformers.distributed.configuration_utils import DistributedConfig

    return DistributedConfig(tp_size=processes, ep_size=processes if experts else None)


def leads() -> bool:
    """Whether this process is the one that acts, and not one that torchrun started to follow it."""
    return os.environ.get("RANK", "0") == "0"


class Lead:
    """The Model protocol for the process that acts: what it is asked, the others are asked as well, one request after another.

    A reply must be the same in all processes, so what only this one knows does not end it (max_seconds and cancelled are left out), and one
    that is drawn without a seed is given one. Once it is closed, or this process ends, the others stop following.
    """

    def __init__(self, model: Model) -> None:
        self._model, self._lock, self._open = model, Lock(), True
        atexit.register(self.close)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    @property
    def name(self) -> str:
        return self._model.name

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        """As the model's own; raises what that raises, in which case it was raised everywhere."""
        config = replace(config, max_seconds=None, cancelled=None)
        if config.temperature and config.seed is None:
            config = replace(config, seed=secrets.randbits(63))
        with self._lock:
            _tell((list(messages), replace(config, on_text=None)))
            return self._model.generate(messages, config)

    def close(self) -> None:
        with self._lock:
            if self._open:
                self._open = False
                _tell(None)


def led(model: Model) -> Lead:
    """The model to act with. Returns in the leading process only; the others follow it and end when it does."""
    if leads():
        return Lead(model)
    follow(model)
    sys.exit(0)


def least(number: int) -> int:
    """The smallest of the numbers that the processes give: a budget that they must all keep to alike, or they would do different things."""
    import torch
    from torch.distributed import ReduceOp, all_reduce

    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu"
    held = torch.tensor([number], dtype=torch.int64, device=device)
    all_reduce(held, ReduceOp.MIN)
    return int(held)


def follow(model: Model) -> None:
    """Answer what the leading process is asked, and throw the answers away, until it ends."""
    while (request := _tell(None)) is not None:
        with suppress(ModelError):  # the leading process raises it, too, and tells of it
            model.generate(*request)


def _tell(request: tuple[list[Message], GenerationConfig] | None) -> tuple[list[Message], GenerationConfig] | None:
    """What the leading process says, whatever another one gives."""
    from torch.distributed import broadcast_object_list

    held = [request]
    broadcast_object_list(held, src=0)
    return held[0]


def _check_started(processes: int) -> None:
    started = os.environ.get("WORLD_SIZE", "1") if {"RANK", "LOCAL_RANK", "WORLD_SIZE"} <= os.environ.keys() else "1"
    if started != str(processes):
        raise ModelError(
            f"tensor_parallel={processes} needs {processes} processes started together and there is {started}: "
            f"torchrun --nproc-per-node {processes} -m glimpse … or your own script."
        )


def _check_divides(folder: Path, architecture: Architecture, processes: int, experts: bool) -> None:
    text = architecture.text
    shared = {"KV heads": text.num_key_value_heads, "attention heads": text.num_attention_heads, "MLP columns": text.intermediate_size}
    shared |= {"experts": text.n_routed_experts} if experts else {"expert columns": text.moe_intermediate_size}
    for what, number in shared.items():
        if number % processes:
            fitting = [n for n in range(1, number + 1) if not any(count % n for count in shared.values())]
            raise ModelError(f"{folder} has {number} {what}, which {processes} processes cannot share evenly: use one of {fitting}.")
