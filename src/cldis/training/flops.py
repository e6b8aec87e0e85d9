"""What training costs in floating-point operations, and what share of a GPU's it reaches (MFU)."""

from __future__ import annotations

import math
import re
from collections import Counter
from functools import cache

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from cldis.config import Config
from cldis.loop.feedback import build_feedback
from cldis.loop.phases import TrainingPhase, phase_at
from cldis.loop.step import StepNoise
from cldis.methods.build import build
from cldis.networks.space import Views

ROWS = 2  # images that are counted; an operation costs each of them the same
# Operations a second in bf16 with dense matrices, from the makers' data sheets.
PEAKS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
}


def training_flops(config: Config) -> float:
    """Operations of a whole training: forward and backward of every image in its phase.

    A multiplication and an addition are two. Counted are matrix products and convolutions; the
    optimiser, the average, held-out images and an autoencoder's latents are not.
    """
    batch = config.training.batch
    starts = range(0, math.ceil(config.training.images / batch) * batch, batch)
    phases = Counter(plain(phase_at(config, images)) for images in starts)
    return sum(steps * batch * flops_per_image(config, phase) for phase, steps in phases.items())


def plain(phase: TrainingPhase) -> TrainingPhase:
    """The phase without the size of its weight: any weight but 0 costs the same."""
    return TrainingPhase(phase.vae, phase.diffusion, float(phase.lambda_dt > 0), phase.rate)


@cache
def flops_per_image(config: Config, phase: TrainingPhase) -> float:
    """Operations of forward and backward of an image in a phase, counted in a step that is made."""
    side = config.model.resolution
    noise = StepNoise.draw(config, ROWS, torch.Generator().manual_seed(0))
    x = Views(torch.zeros(ROWS, 3, side, side), torch.zeros_like(noise.noise))
    with torch.random.fork_rng(devices=[]):
        model = build(config)
        feedback = build_feedback(config, model.process)
        # The other kernels of attention are not in the counter's table on every device.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            model(x, noise, phase, feedback).loss.backward()
            model.listen(x, noise, phase, feedback)
    return counter.get_total_flops() / ROWS


def mfu(flops: float, seconds: float, precision: str, gpu: str | None) -> float | None:
    """The share of a GPU's operations that training reached (model FLOPs utilisation).

    None without a GPU, for one whose peak is not in the table, and in float32.
    """
    if gpu is None or precision != "bf16" or not seconds:
        return None
    names = [name for name in PEAKS if re.search(rf"\b{re.escape(name)}\b", gpu)]
    return flops / seconds / PEAKS[names[0]] if names else None
