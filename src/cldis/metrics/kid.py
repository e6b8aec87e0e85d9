"""KID: how far drawn images lie from real ones, by features of a network with random weights.

KID (Binkowski et al. 2018, "Demystifying MMD GANs") is the squared maximum mean discrepancy of
features under the kernel (x.y / d + 1)^3, estimated without bias: 0 on average where both sets come
from one distribution, so single values may be negative. The usual features are those of a trained
Inception network. Here they are R64 of Naeem et al. 2020 ("Reliable Fidelity and Diversity Metrics
for Generative Models"): VGG16 as it is initialised, its last layer of 4,096 replaced by one of 64.
Nothing is downloaded, and what ImageNet taught does not count. Such features are of any size, which
the kernel would feel, so each is brought to mean 0 and deviation 1 of the real images; see
docs/scores.md for what all that means.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from cldis.arrays import Floats

EXTRACTOR = "R64 at 64 px"
SIDE = 64  # images are brought to it
UNITS = 64
CHANNELS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)  # 0: pool
GRID = 7  # side of the last maps, by averaging or repeating
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # what VGG16 is fed with
BATCH = 32
SUBSETS, LARGEST = 100, 1_000
FEWEST = 4  # images of a set


@dataclass(frozen=True)
class KID:
    """Mean and standard deviation over `SUBSETS` random subsets of `size` images of each set."""

    mean: float
    deviation: float
    size: int


def kid(drawn: Floats, real: Floats, seed: int = 0) -> KID:
    """KID of features of drawn images, [n, d], from those of real ones, [m, d].

    Subsets have half the images of the smaller set, 1,000 at the most.

    Raises:
        ValueError: fewer than 4 in a set, features of unlike length, or not finite.
    """
    for found in (drawn, real):
        if found.ndim != 2 or len(found) < FEWEST or found.shape[1] != real.shape[-1]:
            raise ValueError(
                f"KID compares features [n, d] of at least {FEWEST} images each; got shapes "
                f"{drawn.shape} and {real.shape}"
            )
        if not np.isfinite(found).all():
            raise ValueError("features of KID are not finite")
    center, spread = real.mean(axis=0), real.std(axis=0)
    spread[spread == 0] = 1
    sets = [(found - center) / spread for found in (drawn, real)]
    generator = np.random.default_rng(seed)
    size = min(len(drawn) // 2, len(real) // 2, LARGEST)
    values = [
        mmd2(*(each[generator.choice(len(each), size, replace=False)] for each in sets))
        for _ in range(SUBSETS)
    ]
    return KID(float(np.mean(values)), float(np.std(values, ddof=1)), size)


def mmd2(one: Floats, other: Floats) -> float:
    """MMD^2 of [n, d] and [m, d] under (x.y / d + 1)^3, without bias: no image meets itself."""
    x, y = one.astype(np.float64), other.astype(np.float64)

    def kernel(a: Floats, b: Floats) -> Floats:
        return np.asarray((a @ b.T / a.shape[1] + 1) ** 3)

    def within(a: Floats) -> float:
        met = kernel(a, a)
        return float((met.sum() - met.trace()) / (len(a) * (len(a) - 1)))

    return within(x) + within(y) - 2 * float(kernel(x, y).mean())


@torch.no_grad()
def features(images: Tensor, seed: int = 0) -> Floats:
    """R64 of images [n, 3, H, W] in [-1, 1]: [n, 64]. The same for the same seed.

    Raises:
        ValueError: not of that shape.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"images are {images.dtype} of shape {tuple(images.shape)}; expected floats "
            f"[n, 3, H, W] in [-1, 1]"
        )
    network = extractor(seed)
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    found = [np.zeros((0, UNITS))]
    for part in images.cpu().float().split(BATCH):
        if part.shape[-2:] != (SIDE, SIDE):
            part = nn.functional.interpolate(part, (SIDE, SIDE), mode="bilinear", antialias=True)
        found.append(network(((part.clamp(-1, 1) + 1) / 2 - mean) / deviation).double().numpy())
    return np.concatenate(found)


@cache
def extractor(seed: int) -> nn.Module:
    """VGG16 (Simonyan & Zisserman 2015) with weights as torchvision draws them, and 64 outputs.

    107 million weights, 430 MB: the first layer after the maps has nearly all of them.
    """
    layers: list[nn.Module] = []
    before = 3
    for channels in CHANNELS:
        if channels:
            layers += [nn.Conv2d(before, channels, 3, padding=1, device="meta"), nn.ReLU()]
            before = channels
        else:
            layers.append(nn.MaxPool2d(2))
    layers += [nn.AdaptiveAvgPool2d(GRID), nn.Flatten()]
    layers += [nn.Linear(before * GRID**2, 4096, device="meta"), nn.ReLU()]
    layers.append(nn.Linear(4096, UNITS, device="meta"))
    network = nn.Sequential(*layers).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    for layer in network:
        if isinstance(layer, nn.Conv2d):  # deviation sqrt(2 / fan out)
            spread = math.sqrt(2 / (layer.out_channels * 9))
        elif isinstance(layer, nn.Linear):
            spread = 0.01
        else:
            continue
        assert layer.bias is not None
        nn.init.normal_(layer.weight, 0, spread, generator)
        nn.init.zeros_(layer.bias)
    return network.eval().requires_grad_(False)
