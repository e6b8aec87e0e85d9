"""TAD: total AUROC difference, for binary attributes (Yeats et al. 2022, NashAE)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.information import binned_information, entropies, gaps
from cldis.metrics.labelled import Labelled, labelled
from cldis.metrics.logistic import auroc

CAPTURED = 0.75  # least AUROC of an attribute's best unit
REDUNDANT = 0.2  # most of an attribute's entropy that another attribute may explain


def tad(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    unit_size: int = 1,
) -> dict[str, Any]:
    """Sum over captured attributes of how far the best unit is ahead of the second best.

    Each unit, in either direction, is a detector of each attribute, and is judged by its area
    under the ROC curve. An attribute is captured when its best unit reaches .75. Attributes of
    whose entropy another one explains more than .2 are left out. The published code integrates the
    ROC curve in 101 steps over the unit's range and leaves out units with a range below .2; areas
    here are exact and free of scale.

    Args:
        codes: float [n, d].
        factors: attributes [n, k], two values each. CelebA has 40.

    Returns:
        `score` >= 0, `captured` (how many attributes it sums over), `auroc` [d, k] in [.5, 1],
        `redundant` (attributes left out), `rows`. With one unit the second best is chance, .5.

    Raises:
        ValueError: as `labelled`, or an attribute with more than two values.
    """
    data = labelled(codes, factors, unit_size)
    if max(data.sizes) > 2:
        wide = int(np.argmax(data.sizes))
        raise ValueError(
            f"attribute {wide} has {data.sizes[wide]} values but TAD is for attributes with two; "
            f"give 0 and 1, or use DCI"
        )
    area = auroc(data.codes, data.factors.astype(bool))
    area = np.maximum(area, 1 - area)
    best = area.max(axis=0)
    ahead = gaps(area) if len(area) > 1 else best - 0.5
    as_codes = Labelled(data.factors.astype(np.float64), data.factors, data.sizes)
    shared = binned_information(as_codes, bins=2)
    np.fill_diagonal(shared, 0)
    redundant = shared.max(axis=0) / entropies(data) > REDUNDANT
    counted = (best >= CAPTURED) & ~redundant
    return {
        "score": float(ahead[counted].sum()),
        "captured": int(counted.sum()),
        "redundant": int(redundant.sum()),
        "auroc": area.tolist(),
        "rows": len(data.codes),
    }
