"""The FactorVAE score: which unit varies least while one factor is held (Kim & Mnih 2018)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers
from cldis.metrics.batches import Batches, GridBatches, PoolBatches, Sample, chunks
from cldis.metrics.labelled import labelled

MIN_STD = 0.05


def factor_vae_score(
    sample: Sample,
    factor_sizes: Sequence[int],
    train: int = 10_000,
    evaluate: int = 5_000,
    batch: int = 64,
    min_std: float = MIN_STD,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """Accuracy of a majority vote that names the held factor from the unit that varies least.

    Algorithm of Kim & Mnih 2018, section 4, in the sizes of disentanglement_lib: 10,000 votes to
    learn from, 5,000 to score, each on 64 codes; variances are divided by those of 10,000 codes.

    Args:
        sample: factors int [n, k] in, codes float [n, d] out.
        min_std: units whose standard deviation is below this share of the largest are left out.
            disentanglement_lib cuts at .05 in absolute terms, which is the same for codes close to
            a standard normal, and arbitrary for others. Constant units are always left out.

    Returns:
        `score` and `train_score` in [0, 1] (chance is about 1/k), `active_units`, and the
        settings. Without an active unit both are 0.

    Raises:
        ValueError: codes that are not finite [n, d], a factor with fewer than two values, or
            sizes that are not positive.
    """
    source = GridBatches(sample, factor_sizes, seed, unit_size)
    return factor_vae_of(source, source.any(10_000), train, evaluate, batch, min_std, seed)


def factor_vae_of_pool(
    codes: NDArray[np.floating],
    factors: NDArray[np.integer],
    train: int = 10_000,
    evaluate: int = 5_000,
    batch: int = 64,
    min_std: float = MIN_STD,
    seed: int = 0,
    unit_size: int = 1,
) -> dict[str, Any]:
    """`factor_vae_score` with batches drawn from codes [n, d] with known factors [n, k].

    The other factors vary as they do in the pool; values with fewer than 8 rows are never held.

    Raises:
        ValueError: as `labelled`, or no value of a factor has 8 rows.
    """
    data = labelled(codes, factors, unit_size)
    source = PoolBatches(data, seed)
    return factor_vae_of(source, data.codes, train, evaluate, batch, min_std, seed)


def factor_vae_of(
    source: Batches,
    reference: Floats,
    train: int,
    evaluate: int,
    batch: int,
    min_std: float,
    seed: int,
) -> dict[str, Any]:
    """The score of any source; variances are divided by those of `reference` [n, d]."""
    if min(train, evaluate) < 1 or batch < 2:
        raise ValueError(
            f"{train} votes to learn from, {evaluate} to score and {batch} codes a vote are too "
            f"few; use at least 1, 1 and 2"
        )
    settings = {"train": train, "evaluate": evaluate, "batch": batch, "min_std": min_std}
    variances = reference.var(axis=0, ddof=1)
    # A constant unit keeps a variance of rounding errors.
    floor = np.maximum(1e-12 * np.abs(reference).max(axis=0), min_std * np.sqrt(variances.max()))
    active = np.flatnonzero(np.sqrt(variances) > floor)
    if not len(active):
        return {"score": 0.0, "train_score": 0.0, "active_units": 0, **settings}
    rng = np.random.default_rng([seed, 4])
    learned, scored = (
        _votes(source, rng, votes, batch, active, variances[active]) for votes in (train, evaluate)
    )
    named = learned.argmax(axis=0)  # the factor each unit stands for
    units = np.arange(len(active))
    return {
        "score": float(scored[named, units].sum() / scored.sum()),
        "train_score": float(learned[named, units].sum() / learned.sum()),
        "active_units": len(active),
        **settings,
    }


def _votes(
    source: Batches,
    rng: np.random.Generator,
    votes: int,
    batch: int,
    active: Integers,
    variances: Floats,
) -> Integers:
    """How often each active unit varied least while each factor was held, [k, units]."""
    counts = np.zeros((source.k, len(active)), np.int64)
    for groups in chunks(votes, batch):
        factor = rng.integers(0, source.k, groups)
        codes = source.held(factor, batch)[..., active]
        least = np.argmin(codes.var(axis=1, ddof=1) / variances, axis=1)
        np.add.at(counts, (factor, least), 1)
    return counts
