"""The noise floor: what changes although the code does not.

The same code decoded from other x_T gives other pictures. The same measures, taken between those,
say how much change means nothing. A direction has to rise above that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.tracking.field import CELLS, change_field

QUANTISATION = 0.5  # grey levels: half a step of an 8-bit picture; the floor of exact decoders


class Floor:
    """Running mean and deviation of the energy between decodes of one code.

    `level` is, per entry of the energy descriptor, mean + standard deviation over all pairs seen,
    plus `QUANTISATION`. With no pair seen (a decoder without noise) it is `QUANTISATION`.
    """

    def __init__(self) -> None:
        self.count = 0
        self.sum = np.zeros(2 * CELLS**2)
        self.squares = np.zeros(2 * CELLS**2)

    def add(self, pictures: NDArray[np.float32], estimator: str = "farneback") -> None:
        """Pictures [m, H, W, 3] in grey levels, of one code; each against the first."""
        for other in pictures[1:]:
            pair = np.stack([pictures[0], other])
            energy = change_field(pair, 0, estimator).energy()[1].astype(np.float64)
            self.count += 1
            self.sum += energy
            self.squares += energy**2

    def level(self) -> NDArray[np.float64]:
        """[2 * CELLS^2] in grey levels."""
        if not self.count:
            return np.full(2 * CELLS**2, QUANTISATION)
        mean = self.sum / self.count
        deviation = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        return np.asarray(mean + deviation + QUANTISATION)
