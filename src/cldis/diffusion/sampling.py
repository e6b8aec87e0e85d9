"""Deterministic decoding, its inversion, and a fast solver, which is that of `diffusers`.

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
from itertools import pairwise
from numbers import Integral, Real

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
    x = x_T
    for below, t in reversed(list(pairwise(ladder(process, steps)))):
        x = _moved(process, x, predicted_noise(predict, process, x, t), t, below)
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
    for below, t in pairwise(ladder(process, steps, sigma)):
        asked: list[Tensor] = []
        answered: list[Tensor] = []
        for _ in range(1 + refinements):
            asked = [*asked[-1:], _accelerated(asked, answered) if answered else x]
            noise = predicted_noise(predict, process, asked[-1], t)
            answered = [*answered[-1:], _moved(process, x, noise, below, t)]
        x = _accelerated(asked, answered)
    return x


def _moved(process: NoiseProcess, x: Tensor, noise: Tensor, t: int, to: int) -> Tensor:
    """x at level t, of which `noise` is the noise, at level `to`: a step of DDIM, up or down."""
    here, there = process.alpha_bar[t], process.alpha_bar[to]
    x0 = (x - (1 - here).sqrt() * noise) / here.sqrt()
    return there.sqrt() * x0 + (1 - there).sqrt() * noise


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
    scheduler = DPMSolverMultistepScheduler(num_train_timesteps=len(levels))
    scheduler.alphas_cumprod = process.alpha_bar[levels].cpu()  # a place on the ladder is its time
    scheduler.set_timesteps(len(levels) - 1)
    x = x_T
    for index, t in reversed(list(enumerate(levels))[1:]):
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


def _checked(steps: int, process: NoiseProcess) -> int:
    if not isinstance(steps, Integral) or not 1 <= steps <= process.config.steps:
        raise ValueError(
            f"steps={steps!r} must be an integer in 1..{process.config.steps}, the trained number "
            f"of steps"
        )
    return steps
