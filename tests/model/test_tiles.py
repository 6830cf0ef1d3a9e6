"""The compiled products and attention against torch's, and that they are the same to the bit whatever is computed beside them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import prange
from numpy.typing import NDArray

from model import kernels, prefill
from model.lean import NOTHING
from model.tiles import LANES, compiled, exp, threads

Floats = NDArray[np.float32]
SIZES = st.integers(1, 70)


@compiled
def exponentials(x: Floats) -> None:
    for i in prange(len(x)):
        x[i] = exp(x[i])


def drawn(seed: int, *shape: int) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@settings(max_examples=30, deadline=None)
@given(SIZES, SIZES, SIZES, st.booleans(), st.booleans(), st.integers(0, 2**16))
def test_a_product_is_torchs_for_any_shape(rows: int, depth: int, columns: int, biased: bool, added: bool, seed: int) -> None:
    x, weight, bias, out = (
        drawn(seed, rows, depth),
        drawn(seed + 1, columns, depth),
        drawn(seed + 2, columns),
        drawn(seed + 3, rows, columns),
    )
    expected = torch.nn.functional.linear(*map(torch.from_numpy, (x, weight, bias) if biased else (x, weight)))
    expected = expected + torch.from_numpy(out) if added else expected
    with threads(2):
        found = prefill.linear(x, weight, bias if biased else NOTHING, out.copy() if added else None)
    assert torch.allclose(torch.from_numpy(found), expected, atol=1e-4)


def test_a_row_of_a_product_is_the_same_to_the_bit_whatever_stands_beside_it() -> None:
    x, weight = drawn(0, 40, 96), drawn(1, 100, 96)
    with threads(2):
        together = prefill.linear(x, weight, NOTHING)
        alone = np.concatenate([prefill.linear(x[i : i + 1], weight, NOTHING) for i in range(len(x))])
    assert np.array_equal(together, alone)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 90), st.integers(0, 450), st.sampled_from([(4, 2, 16), (2, 2, 24), (3, 1, 64)]), st.booleans(), st.integers(0, 2**16))
def test_attention_is_torchs_for_any_number_of_tokens(
    tokens: int, before: int, heads: tuple[int, int, int], causal: bool, seed: int
) -> None:
    queries, kv_heads, size = heads
    store = drawn(seed, 2, kv_heads, before + tokens + 3, size)
    qkv = 6 * drawn(seed + 1, tokens, queries + 2 * kv_heads, size)  # wide: some look at one token alone
    out = np.empty((tokens, queries, size), dtype=np.float32)
    q = torch.from_numpy(qkv[:, :queries]).transpose(0, 1)
    k, v = (torch.from_numpy(part[:, : before + tokens]).repeat_interleave(queries // kv_heads, 0) for part in store)
    mask = torch.ones(tokens, before + tokens, dtype=torch.bool).tril(before if causal else before + tokens)
    expected = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(0, 1)
    with threads(2):
        prefill.look(qkv, store, before, causal, out)
    assert torch.allclose(torch.from_numpy(out), expected, atol=1e-4)


@pytest.mark.parametrize("level", [-200.0, 200.0])
def test_attention_bears_scores_that_are_far_from_zero(level: float) -> None:
    """An exponential of theirs alone is nothing, or more than a float32 can hold."""
    store, qkv = np.ones((2, 1, 400, 16), dtype=np.float32), np.full((20, 3, 16), level / 4, dtype=np.float32)
    store[0, :, 200:] *= 1.1  # scores rise in the middle
    store[1] = drawn(0, 1, 400, 16)
    out = np.empty((20, 1, 16), dtype=np.float32)
    q, k, v = torch.from_numpy(qkv[:, :1]).transpose(0, 1), torch.from_numpy(store[0]), torch.from_numpy(store[1])
    with threads(2):
        prefill.look(qkv, store, 380, False, out)
    assert torch.allclose(torch.from_numpy(out), torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(0, 1), atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 60), st.integers(2, 20), st.integers(0, 2**16))
def test_experts_add_what_each_row_chose(rows: int, experts: int, seed: int) -> None:
    top_k, hidden, inner = min(3, experts), 24, 20
    x, scores, bias = drawn(seed, rows, hidden), drawn(seed + 1, rows, experts), drawn(seed + 2, experts)
    gate_up, down = drawn(seed + 3, experts, 2 * inner, hidden), drawn(seed + 4, experts, hidden, inner)
    chosen, weights, out = np.empty((rows, top_k), np.int64), np.empty((rows, top_k), np.float32), np.zeros((rows, hidden), np.float32)
    with threads(2):
        prefill.choose(scores, bias, True, 2.5, chosen, weights)
        groups = prefill.Groups.of(chosen, weights, experts)
        between = np.empty((len(groups.members), inner, LANES), dtype=np.float32)
        prefill.expert_gated(prefill.panels_of(x, groups.members), groups.counts, groups.starts, gate_up, between)
        prefill.expert_product(between, groups.members, groups.shares, groups.counts, groups.starts, down, out)
    sigmoids = torch.sigmoid(torch.from_numpy(scores))
    best = (sigmoids + torch.from_numpy(bias)).topk(top_k)[1]
    assert all(set(a) == set(b) for a, b in zip(chosen.tolist(), best.tolist(), strict=True))
    for row in range(rows):
        total, expected = sigmoids[row, best[row]].sum(), torch.zeros(hidden)
        for expert in best[row].tolist():
            gate, up = (torch.from_numpy(gate_up[expert]) @ torch.from_numpy(x[row])).chunk(2)
            expected += 2.5 * sigmoids[row, expert] / total * (torch.from_numpy(down[expert]) @ (torch.nn.functional.silu(gate) * up))
        assert torch.allclose(torch.from_numpy(out[row]), expected, rtol=1e-3, atol=1e-3)


def test_exponentials_are_exact_to_two_units_in_the_last_place() -> None:
    x = np.linspace(-86, 0, 4099, dtype=np.float32)
    found = x.copy()
    with threads(2):
        exponentials(found)
    exact = np.exp(x.astype(np.float64))
    assert (abs(found - exact) <= 2 * np.spacing(exact.astype(np.float32))).all()


def test_a_layer_gives_the_same_to_the_bit_wherever_memory_lies() -> None:
    """What a compiler does in vectors and what it does beside them must round alike."""
    hidden, inner, experts = 64, 40, 6
    weights = (
        drawn(0, hidden, hidden),
        drawn(1, hidden),
        1e-5,
        drawn(2, 2 * inner, hidden),
        drawn(3, hidden, inner),
        drawn(4, experts, hidden),
    )
    rest = *weights, drawn(5, experts), drawn(6, experts, 2 * inner, hidden), drawn(7, experts, hidden, inner), 2, True, 1.0
    results = set()
    for size in range(1, 200):
        keep = np.empty(size * 7, dtype=np.uint8)  # moves what is taken next
        x = drawn(8, 1, hidden)
        with threads(2):
            kernels.finish(x, drawn(9, 1, hidden), *rest)
        results.add(x.tobytes())
        del keep
    assert len(results) == 1
