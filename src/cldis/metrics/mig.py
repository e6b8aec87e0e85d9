"""MIG: the mutual information gap (Chen et al. 2018, eq. 6)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.information import BINS, binned_information, entropies, gaps
from cldis.metrics.labelled import Labelled, labelled


def mig(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    bins: int = BINS,
    unit_size: int = 1,
) -> dict[str, Any]:
    """How far the best unit of each factor is ahead of the second best, in shares of the entropy.

    Units are cut into bins of equal width, as in disentanglement_lib, which uses 20 bins and
    10,000 rows. All rows given are used.

    Returns:
        `score` in [0, 1], the mean of `gap` per factor; `bins`, `rows`. A constant unit holds 0
        nats; with one unit the second best counts as 0.

    Raises:
        ValueError: as `labelled`, or fewer than 2 bins.
    """
    if bins < 2:
        raise ValueError(
            f"MIG with {bins} bins tells no values apart; use 2 or more, usually {BINS}"
        )
    return mig_of(labelled(codes, factors, unit_size), bins)


def mig_of(data: Labelled, bins: int = BINS) -> dict[str, Any]:
    """`mig` of checked data."""
    gap = gaps(binned_information(data, bins)) / entropies(data)
    return {"score": float(gap.mean()), "gap": gap.tolist(), "bins": bins, "rows": len(data.codes)}
