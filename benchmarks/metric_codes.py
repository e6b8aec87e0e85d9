"""Codes of a small factor grid, to compare implementations of the labelled metrics on.

Every grid point has one code, so an oracle that draws its own images sees the same codes as we do.
"""

from __future__ import annotations

import numpy as np

SIZES = (10, 8, 12, 16)
UNITS = 8
KINDS = ("perfect", "rotated", "mixed", "noisy", "random")


def grid() -> np.ndarray:
    """All factor values int [15360, 4], last factor fastest."""
    return np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=1)


def index(factors: np.ndarray) -> np.ndarray:
    """Rows of `grid` that hold these factors [n, 4]."""
    return np.ravel_multi_index(tuple(factors.T), SIZES)


def drawn(rows: int, seed: int) -> np.ndarray:
    """Random factor values int [rows, 4]."""
    return np.random.default_rng([seed, 7]).integers(0, SIZES, (rows, len(SIZES)))


def codes(kind: str) -> np.ndarray:
    """Codes float [15360, 8] of the grid.

    perfect: a unit per factor, the others small noise; rotated: the four units mixed evenly;
    mixed: a random network, two units kept; noisy: perfect with noise as large as the factors;
    random: nothing to find.
    """
    rng = np.random.default_rng(11)
    factors = grid()
    scaled = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    found = 0.06 * rng.standard_normal((len(factors), UNITS))
    if kind == "perfect":
        found[:, : len(SIZES)] += scaled
    elif kind == "rotated":
        rotation, _ = np.linalg.qr(rng.standard_normal((len(SIZES), len(SIZES))))
        found[:, : len(SIZES)] += scaled @ rotation
    elif kind == "mixed":
        hidden = np.tanh(scaled @ rng.standard_normal((len(SIZES), 32)) / 2)
        found += hidden @ rng.standard_normal((32, UNITS)) / 5
        found[:, :2] += 2 * scaled[:, :2]
    elif kind == "noisy":
        found[:, : len(SIZES)] += scaled + rng.standard_normal(scaled.shape)
    elif kind == "random":
        found = rng.standard_normal(found.shape)
    else:
        raise ValueError(f"no codes {kind!r}; choose one of {', '.join(KINDS)}")
    return found


def pool(kind: str, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes [rows, 8] and factors [rows, 4] with noise of .2 of its own in every row.

    Without it rows would come twice, and what is learned by heart would pass the test.
    """
    factors = drawn(rows, seed)
    rng = np.random.default_rng([seed, 8])
    return codes(kind)[index(factors)] + 0.2 * rng.standard_normal((rows, UNITS)), factors
