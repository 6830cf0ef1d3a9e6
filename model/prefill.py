"""Many tokens of a sequence, or the patches of an image, through a layer, compiled: bound by arithmetic, which is done in tiles.

The single tokens of decoding have functions of their own (model/kernels.py). All arrays are float32 and contiguous; `panels`
(panels, depth, LANES) are rows as the tiles read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from model.kernels import keep, pick, rms_norm
from model.tiles import COLUMNS, LANES, Floats, compiled, exp, highest, inlined, sigmoid, silu, tile, total

ROWS = 48
"""Rows of weights that one task takes: they stay in the second-level cache while panels pass by. A multiple of COLUMNS."""
PANELS = 8
"""Panels that one task takes."""
KEYS = 192
"""Keys a panel of queries looks at before its sums are brought up to date. A multiple of COLUMNS."""
QUERIES = 4
"""Panels of queries that pass over a block of keys while it is in the second-level cache."""
RISE = 10.0
"""How far scores may rise above what they are taken over before that follows: exp(10) is no number a float32 minds."""
Indices = NDArray[np.int64]


@compiled
def normed(x: Floats, weight: Floats, epsilon: float, out: Floats) -> None:
    """Each row of x (rows, hidden) over the root of its mean square, times a weight."""
    for row in prange(x.shape[0]):
        rms_norm(x[row : row + 1], weight, epsilon, out[row : row + 1])


@compiled
def packed(x: Floats, members: Indices, panels: Floats) -> None:
    """The rows of x (rows, depth) that `members` (panels, LANES) names, -1 for none, as panels (panels, depth, LANES)."""
    for p in prange(members.shape[0]):
        for k in range(x.shape[1]):
            for lane in range(LANES):
                row = members[p, lane]
                panels[p, k, lane] = x[max(row, 0), k] if row >= 0 else np.float32(0.0)


@compiled
def product(panels: Floats, rows: int, weight: Floats, bias: Floats, add: bool, out: Floats) -> None:
    """out (rows, n) = panels · weight (n, depth) + bias (n,), or without one where it has no length; or that added to it."""
    n = weight.shape[0]
    groups = (len(panels) + PANELS - 1) // PANELS
    for task in prange((n + ROWS - 1) // ROWS * groups):
        start, first = task // groups * ROWS, task % groups * PANELS
        part = np.empty((COLUMNS, LANES), dtype=np.float32)
        for column in range(start, min(n, start + ROWS), COLUMNS):
            columns = min(COLUMNS, n - column)
            for p in range(first, min(len(panels), first + PANELS)):
                lanes = min(LANES, rows - p * LANES)
                tile(panels[p], lanes, weight, column, part, False)
                if bias.shape[0]:
                    for j in range(columns):
                        part[j] += bias[column + j]
                for lane in range(lanes):
                    for j in range(columns):
                        out[p * LANES + lane, column + j] = part[j, lane] + (out[p * LANES + lane, column + j] if add else np.float32(0.0))


@compiled
def place(qkv: Floats, cos: Floats, sin: Floats, store: Floats, before: int) -> None:
    """Rotate the queries and keys of tokens in place, and keep their keys and values behind those that are there.

    qkv (tokens, heads + 2 · kv heads, size); cos, sin (tokens, rotated / 2); store (2, kv heads, capacity, size).
    """
    for token in prange(qkv.shape[0]):
        keep(qkv[token], cos[token], sin[token], store, before + token)


@compiled
def look(qkv: Floats, store: Floats, before: int, causal: bool, out: Floats) -> None:
    """Each token looks back at all that stand before it and itself (or, not causal, at all there are).

    qkv (tokens, heads + 2 · kv heads, size), of which queries are read; store as `place` left it; out (tokens, heads, size). A panel of
    queries passes over the keys in blocks, with a running maximum and sum (flash attention, arXiv 2205.14135).
    """
    tokens, heads, size = out.shape
    group, panels = heads // store.shape[1], (tokens + LANES - 1) // LANES
    groups = (panels + QUERIES - 1) // QUERIES
    scale = np.float32(1.0 / np.sqrt(size))
    for task in prange(heads * groups):
        head, first = task // groups, task % groups * QUERIES
        count = min(QUERIES, panels - first)
        keys, values = store[0, head // group], store[1, head // group]
        queries = np.zeros((QUERIES, size, LANES), dtype=np.float32)
        top, sums = np.zeros((QUERIES, LANES), dtype=np.float32), np.zeros((QUERIES, LANES), dtype=np.float32)
        shares = np.zeros((KEYS, LANES), dtype=np.float32)
        seen = np.zeros((QUERIES, (size + COLUMNS - 1) // COLUMNS * COLUMNS, LANES), dtype=np.float32)
        for p in range(count):
            token = (first + p) * LANES
            for lane in range(min(LANES, tokens - token)):
                for i in range(size):
                    queries[p, i, lane] = qkv[token + lane, head, i] * scale
        for start in range(0, before + min(tokens, (first + count) * LANES) if causal else before + tokens, KEYS):
            for p in range(count):
                token = (first + p) * LANES
                lanes = min(LANES, tokens - token)
                block = min(KEYS, before + (token + lanes if causal else tokens) - start)
                if block > 0:
                    for k in range(block):
                        for lane in range(LANES):
                            shares[k, lane] = -top[p, lane]
                    for k in range(0, block, COLUMNS):
                        tile(queries[p], lanes, keys[start : start + block], k, shares[k : k + COLUMNS], True)
                    if causal:
                        for k in range(max(0, before + token - start), block):
                            for lane in range(LANES):
                                if start + k > before + token + lane:
                                    shares[k, lane] = np.float32(-1e30)
                    soften(shares[:block], start == 0, top[p], sums[p], seen[p])
                    for i in range(0, size, COLUMNS):
                        tile(shares[:block], lanes, values[start : start + block].T, i, seen[p, i : i + COLUMNS], True)
        for p in range(count):
            token = (first + p) * LANES
            for lane in range(min(LANES, tokens - token)):
                for i in range(size):
                    out[token + lane, head, i] = seen[p, i, lane] / sums[p, lane]


@inlined
def soften(shares: Floats, first: bool, top: Floats, sums: Floats, seen: Floats) -> None:
    """Scores (keys, LANES) over `top` become exponentials. Where they rise far above it, it follows, and what was summed is scaled."""
    found = np.empty(LANES, dtype=np.float32)
    highest(shares, found)
    if first or found.max() > RISE:
        for lane in range(LANES):
            rise = found[lane] if first else max(found[lane], np.float32(0.0))
            found[lane] = rise
            top[lane] += rise
        for k in range(shares.shape[0]):
            for lane in range(LANES):
                shares[k, lane] -= found[lane]
        for lane in range(LANES):
            found[lane] = exp(-found[lane])
            sums[lane] *= found[lane]
        for i in range(seen.shape[0]):
            for lane in range(LANES):
                seen[i, lane] *= found[lane]
    flat = shares.reshape(-1)
    for i in range(len(flat)):
        flat[i] = exp(flat[i])
    total(shares, found)
    for lane in range(LANES):
        sums[lane] += found[lane]


@inlined
def gate(panel: Floats, lanes: int, weight: Floats, unit: int, parts: Floats, out: Floats) -> None:
    """out (inner, LANES), COLUMNS units from `unit` on: silu(gate) · up of a panel. weight (2 · inner, depth): gate, then up."""
    inner = weight.shape[0] // 2
    tile(panel, lanes, weight, unit, parts[0], False)
    tile(panel, lanes, weight, inner + unit, parts[1], False)
    for j in range(min(COLUMNS, inner - unit)):
        for lane in range(LANES):
            out[unit + j, lane] = silu(parts[0, j, lane]) * parts[1, j, lane]


@compiled
def gated(panels: Floats, rows: int, weight: Floats, out: Floats) -> None:
    """out (panels, inner, LANES) = silu(gate) · up of all rows. weight (2 · inner, depth)."""
    inner, groups = weight.shape[0] // 2, (len(panels) + PANELS - 1) // PANELS
    for task in prange((inner + ROWS - 1) // ROWS * groups):
        start, first = task // groups * ROWS, task % groups * PANELS
        parts = np.zeros((2, COLUMNS, LANES), dtype=np.float32)
        for unit in range(start, min(inner, start + ROWS), COLUMNS):
            for p in range(first, min(len(panels), first + PANELS)):
                gate(panels[p], rows - p * LANES, weight, unit, parts, out[p])


@compiled
def choose(scores: Floats, bias: Floats, normalised: bool, scale: float, chosen: Indices, weights: Floats) -> None:
    """Of each row of router scores (rows, experts), the experts whose sigmoid plus bias is highest, and their weights: the sigmoid alone.

    chosen, weights (rows, top k).
    """
    for row in prange(scores.shape[0]):
        sigmoids = np.empty(scores.shape[1], dtype=np.float32)
        for expert in range(scores.shape[1]):
            sigmoids[expert] = sigmoid(scores[row, expert])
        pick(sigmoids, bias, normalised, scale, chosen[row], weights[row])


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by expert, in panels: whose rows stand in each (panels, LANES), -1 for none; with what weights; how many rows a panel has; where
    each expert's panels begin (experts + 1,)."""

    members: Indices
    shares: Floats
    counts: Indices
    starts: Indices

    @classmethod
    def of(cls, chosen: Indices, weights: Floats, experts: int) -> Groups:
        """chosen, weights (rows, top k)."""
        flat = chosen.ravel()
        order, loads = np.argsort(flat, kind="stable"), np.bincount(flat, minlength=experts)
        starts = np.concatenate([[0], np.cumsum(-(-loads // LANES))])
        places = np.arange(len(flat)) + np.repeat(starts[:-1] * LANES - np.cumsum(loads) + loads, loads)
        members, shares = np.full(starts[-1] * LANES, -1), np.zeros(starts[-1] * LANES, dtype=np.float32)
        members[places], shares[places] = order // chosen.shape[1], weights.ravel()[order]
        members = members.reshape(-1, LANES)
        return cls(members, shares.reshape(-1, LANES), (members >= 0).sum(1), starts)


@compiled
def expert_gated(panels: Floats, counts: Indices, starts: Indices, weight: Floats, out: Floats) -> None:
    """The same as `gated` for the experts' panels: weight (experts, 2 · inner, depth), counts and starts as in Groups."""
    inner = weight.shape[1] // 2
    blocks = (inner + ROWS - 1) // ROWS
    for task in prange(weight.shape[0] * blocks):
        expert, start = task // blocks, task % blocks * ROWS
        parts = np.zeros((2, COLUMNS, LANES), dtype=np.float32)
        for unit in range(start, min(inner, start + ROWS), COLUMNS):
            for p in range(starts[expert], starts[expert + 1]):
                gate(panels[p], counts[p], weight[expert], unit, parts, out[p])


@compiled
def expert_product(panels: Floats, members: Indices, shares: Floats, counts: Indices, starts: Indices, weight: Floats, out: Floats) -> None:
    """out (rows, n) += share · (panels · weight (experts, n, depth)) of each row's experts. A task takes some columns of all rows, so that
    no two write to the same place."""
    n = weight.shape[1]
    for task in prange((n + ROWS // 2 - 1) // (ROWS // 2)):
        begin, end = task * (ROWS // 2), min(n, (task + 1) * (ROWS // 2))
        part = np.empty((COLUMNS, LANES), dtype=np.float32)
        for expert in range(weight.shape[0]):
            for column in range(begin, end, COLUMNS):
                columns = min(COLUMNS, end - column)
                for p in range(starts[expert], starts[expert + 1]):
                    tile(panels[p], counts[p], weight[expert], column, part, False)
                    for lane in range(counts[p]):
                        row = members[p, lane]
                        for j in range(columns):
                            out[row, column + j] += part[j, lane] * shares[p, lane]


def panels_of(x: Floats, members: Indices | None = None) -> Floats:
    """The rows of x, or those `members` names, as panels."""
    if members is None:
        members = np.full(-(-len(x) // LANES) * LANES, -1)
        members[: len(x)] = np.arange(len(x))
        members = members.reshape(-1, LANES)
    panels = np.empty((len(members), x.shape[1], LANES), dtype=np.float32)
    packed(x, members, panels)
    return panels


def linear(x: Floats, weight: Floats, bias: Floats, out: Any = None) -> Floats:
    """x · weight + bias; where there is an `out`, added to it."""
    found: Floats = np.empty((len(x), len(weight)), dtype=np.float32) if out is None else out
    product(panels_of(x), len(x), weight, bias, out is not None, found)
    return found
