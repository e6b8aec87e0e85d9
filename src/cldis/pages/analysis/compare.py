"""Two collections seen through one code: which units shift, how far, and how surely."""

from __future__ import annotations

from typing import Any

import numpy as np

from cldis.arrays import Floats, some
from cldis.pages.analysis import probes
from cldis.pages.analysis.dependence import holm
from cldis.pages.analysis.labels import Label

SEED = 0
RESAMPLES = 1000
MAX_IMAGES = 5000  # per collection
LEVEL = 0.05


def shifts(a: Floats, b: Floats) -> list[dict[str, Any]]:
    """The shift of every unit from collection `a` [n, u] to `b` [m, u].

    Returns:
        Per column `d` (Cohen's d with the pooled standard deviation; positive: b is higher), its
        `low` and `high` (percentile bootstrap; intervals of all units hold together with 95 %
        by Bonferroni), `delta` (Cliff's delta: how much more often b is above a than below), `p`
        (Mann-Whitney test, for all units together by Holm's method), and `shifted` (p < .05).

    Raises:
        ValueError: fewer than 2 images in a collection.
    """
    from scipy.stats import mannwhitneyu

    if min(len(a), len(b)) < 2:
        raise ValueError("a shift needs at least 2 images in each collection")
    generator = np.random.default_rng(SEED)
    a, b = (part[some(len(part), MAX_IMAGES, generator)] for part in (a, b))
    units = a.shape[1]
    boots = cohen(_moments(a, generator), _moments(b, generator))  # [resamples, u]
    tail = LEVEL / units / 2
    low, high = np.quantile(boots, [tail, 1 - tail], axis=0)
    effect = cohen(_of(a), _of(b))[0]
    tests = [mannwhitneyu(b[:, k], a[:, k]) for k in range(units)]
    adjusted = holm([float(test.pvalue) for test in tests])
    return [
        {
            "d": float(effect[k]),
            "low": float(low[k]),
            "high": float(high[k]),
            "delta": 2 * float(tests[k].statistic) / (len(a) * len(b)) - 1,
            "p": adjusted[k],
            "shifted": adjusted[k] < LEVEL,
        }
        for k in range(units)
    ]


def told_apart(a: Floats, b: Floats) -> dict[str, Any]:
    """How well a linear probe tells which collection a code is of.

    Returns:
        The point of `probes.curves` with all labels: balanced accuracy (chance .5), `low`, `high`.

    Raises:
        ValueError: too few images.
    """
    both = np.concatenate([a, b])
    values = np.repeat(np.arange(2), [len(a), len(b)]).astype(np.int64)
    parts = probes.split(np.ones(len(both), bool))
    label = Label("collection", "category", values, ("first", "second"))
    return probes.curves(both[parts.images], label, parts)["linear"][-1]


def cohen(a: tuple[Any, Any, int], b: tuple[Any, Any, int]) -> Floats:
    """Cohen's d from (means, variances with n - 1, n) of two samples; 0 where nothing varies."""
    (mean_a, var_a, n), (mean_b, var_b, m) = a, b
    pooled = np.sqrt(((n - 1) * var_a + (m - 1) * var_b) / (n + m - 2))
    return np.where(pooled > 0, (mean_b - mean_a) / np.where(pooled > 0, pooled, 1), 0.0)


def _of(data: Floats) -> tuple[Floats, Floats, int]:
    data = data.astype(np.float64)
    return data.mean(axis=0)[None], data.var(axis=0, ddof=1)[None], len(data)


def _moments(data: Floats, generator: np.random.Generator) -> tuple[Floats, Floats, int]:
    """Means and variances of bootstrap samples, [resamples, u] each."""
    n = len(data)
    data = data.astype(np.float64)
    centre = data.mean(axis=0)
    data = data - centre  # squares of large numbers would drown small variances
    means, variances = np.empty((2, RESAMPLES, data.shape[1]))
    for k in range(RESAMPLES):
        counts = np.bincount(generator.integers(n, size=n), minlength=n).astype(np.float64)
        mean = counts @ data / n
        means[k] = mean
        variances[k] = np.maximum(counts @ data**2 / n - mean**2, 0) * n / (n - 1)
    return means + centre, variances, n
