"""What an edit changes: the factor that was meant, the others, and what stays.

Everything here counts readings: integer values of the known factors that some reader gives an
image before and after an edit. The shape of a table of changes is [directions, images, amounts,
factors] throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["categorical", "ordered", "cyclic"]
Changes = NDArray[np.bool_]  # [directions K, images n, amounts a, factors k]

ACTIVE = 0.1  # a direction whose strongest factor changes less often does nothing
OWN_RATE = 0.25  # a factor's own direction changes it at least as often


def reading(probabilities: NDArray[np.floating], kind: Kind) -> NDArray[np.int64]:
    """The value [n] that probabilities [n, v] over the values of one factor speak for.

    The likeliest value of a categorical factor, the median of an ordered one (it has the least
    expected absolute error), the direction of the mean on the circle of a cyclic one.
    """
    size = probabilities.shape[1]
    if kind == "categorical":
        return np.asarray(probabilities.argmax(axis=1), np.int64)
    if kind == "ordered":
        below = probabilities.cumsum(axis=1) < 0.5 * probabilities.sum(axis=1, keepdims=True)
        return np.asarray(below.sum(axis=1), np.int64)
    turns = np.exp(2j * np.pi * np.arange(size) / size)
    angle = np.angle(probabilities @ turns) / (2 * np.pi) * size
    return np.asarray(np.rint(angle), np.int64) % size


def steps_between(
    one: NDArray[np.integer], other: NDArray[np.integer], size: int, kind: Kind
) -> NDArray[np.int64]:
    """How far two readings of a factor with `size` values lie apart, in steps of its grid.

    1 for any two values of a categorical factor; the shorter way round a cyclic one.
    """
    apart = np.abs(np.asarray(one, np.int64) - np.asarray(other, np.int64))
    if kind == "categorical":
        return np.minimum(apart, 1)
    return np.minimum(apart, size - apart) if kind == "cyclic" else apart


def tolerance(errors: NDArray[np.integer], share: float = 0.95) -> int:
    """The fewest steps within which at least `share` of a reader's errors [n] lie."""
    return int(np.quantile(errors, share, method="inverted_cdf"))


def changed(
    before: NDArray[np.integer],
    after: NDArray[np.integer],
    sizes: tuple[int, ...],
    kinds: tuple[Kind, ...],
    tolerances: tuple[int, ...],
) -> NDArray[np.bool_]:
    """Whether readings [..., k] differ by more than the reader's own error, per factor."""
    columns = [
        steps_between(before[..., f], after[..., f], sizes[f], kinds[f]) > tolerances[f]
        for f in range(len(sizes))
    ]
    return np.stack(columns, axis=-1)


@dataclass(frozen=True)
class Effects:
    """What K directions do, [K] each: shares in [0, 1] of the edits they were measured on."""

    intended: NDArray[np.float64]  # edits in which the factor meant changes
    leakage: NDArray[np.float64]  # mean over the others of the edits in which one changes
    kept: NDArray[np.float64]  # edits in which every other factor stays

    @property
    def size(self) -> int:
        return len(self.intended)


def effects(changes: Changes, factors: NDArray[np.integer]) -> Effects:
    """Of directions with `changes`, each taken to be for its entry of `factors` [K]."""
    count = changes.shape[3]
    assert count > 1 and len(factors) == len(changes)
    meant = np.take_along_axis(changes, factors[:, None, None, None], axis=3)[..., 0]
    others = changes.sum(axis=3) - meant  # [K, n, a]
    return Effects(
        intended=meant.mean(axis=(1, 2)),
        leakage=others.mean(axis=(1, 2)) / (count - 1),
        kept=(others == 0).mean(axis=(1, 2)),
    )


def owned(effect: Effects, count: int) -> NDArray[np.bool_]:
    """Whether each direction is its factor's own, of `count`: it moves it often, the rest less."""
    others = effect.leakage * (count - 1)  # changes of all others together, per edit
    return (effect.intended >= OWN_RATE) & (effect.intended > others)


def intended_factors(changes: Changes) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Per direction the factor that changes most often [K], and whether it is active [K]."""
    rates = changes.mean(axis=(1, 2))  # [K, k]
    return np.asarray(rates.argmax(axis=1), np.int64), rates.max(axis=1) >= ACTIVE


def best_directions(changes: Changes) -> NDArray[np.int64]:
    """Per factor [k] the direction with the largest change rate over the mean of the others'."""
    rates = changes.mean(axis=(1, 2))  # [K, k]
    others = (rates.sum(axis=1, keepdims=True) - rates) / (rates.shape[1] - 1)
    return np.asarray((rates - others).argmax(axis=0), np.int64)


def editing_scores(changes: Changes) -> dict[str, Any]:
    """How well a set of directions edits, chosen on one half of the images, measured on the other.

    Which factor a direction is for, whether it is active, and which direction is a factor's best
    are all chosen on the even images and measured on the odd ones, then the other way round; the
    entries are means over the two ways.

    Args:
        changes: bool [K, n, a, k], n at least 4 and k at least 2.

    Returns:
        `active`: number of directions whose factor changes in at least 10 % of the edits;
        `intended`, `leakage`, `kept`: means over active directions (see `Effects`);
        `selectivity`: intended over all changes, of the active directions together, 1 / k where
        all factors change alike; these four are None without an active direction;
        `margin`: mean over factors of intended - leakage of the factor's best direction, 0 when
        directions change all factors alike, 1 for perfect ones;
        `own`: number of factors whose best direction is its own (`owned`);
        `factors`: per factor `intended`, `leakage` and `own` of its best direction.

    Raises:
        ValueError: the shape is not that.
    """
    if changes.ndim != 4 or changes.shape[1] < 4 or changes.shape[3] < 2 or not changes.size:
        raise ValueError(
            f"changes have shape {changes.shape}; expected [directions, images, amounts, factors] "
            f"with at least 4 images and 2 factors"
        )
    even, odd = changes[:, 0::2], changes[:, 1::2]
    return mean_scores([_one_way(even, odd), _one_way(odd, even)])


def resampled_scores(changes: Changes, draws: int = 200, seed: int = 0) -> list[dict[str, Any]]:
    """`editing_scores` of images drawn anew with replacement, each half of its own: a bootstrap."""
    generator = np.random.default_rng(seed)
    halves = np.arange(changes.shape[1])[0::2], np.arange(changes.shape[1])[1::2]
    scores = []
    for _ in range(draws):
        even, odd = (changes[:, generator.choice(half, len(half))] for half in halves)
        scores.append(mean_scores([_one_way(even, odd), _one_way(odd, even)]))
    return scores


def mean_scores(scores: list[dict[str, Any]]) -> dict[str, Any]:
    """Entry by entry the mean over several results; None counts as missing."""
    assert scores

    def mean(values: list[Any]) -> Any:
        if isinstance(values[0], list):
            return [mean(list(items)) for items in zip(*values, strict=True)]
        if isinstance(values[0], dict):
            return mean_scores(values)
        there = [float(value) for value in values if value is not None]
        return sum(there) / len(there) if there else None

    return {key: mean([score[key] for score in scores]) for key in scores[0]}


def _one_way(choose: Changes, measure: Changes) -> dict[str, Any]:
    """Scores of `measure` [K, m, a, k] under what was chosen on `choose` [K, n, a, k]."""
    count = measure.shape[3]
    factors, active = intended_factors(choose)
    moved = effects(measure[active], factors[active])
    best = effects(measure[best_directions(choose)], np.arange(count))
    scores: dict[str, Any] = {"active": moved.size}
    for key in ("intended", "leakage", "kept"):
        scores[key] = float(getattr(moved, key).mean()) if moved.size else None
    total = moved.intended.sum() + moved.leakage.sum() * (count - 1)
    scores["selectivity"] = float(moved.intended.sum() / total) if total else None
    scores["margin"] = float((best.intended - best.leakage).mean())
    own = owned(best, count)
    scores["own"] = int(own.sum())
    scores["factors"] = [
        {"intended": float(a), "leakage": float(b), "own": bool(c)}
        for a, b, c in zip(best.intended, best.leakage, own, strict=True)
    ]
    return scores
