"""One token of each of a few sequences through a layer, compiled (numba): what decoding on a CPU is bound by is the reading of weights.

A product with a single row reads every weight once; torch does it on one core and at a cost per operation that exceeds the work of a small
model. Here a layer is three functions, each weight is read once for all rows, and both cores read. All arrays are float32 and contiguous.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from model.tiles import Floats, compiled, exp, inlined, sigmoid, silu

BLOCK = 64
"""Rows of a weight matrix that one task takes."""
UNITS = 32
"""Units of an MLP that one task takes."""


@inlined
def dot(a: Floats, b: Floats) -> Any:
    total = np.float32(0.0)
    for i in range(a.shape[0]):
        total += a[i] * b[i]
    return total


@inlined
def rms_norm(x: Floats, weight: Floats, epsilon: float, out: Floats) -> None:
    """Each row over the root of its mean square, times a weight."""
    for row in range(x.shape[0]):
        scale = np.float32(1.0) / np.sqrt(dot(x[row], x[row]) / np.float32(x.shape[1]) + np.float32(epsilon))
        for i in range(x.shape[1]):
            out[row, i] = x[row, i] * scale * weight[i]


@inlined
def score(queries: Floats, keys: Floats, scale: Any, out: Floats) -> None:
    """out (queries, n) = scale · queries (queries, size) · keys (n, size), four queries to each reading of a key.

    Rows of a weight matrix are keys, too."""
    fours = queries.shape[0] // 4 * 4
    for t in range(keys.shape[0]):
        for g in range(0, fours, 4):
            a = b = c = d = np.float32(0.0)
            for i in range(keys.shape[1]):
                a += queries[g, i] * keys[t, i]
                b += queries[g + 1, i] * keys[t, i]
                c += queries[g + 2, i] * keys[t, i]
                d += queries[g + 3, i] * keys[t, i]
            out[g, t], out[g + 1, t], out[g + 2, t], out[g + 3, t] = a * scale, b * scale, c * scale, d * scale
        for g in range(fours, queries.shape[0]):
            a = np.float32(0.0)
            for i in range(keys.shape[1]):
                a += queries[g, i] * keys[t, i]
            out[g, t] = a * scale


@compiled
def project(x: Floats, norm: Floats, epsilon: float, weight: Floats, bias: Floats, out: Floats) -> None:
    """out (rows, n) = norm(x (rows, hidden)) · weight (n, hidden) + bias (n,), or without one where it has no length."""
    normed = np.empty_like(x)
    rms_norm(x, norm, epsilon, normed)
    for block in prange((weight.shape[0] + BLOCK - 1) // BLOCK):
        start, end = block * BLOCK, min(weight.shape[0], (block + 1) * BLOCK)
        score(normed, weight[start:end], np.float32(1.0), out[:, start:end])
        if bias.shape[0]:
            for row in range(x.shape[0]):
                for j in range(start, end):
                    out[row, j] += bias[j]


@inlined
def gather(shares: Floats, values: Floats, out: Floats) -> None:
    """out (queries, size) += shares (queries, n) · values (n, size), four queries to each reading of a value."""
    fours = shares.shape[0] // 4 * 4
    for t in range(values.shape[0]):
        for g in range(0, fours, 4):
            a, b, c, d = shares[g, t], shares[g + 1, t], shares[g + 2, t], shares[g + 3, t]
            for i in range(values.shape[1]):
                out[g, i] += a * values[t, i]
                out[g + 1, i] += b * values[t, i]
                out[g + 2, i] += c * values[t, i]
                out[g + 3, i] += d * values[t, i]
        for g in range(fours, shares.shape[0]):
            for i in range(values.shape[1]):
                out[g, i] += shares[g, t] * values[t, i]


@inlined
def exponential(x: Floats, top: Any) -> Any:
    """x becomes exp(x - top), top no less than any; their sum."""
    total = np.float32(0.0)
    for i in range(x.shape[0]):
        x[i] = exp(x[i] - top)
        total += x[i]
    return total


@inlined
def keep(qkv: Floats, cos: Floats, sin: Floats, store: Floats, place: int) -> None:
    """Rotate one token's queries and keys in place, and keep its key and value. qkv (heads + 2 · kv heads, size); cos, sin (rotated / 2,);
    store (2, kv heads, capacity, size)."""
    kv_heads, half = store.shape[1], cos.shape[0]
    heads = qkv.shape[0] - 2 * kv_heads
    for head in range(heads + kv_heads):
        for i in range(half):
            first, second = qkv[head, i], qkv[head, i + half]
            qkv[head, i] = first * cos[i] - second * sin[i]
            qkv[head, i + half] = second * cos[i] + first * sin[i]
    for head in range(kv_heads):
        for i in range(qkv.shape[1]):
            store[0, head, place, i] = qkv[heads + head, i]
            store[1, head, place, i] = qkv[heads + kv_heads + head, i]


@compiled
def attend(qkv: Floats, cos: Floats, sin: Floats, store: Floats, length: int, parts: int, out: Floats) -> None:
    """Rotate one token's queries and keys, keep its key and value, and look back at all there are.

    qkv (heads + 2 · kv heads, size); cos, sin (rotated / 2,); store (2, kv heads, capacity, size), of which `length` tokens are filled;
    out (heads, size). parts: how many tasks share the tokens of a head (flash decoding: each has a maximum and a sum of its own).
    """
    kv_heads, size = store.shape[1], store.shape[3]
    heads = qkv.shape[0] - 2 * kv_heads
    group = heads // kv_heads
    keep(qkv, cos, sin, store, length)
    total, scale = length + 1, np.float32(1.0 / np.sqrt(size))
    span = (total + parts - 1) // parts
    largest = np.full((parts, heads), np.float32(-np.inf), dtype=np.float32)
    sums = np.zeros((parts, heads), dtype=np.float32)
    partial = np.zeros((parts, heads, size), dtype=np.float32)
    for task in prange(kv_heads * parts):
        head, part = task // parts, task % parts
        start, end = part * span, min(total, (part + 1) * span)
        if start < end:
            queries, sum_of = qkv[head * group : (head + 1) * group], partial[part, head * group : (head + 1) * group]
            scores = np.empty((group, end - start), dtype=np.float32)
            score(queries, store[0, head, start:end], scale, scores)
            for g in range(group):
                q = head * group + g
                largest[part, q] = scores[g].max()
                sums[part, q] = exponential(scores[g], largest[part, q])
            gather(scores, store[1, head, start:end], sum_of)
    for q in range(heads):
        top, whole = largest[:, q].max(), np.float32(0.0)
        for i in range(size):
            out[q, i] = 0.0
        for part in range(parts):
            share = np.exp(largest[part, q] - top)
            whole += share * sums[part, q]
            for i in range(size):
                out[q, i] += share * partial[part, q, i]
        for i in range(size):
            out[q, i] /= whole


@inlined
def pick(scores: Floats, bias: Floats, normalised: bool, scale: float, chosen: Any, weights: Floats) -> None:
    """The experts whose score (experts,) plus bias is highest, and their weights: the scores without it. chosen, weights (top k,)."""
    ranked, total = scores + bias, np.float32(0.0)
    for k in range(chosen.shape[0]):
        best = np.argmax(ranked)
        ranked[best] = np.float32(-np.inf)
        chosen[k], weights[k] = best, scores[best]
        total += scores[best]
    for k in range(chosen.shape[0]):
        weights[k] *= np.float32(scale) / (total + np.float32(1e-20)) if normalised else np.float32(scale)


@inlined
def route(x: Floats, router: Floats, bias: Floats, normalised: bool, scale: float, chosen: Any, weights: Floats) -> None:
    """What `pick` gives for each row: chosen, weights (rows, top k)."""
    scores = np.empty(router.shape[0], dtype=np.float32)
    for row in range(x.shape[0]):
        for expert in range(router.shape[0]):
            scores[expert] = sigmoid(dot(router[expert], x[row]))
        pick(scores, bias, normalised, scale, chosen[row], weights[row])


@inlined
def gate(x: Floats, weight: Floats, inner: int, start: int, shares: Floats, out: Floats) -> None:
    """out (rows, inner) from start on: silu(gate · x) · (up · x) · share. weight (2 · inner, hidden): gate, then up."""
    end = min(inner, start + UNITS)
    gates, ups = np.empty((len(x), end - start), dtype=np.float32), np.empty((len(x), end - start), dtype=np.float32)
    score(x, weight[start:end], np.float32(1.0), gates)
    score(x, weight[inner + start : inner + end], np.float32(1.0), ups)
    for row in range(len(x)):
        for i in range(end - start):
            out[row, start + i] = silu(gates[row, i]) * ups[row, i] * shares[row]


@compiled
def finish(
    x: Floats, attended: Floats, out: Floats, norm: Floats, epsilon: float,
    shared_in: Floats, shared_out: Floats, router: Floats, bias: Floats, experts_in: Floats, experts_out: Floats,
    top_k: int, normalised: bool, scale: float,
) -> None:  # fmt: skip
    """The rest of a layer, in place: x += out · attended; x += MLP(norm(x)).

    x (rows, hidden), attended (rows, heads · size), out (hidden, heads · size). shared_in (2s, hidden), shared_out (hidden, s): the dense
    MLP or the shared experts; router (experts, hidden), experts_in (experts, 2i, hidden), experts_out (experts, hidden, i); without routed
    experts top_k is 0.
    """
    rows, hidden = x.shape
    for block in prange((hidden + BLOCK - 1) // BLOCK):
        start, end = block * BLOCK, min(hidden, (block + 1) * BLOCK)
        part = np.empty((rows, end - start), dtype=np.float32)
        score(attended, out[start:end], np.float32(1.0), part)
        x[:, start:end] += part
    normed = np.empty_like(x)
    rms_norm(x, norm, epsilon, normed)
    chosen, weights = np.empty((rows, top_k), dtype=np.int64), np.empty((rows, top_k), dtype=np.float32)
    if top_k:
        route(normed, router, bias, normalised, scale, chosen, weights)
    shared, inner = shared_out.shape[1], experts_out.shape[2]
    # the MLPs at work: the shared one with all rows, then each expert that was chosen with those that chose it
    experts = np.unique(chosen.ravel())
    counts, members = np.zeros(len(experts) + 1, dtype=np.int64), np.empty((len(experts) + 1, rows), dtype=np.int64)
    shares, inputs = np.ones((len(experts) + 1, rows), dtype=np.float32), np.empty((len(experts) + 1, rows, hidden), dtype=np.float32)
    for mlp in range(len(experts) + 1):
        for row in range(rows):
            for k in range(max(1, top_k)):
                if (mlp == 0 and k == 0) or (mlp > 0 and chosen[row, k] == experts[mlp - 1]):
                    place = counts[mlp]
                    members[mlp, place], inputs[mlp, place] = row, normed[row]
                    if mlp > 0:
                        shares[mlp, place] = weights[row, k]
                    counts[mlp] += 1
    together, gates = np.empty((rows, shared), dtype=np.float32), np.empty((len(experts) + 1, rows, inner), dtype=np.float32)
    of_shared, of_expert = (shared + UNITS - 1) // UNITS, (inner + UNITS - 1) // UNITS
    for task in prange(of_shared + len(experts) * of_expert):
        if task < of_shared:
            gate(inputs[0], shared_in, shared, task * UNITS, shares[0], together)
        else:
            mlp, block = 1 + (task - of_shared) // of_expert, (task - of_shared) % of_expert
            count = counts[mlp]
            gate(inputs[mlp, :count], experts_in[experts[mlp - 1]], inner, block * UNITS, shares[mlp], gates[mlp])
    for block in prange((hidden + BLOCK - 1) // BLOCK):
        start, end = block * BLOCK, min(hidden, (block + 1) * BLOCK)
        part = np.empty((rows, end - start), dtype=np.float32)
        score(together, shared_out[start:end], np.float32(1.0), part)
        x[:, start:end] += part
        for mlp in range(1, len(experts) + 1):
            count = counts[mlp]
            score(gates[mlp, :count], experts_out[experts[mlp - 1], start:end], np.float32(1.0), part[:count])
            for place in range(count):
                x[members[mlp, place], start:end] += part[place]
