"""From a checkpoint to scores: the codes of a fixed pool of images, and every metric on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cldis.arrays import some
from cldis.bench.suite import POOL_SEED
from cldis.config import Config
from cldis.data.source import ImageSource
from cldis.images import from_uint8, to_model
from cldis.methods.build import build
from cldis.methods.controls import CONTROLS
from cldis.metrics.suite import SettingName, evaluate_settings
from cldis.training.checkpoint import load_into, load_tensors

BATCH = 256
FIT = 4096  # images that PCA sees


def pool(source: ImageSource, size: int) -> NDArray[np.int64]:
    """Indices of the images that are scored, the same for every method and seed.

    `size` of them (or all there are), drawn without replacement from the whole grid with seed 0,
    images that were trained on included, as is the field's custom.
    """
    generator = np.random.default_rng(POOL_SEED)
    return generator.choice(len(source), min(size, len(source)), replace=False)


@torch.no_grad()
def trained_codes(
    config: Config, checkpoint: Path, images: list[Tensor]
) -> dict[str, NDArray[np.float32]]:
    """Means of every code [n, d] under the averaged weights.

    Args:
        images: batches uint8 [b, 3, H, W], on the device to use.
    """
    model = build(config).eval().to(images[0].device)
    load_into(model, load_tensors(checkpoint / "ema.safetensors"), str(checkpoint))
    encoders: dict[str, Any] = {}
    if model.semantic is not None:
        encoders["z_sem"] = model.semantic
    if model.vae is not None:
        encoders["z_disen"] = model.vae.encode
    return {
        name: torch.cat([encode(from_uint8(x)).mean.float().cpu() for x in images]).numpy()
        for name, encode in encoders.items()
    }


def control_codes(
    method: str, config: Config, source: ImageSource, images: list[Tensor]
) -> dict[str, NDArray[np.float32]]:
    """The code of an untrained control, fitted on `FIT` images drawn with the cell's seed."""
    chosen = some(len(source), FIT, config.training.seed)
    control = CONTROLS[method](config).fit(to_model(source.batch(chosen)))
    return {"z_sem": np.concatenate([control.encode(from_uint8(x).cpu()) for x in images])}


def batches(source: ImageSource, indices: NDArray[Any], device: torch.device) -> list[Tensor]:
    """The images uint8 [b, 3, H, W] on `device`, in batches: 150 MB for 12,000 at 64 px."""
    parts = [indices[start : start + BATCH] for start in range(0, len(indices), BATCH)]
    return [torch.from_numpy(np.array(source.batch(part))).to(device) for part in parts]


def scores(
    codes: dict[str, NDArray[np.float32]],
    source: ImageSource,
    indices: NDArray[Any],
    settings: tuple[SettingName, ...],
) -> dict[str, Any]:
    """{code: {setting: every metric}} for codes of the images `indices`.

    Raises:
        ValueError: a code is not finite, or a metric cannot be taken.
    """
    factors, sizes = source.factors(indices), source.factor_sizes
    return {name: evaluate_settings(code, factors, sizes, settings) for name, code in codes.items()}
