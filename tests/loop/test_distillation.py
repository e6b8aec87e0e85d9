"""L_dt: its kinds and its direction."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, Normal, kl_divergence

from cldis.loop.distillation import distillation_loss
from cldis.networks.gaussian import Gaussian

KINDS = ("kl", "softmax_kl", "mse")
seeds = st.integers(0, 2**31)


def _pair(seed: int, n: int = 3, d: int = 4) -> tuple[Gaussian, Gaussian]:
    g = torch.Generator().manual_seed(seed)
    values = torch.randn(4, n, d, generator=g)
    return Gaussian(values[0], values[1]), Gaussian(values[2], values[3])


@given(seed=seeds)
def test_kl_is_from_the_teacher_to_the_student_summed_over_units(seed: int) -> None:
    teacher, student = _pair(seed)
    p, q = (Normal(g.mean, g.scale) for g in (teacher, student))
    torch.testing.assert_close(
        distillation_loss("kl", teacher, student), kl_divergence(p, q).sum(dim=1)
    )


@given(seed=seeds)
def test_softmax_kl_compares_the_means_as_categories(seed: int) -> None:
    teacher, student = _pair(seed)
    p, q = Categorical(logits=teacher.mean), Categorical(logits=student.mean)
    torch.testing.assert_close(
        distillation_loss("softmax_kl", teacher, student), kl_divergence(p, q)
    )


@given(seed=seeds)
def test_mse_is_the_squared_distance_of_the_means(seed: int) -> None:
    teacher, student = _pair(seed)
    found = distillation_loss("mse", teacher, student)
    expected = [
        sum((a - b) ** 2 for a, b in zip(p.tolist(), q.tolist(), strict=True))
        for p, q in zip(teacher.mean, student.mean, strict=True)
    ]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=seeds)
def test_never_negative_and_zero_for_equals(kind: str, seed: int) -> None:
    teacher, student = _pair(seed)
    assert distillation_loss(kind, teacher, student).min() > 1e-4  # they differ
    torch.testing.assert_close(
        distillation_loss(kind, teacher, teacher), torch.zeros(3), atol=1e-6, rtol=0
    )


@given(seed=seeds, unit=st.integers(0, 3))
def test_kl_sees_a_difference_of_scale_alone(seed: int, unit: int) -> None:
    teacher, _ = _pair(seed)
    wider = teacher.log_variance.clone()
    wider[:, unit] += 0.5
    student = Gaussian(teacher.mean, wider)
    assert distillation_loss("kl", teacher, student).min() > 0.01
    assert distillation_loss("mse", teacher, student).abs().max() == 0


@given(seed=seeds, offset=st.floats(-20, 20))
def test_softmax_kl_does_not_see_a_common_shift(seed: int, offset: float) -> None:
    teacher, student = _pair(seed)
    moved = Gaussian(student.mean + offset, student.log_variance)
    torch.testing.assert_close(
        distillation_loss("softmax_kl", teacher, moved),
        distillation_loss("softmax_kl", teacher, student),
        rtol=1e-3,
        atol=1e-4,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_student_learns(kind: str) -> None:
    teacher, student = (
        Gaussian(g.mean.requires_grad_(), g.log_variance.requires_grad_()) for g in _pair(0)
    )
    distillation_loss(kind, teacher, student).sum().backward()
    assert teacher.mean.grad is None and teacher.log_variance.grad is None
    assert student.mean.grad is not None and student.mean.grad.abs().min() > 0
    assert (student.log_variance.grad is not None) == (kind == "kl")


@pytest.mark.parametrize("kind", KINDS)
def test_descent_reaches_the_teacher(kind: str) -> None:
    teacher, student = _pair(1)
    mean, log_variance = student.mean.requires_grad_(), student.log_variance.requires_grad_()
    optimizer = torch.optim.Adam([mean, log_variance], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        distillation_loss(kind, teacher, Gaussian(mean, log_variance)).sum().backward()
        optimizer.step()
    assert distillation_loss(kind, teacher, Gaussian(mean, log_variance)).max() < 1e-3
