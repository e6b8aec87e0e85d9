"""Deterministic decoding, its inversion, and a fast solver, on `diffusers` schedulers.

All functions have one signature: a network that predicts (x_t, t) -> prediction with z_sem
already bound, the noise process, a start, and a number of steps. Images are [n, 3, H, W].

They run between T-1 and a low noise level, `END`, on a quadratic ladder (Song et al. 2021). An
image counts as a point at that level: sigma .02 of a range of 2 is under 3 of 256 grey levels, and
what the network cannot explain of a photo enters x_T divided by it. Below, or on an even ladder,
x_T leaves the range the network knows and the inversion converges slowly: an undertrained model
reconstructed with SSIM .89 on an even ladder down to sigma .01, with .999 on this one.

An inversion may start higher: `noised` takes the image there, with fresh noise in place of what the
network cannot explain, and x_T comes out as normal as the network knows it (decision 12).
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import torch
from torch import Tensor

from .process import NoiseProcess

Predict = Callable[[Tensor, Tensor], Tensor]

END = 0.02  # sigma at which decoding ends and inversion starts
EDITS = 0.2  # sigma at which it starts for edits


def predicted_noise(predict: Predict, process: NoiseProcess, x_t: Tensor, t: int) -> Tensor:
    """The network's estimate of eps at (x_t, t), whatever it was trained to predict."""
    times = torch.full((len(x_t),), t, dtype=torch.long, device=x_t.device)
    prediction = predict(x_t, times).float()
    if process.prediction == "epsilon":
        return prediction
    alpha, sigma = process.scales(times)
    return (x_t - alpha * process.to_x0(prediction, x_t, times)) / sigma


def ddim(predict: Predict, process: NoiseProcess, x_T: Tensor, steps: int) -> Tensor:
    """DDIM with eta = 0 (Song et al. 2021), x_T -> x0.

    Raises:
        ValueError: steps is no integer in 1..T.
    """
    from diffusers import DDIMScheduler

    levels = ladder(process, steps)
    made = DDIMScheduler(num_train_timesteps=len(levels), clip_sample=False)
    scheduler = _on_ladder(made, process, levels)
    scheduler.set_timesteps(len(levels))
    x = x_T
    for index, t in reversed(_rungs(levels)):
        x = scheduler.step(predicted_noise(predict, process, x, t), index, x).prev_sample
    return x


def invert(
    predict: Predict,
    process: NoiseProcess,
    x: Tensor,
    steps: int,
    refinements: int = 3,
    sigma: float = END,
) -> Tensor:
    """The stochastic encoder of Diff-AE: the DDIM path run backwards, x -> x_T.

    x is a point at noise level `sigma`: an image at `END`, above it what `noised` makes of one.

    Plain DDIM inversion asks the network at the previous point of the path. Each refinement asks
    it again at the point just found, a fixed-point iteration towards the exact inverse of `ddim`
    with the same `steps`; Anderson acceleration (depth 1) makes it some thirty times closer.

    Raises:
        ValueError: steps is no integer in 1..T, or sigma is not in [END, 1).
    """
    from diffusers import DDIMInverseScheduler

    levels = ladder(process, steps, sigma)
    made = DDIMInverseScheduler(num_train_timesteps=len(levels), clip_sample=False)
    scheduler = _on_ladder(made, process, levels)
    scheduler.set_timesteps(len(levels))
    for index, t in _rungs(levels):
        asked: list[Tensor] = []
        answered: list[Tensor] = []
        for _ in range(1 + refinements):
            asked = [*asked[-1:], _accelerated(asked, answered) if answered else x]
            noise = predicted_noise(predict, process, asked[-1], t)
            answered = [*answered[-1:], scheduler.step(noise, index, x).prev_sample]
        x = _accelerated(asked, answered)
    return x


def _accelerated(asked: list[Tensor], answered: list[Tensor]) -> Tensor:
    """Anderson's next point for x = g(x): `asked` are the last one or two x, `answered` their g(x).

    Images of a batch are independent.
    """
    if len(answered) == 1:
        return answered[0]
    residuals = [(g - x).flatten(1) for x, g in zip(asked, answered, strict=True)]
    change = residuals[1] - residuals[0]
    size = change.pow(2).sum(dim=1).clamp(min=1e-20)
    share = ((change * residuals[1]).sum(dim=1) / size).view(-1, 1, 1, 1)
    return answered[1] - share * (answered[1] - answered[0])


def fast(predict: Predict, process: NoiseProcess, x_T: Tensor, steps: int) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022): good pictures in about 10 steps, for previews.

    It ends without noise, and has no inverse.

    Raises:
        ValueError: steps is no integer in 1..T.
    """
    from diffusers import DPMSolverMultistepScheduler

    levels = ladder(process, steps)
    made = DPMSolverMultistepScheduler(num_train_timesteps=len(levels))
    scheduler = _on_ladder(made, process, levels)
    scheduler.set_timesteps(len(levels) - 1)
    x = x_T
    for index, t in reversed(_rungs(levels)):
        x = scheduler.step(predicted_noise(predict, process, x, t), index, x).prev_sample
    return x


def noised(process: NoiseProcess, x0: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """Images with `noise` up to level `sigma`: where `invert` starts with the same sigma.

    Raises:
        ValueError: sigma is not in [END, 1).
    """
    t = torch.full((len(x0),), _first(process, sigma), dtype=torch.long, device=x0.device)
    return process.add_noise(x0, t, noise)


def ladder(process: NoiseProcess, steps: int, sigma: float = END) -> list[int]:
    """Rising timesteps from level `sigma` to T-1, dense at low noise: `steps` + 1 of them.

    Where rounding would repeat one there are fewer.
    """
    first, last = _first(process, sigma), len(process.alpha_bar) - 1
    place = torch.linspace(0, 1, _checked(steps, process) + 1, dtype=torch.float64)
    return (first + (last - first) * place**2).round().long().unique().tolist()


def _first(process: NoiseProcess, sigma: float) -> int:
    """The first timestep whose noise is not below `sigma`, and never the last one."""
    if not isinstance(sigma, Real) or not END <= sigma < 1:
        raise ValueError(
            f"sigma={sigma!r} must be a number from {END} up to below 1, the noise level at which "
            f"inversion starts"
        )
    below = (1 - process.alpha_bar).sqrt() < sigma
    return min(int(below.sum()), len(process.alpha_bar) - 2)


def _rungs(levels: list[int]) -> list[tuple[int, int]]:
    """Place on the ladder and timestep of every level that the network is asked at."""
    return list(enumerate(levels))[1:]


def _on_ladder(made: Any, process: NoiseProcess, levels: list[int]) -> Any:
    """Make places on the ladder the timesteps of a `diffusers` scheduler."""
    made.alphas_cumprod = process.alpha_bar[levels].cpu()
    return made


def _checked(steps: int, process: NoiseProcess) -> int:
    if not isinstance(steps, Integral) or not 1 <= steps <= process.config.steps:
        raise ValueError(
            f"steps={steps!r} must be an integer in 1..{process.config.steps}, the trained number "
            f"of steps"
        )
    return steps
