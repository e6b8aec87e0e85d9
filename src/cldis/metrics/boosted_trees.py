"""Gradient-boosted trees on binned units: the estimator of DCI, for all classes at once.

The recipe of scikit-learn's `GradientBoostingClassifier` at its defaults, which the field's DCI
uses: 100 rounds, rate .1, depth 3, one tree per class and round on the residual y - p (Friedman
2001, algorithm 6), squared-error gain, Newton values in the leaves. Two things differ: units are
cut at up to 127 places, and all trees of a round grow together. Their histograms are one sparse
product (bins by rows) times (rows by trees), and only right children are summed: a left child is
its parent minus its sibling. scikit-learn needs 127 seconds for what takes 5 here
(results/metric_speed.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers

ROUNDS = 100
RATE = 0.1
DEPTH = 3
NODES = 2**DEPTH - 1  # inner nodes of a tree, root first, level by level
LEAVES = 2**DEPTH
BINS = 128
BLOCK = 16  # classes grown together: bounds the memory

Bytes = NDArray[np.uint8]
Singles = NDArray[np.float32]


@dataclass(frozen=True)
class BoostedTrees:
    """A fitted ensemble. `unit`, `cut` and `value` are [rounds, trees, ...]."""

    edges: list[Floats]  # per unit, ascending; bin = how many edges lie below
    start: Floats  # [trees], log prior (two classes: log odds)
    unit: Integers  # [rounds, trees, NODES]
    cut: Integers  # rows in a bin above it go right
    value: Floats  # [rounds, trees, LEAVES]
    importance: Floats  # [d], sum 1, or all 0 when no split helped
    train_accuracy: float

    def predict(self, codes: Floats) -> Integers:
        """Most likely class of each row, [n]."""
        bins = _binned(codes, self.edges)
        rows = np.arange(len(codes))
        trees = np.arange(len(self.start))[:, None]
        scores = np.repeat(self.start[:, None], len(codes), axis=1)
        for unit, cut, value in zip(self.unit, self.cut, self.value, strict=True):
            place = np.zeros(scores.shape, np.int64)  # within its level
            for level in range(DEPTH):
                node = place + 2**level - 1
                place = 2 * place + (bins[unit[trees, node], rows] > cut[trees, node])
            scores += RATE * value[trees, place]
        return _classes(scores)


def fit_boosted_trees(
    codes: Floats, labels: Integers, classes: int, rounds: int = ROUNDS
) -> BoostedTrees:
    """Fit codes [n, d] to labels [n] in [0, classes), each of which occurs.

    Deterministic: there is nothing random in it.
    """
    counts = np.bincount(labels, minlength=classes)
    assert len(counts) == classes and counts.min() > 0, counts
    edges = [_edges(unit) for unit in codes.T]
    bins = _binned(codes, edges)
    grower = _Grower(bins)
    trees = 1 if classes == 2 else classes
    prior = np.log(counts / len(labels))
    start = prior[1:] - prior[:1] if trees == 1 else prior
    truth = (labels == np.arange(classes)[:, None])[-trees:]  # [trees, n]
    scores = np.repeat(start[:, None], len(labels), axis=1)
    size = 1.0 if trees == 1 else (classes - 1) / classes  # of a Newton step (Friedman, eq. 34)
    ensemble: list[list[NDArray[Any]]] = [[], [], []]  # unit, cut and value of each round
    for _ in range(rounds):
        share = _shares(scores)
        residual = truth - share
        unit, cut, leaf = grower.grow(residual.astype(np.float32))
        slot = (leaf + LEAVES * np.arange(trees)[:, None]).ravel()
        top = np.bincount(slot, residual.ravel(), trees * LEAVES)
        curve = np.bincount(slot, (share * (1 - share)).ravel(), trees * LEAVES)
        value = np.divide(top, curve, out=np.zeros_like(top), where=curve > 1e-150)
        value = (value * size).reshape(trees, LEAVES)
        scores += RATE * np.take_along_axis(value, leaf.astype(np.int64), axis=1)
        for rows, new in zip(ensemble, (unit, cut, value), strict=True):
            rows.append(new)
    units, cuts, values = (np.stack(rows) for rows in ensemble)
    total = grower.gains.sum()
    return BoostedTrees(
        edges,
        start,
        units,
        cuts,
        values,
        importance=grower.gains / total if total > 0 else grower.gains,
        train_accuracy=float(np.mean(_classes(scores) == labels)),
    )


class _Grower:
    """Grows one tree per class on rows binned once; sums up what each unit gained."""

    def __init__(self, bins: Bytes) -> None:
        from scipy.sparse import csr_array

        self.bins = bins  # [d, n]
        units, n = bins.shape
        flat = bins + BINS * np.arange(units)[:, None]
        order = np.argsort(flat, axis=1, kind="stable").ravel()
        counts = np.bincount(flat.ravel(), minlength=units * BINS)
        bounds = np.concatenate([[0], np.cumsum(counts)])
        ones = np.ones(units * n, np.float32)
        self.sums = csr_array((ones, order, bounds), shape=(units * BINS, n))
        self.counts = counts.astype(np.float32).reshape(units, BINS, 1)
        self.gains = np.zeros(units)

    def grow(self, residual: Singles) -> tuple[Integers, Integers, Bytes]:
        """Units and cuts [trees, NODES] and the leaf of each row [trees, n]."""
        parts = [
            self._grow(residual[first : first + BLOCK]) for first in range(0, len(residual), BLOCK)
        ]
        unit, cut, leaf = (np.concatenate(column) for column in zip(*parts, strict=True))
        return unit, cut, leaf

    def _grow(self, residual: Singles) -> tuple[Integers, Integers, Bytes]:
        trees, n = residual.shape
        unit = np.zeros((trees, NODES), np.int64)
        cut = np.full((trees, NODES), BINS - 1)
        leaf = np.zeros((trees, n), np.uint8)
        member = np.ones((trees, 1, n), bool)
        sums = self._histogram(residual.T)[:, :, :, None]  # [d, BINS, trees, nodes]
        counts = np.broadcast_to(self.counts[..., None], sums.shape)
        for level in range(DEPTH):
            nodes = slice(2**level - 1, 2 ** (level + 1) - 1)
            unit[:, nodes], cut[:, nodes] = self._best(sums, counts)
            right = self.bins[unit[:, nodes]] > cut[:, nodes, None].astype(np.uint8)
            right &= member
            leaf = 2 * leaf + right.any(axis=1)
            if level == DEPTH - 1:
                break
            chosen = right.reshape(-1, n).T.astype(np.float32)  # [n, trees * nodes]
            below = self._histogram(chosen * np.repeat(residual.T, 2**level, axis=1))
            few = self._histogram(chosen)
            sums, counts = (
                np.stack([whole - part, part], axis=-1).reshape(*whole.shape[:3], -1)
                for whole, part in (
                    (sums, below.reshape(sums.shape)),
                    (counts, few.reshape(counts.shape)),
                )
            )
            member = np.stack([member & ~right, right], axis=2).reshape(trees, -1, n)
        return unit, cut, leaf

    def _histogram(self, columns: Singles) -> Singles:
        """Sums of [n, columns] per unit and bin, [d, BINS, columns]."""
        summed: Singles = self.sums @ np.ascontiguousarray(columns)
        return summed.reshape(len(self.bins), BINS, -1)

    def _best(self, sums: Singles, counts: Singles) -> tuple[Integers, Integers]:
        """Unit and cut of most gain per tree and node; nodes that cannot split send all left."""
        left, held = np.cumsum(sums, axis=1), np.cumsum(counts, axis=1)
        whole, all_held = left[:1, -1:].copy(), held[:1, -1:].copy()
        rest, other = whole - left, all_held - held
        empty = (held < 1) | (other < 1)
        for part, rows in ((left, held), (rest, other)):
            part *= part
            part /= np.maximum(rows, 1, out=rows)
        gain = np.add(left, rest, out=left)
        gain[empty] = -1
        flat = gain.reshape(-1, *gain.shape[2:])
        best = flat.argmax(axis=0)
        gained = np.take_along_axis(flat, best[None], axis=0)[0]
        splits = gained >= 0
        gained = gained - (whole * whole / np.maximum(all_held, 1))[0, 0]
        unit, cut = np.divmod(best, BINS)
        np.add.at(self.gains, unit[splits], np.maximum(gained[splits], 0))
        return unit, np.where(splits, cut, BINS - 1)


def _edges(values: Floats) -> Floats:
    """Where to cut: between all values, or once in each of BINS - 1 groups of equal size.

    Within a group the cut goes into the widest gap, so that clusters are not cut in two.
    """
    distinct = np.unique(values)
    between = (distinct[1:] + distinct[:-1]) / 2
    if len(distinct) <= BINS:
        return between
    gaps = np.diff(distinct)
    bounds = np.linspace(0, len(gaps), BINS).astype(np.int64)
    widest = [low + gaps[low:top].argmax() for low, top in zip(bounds, bounds[1:], strict=False)]
    return between[widest]


def _binned(codes: Floats, edges: list[Floats]) -> Bytes:
    """[d, n]: how many edges of its unit lie below each value."""
    columns = [np.searchsorted(e, unit) for e, unit in zip(edges, codes.T, strict=True)]
    return np.stack(columns).astype(np.uint8)


def _shares(scores: Floats) -> Floats:
    """Probabilities from scores [trees, n]; one tree is the log odds of class 1."""
    if len(scores) == 1:
        return 1 / (1 + np.exp(-scores))
    powers = np.exp(scores - scores.max(axis=0))
    return powers / powers.sum(axis=0)


def _classes(scores: Floats) -> Integers:
    return (scores[0] > 0).astype(np.int64) if len(scores) == 1 else scores.argmax(axis=0)
