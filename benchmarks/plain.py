"""What everyone else does in-process: the library's `generate` over the whole conversation, every screenshot again, at every step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.base import Completion, GenerationConfig, Message
from model.tokens import Prompt, Tokens, assemble
from model.vision import Preprocessor


class PlainTransformers:
    """The Model protocol over AutoModelForImageTextToText.generate, greedy, float32. Its prompts are the very tokens of ours."""

    name = "transformers"

    def __init__(self, folder: Path) -> None:
        import torch
        from transformers import AutoModelForImageTextToText

        kind: Any = AutoModelForImageTextToText
        self._model = kind.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
        self._tokens, self._preprocessor = Tokens.load(folder), Preprocessor.load(folder)

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        prompt = assemble(messages, config, self._tokens, self._preprocessor.grid, self._preprocessor.merge)
        output = self._model.generate(**self._inputs(prompt), max_new_tokens=config.max_tokens, do_sample=False)
        ids = output[0, len(prompt) :].tolist()
        return Completion(self._tokens.decode(ids).strip(), "", len(prompt), 0, len(ids), "length", tuple(ids))

    def _inputs(self, prompt: Prompt) -> dict[str, Any]:
        """What the library's processor would give."""
        import torch

        ids = torch.tensor([prompt.ids])
        return {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": (ids == prompt.image_id).int(),
            "pixel_values": torch.cat([self._preprocessor.patches(image.image) for image in prompt.images]),
            "image_grid_thw": torch.tensor([image.grid for image in prompt.images]),
        }
