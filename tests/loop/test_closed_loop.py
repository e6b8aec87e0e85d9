"""The step over both branches: who learns from what, and that it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cldis.loop.closed_loop import ClosedLoop
from cldis.loop.feedback import build_feedback
from cldis.loop.feedback.base import Feedback
from cldis.loop.step import StepNoise, StepOutput
from cldis.loop.two_branch import TwoBranch
from cldis.networks.gaussian import kl_to_standard
from cldis.networks.space import Views
from loop.small import both, pictures, small_config, small_loop

METHODS = ("vae", "diffusion", "open", "closed")
BRANCHES = {
    "vae": {"vae"},
    "diffusion": {"diffusion"},
    "open": {"vae", "diffusion"},
    "closed": {"vae", "diffusion"},
}


def _feedback(loop: TwoBranch, capacity: float = 0.0) -> Feedback:
    feedback = build_feedback(loop.config, loop.process)
    feedback.capacity = capacity
    return feedback


def _noise(loop: TwoBranch, n: int, seed: int = 0) -> StepNoise:
    return StepNoise.draw(loop.config, n, torch.Generator().manual_seed(seed))


def _gradients(loop: TwoBranch, loss: Tensor) -> dict[str, dict[str, Tensor | None]]:
    loop.zero_grad(set_to_none=True)
    loss.backward()
    names = {id(p): name for name, p in loop.named_parameters()}
    return {
        branch: {names[id(p)]: None if p.grad is None else p.grad.clone() for p in parameters}
        for branch, parameters in loop.branches().items()
    }


def _step(loop: TwoBranch, weight: float = 0.0, capacity: float = 0.0) -> StepOutput:
    x = Views.pixels(pictures(4))
    return loop(x, _noise(loop, 4), both(loop, weight), _feedback(loop, capacity))


@pytest.mark.parametrize("method", METHODS)
def test_a_method_builds_only_its_branches(method: str) -> None:
    loop = small_loop(f"method={method}")
    assert set(loop.branches()) == BRANCHES[method]
    owned = [p for parameters in loop.branches().values() for p in parameters]
    assert {id(p) for p in owned} == {id(p) for p in loop.parameters()}
    assert len(owned) == len({id(p) for p in owned})
    heads = {name.split(".")[0] for name in loop.state_dict()}
    wanted = {"vae": {"vae"}, "diffusion": {"semantic", "denoiser"}}
    assert heads == set().union(*(wanted[branch] for branch in BRANCHES[method]))


@pytest.mark.parametrize("method", METHODS)
def test_every_parameter_of_a_method_learns(method: str) -> None:
    loop = small_loop(f"method={method}", "diffusion.condition_dropout=0.5")
    out = _step(loop, weight=0.1)
    gradients = _gradients(loop, out.loss)
    for branch in gradients.values():
        assert [name for name, g in branch.items() if g is None] == []
    assert out.loss.shape == () and bool(torch.isfinite(out.loss))
    for name, value in out.terms.items():
        assert value.shape == () and not value.requires_grad, name


@pytest.mark.parametrize("method", METHODS)
def test_the_terms_are_those_of_the_method(method: str) -> None:
    out = _step(small_loop(f"method={method}"), weight=0.1)
    expected = set()
    if "vae" in BRANCHES[method]:
        expected |= {"vae_nll", "vae_kl"}
    if "diffusion" in BRANCHES[method]:
        expected |= {"diffusion"}
    if len(BRANCHES[method]) == 2:
        expected |= {"distillation"}
    assert set(out.terms) == expected


@pytest.mark.parametrize("method", ["open", "closed"])
@given(weight=st.floats(0, 10), capacity=st.floats(0, 20))
def test_the_loss_is_the_sum_of_the_equations(method: str, weight: float, capacity: float) -> None:
    loop = _cached(method)
    with torch.no_grad():
        out = _step(loop, weight, capacity)
    terms = {name: float(value) for name, value in out.terms.items()}
    beta = loop.config.vae.beta
    vae = terms["vae_nll"] + beta * abs(terms["vae_kl"] - capacity)
    whole = vae + terms["diffusion"] + weight * terms["distillation"]
    assert float(out.loss) == pytest.approx(whole, rel=1e-5)


_loops: dict[str, TwoBranch] = {}


def _cached(method: str) -> TwoBranch:
    if method not in _loops:
        _loops[method] = small_loop(f"method={method}")
    return _loops[method]


def test_the_terms_are_the_quantities_they_are_named_after() -> None:
    loop = small_loop("method=closed")
    assert loop.vae is not None and loop.semantic is not None and loop.denoiser is not None
    x, noise = pictures(4), _noise(loop, 4)
    out = _step(loop, weight=0.1)
    q = loop.vae.encode(x)
    torch.testing.assert_close(out.terms["vae_kl"], kl_to_standard(q).sum(dim=1).mean())
    logits = loop.vae.decode(q.mean + q.scale * noise.vae_noise)
    bits = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    nll = -bits.log_prob((x + 1) / 2).sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(out.terms["vae_nll"], nll)

    q_sem = loop.semantic(x)
    z = q_sem.mean + q_sem.scale * noise.z_noise
    alpha, sigma = loop.process.scales(noise.t)
    x0_hat = loop.denoiser(alpha * x + sigma * noise.noise, noise.t, z, noise.drop)
    torch.testing.assert_close(out.terms["diffusion"], (x0_hat - x).pow(2).mean())


def test_the_vae_learns_nothing_from_distillation_and_the_encoder_does() -> None:
    loop = small_loop("method=closed")
    without = _gradients(loop, _step(loop, weight=0.0).loss)
    pulled = _gradients(loop, _step(loop, weight=1.0).loss)
    for name, gradient in without["vae"].items():
        assert gradient is not None and torch.equal(gradient, pulled["vae"][name]), name  # type: ignore[arg-type]
    changed = {
        name
        for name, gradient in without["diffusion"].items()
        if not torch.equal(gradient, pulled["diffusion"][name])  # type: ignore[arg-type]
    }
    assert changed == {name for name in without["diffusion"] if name.startswith("semantic.")}


def test_each_branch_learns_from_its_own_loss_alone() -> None:
    loop = small_loop("method=closed")
    assert isinstance(loop, ClosedLoop)
    x, noise = Views.pixels(pictures(4)), _noise(loop, 4)
    found = _gradients(loop, loop.l_vae(loop.coded(x, noise), 1.0))
    assert all(g is None for g in found["diffusion"].values())
    assert all(g is not None for g in found["vae"].values())

    found = _gradients(loop, loop.denoised(x, noise).loss)
    assert all(g is None for g in found["vae"].values())
    assert all(g is not None for g in found["diffusion"].values())


def test_the_capacity_pulls_the_kl_from_both_sides() -> None:
    loop = small_loop("method=vae", "vae.beta=1000000")
    assert loop.vae is not None
    kl = float(_step(loop).terms["vae_kl"])
    pulls = []
    for capacity in (kl + 1, max(0.0, kl - 1)):
        found = _gradients(loop, _step(loop, capacity=capacity).loss)["vae"]
        pulls.append(
            torch.cat([g.flatten() for name, g in found.items() if g is not None and "enc" in name])
        )
    assert float(torch.cosine_similarity(*pulls, dim=0)) < -0.99


@pytest.mark.parametrize("kind", ["information", "reverse_kl"])
def test_the_feedback_looks_without_touching(kind: str) -> None:
    loop = small_loop("method=closed", f"feedback.kind={kind}")
    before = {name: p.clone() for name, p in loop.named_parameters()}
    out = _step(loop)
    assert out.signal is not None and not out.signal.requires_grad
    assert bool(torch.isfinite(out.signal).all())
    feedback = _feedback(loop)
    feedback.update(out.signal, 10**6, 64)
    assert 0 <= feedback.capacity <= loop.config.feedback.rate * 64 / 1000 + 1e-12
    assert all(torch.equal(before[name], p) for name, p in loop.named_parameters())


def test_the_method_vae_gives_the_feedback_nothing() -> None:
    assert _step(small_loop("method=vae")).signal is None


# --- randomness


@pytest.mark.parametrize("method", METHODS)
def test_the_same_draws_give_the_same_loss_and_other_draws_another(method: str) -> None:
    loop = small_loop(f"method={method}")
    x, phase, feedback = Views.pixels(pictures(4)), both(loop, 0.1), _feedback(loop)
    with torch.no_grad():
        losses = [float(loop(x, _noise(loop, 4, seed), phase, feedback).loss) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


@given(n=st.integers(1, 20), cut=st.integers(0, 20), seed=st.integers(0, 1000))
def test_rows_of_the_draws_are_rows(n: int, cut: int, seed: int) -> None:
    noise = StepNoise.draw(small_config(), n, torch.Generator().manual_seed(seed))
    first, second = noise.rows(0, cut), noise.rows(cut, n)
    for name, whole in vars(noise).items():
        assert len(whole) == n
        parts = [getattr(first, name), getattr(second, name)] if cut < n else [whole[:cut]]
        assert torch.equal(torch.cat(parts), whole)


def test_the_parts_of_a_batch_have_its_mean_loss() -> None:
    loop = small_loop("method=diffusion")
    x, noise, phase, feedback = pictures(6), _noise(loop, 6), both(loop), _feedback(loop)
    with torch.no_grad():
        whole = loop(Views.pixels(x), noise, phase, feedback).loss
        parts = [
            loop(Views.pixels(x[i : i + 2]), noise.rows(i, i + 2), phase, feedback).loss
            for i in (0, 2, 4)
        ]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_the_draws_have_their_distributions() -> None:
    config = small_config("diffusion.condition_dropout=0.25")
    noise = StepNoise.draw(config, 4000, torch.Generator().manual_seed(0))
    assert noise.t.dtype == torch.int64 and noise.t.min() == 0 and noise.t.max() == 999
    assert float(noise.t.float().mean()) == pytest.approx(499.5, abs=15)
    assert float(noise.drop.float().mean()) == pytest.approx(0.25, abs=0.03)
    for normal in (noise.noise, noise.z_noise, noise.vae_noise, noise.probe_noise):
        assert float(normal.mean()) == pytest.approx(0, abs=0.03)
        assert float(normal.std()) == pytest.approx(1, abs=0.03)
    assert noise.probe_uniform.min() >= 0 and noise.probe_uniform.max() < 1
    assert not torch.equal(noise.noise, noise.probe_noise)


def test_without_condition_dropout_nothing_is_hidden() -> None:
    config = small_config("diffusion.condition_dropout=0")
    assert not StepNoise.draw(config, 500, torch.Generator().manual_seed(0)).drop.any()


def test_a_hidden_code_has_no_say() -> None:
    loop = small_loop("method=diffusion", scale=0.1)
    x, phase, feedback = Views.pixels(pictures(4)), both(loop), _feedback(loop)
    noise = _noise(loop, 4)
    everything = {**vars(noise), "drop": torch.ones(4, dtype=torch.bool)}
    other = {**everything, "z_noise": noise.z_noise + 3}
    shown = {**other, "drop": torch.zeros(4, dtype=torch.bool)}
    with torch.no_grad():
        hidden, moved, seen, base = (
            float(loop(x, StepNoise(**values), phase, feedback).loss)
            for values in (everything, other, shown, {**shown, "z_noise": noise.z_noise})
        )
    assert hidden == moved and seen != base


# --- it learns


@pytest.mark.parametrize("method", METHODS)
def test_one_image_is_learnt_in_a_hundred_steps(method: str) -> None:
    loop = small_loop(f"method={method}", "vae.beta=1", "diffusion.condition_dropout=0", scale=0.0)
    x = Views.pixels(pictures(1).sign().expand(4, -1, -1, -1))
    phase, feedback = both(loop, 1e-2), _feedback(loop)
    held_out = _noise(loop, 4, seed=12345)

    def terms() -> dict[str, float]:
        with torch.no_grad():
            out = loop(x, held_out, phase, feedback)
        return {"loss": float(out.loss), **{name: float(v) for name, v in out.terms.items()}}

    before = terms()
    optimizer = torch.optim.Adam(loop.parameters(), lr=3e-3)
    for step in range(100):
        loss = loop(x, _noise(loop, 4, step), phase, feedback).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = terms()
    for name in {"loss", "diffusion", "vae_nll"} & set(before):
        assert after[name] < 0.5 * before[name], name


@pytest.mark.parametrize(
    "overrides",
    [
        ["distillation.kind=mse", "model.gaussian=false"],
        ["distillation.kind=softmax_kl"],
        ["model.encoder=diffae", "model.encoder_multipliers=[1,2]"],
        ["diffusion.prediction=v", "diffusion.schedule=squaredcos_cap_v2"],
        ["diffusion.prediction=epsilon", "model.conditioning=adagn"],
        ["model.dropout=0.2", "model.patch=1"],
    ],
)
def test_variants_take_a_step(overrides: list[Any]) -> None:
    loop = small_loop(*overrides, "diffusion.condition_dropout=0.5")
    before = {name: p.detach().clone() for name, p in loop.named_parameters()}
    optimizer = torch.optim.Adam(loop.parameters())
    out = _step(loop, weight=0.1)
    out.loss.backward()
    optimizer.step()
    assert bool(torch.isfinite(out.loss))
    assert all(not torch.equal(before[name], p) for name, p in loop.named_parameters())
