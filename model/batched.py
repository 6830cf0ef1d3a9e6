"""A batched forward of Glm4vMoe for training: many screenshots of one size at once, over the library's own parameters.

Equal to the library's forward (tests/model/test_train.py) and five times faster on CPU: all images of a batch go through the vision tower
in one attention call, the convolutions are matrix products, the place table is sampled once, tokens are sorted by expert once a layer.
Knows nothing of losses, data or tokens.

What lies between matrix products and attention (norms, rotations, gates) can be fused by torch.compile, where there is a C++ compiler;
only while gradients are on, since what is compiled is compiled for one shape.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import Glm4vMoeForConditionalGeneration

P = ParamSpec("P")
R = TypeVar("R")


def rms_norm(x: Tensor, norm: Any) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), norm.weight, norm.variance_epsilon)


def rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat((-second, first), -1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of the first cos.shape[-1] channels of a head; the others pass."""
    turned, rest = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    return torch.cat((turned * cos + rotate_half(turned) * sin, rest), -1)


def can_compile() -> bool:
    """Whether there is what torch.compile needs on a CPU: a C++ compiler."""
    return any(shutil.which(name) for name in ("g++", "clang++", "c++"))


def fused(function: Callable[P, R], compiled: bool) -> Callable[P, R]:
    """The function, and while gradients are on compiled, if wanted."""
    if not compiled:
        return function
    fast = torch.compile(function, dynamic=False)

    def either(*args: P.args, **kwargs: P.kwargs) -> R:
        return fast(*args, **kwargs) if torch.is_grad_enabled() else function(*args, **kwargs)

    return either


def vision_block(x: Tensor, block: Any, heads: int, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """One block of the vision tower: (images, patches, width) to the same."""
    images, count, width = x.shape
    attention = block.attn
    qkv = attention.qkv(rms_norm(x, block.norm1)).view(images, count, 3, heads, width // heads)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    out = F.scaled_dot_product_attention(rotate(q, *rotary), rotate(k, *rotary), v)
    x = x + attention.proj(out.transpose(1, 2).reshape(images, count, width))
    grown: Tensor = x + block.mlp(rms_norm(x, block.norm2))
    return grown


def attention_inputs(x: Tensor, layer: Any, sizes: tuple[int, int, int], rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """What a text layer's attention is given, normed, and its queries, keys and values (B, heads, L, head size). sizes: heads, key-value
    heads, head size."""
    (heads, kv_heads, size), (batch, length, _), attention = sizes, x.shape, layer.self_attn
    given = rms_norm(x, layer.input_layernorm)
    q = attention.q_proj(given).view(batch, length, heads, size).transpose(1, 2)
    k, v = (part(given).view(batch, length, kv_heads, size).transpose(1, 2) for part in (attention.k_proj, attention.v_proj))
    groups = heads // kv_heads
    return given, rotate(q, *rotary), rotate(k, *rotary).repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)


def attention_outputs(x: Tensor, out: Tensor, layer: Any) -> tuple[Tensor, Tensor]:
    """The residual stream behind a text layer's attention, and what its experts are given, normed."""
    x = x + layer.self_attn.o_proj(out.transpose(1, 2).flatten(2))
    return x, rms_norm(x, layer.post_attention_layernorm)


class BatchedVision:
    """The vision tower for images of `grid` = (rows, columns) patches, both even."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration, grid: tuple[int, int], compiled: bool = False) -> None:
        self.tower, self._block = model.model.visual, fused(vision_block, compiled)
        rows, columns = grid
        order = torch.arange(rows * columns).view(rows // 2, 2, columns // 2, 2).permute(0, 2, 1, 3).reshape(-1)  # 2×2 blocks to be merged
        y, x = order // columns, order % columns
        angles = torch.cat([y[:, None] * self.tower.rotary_pos_emb.inv_freq, x[:, None] * self.tower.rotary_pos_emb.inv_freq], -1)
        angles = torch.cat([angles, angles], -1)
        self.cos, self.sin = angles.cos()[None, None], angles.sin()[None, None]
        self.places = torch.stack(((x + 0.5) / columns * 2 - 1, (y + 0.5) / rows * 2 - 1), -1)[None, :, None].float()

    def __call__(self, patches: Tensor) -> Tensor:
        """patches (images, rows·columns, 588) in merge order, one temporal frame → features (images, rows·columns/4, text hidden size)."""
        return self.merged(self.encoded(patches))

    def encoded(self, patches: Tensor) -> Tensor:
        """What the blocks end with: (images, rows·columns, width)."""
        x = self.embedded(patches)
        for block in self.tower.blocks:
            x = self._block(x, block, self.tower.config.num_heads, (self.cos, self.sin))
        return x

    def embedded(self, patches: Tensor) -> Tensor:
        """What the blocks begin with: (images, rows·columns, width)."""
        tower = self.tower
        kernel = tower.patch_embed.proj.weight.sum(2).reshape(tower.config.hidden_size, -1)  # a still image is two equal frames
        return rms_norm(F.linear(patches, kernel, tower.patch_embed.proj.bias), tower.post_conv_layernorm) + self._place_embedding()

    def merged(self, x: Tensor) -> Tensor:
        """Features from what the blocks end with."""
        tower, (images, count, _) = self.tower, x.shape
        x = self.normed(x).view(images, count // 4, 4, -1).transpose(2, 3).reshape(images, count // 4, -1)
        down = tower.downsample
        merged: Tensor = tower.merger(F.linear(x, down.weight.reshape(down.weight.shape[0], -1), down.bias))
        return merged

    def normed(self, x: Tensor) -> Tensor:
        """What the blocks end with, as it is merged."""
        return rms_norm(x, self.tower.post_layernorm)

    def _place_embedding(self) -> Tensor:
        table = self.tower.embeddings.position_embedding.weight
        side = int(table.shape[0] ** 0.5)
        square = table.view(side, side, -1).permute(2, 0, 1)[None]
        return F.grid_sample(square, self.places, mode="bicubic", align_corners=False, padding_mode="border")[0, :, :, 0].t()


class BatchedText:
    """The text model over whole sequences with an explicit attention mask; can hand out the attention scores of chosen layers."""

    def __init__(self, model: Glm4vMoeForConditionalGeneration, compiled: bool = False) -> None:
        self.text = model.model.language_model
        self.config = self.text.config
        self._inputs, self._outputs = fused(attention_inputs, compiled), fused(attention_outputs, compiled)

    def __call__(
        self, x: Tensor, positions: Tensor, mask: Tensor, scored: Sequence[tuple[int, Tensor]] = ()
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """x (B, L, hidden), positions (3, B, L), mask (B, L, L) true where a row may look → hidden (B, L, hidden); attention scores: for
        each of `scored`, a layer and (n, 3) of a row, a head and an index, the scaled, masked scores before the softmax, (n, L); and what
        each layer's attention is given, (B, L, hidden)."""
        cos, sin = self.text.rotary_emb(x, positions)
        rotary = cos[:, None], sin[:, None]
        bias = torch.zeros(mask.shape).masked_fill_(~mask, -1e9)[:, None]
        scores, given = [torch.empty(0)] * len(scored), list[Tensor]()
        sizes = self.config.num_attention_heads, self.config.num_key_value_heads, self.config.head_dim
        for index, layer in enumerate(self.text.layers):
            state, q, k, v = self._inputs(x, layer, sizes, rotary)
            given.append(state)
            for number, (rows, heads, places) in ((number, which.T) for number, (at, which) in enumerate(scored) if at == index):
                keys = k.flatten(0, 1).index_select(0, rows * k.shape[1] + heads)
                found = keys @ q[rows, heads, places][:, :, None]
                scores[number] = found[:, :, 0] * q.shape[-1] ** -0.5 + bias[rows, 0, places]
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            x, normed = self._outputs(x, out, layer)
            x = x + (layer.mlp(normed) if index < self.config.first_k_dense_replace else self.experts(layer.mlp, normed))
        return rms_norm(x, self.text.norm), scores, given

    def experts(self, moe: Any, x: Tensor) -> Tensor:
        """Routed and shared experts. While gradients are on, the router's correction bias is nudged towards even load (DeepSeek-V3, arXiv
        2412.19437 §2.1.2: a step of 0.001 against the sign of the surplus)."""
        flat, k = x.reshape(-1, x.shape[-1]), self.config.num_experts_per_tok
        affinity = torch.sigmoid(F.linear(flat, moe.gate.weight))
        chosen = (affinity + moe.gate.e_score_correction_bias).topk(k, -1, sorted=False)[1]
        weights = affinity.gather(1, chosen)
        if self.config.norm_topk_prob:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        weights = weights * self.config.routed_scaling_factor
        order = chosen.reshape(-1).argsort()
        load = torch.bincount(chosen.reshape(-1), minlength=self.config.n_routed_experts)
        token = order // k
        outputs = []
        for expert, mine in enumerate(torch.split(flat.index_select(0, token), load.tolist())):
            gate, up = F.linear(mine, moe.experts.gate_up_proj[expert]).chunk(2, -1)
            outputs.append(F.linear(F.silu(gate) * up, moe.experts.down_proj[expert]))
        routed = torch.zeros_like(flat).index_add_(0, token, torch.cat(outputs) * weights.reshape(-1)[order][:, None])
        if torch.is_grad_enabled():
            moe.gate.e_score_correction_bias -= 0.001 * torch.sign(load - load.float().mean())
        shared: Tensor = moe.shared_experts(x)
        return routed.view_as(x) + shared
