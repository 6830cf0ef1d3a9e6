"""Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon): momentum made orthogonal, for the matrices inside a model.

torch.optim.Muon takes no stacks of matrices, as the experts of a layer are. Here all matrices of one shape are made orthogonal together, in
their own type (torch's does it in bfloat16).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

_QUINTIC = 3.4445, -4.7750, 2.0315
"""Coefficients of the iteration (same source): they drive singular values fast to about 1, between 0.7 and 1.2."""
_ITERATIONS = 5


def orthogonal(matrices: Tensor) -> Tensor:
    """(n, rows, columns): for each matrix U S Vᵀ about U Vᵀ, by a Newton-Schulz iteration."""
    a, b, c = _QUINTIC
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonal, scaled as large as AdamW's steps are (0.2 √max(rows, columns), arXiv 2502.16982 §2.2), so that both
    can share a learning rate; decoupled weight decay. Takes matrices, and stacks of them."""

    def __init__(self, params: Iterable[Tensor], lr: float = 1e-3, momentum: float = 0.95, weight_decay: float = 0.05) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """closure: computes the loss and the gradients first; its loss is returned, as torch's optimisers do."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike.setdefault(parameter.shape[-2:], []).append(parameter)
            for shape, parameters in alike.items():
                updates = [self._momentum(p, group["momentum"]).reshape(-1, *shape) for p in parameters]
                steps = torch.split(orthogonal(torch.cat(updates)), [len(update) for update in updates])
                for parameter, step in zip(parameters, steps, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(step.view_as(parameter), alpha=-group["lr"] * 0.2 * max(shape) ** 0.5)
        return loss

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        mean: Tensor = state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(mean, momentum)
