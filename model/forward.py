"""One forward over the tokens of several sequences: what it takes, and how the library's own model does it. Knows no prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor
from transformers import Cache, DynamicLayer

from model.base import Grid
from model.kv import KV

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration


@dataclass(frozen=True, slots=True)
class Row:
    """The next tokens of one sequence: embeddings (n, hidden) at positions (3, n). A forward writes their keys and values into kv."""

    kv: KV
    embeddings: Tensor
    positions: Tensor

    def __len__(self) -> int:
        return len(self.embeddings)


class Forward(Protocol):
    """How a model is computed."""

    def logits(self, rows: Sequence[Row]) -> Tensor:
        """float32 (rows, vocabulary): of the token behind the last of each row. Each kv is advanced when, and only when, this returns."""
        ...

    def features(self, patches: Tensor, grid: Grid) -> Tensor:
        """(tokens, hidden) of one image from the patches of one of its two equal frames (rows · columns, channels · patch · patch)."""
        ...


class LibraryForward:
    """The library's modules as they stand, on whatever devices they are. Rows of one token are computed as one padded batch.

    On CUDA the batch is padded so that the same shapes come again and again, and experts are computed by "batched_mm" for single tokens
    (the library's own switch, transformers/generation/utils.py `_optimize_model_for_decode`).
    """

    def __init__(self, model: Glm4vMoeForConditionalGeneration) -> None:
        self._model, self._text = model, model.model.language_model
        self._on_cuda = model.device.type == "cuda"

    def logits(self, rows: Sequence[Row]) -> Tensor:
        found: dict[int, Tensor] = {}
        ordered = sorted(range(len(rows)), key=lambda i: len(rows[i]) > 1)
        for single, group in groupby(ordered, key=lambda i: len(rows[i]) == 1):
            indices = list(group)
            batches = [indices] if single else [[i] for i in indices]
            for batch in batches:
                hidden = self._hidden([rows[i] for i in batch])
                found |= dict(zip(batch, self._model.lm_head(hidden).float(), strict=True))
        together = torch.stack([found[i].to(found[0].device) for i in range(len(rows))])
        for row in rows:  # nothing may fail behind this
            row.kv.advance(len(row))
        return together

    def features(self, patches: Tensor, grid: Grid) -> Tensor:
        model, count = self._model, len(patches)
        both = patches.view(count, 3, 1, -1).expand(-1, -1, 2, -1).reshape(count, -1)
        output = model.model.get_image_features(both.to(model.device), torch.tensor([grid], device=model.device))
        found: Tensor = output.pooler_output[0]
        return found

    def _hidden(self, rows: Sequence[Row]) -> Tensor:
        """(rows, hidden) of the last tokens; all rows are as long, and if they are several, one token long."""
        lengths = [row.kv.length for row in rows]
        longest = max(lengths)
        if self._on_cuda and len(rows[0]) == 1:
            longest = -(-longest // 256) * 256
        ragged = len(set(lengths)) > 1 or longest > lengths[0]
        device = self._model.device
        seen = torch.tensor([[0] * (longest - n) + [1] * (n + len(rows[0])) for n in lengths], device=device) if ragged else None
        with self._experts(len(rows[0])):
            output = self._text(
                inputs_embeds=torch.stack([row.embeddings for row in rows]).to(device),
                position_ids=torch.stack([row.positions for row in rows], 1).to(device),
                attention_mask=seen,
                past_key_values=Cache(layers=[_Rows(rows, i, longest) for i in range(len(self._text.layers))]),
                use_cache=True,
            )
        hidden: Tensor = output.last_hidden_state[:, -1]
        return hidden

    @contextmanager
    def _experts(self, tokens: int) -> Iterator[None]:
        config: Any = self._text.config
        usual = config._experts_implementation
        if not (self._on_cuda and tokens == 1 and usual == "grouped_mm"):
            yield
            return
        self._model.set_experts_implementation("batched_mm")
        try:
            yield
        finally:
            self._model.set_experts_implementation(usual)


class _Rows(DynamicLayer):  # type: ignore[no-untyped-call]  # the library's classes have untyped hooks
    """One layer of the library's cache over the sequences' own memory, padded on the left to the longest."""

    def __init__(self, rows: Sequence[Row], layer: int, longest: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._rows, self._layer, self._longest = rows, layer, longest

    def get_seq_length(self) -> int:
        return self._longest

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        pairs = [row.kv.write(self._layer, k, v) for row, k, v in zip(self._rows, key_states, value_states, strict=True)]
        total = self._longest + key_states.shape[2]
        keys, values = zip(*[(_padded(k, total), _padded(v, total)) for k, v in pairs], strict=True)
        return torch.stack(keys), torch.stack(values)


def _padded(x: Tensor, length: int) -> Tensor:
    return torch.nn.functional.pad(x, (0, 0, length - x.shape[1], 0)) if x.shape[1] < length else x
