"""Muon, against torch's own and against the singular value decomposition."""

import copy

import pytest
import torch

from model.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 24, 60), (2, 60, 24), (1, 32, 32)])
def test_what_is_made_orthogonal_keeps_its_singular_vectors_and_has_singular_values_about_one(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(shape, dtype=torch.float64)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inside = left.mT @ orthogonal(matrices) @ right.mT
    values = inside.diagonal(dim1=-2, dim2=-1)
    assert (inside - torch.diag_embed(values)).abs().max() < 1e-6
    assert 0.6 < values.min() <= values.max() < 1.3


def test_steps_are_those_of_torchs_muon_and_a_stack_of_matrices_is_trained_as_each_alone() -> None:
    torch.manual_seed(0)
    stack = torch.nn.Parameter(torch.randn(3, 16, 40))
    alone = [torch.nn.Parameter(matrix.clone()) for matrix in stack.detach()]
    theirs = copy.deepcopy(alone)
    first = stack.detach().clone()
    optimisers = (
        Muon([stack], 1e-2, weight_decay=0.1),
        Muon(alone, 1e-2, weight_decay=0.1),
        torch.optim.Muon(theirs, 1e-2, weight_decay=0.1, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
    )
    for _ in range(5):
        stack.grad = torch.randn(stack.shape)
        for mine, other, grad in zip(alone, theirs, stack.grad, strict=True):
            mine.grad, other.grad = grad.clone(), grad.clone()
        for optimiser in optimisers:
            optimiser.step()
    assert torch.allclose(stack, torch.stack([*alone]), atol=1e-6)
    moved = (stack.detach() - first).norm()
    assert float((stack - torch.stack([*theirs])).detach().norm() / moved) < 0.02  # theirs is computed in bfloat16


def test_a_closure_computes_the_gradients_before_the_step_and_its_loss_is_returned() -> None:
    trained = torch.nn.Parameter(torch.eye(4))
    optimiser = Muon([trained], 0.1, weight_decay=0.0)

    def closure() -> float:
        optimiser.zero_grad()
        loss = trained.diagonal().sum()
        torch.autograd.backward(loss)
        return float(loss.detach())

    assert optimiser.step(closure) == 4.0
    assert optimiser.step(closure) < 4.0


def test_a_parameter_without_a_gradient_stays() -> None:
    still, moved = torch.nn.Parameter(torch.ones(4, 4)), torch.nn.Parameter(torch.ones(4, 4))
    moved.grad = torch.eye(4)
    Muon([still, moved], 0.1).step()
    assert torch.equal(still, torch.ones(4, 4))
    assert not torch.equal(moved, torch.ones(4, 4))
