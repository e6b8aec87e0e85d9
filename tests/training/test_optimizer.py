"""Muon: what it updates, and what an update is."""

from __future__ import annotations

import torch

from cldis.config import TrainingConfig
from cldis.training.optimizer import build_optimizer, is_matrix


def test_an_update_is_semi_orthogonal_and_as_large_as_one_of_adam() -> None:
    """Singular values of the update are near lr .2 sqrt(max(rows, columns)), whatever those of the
    gradient; Newton-Schulz in bf16 with five steps leaves them within .3 of that (Jordan 2024)."""
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(16, 8, 3)
    optimizer = build_optimizer(
        TrainingConfig(optimizer="muon", learning_rate=0.01), convolution.parameters()
    )
    before = convolution.weight.detach().clone()
    left, right = torch.linalg.qr(torch.randn(8, 8))[0], torch.linalg.qr(torch.randn(144, 8))[0]
    sizes = torch.linspace(1, 20, 8)
    convolution.weight.grad = (left @ torch.diag(sizes) @ right.T).view_as(before)
    convolution.bias.grad = torch.ones(8)  # type: ignore[union-attr]
    optimizer.step()
    update = (before - convolution.weight.detach()).reshape(8, -1)
    values = torch.linalg.svdvals(update) / (0.01 * 0.2 * 144**0.5)
    assert 0.65 < values.min() and values.max() < 1.3
    assert (
        torch.nn.functional.cosine_similarity(update.flatten(), (left @ right.T).flatten(), dim=0)
        > 0.95
    )
    root_mean_square = update.pow(2).mean().sqrt() / 0.01
    assert 0.1 < root_mean_square < 0.3  # Adam's is about 0.2 once it has warmed up


def test_vectors_tokens_and_thin_matrices_are_left_to_adam() -> None:
    wanted = {(8, 8): True, (16, 2, 2, 2): True, (7, 100): False, (64,): False, (4, 8, 16): False}
    assert {shape: is_matrix(torch.nn.Parameter(torch.zeros(shape))) for shape in wanted} == wanted


def test_a_model_without_matrices_trains() -> None:
    network = torch.nn.LayerNorm(4)
    optimizer = build_optimizer(TrainingConfig(optimizer="muon"), network.parameters())
    network(torch.arange(8.0).view(2, 4)).pow(3).sum().backward()
    optimizer.step()
    assert not torch.equal(network.weight, torch.ones(4))
