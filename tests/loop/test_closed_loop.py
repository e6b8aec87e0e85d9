"""The step over both branches: who learns from what, and that it learns."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cldis.loop.closed_loop import ClosedLoop, Draws, StepOutput
from cldis.loop.feedback import Feedback, build_feedback
from cldis.networks.gaussian import kl_to_standard
from loop.small import both, pictures, small_config, small_loop

ARMS = ("vae", "diffae", "open", "closed")
BRANCHES = {
    "vae": {"vae"},
    "diffae": {"diffusion"},
    "open": {"vae", "diffusion"},
    "closed": {"vae", "diffusion"},
}


def _feedback(loop: ClosedLoop, capacity: float = 0.0) -> Feedback:
    feedback = build_feedback(loop.config.feedback, loop.config.loop.arm, loop.process)
    feedback.capacity = capacity
    return feedback


def _draws(loop: ClosedLoop, n: int, seed: int = 0) -> Draws:
    return Draws.draw(loop.config, n, torch.Generator().manual_seed(seed))


def _gradients(loop: ClosedLoop, loss: Tensor) -> dict[str, dict[str, Tensor | None]]:
    loop.zero_grad(set_to_none=True)
    loss.backward()
    names = {id(p): name for name, p in loop.named_parameters()}
    return {
        branch: {names[id(p)]: None if p.grad is None else p.grad.clone() for p in parameters}
        for branch, parameters in loop.branches().items()
    }


def _step(loop: ClosedLoop, weight: float = 0.0, capacity: float = 0.0) -> StepOutput:
    x = pictures(4)
    return loop(x, _draws(loop, 4), both(loop, weight), _feedback(loop, capacity))


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_builds_only_its_branches(arm: str) -> None:
    loop = small_loop(f"loop.arm={arm}")
    assert set(loop.branches()) == BRANCHES[arm]
    owned = [p for parameters in loop.branches().values() for p in parameters]
    assert {id(p) for p in owned} == {id(p) for p in loop.parameters()}
    assert len(owned) == len({id(p) for p in owned})
    heads = {name.split(".")[0] for name in loop.state_dict()}
    wanted = {"vae": {"vae"}, "diffusion": {"semantic", "denoiser"}}
    assert heads == set().union(*(wanted[branch] for branch in BRANCHES[arm]))


@pytest.mark.parametrize("arm", ARMS)
def test_every_parameter_of_an_arm_learns(arm: str) -> None:
    loop = small_loop(f"loop.arm={arm}", "diffusion.condition_dropout=0.5")
    out = _step(loop, weight=0.1)
    gradients = _gradients(loop, out.loss)
    for branch in gradients.values():
        assert [name for name, g in branch.items() if g is None] == []
    assert out.loss.shape == () and bool(torch.isfinite(out.loss))
    for name, value in out.terms.items():
        assert value.shape == () and not value.requires_grad, name


@pytest.mark.parametrize("arm", ARMS)
def test_the_terms_are_those_of_the_arm(arm: str) -> None:
    out = _step(small_loop(f"loop.arm={arm}"), weight=0.1)
    expected = set()
    if "vae" in BRANCHES[arm]:
        expected |= {"vae_nll", "vae_kl"}
    if "diffusion" in BRANCHES[arm]:
        expected |= {"diffusion"}
    if len(BRANCHES[arm]) == 2:
        expected |= {"distillation"}
    assert set(out.terms) == expected
    out.loss.backward()
    assert set(out.terms) == expected | ({"z_gradient"} if "diffusion" in expected else set())


@pytest.mark.parametrize("arm", ["open", "closed"])
@given(weight=st.floats(0, 10), capacity=st.floats(0, 20))
def test_the_loss_is_the_sum_of_the_equations(arm: str, weight: float, capacity: float) -> None:
    loop = _cached(arm)
    with torch.no_grad():
        out = _step(loop, weight, capacity)
    terms = {name: float(value) for name, value in out.terms.items()}
    beta = loop.config.vae.beta
    vae = terms["vae_nll"] + beta * abs(terms["vae_kl"] - capacity)
    whole = vae + terms["diffusion"] + weight * terms["distillation"]
    assert float(out.loss) == pytest.approx(whole, rel=1e-5)


_loops: dict[str, ClosedLoop] = {}


def _cached(arm: str) -> ClosedLoop:
    if arm not in _loops:
        _loops[arm] = small_loop(f"loop.arm={arm}")
    return _loops[arm]


def test_the_terms_are_the_quantities_they_are_named_after() -> None:
    loop = small_loop("loop.arm=closed")
    assert loop.vae is not None and loop.semantic is not None and loop.denoiser is not None
    x, draws = pictures(4), _draws(loop, 4)
    out = _step(loop, weight=0.1)
    q = loop.vae.encode(x)
    torch.testing.assert_close(out.terms["vae_kl"], kl_to_standard(q).sum(dim=1).mean())
    logits = loop.vae.decode(q.mean + q.scale * draws.vae_noise)
    bits = torch.distributions.Bernoulli(logits=logits, validate_args=False)
    nll = -bits.log_prob((x + 1) / 2).sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(out.terms["vae_nll"], nll)

    q_sem = loop.semantic(x)
    z = q_sem.mean + q_sem.scale * draws.z_noise
    alpha, sigma = loop.process.scales(draws.t)
    x0_hat = loop.denoiser(alpha * x + sigma * draws.noise, draws.t, z, draws.drop)
    torch.testing.assert_close(out.terms["diffusion"], (x0_hat - x).pow(2).mean())


def test_the_vae_learns_nothing_from_distillation_and_the_encoder_does() -> None:
    loop = small_loop("loop.arm=closed")
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
    loop = small_loop("loop.arm=closed")
    x, draws = pictures(4), _draws(loop, 4)
    out = StepOutput(loss=x.new_zeros(()))
    loop.vae_step(x, draws, 1.0, out)
    found = _gradients(loop, out.loss)
    assert all(g is None for g in found["diffusion"].values())
    assert all(g is not None for g in found["vae"].values())

    out = StepOutput(loss=x.new_zeros(()))
    loop.diffusion_step(x, draws, out)
    found = _gradients(loop, out.loss)
    assert all(g is None for g in found["vae"].values())
    assert all(g is not None for g in found["diffusion"].values())


def test_the_capacity_pulls_the_kl_from_both_sides() -> None:
    loop = small_loop("loop.arm=vae", "vae.beta=1000000")
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
    loop = small_loop("loop.arm=closed", f"feedback.kind={kind}")
    before = {name: p.clone() for name, p in loop.named_parameters()}
    out = _step(loop)
    assert out.signal is not None and not out.signal.requires_grad
    assert bool(torch.isfinite(out.signal).all())
    feedback = _feedback(loop)
    feedback.update(out.signal, 10**6, 64)
    assert 0 <= feedback.capacity <= loop.config.feedback.rate * 64 / 1000 + 1e-12
    assert all(torch.equal(before[name], p) for name, p in loop.named_parameters())


def test_the_arm_vae_gives_the_feedback_nothing() -> None:
    assert _step(small_loop("loop.arm=vae")).signal is None


# --- randomness


@pytest.mark.parametrize("arm", ARMS)
def test_the_same_draws_give_the_same_loss_and_other_draws_another(arm: str) -> None:
    loop = small_loop(f"loop.arm={arm}")
    x, stage, feedback = pictures(4), both(loop, 0.1), _feedback(loop)
    with torch.no_grad():
        losses = [float(loop(x, _draws(loop, 4, seed), stage, feedback).loss) for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


@given(n=st.integers(1, 20), cut=st.integers(0, 20), seed=st.integers(0, 1000))
def test_rows_of_the_draws_are_rows(n: int, cut: int, seed: int) -> None:
    draws = Draws.draw(small_config(), n, torch.Generator().manual_seed(seed))
    first, second = draws.rows(0, cut), draws.rows(cut, n)
    for name, whole in vars(draws).items():
        assert len(whole) == n
        parts = [getattr(first, name), getattr(second, name)] if cut < n else [whole[:cut]]
        assert torch.equal(torch.cat(parts), whole)


def test_the_parts_of_a_batch_have_its_mean_loss() -> None:
    loop = small_loop("loop.arm=diffae")
    x, draws, stage, feedback = pictures(6), _draws(loop, 6), both(loop), _feedback(loop)
    with torch.no_grad():
        whole = loop(x, draws, stage, feedback).loss
        parts = [loop(x[i : i + 2], draws.rows(i, i + 2), stage, feedback).loss for i in (0, 2, 4)]
    torch.testing.assert_close(torch.stack(parts).mean(), whole)


def test_the_draws_have_their_distributions() -> None:
    config = small_config("diffusion.condition_dropout=0.25")
    draws = Draws.draw(config, 4000, torch.Generator().manual_seed(0))
    assert draws.t.dtype == torch.int64 and draws.t.min() == 0 and draws.t.max() == 999
    assert float(draws.t.float().mean()) == pytest.approx(499.5, abs=15)
    assert float(draws.drop.float().mean()) == pytest.approx(0.25, abs=0.03)
    for noise in (draws.noise, draws.z_noise, draws.vae_noise, draws.probe_noise):
        assert float(noise.mean()) == pytest.approx(0, abs=0.03)
        assert float(noise.std()) == pytest.approx(1, abs=0.03)
    assert draws.probe_uniform.min() >= 0 and draws.probe_uniform.max() < 1
    assert not torch.equal(draws.noise, draws.probe_noise)


def test_without_condition_dropout_nothing_is_hidden() -> None:
    config = small_config("diffusion.condition_dropout=0")
    assert not Draws.draw(config, 500, torch.Generator().manual_seed(0)).drop.any()


def test_a_hidden_code_has_no_say() -> None:
    loop = small_loop("loop.arm=diffae", scale=0.1)
    x, stage, feedback = pictures(4), both(loop), _feedback(loop)
    draws = _draws(loop, 4)
    everything = {**vars(draws), "drop": torch.ones(4, dtype=torch.bool)}
    other = {**everything, "z_noise": draws.z_noise + 3}
    shown = {**other, "drop": torch.zeros(4, dtype=torch.bool)}
    with torch.no_grad():
        hidden, moved, seen, base = (
            float(loop(x, Draws(**values), stage, feedback).loss)
            for values in (everything, other, shown, {**shown, "z_noise": draws.z_noise})
        )
    assert hidden == moved and seen != base


# --- it learns


@pytest.mark.parametrize("arm", ARMS)
def test_one_image_is_learnt_in_a_hundred_steps(arm: str) -> None:
    loop = small_loop(f"loop.arm={arm}", "vae.beta=1", "diffusion.condition_dropout=0", scale=0.0)
    x = pictures(1).sign().expand(4, -1, -1, -1)
    stage, feedback = both(loop, 1e-2), _feedback(loop)
    held_out = _draws(loop, 4, seed=12345)

    def terms() -> dict[str, float]:
        with torch.no_grad():
            out = loop(x, held_out, stage, feedback)
        return {"loss": float(out.loss), **{name: float(v) for name, v in out.terms.items()}}

    before = terms()
    optimizer = torch.optim.Adam(loop.parameters(), lr=3e-3)
    for step in range(100):
        loss = loop(x, _draws(loop, 4, step), stage, feedback).loss
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
