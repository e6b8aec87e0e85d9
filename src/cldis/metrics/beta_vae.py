"""The beta-VAE score: naming the factor that pairs of images share (Higgins et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers
from cldis.metrics.batches import Batches, GridBatches, PoolBatches, Sample, chunks
from cldis.metrics.labelled import labelled
from cldis.metrics.logistic import fit, spread


def beta_vae_score(
    sample: Sample,
    factor_sizes: Sequence[int],
    train: int = 10_000,
    evaluate: int = 5_000,
    batch: int = 64,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """Accuracy of a linear classifier of the shared factor, from the mean |difference| of pairs.

    Higgins et al. 2017, appendix A.4, in the sizes of disentanglement_lib: 10,000 points to learn
    from and 5,000 to score, each the mean over 64 pairs; logistic regression with C = 1. Units are
    divided by their standard deviation first, so that scale does not matter (the reference leaves
    them as they are).

    Args:
        sample: factors int [n, k] in, codes float [n, d] out.

    Returns:
        `score` and `train_score` in [0, 1] (chance is about 1/k), and the settings. With one
        factor there is nothing to name and both are 1.

    Raises:
        ValueError: as `factor_vae_score`.
    """
    source = GridBatches(sample, factor_sizes, seed, unit_size)
    return beta_vae_of(source, source.any(10_000), train, evaluate, batch, seed)


def beta_vae_of_pool(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    train: int = 10_000,
    evaluate: int = 5_000,
    batch: int = 64,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """`beta_vae_score` with pairs drawn from codes [n, d] with known factors [n, k].

    Raises:
        ValueError: as `labelled`, or no value of a factor has 8 rows.
    """
    data = labelled(codes, factors, unit_size)
    return beta_vae_of(PoolBatches(data, seed), data.codes, train, evaluate, batch, seed)


def beta_vae_of(
    source: Batches, reference: Floats, train: int, evaluate: int, batch: int, seed: int
) -> dict[str, Any]:
    """The score of any source; units are divided by their spread in `reference` [n, d]."""
    if min(train, evaluate, batch) < 1:
        raise ValueError(
            f"{train} points to learn from, {evaluate} to score and {batch} pairs a point: "
            f"each must be at least 1"
        )
    settings = {"train": train, "evaluate": evaluate, "batch": batch}
    if source.k == 1:
        return {"score": 1.0, "train_score": 1.0, **settings}
    scale = spread(reference)
    rng = np.random.default_rng([seed, 5])
    x, y = _points(source, rng, train, batch, scale)
    unseen, truth = _points(source, rng, evaluate, batch, scale)
    classifier = fit(x, y)
    return {
        "score": float(np.mean(classifier.predict(unseen) == truth)),
        "train_score": float(np.mean(classifier.predict(x) == y)),
        **settings,
    }


def _points(
    source: Batches, rng: np.random.Generator, points: int, batch: int, spread: Floats
) -> tuple[Floats, Integers]:
    """Mean |difference| over the pairs [points, d] and the factor they share [points]."""
    differences, shared = [], []
    for groups in chunks(points, 2 * batch):
        factor = rng.integers(0, source.k, groups)
        a, b = source.pairs(factor, batch)
        differences.append(np.abs(a - b).mean(axis=1) / spread)
        shared.append(factor)
    return np.concatenate(differences), np.concatenate(shared)
