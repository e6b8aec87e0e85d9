"""UDR: whether models of different seeds agree on their units (Duan et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats
from cldis.metrics.mutual_information import varying_units

Similarity = Literal["spearman", "lasso"]
SIMILARITIES = ("spearman", "lasso")
ALPHA = 0.1  # of the lasso, on standardised units: the paper's code


def udr(
    codes: Sequence[NDArray[np.floating]],
    informative: Sequence[NDArray[np.bool_] | Sequence[bool]] | None = None,
    similarity: Similarity = "spearman",
    unit_size: int = 1,
) -> dict[str, Any]:
    """Unsupervised disentanglement ranking of two or more codes [n, d_i] of the same images.

    "Unsupervised Model Selection for Variational Disentangled Representation Learning", section 4.
    R(a, b) is the similarity of unit a of model i and unit b of model j, and over informative
    units only

        UDR_ij = 1 / (d_a + d_b) * ( sum_b r_b^2 / sum_a R(a, b) + sum_a r_a^2 / sum_b R(a, b) )

    with r_b = max_a R(a, b), r_a = max_b R(a, b) and d_a, d_b the numbers of informative units. A
    model's score is the median of UDR_ij over the others.

    Args:
        informative: per model a mask [d_i] of units with KL(q || p) > 0.01 on average; None: all
            that vary. Constant units are never informative.
        similarity: `spearman`: absolute rank correlation; `lasso`: absolute weights of a lasso
            (alpha .1) from the standardised units of one model to those of the other. Lasso
            weights are shrunk by .1, so that models in full agreement score .9.

    Returns:
        `score` [models] in [0, 1], `pairs` [models, models] with 0 on the diagonal, `informative`
        (how many units of each), `similarity`, `rows`. A model without an informative unit agrees
        with none and scores 0.

    Raises:
        ValueError: fewer than two codes, codes of different numbers of rows, masks that do not
            fit, an unknown similarity, or as `varying_units` but for constant codes.
    """
    if similarity not in SIMILARITIES:
        raise ValueError(
            f"UDR has no similarity {similarity!r}; choose one of {', '.join(SIMILARITIES)}"
        )
    if len(codes) < 2:
        raise ValueError(
            f"UDR compares models and got {len(codes)}; give the codes of the same images by two "
            f"or more models that differ in the seed"
        )
    rows = [len(np.asarray(code)) for code in codes]
    if len(set(rows)) > 1:
        raise ValueError(
            f"the codes have {', '.join(map(str, rows))} rows; give codes of the same images in "
            f"the same order"
        )
    if informative is not None and len(informative) != len(codes):
        raise ValueError(
            f"{len(informative)} masks of informative units but {len(codes)} codes; give one each"
        )
    units = [
        _informative(code, None if informative is None else informative[i], i, unit_size)
        for i, code in enumerate(codes)
    ]
    scaled = [_standardised(u, ranks=similarity == "spearman") for u in units]
    pairs = np.zeros((len(codes), len(codes)))
    for i in range(len(codes)):
        for j in range(i):
            one = agreement(_similarity(scaled[i], scaled[j], similarity))
            two = one
            if similarity == "lasso":  # who predicts whom matters
                two = agreement(_similarity(scaled[j], scaled[i], similarity))
            pairs[i, j], pairs[j, i] = one, two
    score = [float(np.median(np.delete(row, i))) for i, row in enumerate(pairs)]
    return {
        "score": score,
        "pairs": pairs.tolist(),
        "informative": [u.shape[1] for u in units],
        "similarity": similarity,
        "rows": rows[0],
    }


def agreement(matrix: Floats) -> float:
    """UDR_ij from similarities R [d_a, d_b] >= 0; units that are like no other count 0."""
    if not matrix.size:
        return 0.0
    strengths = [
        matrix.max(axis=axis) ** 2 / np.where(matrix.sum(axis=axis) > 0, matrix.sum(axis=axis), 1)
        for axis in (0, 1)
    ]
    return float(sum(part.sum() for part in strengths) / sum(matrix.shape))


def _informative(code: Any, mask: Any, model: int, unit_size: int) -> Floats:
    code = np.asarray(code)
    if code.ndim == 2 and code.size and np.isfinite(code).all() and not np.ptp(code, axis=0).any():
        return np.zeros((len(code), 0))  # collapsed: in agreement with nothing
    data, kept = varying_units(code, unit_size)
    if mask is None:
        return data
    chosen = np.asarray(mask, dtype=bool)
    if chosen.shape != (code.shape[1] // unit_size,):
        raise ValueError(
            f"the mask of model {model} has shape {list(chosen.shape)}; expected one entry for "
            f"each of its {code.shape[1] // unit_size} units"
        )
    return data[:, chosen[kept]]


def _standardised(units: Floats, ranks: bool) -> Floats:
    if ranks and units.size:
        from scipy.stats import rankdata

        units = rankdata(units, axis=0)
    centred = units - units.mean(axis=0)
    return centred / centred.std(axis=0)


def _similarity(one: Floats, other: Floats, similarity: Similarity) -> Floats:
    """R [d_a, d_b] from standardised units, or from standardised ranks."""
    if not one.size or not other.size:
        return np.zeros((one.shape[1], other.shape[1]))
    if similarity == "spearman":
        return np.abs(one.T @ other) / len(one)
    from sklearn.linear_model import Lasso

    fitted = Lasso(alpha=ALPHA).fit(one, other)
    return np.abs(np.atleast_2d(fitted.coef_)).T
