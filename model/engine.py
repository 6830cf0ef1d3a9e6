"""The engine: answers several requests at once, reads no token twice that it still holds, and keeps within its memory.

One thread serves all callers. Every round is one forward over the next tokens of every request under way: one token each for those that are
decoding (more where a grammar forces them), a chunk of the prompt for those that are not there yet. A request that fails, fails alone.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from model.base import CacheFull, Cancelled, Grid, ModelError, OutOfMemory
from model.forward import Forward, Row
from model.kv import KV, KVShape
from model.layout import PlacedImage, common
from model.prefix import PrefixCache
from model.prefix import Sequence as Read
from model.request import Request
from model.vision import FeatureCache

CHUNK = 256
"""Tokens of prompts read in a round in which others are decoding: a screenshot must not hold up their next token for long."""
CHUNK_ALONE = 2048
"""The same in a round in which nobody is, shared by those that read; it bounds the memory for what is in between."""
RESERVE = 64
"""Tokens of a reply for which there must be room before it begins."""
IDLE_SECONDS = 2.0
"""The engine's thread ends after so long without a request; the next one starts another."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineStats:
    """waiting, active: requests; sequences: at rest; kv_bytes: of all of them; feature_bytes: of encoded images; rounds: so far."""

    waiting: int
    active: int
    sequences: int
    kv_bytes: int
    feature_bytes: int
    rounds: int


class Engine:
    """kv_budget, feature_budget: bytes that keys and values, and features of images, may take."""

    def __init__(
        self,
        forward: Forward,
        shape: KVShape,
        embed: Callable[[torch.Tensor], torch.Tensor],
        encode: Callable[[Image.Image, Grid], torch.Tensor],
        kv_budget: int,
        feature_budget: int,
    ) -> None:
        self._forward, self._shape, self._embed = forward, shape, embed
        self._prefixes = PrefixCache(kv_budget)
        self._features = FeatureCache(encode, feature_budget)
        self._turn = threading.Condition()
        self._waiting: deque[Request] = deque()
        self._active: list[Request] = []
        self._thread: threading.Thread | None = None
        self._closing = False
        self._full = False  # the next one waiting found no room, and nothing has ended since
        self._rounds = 0

    @property
    def stats(self) -> EngineStats:
        with self._turn:
            used = self._used() + self._prefixes.bytes
            waiting, active, sequences = len(self._waiting), len(self._active), len(self._prefixes.idle)
        return EngineStats(waiting, active, sequences, used, self._features.bytes, self._rounds)

    def answer(self, request: Request) -> None:
        """Wait until a request is answered: its reply is then complete. Raises what it failed with; an interrupted wait ends it."""
        with self._turn:
            self._waiting.append(request)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="glimpse-engine", daemon=True)
                self._thread.start()
                atexit.register(self._close)
            self._turn.notify()
        try:
            while not request.done.wait(0.5):  # with a bound, or Ctrl-C would not be heard on every system
                pass
        finally:
            request.withdrawn = True
        if request.error is not None:
            raise request.error

    def forget(self) -> None:
        """Let go of all sequences at rest."""
        with self._turn:
            self._prefixes.idle.clear()

    @torch.inference_mode()
    def _serve(self) -> None:
        while self._have_work():
            try:
                self._admit()
                self._round()
            except Exception as error:  # the border of the thread: whoever waits must hear of it, and the next one be served
                for request in list(self._active):
                    self._end(request, error, keep=False)

    def _have_work(self) -> bool:
        with self._turn:
            if not (self._waiting or self._active):
                self._turn.wait_for(lambda: self._waiting or self._closing, IDLE_SECONDS)
            if self._closing or not (self._waiting or self._active):
                atexit.unregister(self._close)
                self._thread = None
                return False
            return True

    def _close(self) -> None:
        """At the end of the process: a thread that is inside torch when the interpreter goes would bring it down."""
        with self._turn:
            thread, self._closing = self._thread, True
            self._turn.notify()
        if thread is not None:
            thread.join()

    def _admit(self) -> None:
        """Start what is waiting, in the order it came, as far as memory allows."""
        with self._turn:
            while self._waiting:
                request = self._waiting[0]
                if self._withdrawn(request, "The request was cancelled before it began."):
                    self._waiting.popleft()
                elif self._full or self._others_read_it(request) or not self._started(request):
                    return
                else:
                    self._waiting.popleft()

    def _withdrawn(self, request: Request, what: str) -> bool:
        """Whether its caller wants it no more; then it is over."""
        try:
            error: Exception | None = Cancelled(what) if request.unwanted else None
        except Exception as fault:  # a caller's function: nobody else's business
            error = fault
        if error is not None:
            self._end(request, error)
        return error is not None

    def _others_read_it(self, request: Request) -> bool:
        """Whether one under way is about to read what this prompt begins with: then it waits and goes on from there."""
        for other in self._active:
            shared, whole = common(other.layout.keys, request.layout.keys[:-1]), min(len(other.layout), len(request.layout)) - 1
            if other.prefilling and (shared >= other.read + CHUNK or other.read < shared >= whole):
                return True
        return False

    def _started(self, request: Request) -> bool:
        """Whether it need not wait: it is under way, or has failed."""
        try:
            return self._start(request)
        except Exception as error:  # memory, or a caller's function: nobody else's business
            self._end(request, _told(error))
            return True

    def _start(self, request: Request) -> bool:
        """Whether there is room for it, now; it fails when there never can be."""
        busy = [other.sequence for other in self._active if other.sequence is not None]
        sequence, length = self._with_memory(lambda: self._prefixes.take(request.layout, busy, self._used()))
        sequence = sequence or Read.empty(KV(self._shape))
        tokens = int(request.layout.kept[length:].sum()) + min(request.reply.stop.length, RESERVE)
        if not self._reserved(sequence.kv, tokens, sequence.kv.bytes):
            self._prefixes.give(sequence)
            if self._active:
                self._full = True
                return False
            needed = sequence.kv.bytes + sequence.kv.growth(tokens, spare=False)
            text = f"{needed / 2**20:,.1f} MiB of keys and values, and {self._prefixes.budget / 2**20:,.1f} MiB are allowed"
            self._end(request, CacheFull(f"The prompt needs {text}: send fewer screenshots or allow more memory (cache_bytes)."))
            return True
        request.sequence, request.read = sequence, length
        request.cached = int(request.layout.kept[:length].sum())
        self._active.append(request)
        request.new = request.reply.begin()
        if request.new and request.on_tokens is not None:
            request.on_tokens(request.reply.ids)
        if request.reply.reason:
            self._end(request)
        return True

    def _reserved(self, kv: KV, tokens: int, held: int = 0) -> bool:
        """Whether there is room for so many tokens more, which it then has, and some to spare where the budget allows that. held: its
        bytes, if `_used` does not count them."""
        if not kv.growth(tokens):
            return True
        used = self._used() + held
        spare = used + kv.growth(tokens) <= self._prefixes.budget
        if not self._prefixes.make_room(kv.growth(tokens, spare), used):
            return False
        self._with_memory(lambda: kv.reserve(tokens, spare))
        return True

    def _with_memory(self, work: Callable[[], T]) -> T:
        """Do it; when memory runs out, once more with nothing kept at rest. work: leaves all as it was when it fails."""
        try:
            return work()
        except (RuntimeError, MemoryError) as error:
            if not _is_memory(error):
                raise
        self.forget()
        self._features.forget()
        return work()

    def _used(self) -> int:
        return sum(request.sequence.kv.bytes for request in self._active if request.sequence is not None)

    def _round(self) -> None:
        """One forward, and for each request that it brought to its next choice, that choice."""
        for request in list(self._active):
            self._withdrawn(request, "The request was cancelled.")
        for request in self._active:
            self._skip_evicted(request)
        planned = [(request, end) for request, end in self._planned() if self._grown(request, end)]
        rows = [(request, end, row) for request, end in planned if (row := self._row(request, end)) is not None]
        if not rows:
            return
        self._rounds += 1
        for request, end, logits in self._computed(rows):
            self._took(request, end)
            if end == request.total:
                self._chosen(request, logits)

    def _skip_evicted(self, request: Request) -> None:
        """Pass over tokens that are not read, so that what is read next begins with one that is."""
        ahead = request.layout.kept[request.read :]
        if len(ahead) and not ahead[0]:
            self._took(request, request.read + int(ahead.argmax()))

    def _planned(self) -> list[tuple[Request, int]]:
        """Up to where each request is read in this round. Those that decode come first; the others share what is left in turn."""
        decoding = [request for request in self._active if not request.prefilling]
        waiting = [request for request in self._active if request.prefilling]
        room = CHUNK if decoding else CHUNK_ALONE
        planned = [(request, request.total) for request in decoding]
        for request in waiting:
            if room > 0:
                end = min(request.total, request.read + (room if decoding else max(CHUNK, CHUNK_ALONE // len(waiting))))
                planned.append((request, end))
                room -= end - request.read
        self._active = [*decoding, *waiting[1:], *waiting[:1]]  # whoever had the first turn has the last one next time
        return planned

    def _grown(self, request: Request, end: int) -> bool:
        """Whether the memory for its next tokens could be had; if not, it has failed."""
        assert request.sequence is not None
        evicted = int((~request.layout.kept[request.read : end]).sum())
        try:
            with self._turn:
                if self._reserved(request.sequence.kv, end - request.read - evicted):
                    return True
            allowed = f"The reply outgrew the {self._prefixes.budget / 2**20:,.1f} MiB allowed for keys and values"
            raise CacheFull(f"{allowed}: allow more (cache_bytes), or answer fewer at once.")
        except (RuntimeError, MemoryError) as error:
            self._end(request, _told(error))
            return False

    def _row(self, request: Request, end: int) -> Row | None:
        """The tokens from where it stands up to `end`, images filled in; None when that failed."""
        assert request.sequence is not None
        try:
            embeddings, positions = self._with_memory(lambda: self._embedded(request, end))
            return Row(request.sequence.kv, embeddings, positions)
        except (RuntimeError, MemoryError) as error:
            self._end(request, _told(error))
        return None

    def _embedded(self, request: Request, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids, positions, kept = request.span(end)
        embeddings = self._embed(torch.from_numpy(ids))
        for image in request.layout.images:
            self._fill(embeddings, image, request.read, end, kept)
        if kept.all():
            return embeddings, positions
        chosen = torch.from_numpy(np.flatnonzero(kept))
        return embeddings[chosen.to(embeddings.device)], positions[:, chosen]

    def _fill(self, embeddings: torch.Tensor, image: PlacedImage, start: int, end: int, kept: NDArray[np.bool_]) -> None:
        """Put an image's features where its tokens are among start : end."""
        first, last = max(image.start, start), min(image.start + image.segment.length, end)
        if first < last and kept[first - start]:
            features = self._features.get(image.key, image.segment.image, image.segment.grid)
            embeddings[first - start : last - start] = features[first - image.start : last - image.start].to(embeddings)

    def _computed(self, rows: list[tuple[Request, int, Row]]) -> list[tuple[Request, int, torch.Tensor]]:
        """The logits of each row; when the forward over all of them fails, each is tried alone."""
        try:
            found = self._with_memory(lambda: self._forward.logits([row for *_, row in rows]))
            return [(request, end, logits) for (request, end, _), logits in zip(rows, found, strict=True)]
        except (RuntimeError, MemoryError) as error:
            if len(rows) == 1:
                self._end(rows[0][0], _told(error))
                return []
            return [computed for row in rows for computed in self._computed([row])]

    def _took(self, request: Request, end: int) -> None:
        """Note that the tokens up to `end` have been read."""
        assert request.sequence is not None
        ids, _, kept = request.span(end, keys=True)
        request.sequence.keys = np.concatenate([request.sequence.keys, ids])
        request.sequence.kept = np.concatenate([request.sequence.kept, kept])
        request.read = end

    def _chosen(self, request: Request, logits: torch.Tensor) -> None:
        try:
            request.new += request.reply.next(logits)
            if request.on_tokens is not None:
                request.on_tokens(request.reply.ids)
        except Exception as error:  # a caller's function or a grammar: nobody else's business
            self._end(request, error)
            return
        if request.reply.reason:
            self._end(request)

    def _end(self, request: Request, error: Exception | None = None, keep: bool = True) -> None:
        """The request is over; what it has read is kept for the next."""
        with self._turn:
            if request in self._active:
                self._active.remove(request)
            if request.sequence is not None and keep:
                self._prefixes.give(request.sequence)
                self._prefixes.make_room(0, self._used())
            request.sequence = None
            self._full = False
        request.error = error
        request.done.set()


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "alloc" in str(error).lower()


def _told(error: Exception) -> Exception:
    """torch's errors as ours; ours, and those of a caller's function, as they are."""
    if isinstance(error, ModelError) or not isinstance(error, RuntimeError | MemoryError):
        return error
    text = " ".join(str(error).split())
    if _is_memory(error):
        return OutOfMemory(f"Memory ran out ({text[:200]}): send fewer or smaller screenshots, or answer fewer requests at once.")
    return ModelError(f"The model failed: {text[:300]}")
