"""The forward noise process and the three ways to predict (DDPM; Salimans & Ho 2022 for v)."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cldis.config import DiffusionConfig

Prediction = Literal["epsilon", "x0", "v"]
DIFFUSERS_NAME = {"epsilon": "epsilon", "x0": "sample", "v": "v_prediction"}


class NoiseProcess(nn.Module):
    """x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) eps, for integer t in 0..T-1."""

    alpha_bar: Tensor

    def __init__(self, config: DiffusionConfig) -> None:
        super().__init__()
        self.config = config
        self.prediction: Prediction = config.prediction
        self.register_buffer("alpha_bar", (1 - betas(config)).cumprod(dim=0), persistent=False)

    def scales(self, t: Tensor) -> tuple[Tensor, Tensor]:
        """sqrt(abar_t) and sqrt(1 - abar_t), each [n, 1, 1, 1]."""
        alpha_bar = self.alpha_bar[t].view(-1, 1, 1, 1)
        return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()

    def log_snr(self, t: Tensor) -> Tensor:
        """ln(abar_t / (1 - abar_t)), [n]."""
        return torch.logit(self.alpha_bar[t].double()).float()

    def add_noise(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        alpha, sigma = self.scales(t)
        return alpha * x0 + sigma * noise

    def target(self, x0: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """What the network is asked for: eps, x0, or v = alpha eps - sigma x0."""
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "x0":
            return x0
        alpha, sigma = self.scales(t)
        return alpha * noise - sigma * x0

    def to_x0(self, prediction: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
        """The estimate of x0 that a prediction implies."""
        if self.prediction == "x0":
            return prediction
        alpha, sigma = self.scales(t)
        if self.prediction == "epsilon":
            return (x_t - sigma * prediction) / alpha
        return alpha * x_t - sigma * prediction

    def nearest_t(self, log_snr: Tensor) -> Tensor:
        """The timestep whose log-SNR is nearest, [n] int64."""
        table = torch.logit(self.alpha_bar.double()).float()  # falls with t
        return (table[None, :] - log_snr[:, None]).abs().argmin(dim=1)


def betas(config: DiffusionConfig) -> Tensor:
    """The variance that each step adds, [T], as the schedulers of `diffusers` have it to the bit.

    `linear` is that of DDPM (Ho et al. 2020), stretched over T; `squaredcos_cap_v2` is the cosine
    of Nichol & Dhariwal 2021. It is made on the CPU even for an outline on `meta`, where PyTorch
    imports its compiler to multiply.
    """
    options, steps = scheduler_options(config), config.steps
    if config.schedule == "linear":
        return torch.linspace(options["beta_start"], options["beta_end"], steps, device="cpu")
    left = [math.cos((t / steps + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(steps + 1)]
    added = [min(1 - after / before, 0.999) for before, after in pairwise(left)]
    return torch.tensor(added, device="cpu")


def scheduler_options(config: DiffusionConfig) -> dict[str, Any]:
    """Keyword arguments that make a `diffusers` scheduler agree with this process."""
    return {
        "num_train_timesteps": config.steps,
        "beta_start": 1e-4 * 1000 / config.steps,
        "beta_end": min(0.02 * 1000 / config.steps, 0.999),
        "beta_schedule": config.schedule,
        "prediction_type": DIFFUSERS_NAME[config.prediction],
    }
