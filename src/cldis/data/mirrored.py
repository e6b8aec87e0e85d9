"""The images of another source, left and right exchanged."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.data.source import ImageSource


@dataclass(frozen=True)
class Mirrored:
    """What an encoder is asked for besides the images themselves; not a whole `ImageSource`, as
    labels need not hold for mirrored images."""

    source: ImageSource

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"mirrored {self.source.fingerprint}".encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """Images [n, 3, H, W], as `ImageSource.batch`."""
        return np.ascontiguousarray(self.source.batch(indices)[..., ::-1])

    def label(self, index: int) -> str:
        return self.source.label(index)
