"""Denoisers that are optimal for data with a closed form."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from cldis.config import DiffusionConfig
from cldis.diffusion.process import NoiseProcess

PREDICTIONS = ("epsilon", "x0", "v")
SCHEDULES = ("linear", "squaredcos_cap_v2")


def noise_process(
    prediction: str = "x0", schedule: str = "linear", steps: int = 1000
) -> NoiseProcess:
    return NoiseProcess(
        DiffusionConfig.model_validate(
            {"prediction": prediction, "schedule": schedule, "steps": steps}
        )
    )


def as_prediction(process: NoiseProcess, x0_hat: Tensor, x_t: Tensor, t: Tensor) -> Tensor:
    """What a network of this process would say if it estimated x0 as `x0_hat`."""
    if process.prediction == "x0":
        return x0_hat
    alpha, sigma = process.scales(t)
    noise = (x_t - alpha * x0_hat) / sigma
    return noise if process.prediction == "epsilon" else alpha * noise - sigma * x0_hat


def gaussian_mean(
    process: NoiseProcess, x_t: Tensor, t: Tensor, mean: Tensor | float, variance: Tensor | float
) -> Tensor:
    """E[x0 | x_t] for x0 ~ N(mean, variance I)."""
    alpha, sigma = process.scales(t)
    gain = variance * alpha / (variance * alpha**2 + sigma**2)
    return mean + gain * (x_t - alpha * mean)


def gaussian_denoiser(
    process: NoiseProcess, mean: Tensor | float, variance: Tensor | float
) -> Callable[[Tensor, Tensor], Tensor]:
    def predict(x_t: Tensor, t: Tensor) -> Tensor:
        x0_hat = gaussian_mean(process, x_t, t, mean, variance)
        return as_prediction(process, x0_hat, x_t, t)

    return predict
