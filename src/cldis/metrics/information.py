"""Mutual information between units and factors, as MIG, modularity and InfoMEC need it."""

from __future__ import annotations

import numpy as np

from cldis.arrays import Floats, Integers
from cldis.metrics.labelled import Labelled

BINS = 20  # of equal width: the protocol of disentanglement_lib
NEIGHBOURS = 10  # of the nearest-neighbour estimate: the protocol of InfoMEC


def binned_information(data: Labelled, bins: int = BINS) -> Floats:
    """I(unit; factor) in nats [d, k], units cut into `bins` bins of equal width.

    The plug-in estimate: it is above zero even for noise, by about (bins - 1)(values - 1) / 2n.
    A constant unit has exactly 0.
    """
    information = np.zeros((data.codes.shape[1], len(data.sizes)))
    for i, unit in enumerate(data.codes.T):
        low, top = unit.min(), unit.max()
        if low == top:
            continue
        cells = np.searchsorted(np.linspace(low, top, bins + 1)[1:-1], unit, side="right")
        for j, size in enumerate(data.sizes):
            joint = np.bincount(cells * size + data.factors[:, j], minlength=bins * size)
            information[i, j] = _information(joint.reshape(bins, size) / len(unit))
    return information


def entropies(data: Labelled) -> Floats:
    """H(factor) in nats [k]; above zero, as every factor has at least two values."""
    shares = [np.bincount(column) / len(column) for column in data.factors.T]
    return np.array([-np.sum(p[p > 0] * np.log(p[p > 0])) for p in shares])


def gaps(matrix: Floats) -> Floats:
    """Largest minus second largest per column, [columns]; a lone row has 0 for runner-up."""
    ranked = np.sort(matrix, axis=0)
    return ranked[-1] - (ranked[-2] if len(ranked) > 1 else 0.0)


def nearest_information(data: Labelled, seed: int, neighbours: int = NEIGHBOURS) -> Floats:
    """I(unit; factor) in nats [d, k] by nearest neighbours (Ross 2014), at least 0.

    psi(n) + <psi(k)> - <psi(n_y)> - <psi(m)>: for each row, m counts the rows that lie closer in
    the unit than the k-th neighbour among rows of the same factor value. Ties are broken by noise
    of 1e-10, and values with one row are left out, as in scikit-learn's `mutual_info_classif`. That
    gives the same to 1e-6 in ten times the time: 1.1 s against .1 s for 10,000 rows of 8 units.
    """
    rng = np.random.default_rng([seed, 3])
    information = np.zeros((data.codes.shape[1], len(data.sizes)))
    for i, unit in enumerate(data.codes.T):
        spread = unit.std()
        if spread <= 1e-12 * np.abs(unit).max():
            continue  # constant
        scaled = unit / spread
        scaled += 1e-10 * max(1.0, np.abs(scaled).mean()) * rng.standard_normal(len(unit))
        for j, size in enumerate(data.sizes):
            information[i, j] = _ross(scaled, data.factors[:, j], size, neighbours)
    return information


def _ross(unit: Floats, labels: Integers, size: int, neighbours: int) -> float:
    from scipy.special import digamma

    centres, radii, near, rows = [], [], [], []
    for value in range(size):
        own = np.sort(unit[labels == value])
        if len(own) < 2:
            continue
        k = min(neighbours, len(own) - 1)
        centres.append(own)
        radii.append(_distance(own, k))
        near.append(np.full(len(own), k))
        rows.append(np.full(len(own), len(own)))
    if not centres:
        return 0.0
    centre, radius = np.concatenate(centres), np.concatenate(radii)
    everyone = np.sort(centre)
    # The k-th neighbour itself is not closer, and rounding must not bring it in.
    radius -= 4 * np.spacing(np.abs(centre) + radius)
    inside = np.searchsorted(everyone, centre + radius, side="right")
    inside -= np.searchsorted(everyone, centre - radius, side="left")
    terms = digamma(np.concatenate(near)) - digamma(np.concatenate(rows))
    estimate = digamma(len(centre)) + np.mean(terms - digamma(np.maximum(inside, 1)))
    return max(0.0, float(estimate))


def _distance(ordered: Floats, k: int) -> Floats:
    """Distance of each of ascending numbers to its k-th nearest among the others.

    Itself and the k nearest are a window of k + 1 neighbours in a row; the best window counts.
    """
    n = len(ordered)
    best = np.full(n, np.inf)
    for before in range(k + 1):
        first = np.arange(before, n - k + before)  # rows with that many on their left
        left = ordered[first] - ordered[first - before]
        right = ordered[first - before + k] - ordered[first]
        best[first] = np.minimum(best[first], np.maximum(left, right))
    return best


def _information(joint: Floats) -> float:
    """Mutual information in nats of a joint distribution [a, b]."""
    independent = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0)
    held = joint > 0
    return max(0.0, float(np.sum(joint[held] * np.log(joint[held] / independent[held]))))
