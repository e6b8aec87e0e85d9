"""Codes whose scores are known: shared by the tests of the labelled metrics."""

from __future__ import annotations

import numpy as np

SIZES = (5, 4, 3)


def grid_factors(n: int = 3000, seed: int = 0) -> np.ndarray:
    """Random factor values int [n, 3]."""
    return np.random.default_rng(seed).integers(0, SIZES, (n, len(SIZES)))


def aligned(factors: np.ndarray, dead: int = 0, seed: int = 1) -> np.ndarray:
    """One unit per factor with a little noise, and `dead` units of small noise."""
    rng = np.random.default_rng(seed)
    codes = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    codes = np.concatenate([codes, np.zeros((len(factors), dead))], axis=1)
    return codes + 0.01 * rng.standard_normal(codes.shape)


def rotated(factors: np.ndarray, seed: int = 2) -> np.ndarray:
    """The same information in units that each mix all factors."""
    k = factors.shape[1]
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((k, k)))
    return aligned(factors) @ rotation


def noise(n: int = 3000, d: int = 4, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def encoder(factors: np.ndarray) -> np.ndarray:
    """A perfect code as a function of the factors, without noise."""
    return factors / np.array(SIZES)
