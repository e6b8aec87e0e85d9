"""Controls that are not trained: what a score is worth without learning."""

from __future__ import annotations

from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cldis.config import Config
from cldis.networks import build

BATCH = 256


class Control(Protocol):
    """Images are floats [n, 3, H, W] in [-1, 1]; codes float32 [n, d], d = `model.units`."""

    def __init__(self, config: Config) -> None: ...

    def fit(self, images: Tensor) -> Self:
        """Learn what there is to learn from images."""

    def encode(self, images: Tensor) -> NDArray[np.float32]:
        """The code of every image."""


class PCA:
    """The first d principal components of the pixels, each scaled to variance 1 over `fit`.

    A few thousand images are enough; randomised SVD (Halko et al. 2011), seeded by
    `training.seed`.
    """

    def __init__(self, config: Config) -> None:
        from sklearn import decomposition

        self.units = config.model.units
        self.components: Any = decomposition.PCA(
            self.units, whiten=True, svd_solver="randomized", random_state=config.training.seed
        )

    def fit(self, images: Tensor) -> Self:
        """Find the components.

        Raises:
            ValueError: fewer images or pixels than units.
        """
        flat = _flat(images)
        if min(flat.shape) < self.units:
            raise ValueError(
                f"{len(flat)} images of {flat.shape[1]} numbers have no {self.units} components; "
                f"give at least {self.units} images, or lower model.units"
            )
        self.components.fit(flat)
        return self

    def encode(self, images: Tensor) -> NDArray[np.float32]:
        parts = [self.components.transform(_flat(part)) for part in images.split(BATCH)]
        return np.concatenate(parts).astype(np.float32)


class RandomEncoder:
    """E_sem as it starts, from `training.seed`; its means are the code, and `fit` does nothing."""

    def __init__(self, config: Config) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.training.seed)
            self.encoder = build.semantic_encoder(config.model).eval()

    def fit(self, images: Tensor) -> Self:
        return self

    @torch.no_grad()
    def encode(self, images: Tensor) -> NDArray[np.float32]:
        parts = [self.encoder(part.float()).mean for part in images.split(BATCH)]
        return torch.cat(parts).numpy()


CONTROLS: dict[str, type[Control]] = {"pca": PCA, "random_encoder": RandomEncoder}


def _flat(images: Tensor) -> NDArray[np.float32]:
    return images.flatten(1).float().numpy()
