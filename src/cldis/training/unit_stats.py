"""Where each unit of z_sem lies over the training images: the yardstick of every shift."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.images import to_model
from cldis.loop.two_branch import TwoBranch

IMAGES = 512
BATCH = 64


def typical_images(count: int, most: int = IMAGES) -> NDArray[np.int64]:
    """Indices of up to `most` training images, of `count` images in all; the same every time."""
    train, _ = split(count)
    return np.sort(np.random.default_rng(0).permutation(train)[:most])


@torch.no_grad()
def unit_statistics(model: TwoBranch, source: ImageSource) -> dict[str, list[float]]:
    """Mean and standard deviation of the code's means, per unit, over up to 512 training images.

    z_sem, or z_disen where the method has no z_sem.
    """
    chosen = typical_images(len(source))
    device = next(model.parameters()).device
    parts = np.array_split(chosen, math.ceil(len(chosen) / BATCH))
    codes = [model.encode(to_model(source.batch(part), device)).mean for part in parts]
    means = torch.cat(codes).cpu()
    spread = means.std(dim=0, correction=0)
    return {"mean": means.mean(dim=0).tolist(), "std": spread.tolist()}
