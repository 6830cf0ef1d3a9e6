"""Any Glm4vMoe checkpoint, in this process: messages to prompt, prompt to tokens, tokens to a completion.

Puts together the nouns of this package; knows no screen, no action and no prompt wording.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch
from PIL import Image

from model import embedded_path
from model.adapter import base_of, merge
from model.base import Completion, GenerationConfig, Grid, Message, ModelError, PromptError
from model.checkpoint import find, read_config, read_json
from model.decode import Choose, Reply, Sampler, Stop, Thinking, greedy
from model.engine import Engine
from model.forward import Forward, LibraryForward
from model.kv import KVShape
from model.layout import lay_out
from model.lean import LeanForward, self_check
from model.loading import Dtype, Placement, load_weights
from model.memory import available_memory
from model.parallel import least
from model.pointing import Coordinates, Pointing
from model.request import Request
from model.tokens import CALL, END_OF_TEXT, IMAGE, OBSERVATION, THINK, THINK_END, USER, Tokens, assemble
from model.vision import Preprocessor

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

    from model.grammar import Grammars

T = TypeVar("T")
FEATURES = 8
"""For so many bytes of keys and values one of images' features may be held."""


class Glm4vMoe:
    """The Model protocol over the library's Glm4vMoeForConditionalGeneration. Threads may share one: their requests are answered together.

    cache_bytes: as given to `load`; settled with the first answer.
    """

    def __init__(self, model: Glm4vMoeForConditionalGeneration, tokens: Tokens, preprocessor: Preprocessor, name: str) -> None:
        self.model, self.tokens, self.preprocessor = model, tokens, preprocessor
        self.name = name
        self.cache_bytes: int | None = None
        self._lean = True
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._coordinates = Coordinates(tokens.id, tokens.decode)
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
        offload_folder: str | Path | None = None,
        tensor_parallel: int | None = None,
        expert_parallel: bool = False,
        cache_bytes: int | None = None,
        offline: bool = False,
    ) -> Self:
        """From a folder or a hub id, or from an adapter's folder (model/lora.py), which is merged into the base it names; see `Placement`
        for what the options mean. cache_bytes: memory for keys and values of what was read; None is what `kv_budget` gives.
        offline: use only what is on this machine.

        Raises ModelError, one line, when it is no Glm4vMoe checkpoint, files or weights are missing or damaged, the hub cannot be
        reached or memory does not suffice.
        """
        folder = find(path_or_id, offline)
        adapter, based = folder, base_of(folder)
        if based is not None:
            folder = find(embedded_path() if based[0] == "tiny" else based[0], offline)
        config = read_config(folder)
        tokens, preprocessor = Tokens.load(folder), Preprocessor.load(folder)
        placement = Placement(dtype, device_map, attention, experts, offload_folder, tensor_parallel, expert_parallel)
        weights = aside(lambda: load_weights(folder, placement) if based is None else merge(load_weights(folder, placement), adapter))
        loaded = cls(weights, tokens, preprocessor, str(path_or_id))
        loaded._check_fit()
        loaded.cache_bytes = cache_bytes
        if tensor_parallel:
            budget = cache_bytes or kv_budget(KVShape.of(loaded.model).devices)
            loaded.cache_bytes = least(budget)  # what is held decides what is read again, so all hold the same
        loaded.stops |= _stops(folder, config)
        loaded.settings = {**_settings(folder, config), **(based[1] if based else {})}
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
        """Answer; from any thread, together with what other threads ask.

        Raises PromptError when the prompt cannot be read, GrammarError, CacheFull, OutOfMemory, Cancelled, or else ModelError.
        """
        prompt = assemble(messages, config, self.tokens, self.preprocessor.grid, self.preprocessor.merge)
        room = self.context - len(prompt)
        if room < 1:
            raise PromptError(f"The prompt is {len(prompt)} tokens long and the context {self.context}: send fewer or smaller screenshots.")
        layout = lay_out(prompt, prompt.evicted, self.preprocessor.merge)
        reply = self._reply(config, prompt.image_id, room)
        request = Request(layout, reply, self._streamed(config), config.cancelled)
        self.engine.answer(request)
        ids = reply.ids
        content, reasoning = self._split(ids[:-1] if ids and ids[-1] in self.stops else ids)
        read = int(layout.kept.sum())
        return Completion(
            content, reasoning, read, request.cached, len(ids), reply.reason or "stop", tuple(ids), reply.forced,
            tuple(reply.logprobs), tuple(reply.coordinates),
        )  # fmt: skip

    def _reply(self, config: GenerationConfig, image_id: int, room: int) -> Reply:
        length = min(config.max_tokens, room)
        deadline = inf if config.max_seconds is None else time.monotonic() + config.max_seconds
        matcher = None if config.grammar == "off" else self._grammars.matcher(config.grammar)
        thinking = None
        if config.thinking:
            budget = length // 2 if matcher and config.thinking_budget is None else config.thinking_budget  # an answer must fit in
            thinking = Thinking(self.tokens.control[THINK_END], tuple(self.tokens.encode("\n")), budget)
        return Reply(
            self._greedy if config.temperature == 0 else Sampler(config),
            Stop(self.stops | {self._control(name) for name in config.stop}, length, deadline),
            (image_id,),  # a placeholder without an image could not be read on from
            matcher, thinking, self._coordinates, config.logprobs,
        )  # fmt: skip

    @cached_property
    def _grammars(self) -> Grammars:
        from model.grammar import Grammars

        return Grammars(self.tokens, self.model.config.get_text_config(decoder=True).vocab_size, self.stops)

    def _control(self, name: str) -> int:
        if name not in self.tokens.control:
            raise ModelError(f"{name!r} is no control token; there are: {' '.join(self.tokens.control)}.")
        return self.tokens.control[name]

    def _streamed(self, config: GenerationConfig) -> Callable[[Sequence[int]], None] | None:
        """What tells the caller the text of new tokens."""
        if config.on_text is None:
            return None
        told, text, tell = 0, self.tokens.stream(), config.on_text

        def on_tokens(ids: Sequence[int]) -> None:
            nonlocal told
            if piece := "".join(text(token) for token in ids[told:] if token not in self.stops):
                tell(piece)
            told = len(ids)

        return on_tokens

    @property
    def engine(self) -> Engine:
        """What computes the answers: made, and checked against the library, when it is first needed."""
        with self._lock:
            if self._engine is None:
                self._engine = aside(self._made_engine)
            return self._engine

    @torch.inference_mode()
    def _made_engine(self) -> Engine:
        shape, library = KVShape.of(self.model), LibraryForward(self.model)
        self.forward: Forward = library
        if self._lean and LeanForward.fits(self.model) and self_check(self.model, lean := LeanForward(self.model), library):
            self.forward = lean
        budget = kv_budget(shape.devices) if self.cache_bytes is None else self.cache_bytes
        embed, device = self.model.get_input_embeddings(), self.model.device

        def embedded(ids: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = embed(ids.to(device))
            return found

        def encoded(image: Image.Image, grid: Grid) -> torch.Tensor:
            return self.forward.features(self.preprocessor.frame(image), grid)

        return Engine(self.forward, shape, embedded, encoded, budget, budget // FEATURES)

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


def aside(work: Callable[[], T]) -> T:
    """Do it in a thread that ends with it.

    OpenMP keeps workers waiting for every thread that has ever computed. With more of them than cores, decoding was measured to take
    twice as long (docs/log.md): only the engine's thread may keep any.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def kv_budget(layers: Sequence[torch.device]) -> int:
    """Bytes that keys and values may take, on the devices of the layers together: of CUDA's free memory eight tenths, of others' half.

    Each layer takes as much, so the device that is short of memory for its layers decides. Features of images come on top.
    """
    free = {device: _free(device) // count for device, count in Counter(layers).items()}
    return len(layers) * min(free.values())


def _free(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * 0.8)
    return available_memory() // 2


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
