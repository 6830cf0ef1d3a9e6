"""Keys and values of one sequence, in memory of its own that grows in steps. Knows no tokens and no model."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

STEP = 256
"""Tokens by which memory grows at least: writing one token must not copy all that stands before it."""


@dataclass(frozen=True, slots=True)
class KVShape:
    """Of one token's keys and values: heads × size numbers of a type in each layer, on the device of that layer."""

    heads: int
    size: int
    dtype: torch.dtype
    devices: tuple[torch.device, ...]

    @classmethod
    def of(cls, model: Glm4vMoeForConditionalGeneration) -> KVShape:
        layers = model.model.language_model.layers
        config = model.config.get_text_config(decoder=True)
        norms = [layer.input_layernorm.weight for layer in layers]  # beside what an offloaded layer computes with
        devices = tuple(_device(model, index, norm) for index, norm in enumerate(norms))
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        weight = layers[0].self_attn.k_proj.weight  # tensor parallelism shares it out: what counts is this process's part
        heads = getattr(weight, "to_local", lambda: weight)().shape[0] // size
        return cls(heads, size, norms[0].dtype, devices)

    @property
    def bytes_per_token(self) -> int:
        return 2 * len(self.devices) * self.heads * self.size * self.dtype.itemsize


def _device(model: Glm4vMoeForConditionalGeneration, index: int, norm: Tensor) -> torch.device:
    hook = getattr(model.model.language_model.layers[index], "_hf_hook", None)  # accelerate's: where an offloaded layer is computed
    place = getattr(hook, "execution_device", None)
    return norm.device if place is None else torch.device(place)


class KV:
    """One tensor (2, heads, capacity, size) a layer; the first `length` tokens hold something.

    Nothing counts until `advance`: a forward that fails in the middle leaves the sequence as it was.
    """

    def __init__(self, shape: KVShape, capacity: int = 0) -> None:
        self.shape, self.length, self.capacity = shape, 0, _rounded(capacity)
        self._layers = [self._empty(device, self.capacity) for device in shape.devices]
        self._arrays: list[NDArray[np.float32]] = []

    @property
    def arrays(self) -> list[NDArray[np.float32]]:
        """The layers' memory (2, heads, capacity, size) as float32 arrays, on a CPU."""
        if not self._arrays:
            self._arrays = [layer.numpy() for layer in self._layers]
        return self._arrays

    @property
    def bytes(self) -> int:
        return self.capacity * self.shape.bytes_per_token

    def growth(self, tokens: int, spare: bool = True) -> int:
        """Bytes that `reserve` would add."""
        return max(0, self._wanted(tokens, spare) - self.capacity) * self.shape.bytes_per_token

    def reserve(self, tokens: int, spare: bool = True) -> None:
        """Make room for so many more; spare: and for a quarter of what there is, so that growing seldom copies.

        One layer after another: never more than one is held twice.
        """
        wanted = self._wanted(tokens, spare)
        if wanted > self.capacity:
            self._arrays = []
            for index, layer in enumerate(self._layers):
                self._layers[index] = self._moved(layer, wanted, self.length)
            self.capacity = wanted

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Put new keys and values (heads, n, size) behind the others; all of them then, (heads, length + n, size) each."""
        store, end = self._layers[layer], self.length + keys.shape[1]
        store[0, :, self.length : end] = keys
        store[1, :, self.length : end] = values
        return store[0, :, :end], store[1, :, :end]

    def advance(self, tokens: int) -> None:
        """Count what was written to every layer."""
        self.length += tokens

    def crop(self, length: int) -> None:
        """Forget all but the first tokens."""
        self.length = min(self.length, length)

    def keep(self, indices: Tensor) -> None:
        """Forget all but these tokens, in their order; each stays as it was computed."""
        for layer in self._layers:
            layer[:, :, : len(indices)] = layer[:, :, indices.to(layer.device)]
        self.length = len(indices)

    def bytes_of(self, length: int) -> int:
        """That `copy` would take."""
        return _rounded(min(self.length, length)) * self.shape.bytes_per_token

    def copy(self, length: int) -> KV:
        """A sequence of its own that begins with the first tokens of this one."""
        other = KV.__new__(KV)
        other.shape, other.length, other.capacity = self.shape, min(self.length, length), _rounded(min(self.length, length))
        other._layers, other._arrays = [self._moved(layer, other.capacity, other.length) for layer in self._layers], []
        return other

    def _wanted(self, tokens: int, spare: bool) -> int:
        needed = self.length + tokens
        return self.capacity if needed <= self.capacity else _rounded(max(needed, self.capacity * 5 // 4 if spare else 0))

    def _empty(self, device: torch.device, capacity: int) -> Tensor:
        return torch.empty(2, self.shape.heads, capacity, self.shape.size, dtype=self.shape.dtype, device=device)

    def _moved(self, layer: Tensor, capacity: int, length: int) -> Tensor:
        larger = self._empty(layer.device, capacity)
        larger[:, :, :length] = layer[:, :, :length]
        return larger


def _rounded(tokens: int) -> int:
    return ceil(tokens / STEP) * STEP
