"""One sequence being read and written: its KV cache and its 3-D positions, over a model that others use at the same time.

Positions are always given, so nothing is ever stored on the model itself. Knows no text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from model.base import Grid

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration


def mrope_positions(ids: Sequence[int], grids: Sequence[Grid], start: int, image_id: int, merge: int = 2) -> tuple[torch.Tensor, int]:
    """Positions (3, 1, len(ids)) of tokens that begin at `start`, and where the next token stands.

    Text moves all three axes by one a token; an image spreads over rows and columns and moves on by its longer side.
    grids: of the images among the ids, in patches. Raises ValueError when they do not fit.
    """
    chunks: list[torch.Tensor] = []
    i, waiting = 0, iter(grids)
    while i < len(ids):
        if ids[i] == image_id:
            place, step = _image_positions(next(waiting, (0, 0, 0)), merge)
            length = place.shape[1]
            if not length or list(ids[i : i + length]) != [image_id] * length:
                raise ValueError("The image placeholders do not match the grids.")
        else:
            length = next((j for j in range(i, len(ids)) if ids[j] == image_id), len(ids)) - i
            place, step = torch.arange(length).expand(3, -1), length
        chunks.append(place + start)
        i, start = i + length, start + step
    if next(waiting, None) is not None:
        raise ValueError("There are more grids than images among the tokens.")
    return torch.cat(chunks, 1).unsqueeze(1), start


def _image_positions(grid: Grid, merge: int) -> tuple[torch.Tensor, int]:
    frames, rows, columns = grid[0], grid[1] // merge, grid[2] // merge
    axes = torch.meshgrid(torch.arange(frames), torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.stack(axes).reshape(3, -1), max(rows, columns)


class Session:
    """Feed tokens, get the logits of the next one. Several sessions may share one model."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration) -> None:
        from transformers import DynamicCache

        self._model = model
        self._cache = DynamicCache(config=model.config.get_text_config(decoder=True))
        self._next_position = 0

    def encode(self, patches: torch.Tensor, grid: Grid) -> torch.Tensor:
        """Features (tokens, hidden) of one image; they depend on that image alone."""
        model = self._model
        output = model.model.get_image_features(patches.to(model.device), torch.tensor([grid], device=model.device))
        features: torch.Tensor = output.pooler_output[0]
        return features

    def feed(self, ids: Sequence[int], features: Sequence[torch.Tensor] = (), grids: Sequence[Grid] = ()) -> torch.Tensor:
        """Read tokens; float32 logits (vocabulary,) of the one that follows. features, grids: of the images among the tokens, in order."""
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        model, config = self._model, self._model.config
        merge = model.model.visual.spatial_merge_size
        positions, self._next_position = mrope_positions(ids, grids, self._next_position, config.image_token_id, merge)
        encoded = BaseModelOutputWithPooling(pooler_output=list(features))  # type: ignore[arg-type]  # a list, as the tower returns it
        output = model(
            input_ids=torch.tensor([list(ids)], device=model.device),
            position_ids=positions.to(model.device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
            mm_encoder_outputs={"image": encoded} if features else None,
        )
        logits: torch.Tensor = output.logits[0, -1].float()
        return logits
