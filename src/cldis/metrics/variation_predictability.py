"""Variation predictability: does an image pair show which direction moved? (Zhu et al. 2020)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cldis.arrays import Floats, Integers

if TYPE_CHECKING:
    from torch import Tensor

EPOCHS = 40
BATCH = 64
RATE = 2e-3
SIDE = 32  # pixels that the classifier sees


def variation_predictability(
    first: NDArray[Any],
    second: NDArray[Any],
    moved: NDArray[np.integer],
    groups: NDArray[np.integer] | None = None,
    train_share: float = 0.5,
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy with which a small network names the direction that moved; high is good.

    "Learning Disentangled Representations with Latent Variation Predictability": a classifier is
    trained on a part of the image differences and tested on the rest, where few training pairs
    make it a test of how simple and consistent the changes are. Its weights are its own, fresh
    ones; nothing of a navigator's predictor is used. The paper reports the bare accuracy; the
    score is (accuracy - chance) / (1 - chance) with chance 1 / K, so that numbers of directions
    compare.

    The classifier: differences second - first over their spread, averaged down to 32 px or less;
    three 3 x 3 convolutions (16, 32, 32 channels, stride 2) and a linear layer; Adam, 40 epochs.

    Args:
        first, second: images [n, c, H, W] before and after, any scale, the same for both.
        moved: which of K directions was moved [n]; every one of 0..K-1 occurs.
        groups: pairs of one group, usually of one image, are never split between training and
            test [n]; None: each pair by itself.
        train_share: share of the groups that is trained on, in (0, 1).

    Returns:
        `score` at most 1, about 0 by chance; `accuracy`, `chance`; `recall` [K], the accuracy per
        direction; `train`, `test` (pairs). Pairs without any change are part of the test.

    Raises:
        ValueError: shapes that do not fit, NaN or infinity, fewer than 2 directions, numbers that
            leave one out, or a direction without a pair to train on and one to test on.
    """
    difference, numbers, count = _checked(first, second, moved)
    belongs = np.arange(len(numbers)) if groups is None else np.asarray(groups)
    if belongs.shape != numbers.shape:
        raise ValueError(
            f"groups have shape {list(belongs.shape)}; expected one for each of the "
            f"{len(numbers)} pairs"
        )
    known = _split(belongs, numbers, train_share, seed)
    for name, rows in (("train", known), ("test", ~known)):
        missing = sorted(set(range(count)) - set(numbers[rows].tolist()))
        if missing:
            raise ValueError(
                f"direction {missing[0]} has no pair to {name} on; give more pairs of each "
                f"direction (of more images, where `groups` are images)"
            )
    guess = _classify(difference, numbers, known, count, seed)
    truth = numbers[~known]
    right = guess == truth
    accuracy, chance = float(right.mean()), 1 / count
    return {
        "score": (accuracy - chance) / (1 - chance),
        "accuracy": accuracy,
        "chance": chance,
        "recall": [float(right[truth == number].mean()) for number in range(count)],
        "train": int(known.sum()),
        "test": len(truth),
    }


def _checked(first: Any, second: Any, moved: Any) -> tuple[Floats, Integers, int]:
    first, second, numbers = np.asarray(first), np.asarray(second), np.asarray(moved)
    if first.ndim != 4 or first.shape != second.shape or numbers.shape != first.shape[:1]:
        raise ValueError(
            f"images {list(first.shape)} and {list(second.shape)} and directions "
            f"{list(numbers.shape)} do not fit; expected [n, c, H, W] twice and [n]"
        )
    if numbers.dtype.kind not in "iu" or not len(numbers):
        raise ValueError(
            f"{len(numbers)} directions as {numbers.dtype}; give an integer for every pair"
        )
    present = np.unique(numbers)
    count = len(present)
    if count < 2 or present[0] != 0 or present[-1] != count - 1:
        raise ValueError(
            f"directions are {present.tolist()[:10]}; expected at least 2, numbered 0..K-1 without "
            f"gaps"
        )
    difference = second.astype(np.float64) - first.astype(np.float64)
    if not np.isfinite(difference).all():
        raise ValueError("images hold NaN or infinity; the decoder that gave them has diverged")
    return difference, numbers.astype(np.int64), count


def _split(groups: Integers, numbers: Integers, share: float, seed: int) -> NDArray[np.bool_]:
    """Which pairs to train on. Lone pairs are drawn per direction, so that few suffice."""
    if not 0 < share < 1:
        raise ValueError(f"train_share {share} must lie between 0 and 1, both left out")
    rng = np.random.default_rng([seed, 5])
    names, place = np.unique(groups, return_inverse=True)
    if len(names) < len(groups):
        order = rng.permutation(len(names))
        return np.isin(place, order[: round(share * len(names))])
    known = np.zeros(len(groups), dtype=bool)
    for number in np.unique(numbers):
        rows = rng.permutation(np.flatnonzero(numbers == number))
        known[rows[: round(share * len(rows))]] = True
    return known


def _classify(
    difference: Floats, numbers: Integers, known: NDArray[np.bool_], count: int, seed: int
) -> Integers:
    """What a network trained on the known pairs says of the others."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    side = min(SIDE, *difference.shape[2:])
    spread = difference[known].std()
    # Float32 from here: images are no finer than that.
    x = torch.from_numpy(difference).float() / (float(spread) if spread > 0 else 1.0)
    x = F.adaptive_avg_pool2d(x, side)
    y = torch.from_numpy(numbers)
    rows = torch.from_numpy(np.flatnonzero(known))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        left = -(-side // 8)
        network = nn.Sequential(
            *(nn.Conv2d(difference.shape[1], 16, 3, 2, 1), nn.SiLU()),
            *(nn.Conv2d(16, 32, 3, 2, 1), nn.SiLU()),
            *(nn.Conv2d(32, 32, 3, 2, 1), nn.SiLU()),
            *(nn.Flatten(), nn.Linear(32 * left * left, count)),
        )
        optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
        for _ in range(EPOCHS):
            for part in rows[torch.randperm(len(rows))].split(BATCH):
                loss: Tensor = F.cross_entropy(network(x[part]), y[part])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    with torch.no_grad():
        guesses = [network(part).argmax(dim=1) for part in x[torch.from_numpy(~known)].split(512)]
    return torch.cat(guesses).numpy()
