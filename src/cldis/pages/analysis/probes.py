"""How well labels are read from a code: linear and nearest-neighbour probes, few-label curves.

Every code is judged alike: the same test images, the same draws of labelled images, columns scaled
by one rule on the unlabelled training pool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers
from cldis.pages.analysis.labels import Label

SEED = 0
SIZES = (10, 50, 100)
DRAWS = 10
TEST_SHARE, MAX_TEST, MAX_POOL = 0.3, 2000, 4000
MIN_LABELLED = 30
FAINT = 0.1
NEIGHBOURS, NEIGHBOURS_FROM = 5, 50  # 1 neighbour with fewer labelled images
ALPHAS = tuple(10.0**power for power in range(-4, 4))
RESAMPLES = 1000
PROBES = ("linear", "knn")
SETTINGS = {
    "linear": (
        "ridge regression on one-hot classes (balanced class weights) or on the number, strength "
        "chosen by leave-one-out among 1e-4 .. 1e3"
    ),
    "knn": (
        f"k nearest neighbours by Euclidean distance, votes weighted by 1 / distance and by "
        f"1 / images of the class; k = {NEIGHBOURS}, or 1 with fewer than {NEIGHBOURS_FROM} "
        f"labelled images"
    ),
    "score": "balanced accuracy (mean over classes of the share found) for classes, R2 for numbers",
    "test": f"{TEST_SHARE:.0%} of the labelled images, at most {MAX_TEST}, drawn once, seed {SEED}",
    "pool": f"the other labelled images, at most {MAX_POOL}; labelled images are drawn from it",
    "draws": (
        f"{DRAWS} draws of 10, 50 and 100 labelled images, classes as equal as possible, the same "
        f"for every code; mean and Student's 95 % interval over draws. With all labels: one fit, "
        f"95 % interval by {RESAMPLES} bootstrap samples of the test images"
    ),
    "scaling": (
        f"columns centred and divided by their standard deviation over the pool, or by {FAINT:g} "
        f"of the largest one where that is more, so that dead units are not blown up to noise; "
        f"pixels all by one number, since they have a unit in common"
    ),
}


@dataclass(frozen=True)
class Split:
    """Numbers of images that probes are fitted on and tested on; disjoint."""

    pool: Integers
    test: Integers

    @property
    def images(self) -> Integers:
        return np.concatenate([self.pool, self.test])


def split(known: NDArray[np.bool_]) -> Split:
    """The fixed split of the images that have any label."""
    order = np.random.default_rng(SEED).permutation(np.flatnonzero(known)).astype(np.int64)
    tested = min(MAX_TEST, round(TEST_SHARE * len(order)))
    return Split(np.sort(order[tested : tested + MAX_POOL]), np.sort(order[:tested]))


def curves(
    code: Floats, label: Label, parts: Split, one_scale: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """Few-label curves of one code and label by each of `PROBES`.

    Args:
        code: [len(parts.images), d], in that order.
        label: of all images.
        parts: which images are pool and test.
        one_scale: see `rescaled`.

    Returns:
        Per probe a list of points: `labels` (images with a label), `score`, `low`, `high` (95 %),
        `draws`.

    Raises:
        ValueError: fewer than `MIN_LABELLED` images with this label, or a class that the pool or
            the test images lack.
    """
    cut = len(parts.pool)
    scaled = rescaled(code, cut, one_scale)
    values, known = label.values[parts.images], label.known[parts.images]
    train = np.flatnonzero(known[:cut])
    test = cut + np.flatnonzero(known[cut:])
    if len(train) + len(test) < MIN_LABELLED:
        raise ValueError(
            f"{label.name}: {len(train) + len(test)} labelled images are too few to fit and test a "
            f"probe; {MIN_LABELLED} are needed"
        )
    if label.kind == "category":
        lacking = set(range(len(label.classes))) - (
            set(values[train].tolist()) & set(values[test].tolist())
        )
        if lacking:
            raise ValueError(
                f"{label.name}: class {label.classes[min(lacking)]} is too rare to be in both the "
                f"training and the test images"
            )
    elif np.ptp(values[test]) == 0 or np.ptp(values[train]) == 0:
        raise ValueError(f"{label.name}: all training or all test images have the same value")
    x, y, x_test, y_test = scaled[train], values[train], scaled[test], values[test]
    return {probe: _curve(probe, label, x, y, x_test, y_test) for probe in PROBES}


def _curve(
    probe: str, label: Label, x: Floats, y: Any, x_test: Floats, y_test: Any
) -> list[dict[str, Any]]:
    category = label.kind == "category"
    points = []
    for size in SIZES:
        if size >= len(y) or (category and size < len(label.classes)):
            continue
        scores = []
        for draw in range(DRAWS):
            chosen = drawn(y, size, np.random.default_rng([SEED, size, draw]), category)
            guess = _predict(probe, category, x[chosen], y[chosen], x_test)
            scores.append(score(guess, y_test, category))
        points.append({"labels": size, **_over_draws(scores), "draws": DRAWS})
    guess = _predict(probe, category, x, y, x_test)
    points.append({"labels": len(y), **_over_tests(guess, y_test, category), "draws": 1})
    return points


def drawn(y: Any, size: int, generator: np.random.Generator, category: bool) -> Integers:
    """Places of `size` labelled images; of classes, as equally many as there are."""
    order = generator.permutation(len(y))
    if not category:
        return order[:size].astype(np.int64)
    # The k-th image of each class comes before the (k+1)-th of any.
    seen: dict[int, int] = {}
    rank = np.empty(len(y), np.int64)
    for place in order:
        rank[place] = seen.get(int(y[place]), 0)
        seen[int(y[place])] = int(rank[place]) + 1
    return order[np.argsort(rank[order], kind="stable")][:size].astype(np.int64)


def score(guess: Any, truth: Any, category: bool) -> float:
    """Balanced accuracy of classes in [0, 1], or R2 of numbers (1 at best, may be negative)."""
    if category:
        return float(np.mean([(guess[truth == c] == c).mean() for c in np.unique(truth)]))
    rest = float(((truth - guess) ** 2).sum())
    return 1 - rest / float(((truth - truth.mean()) ** 2).sum())


def rescaled(code: Floats, pool: int, one_scale: bool = False) -> Floats:
    """Columns centred and scaled to variance 1 over the first `pool` rows, faint ones less.

    No column is divided by less than `FAINT` of the largest standard deviation, so that a unit
    that says nothing is not blown up to noise. With `one_scale` all columns are divided by the
    largest one: for columns that have a unit in common, as pixels have.
    """
    data = code.astype(np.float64)
    data = data - data[:pool].mean(axis=0)
    spread = data[:pool].std(axis=0)
    least = (1.0 if one_scale else FAINT) * spread.max()
    return data / np.maximum(spread, least) if least > 0 else data


def chance(label: Label) -> float:
    """What guessing scores: 1 / classes, or 0 for R2."""
    return 1 / len(label.classes) if label.kind == "category" else 0.0


def _predict(probe: str, category: bool, x: Floats, y: Any, x_test: Floats) -> Any:
    from sklearn import linear_model, neighbors

    if category and len(np.unique(y)) == 1:
        return np.full(len(x_test), y[0])
    if probe == "linear":
        # The penalty stands against a sum over images, so the grid follows their number.
        alphas = tuple(len(y) * alpha for alpha in ALPHAS)
        if category:
            model = linear_model.RidgeClassifierCV(alphas, class_weight="balanced")
        else:
            model = linear_model.RidgeCV(alphas)
        return model.fit(x, y).predict(x_test)
    k = NEIGHBOURS if len(y) >= NEIGHBOURS_FROM else 1
    settings: dict[str, Any] = {"weights": "distance", "algorithm": "brute"}
    if not category:
        return neighbors.KNeighborsRegressor(k, **settings).fit(x, y).predict(x_test)
    # As in the linear probe, rare classes count as much as frequent ones.
    classes, counts = np.unique(y, return_counts=True)
    votes = neighbors.KNeighborsClassifier(k, **settings).fit(x, y).predict_proba(x_test)
    return classes[(votes / counts).argmax(axis=1)]


def _over_draws(scores: list[float]) -> dict[str, float]:
    """Mean and Student's 95 % interval."""
    from scipy.stats import t

    mean = float(np.mean(scores))
    half = float(t.ppf(0.975, len(scores) - 1)) * float(np.std(scores, ddof=1)) / len(scores) ** 0.5
    return {"score": mean, "low": mean - half, "high": mean + half}


def _over_tests(guess: Any, truth: Any, category: bool) -> dict[str, float]:
    """The score and its 95 % bootstrap interval over test images."""
    generator = np.random.default_rng(SEED)
    scores = []
    for _ in range(RESAMPLES):
        chosen = generator.integers(len(truth), size=len(truth))
        if category or np.ptp(truth[chosen]) > 0:
            scores.append(score(guess[chosen], truth[chosen], category))
    low, high = np.quantile(scores, [0.025, 0.975])
    return {"score": score(guess, truth, category), "low": float(low), "high": float(high)}
