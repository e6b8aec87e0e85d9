"""Mean mutual information of pairs of units, by histogram: 0 when no unit tells of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers
from cldis.metrics.information import BINS
from cldis.metrics.labelled import finite_codes, reduce_units


def pairwise_mutual_information(
    codes: NDArray[np.floating], bins: int = BINS, unit_size: int = 1
) -> dict[str, Any]:
    """Mean I(unit i; unit j) over pairs i < j of codes [n, d], in nats; low is good.

    Each unit is cut into `bins` bins of (nearly) equal counts, so that no rising or falling change
    of a unit's scale changes the score. The plug-in estimate of the histogram is lowered by its
    known bias (Miller 1955), and never goes below 0. Constant units are left out.

    Returns:
        `score` in [0, log(bins)] (0 with one unit), `information` [m, m] of the m units that vary,
        with their entropies on the diagonal, `units` their numbers, `bins`, `rows`.

    Raises:
        ValueError: codes that are no finite [n, d] with at least 10 rows, no unit that varies,
            fewer than 2 bins or more bins than rows.
    """
    data, kept = varying_units(codes, unit_size)
    information = information_of(cells(data, bins), bins)
    pairs = information[np.triu_indices(len(kept), k=1)]
    return {
        "score": float(pairs.mean()) if len(pairs) else 0.0,
        "information": information.tolist(),
        "units": kept,
        "bins": bins,
        "rows": len(data),
    }


def varying_units(codes: Any, unit_size: int = 1) -> tuple[Floats, list[int]]:
    """The units of checked codes that are not constant, [n, m], and their numbers.

    Raises:
        ValueError: codes that are no finite [n, d] with at least 10 rows, or none that varies.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or len(codes) < 10 or not codes.shape[1]:
        raise ValueError(
            f"codes have shape {list(codes.shape)}; expected [n, d] with at least 10 rows, one per "
            f"image, and at least one unit"
        )
    data = reduce_units(finite_codes(codes), unit_size)
    # A spread at the level of rounding is none.
    varies = data.std(axis=0) > 1e-7 * np.abs(data).max(axis=0)
    if not varies.any():
        raise ValueError(
            f"all {data.shape[1]} units are constant over {len(data)} rows; the code has "
            f"collapsed, or the images are all the same"
        )
    return data[:, varies], np.flatnonzero(varies).tolist()


def cells(data: Floats, bins: int) -> Integers:
    """The bin of every entry, [n, d]; bins of a unit hold equal counts as far as ties allow.

    Raises:
        ValueError: fewer than 2 bins, or more than rows.
    """
    if not 2 <= bins <= len(data):
        raise ValueError(
            f"{bins} bins do not fit {len(data)} rows; use 2 or more and at most one per row, "
            f"usually {BINS}"
        )
    edges = np.quantile(data, np.linspace(0, 1, bins + 1)[1:-1], axis=0)
    columns = [
        np.searchsorted(edge, unit, side="right")
        for edge, unit in zip(edges.T, data.T, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.int64)


def information_of(binned: Integers, bins: int) -> Floats:
    """I(unit; unit) in nats [d, d] from bins [n, d]; entropies on the diagonal.

    Both by counting, with Miller's correction: an entropy is raised by (cells in use - 1) / 2n.
    """
    single = [_entropy(column, bins) for column in binned.T]
    information = np.diag(single)
    for i in range(binned.shape[1]):
        for j in range(i):
            joint = _entropy(binned[:, i] * bins + binned[:, j], bins * bins)
            most = min(single[i], single[j])
            information[i, j] = information[j, i] = min(
                most, max(0.0, single[i] + single[j] - joint)
            )
    return information


def _entropy(numbers: Integers, values: int) -> float:
    counts = np.bincount(numbers, minlength=values)
    shares = counts[counts > 0] / len(numbers)
    return float(-np.sum(shares * np.log(shares)) + (len(shares) - 1) / (2 * len(numbers)))
