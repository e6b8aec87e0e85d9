"""InfoMEC: modularity, compactness and explicitness by information (Hsu et al. 2023)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.information import NEIGHBOURS, entropies, nearest_information
from cldis.metrics.labelled import Labelled, labelled
from cldis.metrics.logistic import fit, standardised

ACTIVE_RANGE = 1 / 20  # of the widest unit's range


def infomec(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    rows: int = 10_000,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """InfoM, InfoC and InfoE of continuous codes, section 4 of the paper.

    From NMI, the mutual information by 10 nearest neighbours over the factor's entropy: InfoM is
    the mean over active units of the largest share one factor has in what the unit knows, rescaled
    so that an even spread is 0; InfoC the same over factors and active units. InfoE is the share of
    each factor's entropy that a logistic regression without penalty and with balanced classes
    explains on the rows it was fitted to. Units whose range is below 1/20 of the widest are not
    active.

    Args:
        rows: at most as many are used, drawn at random.

    Returns:
        `modularity` (InfoM), `compactness` (InfoC) and `explicitness` (InfoE), at most 1, where 0
        is chance; `active_units`, `rows`, `nmi` [d, k]. A unit or factor without information counts
        as an even spread. With one factor modularity is 0, with one active unit compactness is 0.
        InfoE can fall below 0 when classes are very uneven.

    Raises:
        ValueError: as `labelled`.
    """
    return infomec_of(labelled(codes, factors, unit_size).split(rows, 0, seed)[0], seed)


def infomec_of(data: Labelled, seed: int) -> dict[str, Any]:
    """`infomec` of checked data, on all rows."""
    nmi = nearest_information(data, seed) / entropies(data)
    reach = np.ptp(data.codes, axis=0)
    active = reach > reach.max() * ACTIVE_RANGE
    units = standardised(data.codes, data.codes)
    known = [_explained(units, column) for column in data.factors.T]
    return {
        "modularity": _preference(nmi[active]),
        "compactness": _preference(nmi[active].T),
        "explicitness": float(np.mean(known)),
        "active_units": int(active.sum()),
        "rows": len(units),
        "estimator": f"{NEIGHBOURS} nearest neighbours (Ross 2014), logistic regression",
        "nmi": nmi.tolist(),
    }


def _preference(nmi: Floats) -> float:
    """Mean over rows of the largest share, rescaled so that an even spread is 0."""
    if not len(nmi) or nmi.shape[1] < 2:
        return 0.0
    total = nmi.sum(axis=1)
    even = 1 / nmi.shape[1]
    share = np.divide(nmi.max(axis=1), total, out=np.full(len(nmi), even), where=total > 0)
    return float((share.mean() - even) / (1 - even))


def _explained(units: Floats, factor: NDArray[np.int64]) -> float:
    """1 - cross entropy / log(values): balanced classes make chance log(values)."""
    values, labels = np.unique(factor, return_inverse=True)
    if len(values) < 2:
        return 0.0
    chances = fit(units, labels, cost=np.inf, balanced=True).predict_proba(units)
    mine = np.maximum(chances[np.arange(len(labels)), labels], np.finfo(float).eps)
    return float(1 + np.mean(np.log(mine)) / np.log(len(values)))
