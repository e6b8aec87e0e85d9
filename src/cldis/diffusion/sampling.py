"""Deterministic decoding, its inversion, and a fast solver, on `diffusers` schedulers.

All functions have one signature: a network that predicts (x_t, t) -> prediction with z_sem
already bound, the noise process, a start, and a number of steps. Images are [n, 3, H, W].
The ODE ends at the lowest noise level of training (sigma about .01 of a range of 2, invisible),
where decoding and inversion are each other's inverse; beyond it there is no way back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .process import NoiseProcess, scheduler_options

Predict = Callable[[Tensor, Tensor], Tensor]


def predicted_noise(predict: Predict, process: NoiseProcess, x_t: Tensor, t: int) -> Tensor:
    """The network's estimate of eps at (x_t, t), whatever it was trained to predict."""
    times = torch.full((len(x_t),), t, dtype=torch.long, device=x_t.device)
    prediction = predict(x_t, times).float()
    if process.prediction == "epsilon":
        return prediction
    alpha, sigma = process.scales(times)
    return (x_t - alpha * process.to_x0(prediction, x_t, times)) / sigma


def ddim(predict: Predict, process: NoiseProcess, x_T: Tensor, steps: int) -> Tensor:
    """DDIM with eta = 0 (Song et al. 2021), x_T -> x0."""
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(**_noise_options(process), set_alpha_to_one=False, clip_sample=False)
    scheduler.set_timesteps(_checked(steps, process))
    x = x_T
    for t in scheduler.timesteps.tolist():
        x = scheduler.step(predicted_noise(predict, process, x, t), t, x).prev_sample
    return x


def invert(
    predict: Predict, process: NoiseProcess, x0: Tensor, steps: int, refinements: int = 3
) -> Tensor:
    """The stochastic encoder of Diff-AE: the DDIM path run backwards, x0 -> x_T.

    Plain DDIM inversion asks the network at the previous point of the path. Each refinement asks
    it again at the point just found, a fixed-point iteration towards the exact inverse of `ddim`
    with the same `steps`.
    """
    from diffusers import DDIMInverseScheduler

    scheduler = DDIMInverseScheduler(
        **_noise_options(process), set_alpha_to_one=False, clip_sample=False
    )
    scheduler.set_timesteps(_checked(steps, process))
    x = x0
    for t in scheduler.timesteps.tolist():
        estimate = x
        for _ in range(1 + refinements):
            noise = predicted_noise(predict, process, estimate, t)
            estimate = scheduler.step(noise, t, x).prev_sample
        x = estimate
    return x


def fast(predict: Predict, process: NoiseProcess, x_T: Tensor, steps: int) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022): good pictures in about 10 steps, for previews."""
    from diffusers import DPMSolverMultistepScheduler

    scheduler = DPMSolverMultistepScheduler(**_noise_options(process))
    scheduler.set_timesteps(_checked(steps, process))
    x = x_T
    for t in scheduler.timesteps.tolist():
        x = scheduler.step(predicted_noise(predict, process, x, int(t)), t, x).prev_sample
    return x


def _noise_options(process: NoiseProcess) -> dict:
    return {**scheduler_options(process.config), "prediction_type": "epsilon"}


def _checked(steps: int, process: NoiseProcess) -> int:
    if not 1 <= steps <= process.config.steps:
        raise ValueError(
            f"steps={steps} must lie in 1..{process.config.steps}, the trained number of steps"
        )
    return steps
