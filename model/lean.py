"""The forward on a CPU, over the library's own parameters, in compiled functions.

Tokens of all sequences stand in one flat row: everything but attention is computed once for all of them. Where each has but one token to
read, time goes into the reading of weights (model/kernels.py), else into arithmetic (model/prefill.py). What q, k and v (gate and up)
multiply is laid side by side once, and the library's parameters become views of it: nothing is held twice, and both compute with the same.
Used only where `self_check` has found it equal to the library's.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from model import kernels, prefill
from model.base import Grid
from model.batched import BatchedVision
from model.forward import Forward, Row
from model.kv import KV, KVShape
from model.tiles import CORES, Floats, threads

if TYPE_CHECKING:
    from transformers import Glm4vMoeForConditionalGeneration

GRIDS = 8
"""Sizes of screenshots whose place tables are kept."""
PART = 2048
"""Tokens of a head that one task of decoding looks at."""
NOTHING = np.empty(0, dtype=np.float32)
_NO_EXPERTS = np.empty((0, 0), np.float32), NOTHING, np.empty((0, 0, 0), np.float32), np.empty((0, 0, 0), np.float32), 0, False, 1.0


def array(weights: Tensor | None) -> Floats:
    """The same memory; nothing for none."""
    found: Floats = NOTHING if weights is None else weights.detach().numpy()
    return found


def side_by_side(*layers: Any) -> tuple[Floats, Floats]:
    """Weights and biases of linear layers as one; the layers' own become views of it."""
    with torch.inference_mode(False), torch.no_grad():  # plain tensors: the model may yet be trained
        weight = torch.cat([layer.weight for layer in layers])
        bias = None if layers[0].bias is None else torch.cat([layer.bias for layer in layers])
    ends = list(accumulate(layer.weight.shape[0] for layer in layers))
    for layer, start, end in zip(layers, [0, *ends], ends, strict=False):
        layer.weight.data = weight[start:end]
        if bias is not None:
            layer.bias.data = bias[start:end]
    return array(weight), array(bias)


class Norm:
    """Root mean square normalisation."""

    def __init__(self, norm: Any) -> None:
        self.weight, self.epsilon = array(norm.weight), float(norm.variance_epsilon)

    def __call__(self, x: Floats) -> Floats:
        out = np.empty_like(x)
        prefill.normed(x, self.weight, self.epsilon, out)
        return out


class GatedMLP:
    """down(silu(gate(x)) · up(x))."""

    def __init__(self, mlp: Any) -> None:
        self.gate_up, _ = side_by_side(mlp.gate_proj, mlp.up_proj)
        self.down = array(mlp.down_proj.weight)

    def __call__(self, x: Floats, out: Floats) -> None:
        """Added to out; x, out (n, hidden)."""
        panels = prefill.panels_of(x)
        inner = np.empty((len(panels), self.down.shape[1], panels.shape[2]), dtype=np.float32)
        prefill.gated(panels, len(x), self.gate_up, inner)
        prefill.product(inner, len(x), self.down, NOTHING, True, out)


class Experts:
    """The routed and the shared experts of a layer (n_group 1): sigmoid scores, a bias that only chooses, weights of the chosen."""

    def __init__(self, moe: Any) -> None:
        gate = moe.gate
        self.router, self.bias = array(gate.weight), array(gate.e_score_correction_bias)
        self.top_k, self.normalised, self.scale = gate.top_k, bool(gate.norm_topk_prob), float(gate.routed_scaling_factor)
        self.gate_up, self.down = array(moe.experts.gate_up_proj), array(moe.experts.down_proj)
        self.shared = GatedMLP(moe.shared_experts)

    def __call__(self, x: Floats, out: Floats) -> None:
        """Added to out; x, out (n, hidden)."""
        chosen, weights = np.empty((len(x), self.top_k), dtype=np.int64), np.empty((len(x), self.top_k), dtype=np.float32)
        prefill.choose(prefill.linear(x, self.router, NOTHING), self.bias, self.normalised, self.scale, chosen, weights)
        groups = prefill.Groups.of(chosen, weights, len(self.router))
        panels = prefill.panels_of(x, groups.members)
        inner = np.empty((len(panels), self.down.shape[2], panels.shape[2]), dtype=np.float32)
        prefill.expert_gated(panels, groups.counts, groups.starts, self.gate_up, inner)
        self.shared(x, out)
        prefill.expert_product(inner, groups.members, groups.shares, groups.counts, groups.starts, self.down, out)

    @property
    def arrays(self) -> tuple[Any, ...]:
        """What `kernels.finish` takes of these."""
        return self.router, self.bias, self.gate_up, self.down, self.top_k, self.normalised, self.scale


class Block:
    """What a decoder layer and a block of the vision tower have in common: attention, then an MLP. heads: of queries, of keys, their size.

    `rows` are the stretches of x that belong together: the memory (2, kv heads, capacity, size) of their keys and values, how many tokens
    are in it, and how many follow here.
    """

    def __init__(
        self, norms: tuple[Any, Any], qkv: tuple[Floats, Floats], out: Any, mlp: GatedMLP | Experts, heads: tuple[int, int, int]
    ) -> None:
        self.before, self.after = map(Norm, norms)
        self.qkv, self.out, self.mlp = qkv, array(out.weight), mlp
        self.heads, self.kv_heads, self.size = heads

    def __call__(self, x: Floats, cos: Floats, sin: Floats, rows: Sequence[tuple[Floats, int, int]], causal: bool) -> None:
        """x (n, hidden), in place; cos, sin (n, rotated / 2)."""
        qkv = prefill.linear(self.before(x), *self.qkv).reshape(len(x), -1, self.size)
        seen = np.empty((len(x), self.heads, self.size), dtype=np.float32)
        start = 0
        for store, before, count in rows:
            mine = slice(start, start + count)
            prefill.place(qkv[mine], cos[mine], sin[mine], store, before)
            prefill.look(qkv[mine], store, before, causal, seen[mine])
            start += count
        prefill.linear(seen.reshape(len(x), -1), self.out, NOTHING, x)
        self.mlp(self.after(x), x)


class Layer(Block):
    """One decoder layer."""

    def __init__(self, layer: Any, dense: bool, heads: tuple[int, int, int]) -> None:
        attention = layer.self_attn
        mlp = GatedMLP(layer.mlp) if dense else Experts(layer.mlp)
        qkv = side_by_side(attention.q_proj, attention.k_proj, attention.v_proj)
        super().__init__((layer.input_layernorm, layer.post_attention_layernorm), qkv, attention.o_proj, mlp, heads)
        queries = self.heads * self.size
        self._of_keys = qkv[0][queries:], qkv[1][queries:]
        shared, routed = (mlp, _NO_EXPERTS) if isinstance(mlp, GatedMLP) else (mlp.shared, mlp.arrays)
        self._rest = self.out, self.after.weight, self.after.epsilon, shared.gate_up, shared.down, *routed

    def remember(self, x: Floats, cos: Floats, sin: Floats, rows: Sequence[tuple[Floats, int, int]]) -> None:
        """Keys and values alone."""
        kv = prefill.linear(self.before(x), *self._of_keys).reshape(len(x), -1, self.size)
        start = 0
        for store, before, count in rows:
            mine = slice(start, start + count)
            prefill.place(kv[mine], cos[mine], sin[mine], store, before)
            start += count

    def step(self, x: Floats, cos: Floats, sin: Floats, rows: Sequence[tuple[Floats, int]]) -> None:
        """The same as calling it for one token of each row: x (rows, hidden), in place; cos, sin (rows, rotated / 2)."""
        heads = self.heads + 2 * self.kv_heads
        qkv = np.empty((len(x), heads * self.size), dtype=np.float32)
        seen = np.empty((len(x), self.heads, self.size), dtype=np.float32)
        kernels.project(x, self.before.weight, self.before.epsilon, *self.qkv, qkv)
        for i, (store, before) in enumerate(rows):
            parts = max(-(-CORES // self.kv_heads), -(-before // PART))
            kernels.attend(qkv[i].reshape(heads, self.size), cos[i], sin[i], store, before, parts, seen[i])
        kernels.finish(x, seen.reshape(len(x), -1), *self._rest)


class Tower:
    """The vision tower, one image at a time."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration) -> None:
        heads = model.model.visual.config.num_heads
        size = model.model.visual.config.hidden_size // heads
        self._blocks = [
            Block(
                (block.norm1, block.norm2),
                (array(block.attn.qkv.weight), array(block.attn.qkv.bias)),
                block.attn.proj,
                GatedMLP(block.mlp),
                (heads, heads, size),
            )
            for block in model.model.visual.blocks
        ]
        self._size = size
        self._ends = lru_cache(GRIDS)(lambda rows, columns: BatchedVision(model, (rows, columns)))

    def __call__(self, patches: Tensor, grid: Grid) -> Tensor:
        ends = self._ends(*grid[1:])
        x = ends.embedded(patches[None])[0]
        cos, sin = (turn[0, 0, :, : self._size // 2].numpy() for turn in (ends.cos, ends.sin))
        store = np.empty((2, self._blocks[0].kv_heads, len(x), self._size), dtype=np.float32)
        for block in self._blocks:
            block(x.numpy(), cos, sin, [(store, 0, len(x))], causal=False)
        return ends.merged(x[None])[0]


class LeanForward:
    """The Forward protocol on a CPU."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration) -> None:
        text, config = model.model.language_model, model.config.get_text_config(decoder=True)
        heads = config.num_attention_heads, config.num_key_value_heads, text.layers[0].self_attn.head_dim
        self._layers = [Layer(layer, i < config.first_k_dense_replace, heads) for i, layer in enumerate(text.layers)]
        rotary = text.rotary_emb
        self._frequencies, self._scaling = rotary.inv_freq, rotary.attention_scaling
        self._axes = torch.tensor([i % 3 for i, width in enumerate(rotary.mrope_section) for _ in range(width)])
        norm = Norm(text.norm)
        self._head = norm.weight, norm.epsilon, array(model.lm_head.weight), array(model.lm_head.bias)
        self._tower = Tower(model)

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
        silu = config.hidden_act == model.model.visual.config.hidden_act == "silu"
        plain = config.n_group == 1 and silu and rope == "default"
        shared = any(hasattr(parameter, "to_local") for parameter in model.parameters())  # among processes, by tensor parallelism
        return plain and not hooked and not shared and kinds <= {torch.nn.Linear} and devices == {"cpu"} and types == {torch.float32}

    def logits(self, rows: Sequence[Row]) -> Tensor:
        found = np.empty((len(rows), len(self._head[2])), dtype=np.float32)
        single = [i for i, row in enumerate(rows) if len(row) == 1]
        several = [i for i, row in enumerate(rows) if len(row) > 1]
        with threads(torch.get_num_threads()):
            if single:
                found[single] = self._decoded([rows[i] for i in single])
            if several:
                found[several] = self._prefilled([rows[i] for i in several])
        for row in rows:
            row.kv.advance(len(row))
        return torch.from_numpy(found)

    def _placed(self, rows: Sequence[Row]) -> tuple[Floats, Floats, Floats]:
        """Of all tokens in a row: embeddings, cosines and sines of their positions."""
        x = torch.cat([row.embeddings for row in rows])
        angles = torch.cat([row.positions for row in rows], 1)[self._axes].t() * self._frequencies
        cos, sin = (angles.cos() * self._scaling).contiguous(), (angles.sin() * self._scaling).contiguous()
        return x.numpy(), cos.numpy(), sin.numpy()

    def _decoded(self, rows: Sequence[Row]) -> Floats:
        x, cos, sin = self._placed(rows)
        for index, layer in enumerate(self._layers):
            layer.step(x, cos, sin, [(row.kv.arrays[index], row.kv.length) for row in rows])
        return self._spoken(x)

    def _prefilled(self, rows: Sequence[Row]) -> Floats:
        x, cos, sin = self._placed(rows)
        for index, layer in enumerate(self._layers[:-1]):
            layer(x, cos, sin, [(row.kv.arrays[index], row.kv.length, len(row)) for row in rows], causal=True)
        # the last layer serves the token to come: of all but the last token it needs keys and values alone
        stores = [row.kv.arrays[-1] for row in rows]
        self._layers[-1].remember(x, cos, sin, [(store, row.kv.length, len(row)) for store, row in zip(stores, rows, strict=True)])
        ends = np.cumsum([len(row) for row in rows]) - 1
        before = [(store, row.kv.length + len(row) - 1) for store, row in zip(stores, rows, strict=True)]
        last = x[ends]
        self._layers[-1].step(last, cos[ends], sin[ends], before)
        return self._spoken(last)

    def _spoken(self, x: Floats) -> Floats:
        logits = np.empty((len(x), len(self._head[2])), dtype=np.float32)
        kernels.project(x, *self._head, logits)
        return logits

    def features(self, patches: Tensor, grid: Grid) -> Tensor:
        with threads(torch.get_num_threads()):
            return self._tower(patches, grid)


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
