"""Any Glm4vMoe checkpoint, in this process: messages to prompt, prompt to tokens, tokens to a completion.

Puts together the nouns of this package; knows no screen, no action and no prompt wording.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch

from model.base import Completion, GenerationConfig, Message, ModelError, StopReason
from model.checkpoint import find, in_one_line, read_config, read_json
from model.decode import Choose, Sampler, Stop, barring, decode, greedy
from model.loading import Dtype, Placement, load_weights
from model.pointing import Pointing
from model.session import Session
from model.tokens import CALL, END_OF_TEXT, IMAGE, OBSERVATION, THINK, THINK_END, USER, Prompt, Tokens, assemble
from model.vision import Preprocessor

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration


class Glm4vMoe:
    """The Model protocol over the library's Glm4vMoeForConditionalGeneration. Threads may share one: nothing is stored on the model."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration, tokens: Tokens, preprocessor: Preprocessor, name: str) -> None:
        self.model, self.tokens, self.preprocessor = model, tokens, preprocessor
        self.name = name
        self._greedy: Choose = greedy
        self.settings: Mapping[str, Any] = {}
        """What config.json says under "glimpse", for checkpoints trained by this project."""
        self.stops = frozenset(tokens.control[token] for token in (END_OF_TEXT, USER, OBSERVATION))

    @classmethod
    def load(
        cls,
        path_or_id: str | Path,
        *,
        dtype: Dtype = "auto",
        device_map: str | Mapping[str, int | str] | None = None,
        attention: str | None = None,
        experts: str | None = None,
        offline: bool = False,
    ) -> Self:
        """From a folder or a hub id; see `Placement` for what the options mean. offline: use only what is on this machine.

        Raises ModelError, one line, when it is no Glm4vMoe checkpoint, files or weights are missing or damaged, the hub cannot be
        reached or memory does not suffice.
        """
        folder = find(path_or_id, offline)
        config = read_config(folder)
        tokens, preprocessor = Tokens.load(folder), Preprocessor.load(folder)
        loaded = cls(load_weights(folder, Placement(dtype, device_map, attention, experts)), tokens, preprocessor, str(path_or_id))
        loaded._check_fit()
        loaded.stops |= _stops(folder, config)
        loaded.settings = _settings(folder, config)
        if width := loaded.settings.get("point_smoothing"):
            loaded._greedy = Pointing(tokens.id, width)
        return loaded

    def _check_fit(self) -> None:
        """Raises ModelError when tokenizer or image processor are not this model's."""
        config, vision = self.model.config, self.model.model.visual
        words = config.get_text_config(decoder=True).vocab_size
        if len(self.tokens) > words or self.tokens.control[IMAGE] != config.image_token_id:
            raise ModelError(
                f"{self.name}: tokenizer.json is another model's ({len(self.tokens)} tokens, the model takes {words}): copy its own."
            )
        if (self.preprocessor.patch, self.preprocessor.merge) != (vision.patch_size, vision.spatial_merge_size):
            raise ModelError(f"{self.name}: preprocessor_config.json is another model's (patch_size or merge_size): copy its own.")

    @property
    def context(self) -> int:
        """Tokens that a prompt and its reply may have together."""
        return int(self.model.config.get_text_config(decoder=True).max_position_embeddings)

    def generate(self, messages: Sequence[Message], config: GenerationConfig) -> Completion:
        """Answer. Raises ModelError when the prompt is longer than the context, an image is unfit, or memory runs out."""
        started = time.monotonic()
        prompt = assemble(messages, config, self.tokens, self.preprocessor.grid, self.preprocessor.merge)
        room = self.context - len(prompt)
        if room < 1:
            raise ModelError(f"The prompt is {len(prompt)} tokens long and the context {self.context}: send fewer or smaller screenshots.")
        deadline = inf if config.max_seconds is None else started + config.max_seconds
        choose = self._greedy if config.temperature == 0 else Sampler(config)
        choose = barring(prompt.image_id, choose)  # a placeholder without an image could not be read on from
        ids, reason = self._answer(prompt, choose, Stop(self.stops, min(config.max_tokens, room), deadline))
        content, reasoning = self._split(ids[:-1] if reason == "stop" else ids)
        return Completion(content, reasoning, len(prompt), 0, len(ids), reason, tuple(ids))

    def _answer(self, prompt: Prompt, choose: Choose, stop: Stop) -> tuple[list[int], StopReason]:
        try:
            with torch.inference_mode():
                session = Session(self.model)
                return decode(self._prefill(session, prompt), session.feed, choose, stop)
        except ModelError:
            raise
        except (RuntimeError, MemoryError) as error:  # torch's errors, out of memory among them
            raise ModelError(f"{self.name} failed on a prompt of {len(prompt)} tokens: {in_one_line(error)}") from error

    def _prefill(self, session: Session, prompt: Prompt) -> torch.Tensor:
        features = [session.encode(self.preprocessor.patches(image.image), image.grid) for image in prompt.images]
        return session.feed(prompt.ids, features, [image.grid for image in prompt.images])

    def _split(self, ids: list[int]) -> tuple[str, str]:
        """(content, reasoning): what follows `</think>`, and what stands before it.

        A thought that never ends is all reasoning, up to a tool call: GLM models may call without closing the thought first.
        """
        think, end, call = (self.tokens.control[token] for token in (THINK, THINK_END, CALL))
        if end in ids:
            cut = ids.index(end)
        elif think in ids[:2]:
            cut = ids.index(call) if call in ids else len(ids)
        else:
            cut = 0
        reasoning = [token for token in ids[:cut] if token != think]
        answer = ids[cut + 1 :] if end in ids else ids[cut:]
        return self.tokens.decode(answer).strip(), self.tokens.decode(reasoning).strip()


def _settings(folder: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("glimpse", {})
    if not isinstance(found, dict):
        raise ModelError(f"{folder / 'config.json'}: what stands under 'glimpse' is no object: copy it again.")
    return found


def _stops(folder: Path, config: Mapping[str, Any]) -> frozenset[int]:
    """End tokens as generation_config.json or else config.json list them; what is no id is passed over."""
    file = folder / "generation_config.json"
    sources = (read_json(file) if file.is_file() else {}, config.get("text_config") or {}, config)
    found: object = next((source["eos_token_id"] for source in sources if source.get("eos_token_id") is not None), [])
    return frozenset(token for token in (found if isinstance(found, list) else [found]) if isinstance(token, int))
