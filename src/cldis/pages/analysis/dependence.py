"""Which unit goes with which label, which labels go together, and what chance alone would give."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers, some
from cldis.pages.analysis.labels import Label
from cldis.pages.analysis.units import TENTHS, tenths

SEED = 0
PERMUTATIONS = 199
MAX_IMAGES = 10_000  # looked at; more would only sharpen the floor
LEVEL = 0.05


def cells_of(label: Label) -> tuple[Integers, int]:
    """A label as cells 0..k-1 (-1 unknown) and k: classes, or tenths of a number."""
    if label.kind == "category":
        return label.values.astype(np.int64), len(label.classes)
    cells = np.full(len(label.values), -1, np.int64)
    cells[label.known] = tenths(label.values[label.known])
    return cells, TENTHS


def unit_information(codes: Floats, label: Label) -> dict[str, Any]:
    """How much each unit says of a label, beyond chance.

    Mutual information by counting, units cut into tenths. Labels are shuffled `PERMUTATIONS`
    times: the mean of a unit's shuffled information, E, is chance, and the share of what there is
    beyond it is (I - E) / (H - E) with the label's entropy H (as in Vinh, Epps & Bailey 2010). The
    largest share over all units in each shuffle gives the floor and the p-values, which therefore
    hold for all units of the label together (Westfall & Young 1993, max-T).

    Args:
        codes: [n, u].
        label: of the same n images.

    Returns:
        `share` [u], 0..1; `floor`: what the largest share stays below in 95 % of shuffles; `p` [u];
        `images`: how many were looked at.
    """
    cells, count = cells_of(label)
    rows = np.flatnonzero(cells >= 0)
    rows = rows[some(len(rows), MAX_IMAGES, SEED)]
    cells = cells[rows]
    member = _one_hot(np.stack([tenths(unit) for unit in codes[rows].T], axis=1), TENTHS)
    units = codes.shape[1]

    def information(values: Integers) -> Floats:
        joint = member.T @ _one_hot(values[:, None], count)
        return _mutual(joint.reshape(units, TENTHS, count) / len(rows))

    generator = np.random.default_rng(SEED)
    observed = information(cells)
    shuffled = np.stack([information(generator.permutation(cells)) for _ in range(PERMUTATIONS)])
    bias = shuffled.mean(axis=0)
    room = np.maximum(_entropy(np.bincount(cells, minlength=count) / len(rows)) - bias, 1e-9)
    share = (observed - bias) / room
    largest = ((shuffled - bias) / room).max(axis=1)
    beyond = 1 + (largest[:, None] >= share[None] - 1e-12).sum(axis=0)
    return {
        "share": np.clip(share, 0, 1).tolist(),
        "floor": float(np.quantile(largest, 1 - LEVEL)),
        "p": (beyond / (PERMUTATIONS + 1)).tolist(),
        "images": len(rows),
    }


def association(a: Label, b: Label) -> dict[str, float]:
    """How far two labels go together: Cramer's V without its bias (Bergsma 2013), 0..1, and p.

    Numbers are cut into tenths. `p` is that of the chi-square test of independence. V is 0 where
    no image has both, or one of them does not vary there.
    """
    from scipy.stats import chi2

    first, r = cells_of(a)
    second, k = cells_of(b)
    both = (first >= 0) & (second >= 0)
    n = int(both.sum())
    if n == 0:
        return {"v": 0.0, "p": 1.0, "images": 0}
    joint = np.bincount(first[both] * k + second[both], minlength=r * k).reshape(r, k)
    joint = joint[joint.sum(axis=1) > 0][:, joint.sum(axis=0) > 0].astype(float)
    r, k = joint.shape
    if n < 2 or min(r, k) < 2:
        return {"v": 0.0, "p": 1.0, "images": n}
    expected = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0) / n
    statistic = float(((joint - expected) ** 2 / expected).sum())
    phi = max(0.0, statistic / n - (k - 1) * (r - 1) / (n - 1))
    smaller = min(k - (k - 1) ** 2 / (n - 1), r - (r - 1) ** 2 / (n - 1)) - 1
    v = min(1.0, (phi / smaller) ** 0.5) if smaller > 0 else 0.0
    return {"v": v, "p": float(chi2.sf(statistic, (r - 1) * (k - 1))), "images": n}


def holm(p_values: list[float]) -> list[float]:
    """p-values that hold for all tests together (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(order) - rank) * p_values[place]))
        adjusted[place] = largest
    return [float(value) for value in adjusted]


def _one_hot(cells: Integers, count: int) -> NDArray[np.float32]:
    n, columns = cells.shape
    member = np.zeros((n, columns * count), np.float32)
    for k in range(columns):
        member[np.arange(n), k * count + cells[:, k]] = 1
    return member


def _mutual(joint: Floats) -> Floats:
    """I in nats of joint probabilities [u, a, b], [u]."""
    joint = joint.astype(np.float64)
    return (
        _entropy(joint.sum(axis=2))
        + _entropy(joint.sum(axis=1))
        - _entropy(joint.reshape(len(joint), -1))
    )


def _entropy(shares: Floats) -> Any:
    safe = np.where(shares > 0, shares, 1.0)
    return -(shares * np.log(safe)).sum(axis=-1)
