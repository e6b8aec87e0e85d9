"""SAP: separated attribute predictability (Kumar et al. 2018, section 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.metrics.information import gaps
from cldis.metrics.labelled import Floats, Integers, Labelled, labelled

COST = 0.01  # C of the support vector machine, as in disentanglement_lib
STEPS = 100


def sap(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    train: int = 10_000,
    test: int = 5_000,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """How much better the best single unit predicts each factor than the second best does.

    The predictor is a linear support vector machine on one unit, one value against the rest, with
    squared hinge loss, balanced classes and C = .01, as in disentanglement_lib. As C is fixed, the
    score depends a little on the scale of the codes.

    Args:
        train, test: rows at most, drawn at random; fewer rows are shared in the same ratio.

    Returns:
        `score` in [0, 1], the mean over factors; `accuracy` [d, k] on the test rows, `train`,
        `test`. With one unit the second best counts as 0.

    Raises:
        ValueError: as `labelled`.
    """
    return sap_of(*labelled(codes, factors, unit_size).split(train, test, seed))


def sap_of(fit_on: Labelled, check_on: Labelled) -> dict[str, Any]:
    """`sap` of data that is checked and split."""
    accuracy = np.array(
        [
            [
                np.mean(_predict(unit, labels, size, unseen) == truth)
                for labels, truth, size in zip(
                    fit_on.factors.T, check_on.factors.T, fit_on.sizes, strict=True
                )
            ]
            for unit, unseen in zip(fit_on.codes.T, check_on.codes.T, strict=True)
        ]
    )
    return {
        "score": float(gaps(accuracy).mean()),
        "accuracy": accuracy.tolist(),
        "train": len(fit_on.codes),
        "test": len(check_on.codes),
    }


def _predict(unit: Floats, labels: Integers, size: int, unseen: Floats) -> Integers:
    """Factor values of the `unseen` numbers [m] by machines fitted to `unit` and `labels` [n]."""
    counts = np.bincount(labels, minlength=size)
    present = np.flatnonzero(counts)
    cost = COST * len(labels) / (len(present) * counts[present])
    if len(present) < 2:
        return np.full(len(unseen), present[0])
    if len(present) == 2:  # one machine; both sides are weighted
        w, b = _machines(unit, labels == present[1:, None], cost[1:], cost[:1])
        return np.where(w * unseen + b > 0, present[1], present[0])
    others = np.full(len(present), COST)  # liblinear weighs the one value, not the rest
    w, b = _machines(unit, labels == present[:, None], cost, others)
    found: Integers = present[np.argmax(w[:, None] * unseen + b[:, None], axis=0)]
    return found


def _machines(
    unit: Floats, positive: NDArray[np.bool_], gain: Floats, loss: Floats
) -> tuple[Floats, Floats]:
    """Slopes and intercepts [m] of m machines on one unit; positive [m, n], costs [m].

    Minimises (w^2 + b^2) / 2 + sum of cost * max(0, 1 - y (w z + b))^2. In one dimension the rows
    inside the margin are a run of the sorted unit, so their moments are differences of running
    sums, and a Newton step costs a look-up.
    """
    order = np.argsort(unit)
    z = unit[order]
    powers = np.stack([np.ones_like(z), z, z * z])  # [3, n]
    mine = _running(powers[:, None] * positive[:, order])  # [3, m, n + 1]
    rest = _running(powers[:, None] * ~positive[:, order])
    points = np.zeros((2, len(positive)))
    value, slope, curve = _objective(points, z, mine, rest, gain, loss)
    for _ in range(STEPS):
        (ww, wb), (_, bb) = curve
        step = np.stack([bb * slope[0] - wb * slope[1], ww * slope[1] - wb * slope[0]])
        step /= ww * bb - wb * wb
        length = np.ones(len(positive))
        for _ in range(30):
            new = _objective(points - length * step, z, mine, rest, gain, loss)
            worse = new[0] > value
            if not worse.any():
                break
            length = np.where(worse, length / 2, length)
        points = np.where(worse, points, points - length * step)
        if np.max(np.abs(length * step)) < 1e-10 * (1 + np.abs(points).max()) or worse.all():
            break
        value, slope, curve = _objective(points, z, mine, rest, gain, loss)
    return points[0], points[1]


def _running(columns: Floats) -> Floats:
    """Running sums [..., n + 1], from 0."""
    sums = np.cumsum(columns, axis=-1)
    return np.concatenate([np.zeros((*sums.shape[:-1], 1)), sums], axis=-1)


def _objective(
    points: Floats, z: Floats, mine: Floats, rest: Floats, gain: Floats, loss: Floats
) -> tuple[Floats, Floats, Floats]:
    """Value [m], gradient [2, m] and Hessian [2, 2, m] at (w, b)."""
    w, b = points
    value = (w * w + b * b) / 2
    slope = points.copy()
    curve = np.zeros((2, 2, len(w)))
    curve[0, 0] = curve[1, 1] = 1
    for sums, cost, sign in ((mine, gain, 1.0), (rest, loss, -1.0)):
        n0, n1, n2 = cost * _inside(sums, z, sign * w, sign * b)
        u, v = 1 - sign * b, sign * w  # the margin is u - v z
        value = value + u * u * n0 - 2 * u * v * n1 + v * v * n2
        slope += 2 * sign * np.stack([v * n2 - u * n1, v * n1 - u * n0])
        curve += 2 * np.stack([np.stack([n2, n1]), np.stack([n1, n0])])
    return value, slope, curve


def _inside(sums: Floats, z: Floats, w: Floats, b: Floats) -> Floats:
    """Moments [3, m] of the rows with w z + b < 1."""
    flat = w == 0
    where = np.divide(1 - b, w, out=np.where(b < 1, np.inf, -np.inf), where=~flat)
    below = np.take_along_axis(sums, np.searchsorted(z, where)[None, :, None], axis=2)[..., 0]
    return np.where((w > 0) | flat, below, sums[..., -1] - below)
