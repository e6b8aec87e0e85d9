"""Total correlation of a code, as if it were Gaussian: 0 when no two units are correlated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.mutual_information import varying_units

SMALLEST = 1e-10  # eigenvalue of a correlation matrix; below, units repeat each other


def gaussian_total_correlation(codes: NDArray[np.floating], unit_size: int = 1) -> dict[str, Any]:
    """-1/2 log det R of the correlation matrix R of codes [n, d], in nats; low is good.

    The total correlation KL(q(z) || prod_i q(z_i)) (Watanabe 1960) of the Gaussian with the code's
    mean and covariance, as disentanglement_lib reports it (Locatello et al. 2019, appendix). It
    sees linear dependence only. Constant units are left out. Where units are linear combinations
    of others the true value is infinite; eigenvalues of R count as at least 1e-10, 11.5 nats each.

    Returns:
        `score` >= 0 in nats (0 with one unit), `units` (numbers of those that vary), `dependent`
        (eigenvalues that were raised), `rows`.

    Raises:
        ValueError: codes that are no finite [n, d] with at least 10 rows, no unit that varies, or
            not more rows than units.
    """
    data, kept = varying_units(codes, unit_size)
    if len(data) <= len(kept):
        raise ValueError(
            f"{len(data)} rows cannot tell the correlations of {len(kept)} units; give more rows "
            f"than units, ten times as many for a steady score"
        )
    scaled = (data - data.mean(axis=0)) / data.std(axis=0)
    values = np.linalg.eigvalsh(scaled.T @ scaled / len(scaled))
    low = values < SMALLEST
    return {
        "score": max(0.0, float(-0.5 * np.log(np.where(low, SMALLEST, values)).sum())),
        "units": kept,
        "dependent": int(low.sum()),
        "rows": len(data),
    }
