"""Muon, an optimiser for the matrices of a network: each step is the momentum with all its singular values made alike.

K. Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the step scaled as in J. Liu et al., "Muon is
Scalable for LLM Training" (arXiv 2502.16982 §2.2), so that rates and decays of AdamW fit. torch.optim.Muon takes single matrices; the
experts of a layer are one parameter of three dimensions, and here all matrices of one shape are computed together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Coefficients of the iteration, from the paper: five turns bring singular values from (0, 1] to about 1."""


class Muon(torch.optim.Optimizer):
    """Parameters of two dimensions, or of three: a stack of matrices."""

    def __init__(self, params: Iterable[nn.Parameter], lr: float, weight_decay: float = 0.05, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """closure: not used."""
        for group in self.param_groups:
            shapes: dict[tuple[int, ...], list[nn.Parameter]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[tuple(parameter.shape[-2:])].append(parameter)
            for (rows, columns), parameters in shapes.items():
                updates = orthogonal(torch.cat([self._momentum(p, group["momentum"]).reshape(-1, rows, columns) for p in parameters]))
                scale = 0.2 * max(rows, columns) ** 0.5 * group["lr"]
                sizes = [p.numel() // (rows * columns) for p in parameters]
                for parameter, update in zip(parameters, torch.split(updates, sizes), strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update.view_as(parameter), alpha=scale)

    def _momentum(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """Nesterov's."""
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        buffer: Tensor = state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(buffer, momentum)


def orthogonal(matrices: Tensor) -> Tensor:
    """(n, rows, columns): the nearest semi-orthogonal matrix of each, but for singular values between about 0.7 and 1.2."""
    a, b, c = _QUINTIC
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.transpose(1, 2) if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = x @ x.transpose(1, 2)
        x = a * x + (b * square + c * square @ square) @ x
    found: Tensor = x.transpose(1, 2) if tall else x
    return found
