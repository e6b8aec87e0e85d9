"""SAP: separated attribute predictability (Kumar et al. 2018, section 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers
from cldis.metrics.information import gaps
from cldis.metrics.labelled import Labelled, labelled

COST = 0.01  # C of the support vector machine, as in disentanglement_lib
TOLERANCE = 1e-6  # at scikit-learn's 1e-4 a few rows at the border still change sides


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
    squared hinge loss, balanced classes and C = .01, as in disentanglement_lib. It is solved in the
    primal, where nothing is random. As C is fixed, the score depends a little on the scale of the
    codes.

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
                np.mean(_predict(unit, labels, unseen) == truth)
                for labels, truth in zip(fit_on.factors.T, check_on.factors.T, strict=True)
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


def _predict(unit: Floats, labels: Integers, unseen: Floats) -> Integers:
    """Factor values of the `unseen` numbers [m] by a machine fitted to `unit` and `labels` [n]."""
    from sklearn.svm import LinearSVC

    if (labels == labels[0]).all():  # the part to train on may have one value only
        return np.full(len(unseen), labels[0])
    machine = LinearSVC(C=COST, class_weight="balanced", dual=False, tol=TOLERANCE)
    guess: Integers = machine.fit(unit[:, None], labels).predict(unseen[:, None])
    return guess
