"""The least time a step can take on this machine: the arithmetic of the model over rates measured in the same run.

    limit = vision FLOPs / G  +  prefill FLOPs / G  +  Σ over decoded tokens of max(bytes / B, FLOPs / G)

G, FLOP/s: the best float32 matrix product at shapes of this model's prefill. B, bytes/s: the best streaming read, two threads, over a
buffer far larger than the caches. A product of (m × k) and (k × n) is 2mkn FLOPs. Counted are matrix products and attention alone:

- vision, P patches: 2·P·588·h (a still's two equal frames folded into one) + depth · (2·P·(4h² + 3·h·H) + 4·P²·h)
  + 2·(P/4)·(4·h·H + H² + 3·H·I); h: its width, H: the text model's, I: the merger's inner width.
- prefill, n new tokens after c: 2·n·A + 4·q·L·(n·c + n(n+1)/2) + 2·H·V; A: weights at work on a token (attention, the dense layers,
  router, chosen and shared experts), q: heads × head size, L: layers. New is what no engine can have seen: not the prompt before, nor
  what it decoded itself but its last token.
- a decoded token after c: 2·(A + H·V) + 4·q·L·(c + 1) FLOPs; 4·(A + H·V) + K·c bytes, K: bytes of a token's keys and values. All in
  float32. The first of a reply comes from the prefill.

Norms, rotations, softmax, routing and the reading of weights during prefill count nothing: the limit cannot be reached, only neared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from model.checkpoint import Weights, read_config

FLOAT = 4
BUFFER = 2**30


@dataclass(frozen=True, slots=True)
class Work:
    """The arithmetic of one checkpoint, from its config.json."""

    text: dict[str, Any]
    vision: dict[str, Any]
    parameters: int

    @classmethod
    def of(cls, folder: Path) -> Work:
        config = read_config(folder)
        return cls(config["text_config"], config["vision_config"], Weights.inspect(folder).parameters)

    @property
    def heads(self) -> int:
        """Width of all query heads together."""
        return int(self.text["num_attention_heads"] * self.text["head_dim"])

    @property
    def layers(self) -> int:
        return int(self.text["num_hidden_layers"])

    @property
    def head(self) -> int:
        """Weights of the output layer."""
        return int(self.text["hidden_size"] * self.text["vocab_size"])

    @property
    def kv_token(self) -> int:
        """Bytes of a token's keys and values."""
        return int(2 * self.layers * self.text["num_key_value_heads"] * self.text["head_dim"] * FLOAT)

    def body(self, experts: float | None = None) -> float:
        """Weights of the layers that are multiplied with a token. experts: how many are at work in a layer, if not those of one token."""
        t, hidden = self.text, self.text["hidden_size"]
        attention = 2 * hidden * (self.heads + t["num_key_value_heads"] * t["head_dim"])
        at_work = (t["num_experts_per_tok"] if experts is None else experts) + t["n_shared_experts"]
        sparse = hidden * (t["n_routed_experts"] + 3 * t["moe_intermediate_size"] * at_work)
        dense = t["first_k_dense_replace"]
        return float(self.layers * attention + dense * 3 * hidden * t["intermediate_size"] + (self.layers - dense) * sparse)

    @property
    def active(self) -> int:
        return int(self.body()) + self.head

    def see(self, patches: int) -> float:
        """FLOPs of the vision tower."""
        v, h, out = self.vision, self.vision["hidden_size"], self.vision["out_hidden_size"]
        embedding = 2 * patches * 3 * v["patch_size"] ** 2 * h
        blocks = v["depth"] * (2 * patches * (4 * h * h + 3 * h * out) + 4 * patches**2 * h)
        merger = 2 * (patches // v["spatial_merge_size"] ** 2) * (4 * h * out + out * out + 3 * out * v["intermediate_size"])
        return float(embedding + blocks + merger)

    def read(self, new: int, context: int) -> float:
        """FLOPs of the prefill of new tokens behind those of the context."""
        attention = 4 * self.heads * self.layers * (new * context + new * (new + 1) / 2)
        return 2 * new * self.body() + attention + 2 * self.head

    def write(self, context: int, together: int = 1) -> tuple[float, float]:
        """(FLOPs, bytes) of decoding one token in each of so many sequences at once."""
        t = self.text
        experts = t["n_routed_experts"] * (1 - (1 - t["num_experts_per_tok"] / t["n_routed_experts"]) ** together)  # if they choose evenly
        flops = together * (2 * self.active + 4 * self.heads * self.layers * (context + 1))
        return flops, FLOAT * (self.body(experts) + self.head) + together * self.kv_token * context


@dataclass(frozen=True, slots=True)
class Machine:
    """What was measured: the best rates, and all of them by name."""

    flops: float
    bandwidth: float
    products: dict[str, float]
    reads: dict[str, float]

    @classmethod
    def measure(cls, work: Work, patches: int, new: int) -> Machine:
        """Takes some seconds; the machine must be at rest."""
        products, reads = dict(product_rates(_shapes(work, patches, new))), dict(_reads())
        return cls(max(products.values()), max(reads.values()), products, reads)

    def better(self, other: Machine) -> Machine:
        """The best of two measurements."""
        products = {name: max(rate, other.products[name]) for name, rate in self.products.items()}
        reads = {name: max(rate, other.reads[name]) for name, rate in self.reads.items()}
        return Machine(max(products.values()), max(reads.values()), products, reads)

    def step(self, work: Work, *, patches: int, new: int, context: int, decoded: int, together: int = 1) -> dict[str, float]:
        """Seconds of one step's terms and their sum: a screenshot of so many patches, new tokens after a context, decoded tokens."""
        see, read = together * work.see(patches) / self.flops, together * work.read(new, context) / self.flops
        tokens = [work.write(context + new + i, together) for i in range(decoded - 1)]
        write = sum(max(flops / self.flops, size / self.bandwidth) for flops, size in tokens)
        return {"vision": see, "prefill": read, "decode": write, "total": see + read + write}


def _best(run: Callable[[], object], seconds: float = 0.4) -> float:
    """The shortest of the times it takes, tried for so long."""
    run()
    best, end = float("inf"), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        run()
        best = min(best, time.perf_counter() - began)
    return best


def _shapes(work: Work, patches: int, new: int) -> dict[str, tuple[int, int, int]]:
    t, v, hidden = work.text, work.vision, work.text["hidden_size"]
    share = max(1, new * t["num_experts_per_tok"] // t["n_routed_experts"])
    return {
        "queries": (new, hidden, work.heads),
        "one expert": (share, hidden, 2 * t["moe_intermediate_size"]),
        "dense layer": (new, hidden, 2 * t["intermediate_size"]),
        "vision qkv": (patches, v["hidden_size"], 3 * v["hidden_size"]),
        "vision MLP": (patches, v["hidden_size"], 2 * v["out_hidden_size"]),
        "vision scores": (patches, v["hidden_size"] // v["num_heads"], patches),
    }


def product_rates(shapes: Mapping[str, tuple[int, int, int]]) -> Iterator[tuple[str, float]]:
    """FLOP/s of float32 products of (rows × inner) and (inner × columns), by name and shape."""
    import torch

    for name, (rows, inner, columns) in shapes.items():
        left, right, out = torch.randn(rows, inner), torch.randn(columns, inner).t(), torch.empty(rows, columns)
        yield f"{name} {rows}×{inner}×{columns}", 2 * rows * inner * columns / _best(partial(torch.mm, left, right, out=out))


def _reads() -> Iterator[tuple[str, float]]:
    import torch

    buffer = torch.ones(BUFFER // FLOAT)
    matrix, vector = buffer.view(-1, 4096), torch.ones(4096)
    halves: Any = buffer.numpy().reshape(2, -1)
    with ThreadPoolExecutor(2) as pool:
        runs: dict[str, Callable[[], object]] = {
            "sum": buffer.sum,
            "matrix × vector": lambda: torch.mv(matrix, vector),
            "two threads": lambda: list(pool.map(lambda half: half.max(), halves)),
        }
        for name, run in runs.items():
            yield name, BUFFER / _best(run, 1.5)
