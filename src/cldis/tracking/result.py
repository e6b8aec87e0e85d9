"""What content tracking of a model gives: scores, the sums behind them, pictures to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.tracking.sums import TrackingSums
from cldis.navigation.directions import Directions


@dataclass(frozen=True)
class Tracking:
    """Scores, the sums they were made from, and traversals to look at."""

    scores: dict[str, Any]
    sums: TrackingSums
    directions: Directions
    samples: NDArray[np.uint8]  # [a few images, K, J, H, W, 3]
    curves: NDArray[np.float32]  # [up to 16 images, K, J]: `ImageChanges.curve`
