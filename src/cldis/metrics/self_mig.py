"""Self-MIG: the mutual information gap with a code's own units in the place of factors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.information import BINS
from cldis.metrics.mutual_information import cells, information_of, varying_units


def self_mig(codes: NDArray[np.floating], bins: int = BINS, unit_size: int = 1) -> dict[str, Any]:
    """How far each unit is ahead of the next in telling its own value; high is good.

    MIG (Chen et al. 2018, eq. 6) asks, per factor, how far the best unit is ahead of the second
    best. Without factors, each unit's own binned value v_i stands for one: the best unit is i
    itself, with I(z_i; v_i) = H(v_i), and

        gap_i = (H(v_i) - max_{j != i} I(z_j; v_i)) / H(v_i).

    This definition is ours. It falls when units repeat each other and cannot see a rotation of
    independent Gaussian units. Bins and estimate are those of `pairwise_mutual_information`.
    Constant units are left out.

    Returns:
        `score` in [0, 1], the mean of `gap` per unit that varies (1 with one such unit); `units`
        their numbers, `bins`, `rows`.

    Raises:
        ValueError: as `pairwise_mutual_information`.
    """
    data, kept = varying_units(codes, unit_size)
    information = information_of(cells(data, bins), bins)
    own = np.diag(information).copy()
    np.fill_diagonal(information, 0.0)
    # A unit of which nearly all values are one may have a single bin, and nothing to repeat.
    gap = 1 - information.max(axis=0) / np.where(own > 0, own, 1.0)
    return {
        "score": float(gap.mean()),
        "gap": gap.tolist(),
        "units": kept,
        "bins": bins,
        "rows": len(data),
    }
