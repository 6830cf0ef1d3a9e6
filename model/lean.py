"""The forward on a CPU, over the library's own parameters, without the thousands of small operations that decoding spends its time on.

Tokens of all sequences stand in one flat row: everything but attention is computed once for all of them. Where each has but one token to
read, the layers are compiled functions (model/kernels.py), bound by nothing but the reading of weights. What q, k and v (gate and up)
multiply is laid side by side once, and the library's parameters become views of it: nothing is held twice, and both compute with the same.
Used only where `self_check` has found it equal to the library's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model import kernels
from model.base import Grid
from model.batched import BatchedVision
from model.forward import Forward, Row
from model.kv import KV, KVShape

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

GRIDS = 8
"""Sizes of screenshots whose place tables are kept."""
COMPILED_ROWS = 8
"""Tokens up to which compiled functions are faster than matrix products."""
PART = 2048
"""Tokens of a head that one task of the compiled attention looks at."""
_NOTHING = np.empty(0, dtype=np.float32)
_NO_EXPERTS = np.empty((0, 0), np.float32), _NOTHING, np.empty((0, 0, 0), np.float32), np.empty((0, 0, 0), np.float32), 0, False, 1.0


def array(weights: Tensor) -> kernels.Floats:
    """The same memory."""
    found: kernels.Floats = weights.detach().numpy()
    return found


def side_by_side(*layers: Any) -> tuple[Tensor, Tensor | None]:
    """Weights and biases of linear layers as one; the layers' own become views of it."""
    with torch.inference_mode(False), torch.no_grad():  # plain tensors: the model may yet be trained
        weight = torch.cat([layer.weight for layer in layers])
        bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
    ends = list(accumulate(layer.weight.shape[0] for layer in layers))
    for layer, start, end in zip(layers, [0, *ends], ends, strict=False):
        layer.weight.data = weight[start:end]
        if bias is not None:
            layer.bias.data = bias[start:end]
    return weight, bias


class GatedMLP:
    """down(silu(gate(x)) · up(x)), in any number of layers of experts or none."""

    def __init__(self, mlp: Any) -> None:
        self.gate_up, _ = side_by_side(mlp.gate_proj, mlp.up_proj)
        self.down = mlp.down_proj.weight

    def __call__(self, x: Tensor) -> Tensor:
        return gated(x, self.gate_up, self.down)


def gated(x: Tensor, gate_up: Tensor, down: Tensor) -> Tensor:
    gate, up = F.linear(x, gate_up).chunk(2, -1)
    return F.linear(F.silu(gate).mul_(up), down)


class Experts:
    """The routed and the shared experts of a layer (n_group 1): sigmoid scores, a bias that only chooses, weights of the chosen."""

    def __init__(self, moe: Any) -> None:
        gate = moe.gate
        self.router, self.bias = gate.weight.float(), gate.e_score_correction_bias
        self.top_k, self.normalised, self.scale = gate.top_k, gate.norm_topk_prob, gate.routed_scaling_factor
        self.whole = moe.experts.gate_up_proj, moe.experts.down_proj
        self.gate_up, self.down = (weights.unbind(0) for weights in self.whole)
        self.shared = GatedMLP(moe.shared_experts)

    def __call__(self, x: Tensor) -> Tensor:
        """(n, hidden) → (n, hidden)."""
        scores = torch.sigmoid(F.linear(x.float(), self.router))
        chosen = (scores + self.bias).topk(self.top_k, -1, sorted=False)[1]
        weights = scores.gather(1, chosen)
        if self.normalised:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        weights = weights * self.scale
        flat = chosen.reshape(-1)
        order = flat.argsort()  # tokens by expert, so that each expert's weights are read once
        tokens = order // self.top_k
        counts = torch.bincount(flat, minlength=len(self.gate_up)).tolist()
        shares, inputs = weights.reshape(-1, 1)[order].to(x.dtype), x[tokens]
        outputs = [
            gated(mine, self.gate_up[expert], self.down[expert])
            for expert, mine in enumerate(torch.split(inputs, counts))
            if counts[expert]
        ]
        return self.shared(x).index_add_(0, tokens, torch.cat(outputs).mul_(shares))

    def arrays(self) -> tuple[Any, ...]:
        """What `kernels.finish` takes of these."""
        return *map(array, (self.router, self.bias, *self.whole)), self.top_k, self.normalised, self.scale


class Layer:
    """One decoder layer."""

    def __init__(self, layer: Any, index: int, dense: bool, heads: tuple[int, int, int]) -> None:
        attention = layer.self_attn
        self.index = index
        self.heads, self.kv_heads, self.size = heads
        self.before, self.after = layer.input_layernorm, layer.post_attention_layernorm
        self.qkv = side_by_side(attention.q_proj, attention.k_proj, attention.v_proj)
        self.out = attention.o_proj.weight
        self.mlp = GatedMLP(layer.mlp) if dense else Experts(layer.mlp)
        shared, routed = (self.mlp, _NO_EXPERTS) if isinstance(self.mlp, GatedMLP) else (self.mlp.shared, self.mlp.arrays())
        bias = _NOTHING if self.qkv[1] is None else array(self.qkv[1])
        self._to_qkv = array(self.before.weight), self.before.variance_epsilon, array(self.qkv[0]), bias
        self._to_end = array(self.out), array(self.after.weight), self.after.variance_epsilon, array(shared.gate_up), array(shared.down)
        self._routed = routed

    def step(self, x: kernels.Floats, cos: kernels.Floats, sin: kernels.Floats, kvs: Sequence[KV], threads: int) -> None:
        """The same for the next token of each sequence: x (sequences, hidden), in place; cos, sin (sequences, rotated / 2)."""
        heads = self.heads + 2 * self.kv_heads
        qkv = np.empty((len(x), heads * self.size), dtype=np.float32)
        seen = np.empty((len(x), self.heads, self.size), dtype=np.float32)
        kernels.project(x, *self._to_qkv, qkv)
        for i, kv in enumerate(kvs):
            parts = max(-(-threads // self.kv_heads), -(-kv.length // PART))
            kernels.attend(qkv[i].reshape(heads, self.size), cos[i], sin[i], kv.arrays[self.index], kv.length, parts, seen[i])
        kernels.finish(x, seen.reshape(len(x), -1), *self._to_end, *self._routed)

    def __call__(self, x: Tensor, rotary: tuple[Tensor, Tensor], rows: Sequence[tuple[KV, int]]) -> Tensor:
        """x (n, hidden), in place; rows: each sequence and how many of the n are its next tokens."""
        x += F.linear(self._attend(normed(x, self.before), rotary, rows), self.out)
        x += self.mlp(normed(x, self.after))
        return x

    def _attend(self, x: Tensor, rotary: tuple[Tensor, Tensor], rows: Sequence[tuple[KV, int]]) -> Tensor:
        heads, kv_heads = self.heads, self.kv_heads
        qkv = F.linear(x, *self.qkv).view(len(x), -1, self.size)
        turn(qkv[:, : heads + kv_heads], *rotary)
        outputs, at = [], 0
        for kv, count in rows:
            q, k, v = (part.transpose(0, 1) for part in torch.split(qkv[at : at + count], [heads, kv_heads, kv_heads], 1))
            outputs.append(attend(q, *kv.write(self.index, k, v)))
            at += count
        return outputs[0] if len(outputs) == 1 else torch.cat(outputs)


def attend(q: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """The last n of `length` tokens look back: q (heads, n, size) over keys, values (kv heads, length, size) → (n, heads · size).

    What stands before all n is seen by all, so no mask is read there: the queries of a group make one long row. The rest is causal. Both
    are joined by the logarithms of their sums, as flash attention joins its blocks (arXiv 2205.14135).
    """
    heads, count, size = q.shape
    before, kv_heads = keys.shape[1] - count, len(keys)
    k, v = (x[:, None, before:].expand(-1, heads // kv_heads, -1, -1).reshape(1, heads, count, size) for x in (keys, values))
    out, log_sum = _flash(q[None], k, v, is_causal=True)
    if before:
        seen, seen_sum = _flash(q.reshape(1, kv_heads, -1, size), keys[None, :, :before], values[None, :, :before])
        share = torch.sigmoid(seen_sum.reshape(1, heads, count) - log_sum.reshape(1, heads, count))[..., None]
        out = torch.lerp(out, seen.reshape(1, heads, count, size), share)
    return out[0].transpose(0, 1).reshape(count, heads * size)


def _flash(q: Tensor, k: Tensor, v: Tensor, is_causal: bool = False) -> tuple[Tensor, Tensor]:
    """Attention (1, heads, n, size) and the logarithms of its sums (1, heads, n)."""
    out, log_sum = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, is_causal)
    return out, log_sum


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> None:
    """Rotate the first channels of every head, in place. x (n, heads, size); cos, sin (n, 1, rotated / 2)."""
    half = cos.shape[-1]
    first, second = x[..., :half], x[..., half : 2 * half]
    turned = first * cos - second * sin
    second.mul_(cos).add_(first * sin)
    first.copy_(turned)


def normed(x: Tensor, norm: Any) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)


class LeanForward:
    """The Forward protocol on a CPU."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration) -> None:
        text, config = model.model.language_model, model.config.get_text_config(decoder=True)
        size = text.layers[0].self_attn.head_dim
        heads = (config.num_attention_heads, config.num_key_value_heads, size)
        self._model, self._text = model, text
        self._layers = [Layer(layer, i, i < config.first_k_dense_replace, heads) for i, layer in enumerate(text.layers)]
        rotary = text.rotary_emb
        self._frequencies, self._scaling = rotary.inv_freq, rotary.attention_scaling
        self._axes = torch.tensor([i % 3 for i, width in enumerate(rotary.mrope_section) for _ in range(width)])
        head, norm = model.lm_head, text.norm
        self._head = array(norm.weight), norm.variance_epsilon, array(head.weight), _NOTHING if head.bias is None else array(head.bias)
        self._vision = lru_cache(GRIDS)(lambda rows, columns: BatchedVision(model, (rows, columns)))

    @staticmethod
    def fits(model: Glm4vMoeForConditionalGeneration) -> bool:
        """Whether this model is of the kind that is computed here: whole on the CPU, plain linear layers, one group of experts."""
        config = model.config.get_text_config(decoder=True)
        kinds = {
            type(module) for layer in model.model.language_model.layers for module in layer.modules() if hasattr(module, "in_features")
        }
        hooked = any(hasattr(module, "_hf_hook") for module in model.modules())
        devices = {parameter.device.type for parameter in model.parameters()}
        types = {parameter.dtype for parameter in model.parameters()}
        rope = config.rope_parameters.get("rope_type", "default")
        plain = config.n_group == 1 and config.hidden_act == "silu" and rope == "default"
        shared = any(hasattr(parameter, "to_local") for parameter in model.parameters())  # among processes, by tensor parallelism
        return plain and not hooked and not shared and kinds <= {torch.nn.Linear} and devices == {"cpu"} and types == {torch.float32}

    def logits(self, rows: Sequence[Row]) -> Tensor:
        found = torch.empty(len(rows), self._model.lm_head.weight.shape[0])
        single = [i for i, row in enumerate(rows) if len(row) == 1]
        several = [i for i, row in enumerate(rows) if len(row) > 1]
        for at in range(0, len(single), COMPILED_ROWS):
            some = single[at : at + COMPILED_ROWS]
            found[some] = self._decoded(*self._placed([rows[i] for i in some]))
        if several:
            found[several] = self._prefilled(*self._placed([rows[i] for i in several]))
        for row in rows:
            row.kv.advance(len(row))
        return found

    def _placed(self, rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor, list[tuple[KV, int]]]:
        """Of all tokens in a row: embeddings, cosines and sines of their positions; then which sequence takes how many."""
        x = torch.cat([row.embeddings for row in rows])
        angles = torch.cat([row.positions for row in rows], 1)[self._axes].t() * self._frequencies
        return x, angles.cos() * self._scaling, angles.sin() * self._scaling, [(row.kv, len(row)) for row in rows]

    def _prefilled(self, x: Tensor, cos: Tensor, sin: Tensor, rows: list[tuple[KV, int]]) -> Tensor:
        for layer in self._layers:
            x = layer(x, (cos[:, None], sin[:, None]), rows)
        last = torch.tensor([end - 1 for end in accumulate(count for _, count in rows)])
        logits: Tensor = self._model.lm_head(normed(x[last], self._text.norm))
        return logits

    def _decoded(self, x: Tensor, cos: Tensor, sin: Tensor, rows: list[tuple[KV, int]]) -> Tensor:
        hidden, kvs = x.numpy(), [kv for kv, _ in rows]
        out = np.empty((len(x), self._head[2].shape[0]), dtype=np.float32)
        threads = min(torch.get_num_threads(), kernels.THREADS)
        with kernels.LOCK:
            numba.set_num_threads(threads)
            for layer in self._layers:
                layer.step(hidden, cos.numpy(), sin.numpy(), kvs, threads)
            kernels.project(hidden, *self._head, out)
        return torch.from_numpy(out)

    def features(self, patches: Tensor, grid: Grid) -> Tensor:
        return self._vision(*grid[1:])(patches[None])[0]


def self_check(model: Glm4vMoeForConditionalGeneration, lean: Forward, library: Forward, tolerance: float = 1e-3) -> bool:
    """Whether both forwards give the same logits for a few tokens, read together and alone, and the same features of an image."""
    ids = torch.arange(5) * 7 % model.config.get_text_config(decoder=True).vocab_size
    embedded = model.get_input_embeddings()(ids)
    positions = torch.arange(5) * torch.tensor([[1], [2], [3]])
    patch = model.model.visual.config.patch_size
    image = torch.rand(16, 3 * patch * patch, generator=torch.Generator().manual_seed(0))
    found = []
    for forward in (lean, library):
        kv = KV(KVShape.of(model), 5)
        steps = [forward.logits([Row(kv, embedded[a:b], positions[:, a:b])]) for a, b in ((0, 2), (2, 4), (4, 5))]
        found.append((torch.cat(steps), forward.features(image, (1, 4, 4))))
    return all(bool((a - b).abs().max() < tolerance * max(1.0, float(b.abs().max()))) for a, b in zip(*found, strict=True))
