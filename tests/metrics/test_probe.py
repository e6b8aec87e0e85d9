"""The probe on codes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from cldis.metrics.probe import factor_probe

NAMES = ("a", "b", "c")


def factors(n: int = 1500) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 5, (n, 3))


def noisy(codes: np.ndarray) -> np.ndarray:
    return codes + 0.05 * np.random.default_rng(1).standard_normal(codes.shape)


def test_one_unit_per_factor_scores_one() -> None:
    found = factor_probe(noisy(factors().astype(float)), factors(), NAMES)
    assert found["dci_disentanglement"] > 0.9 and found["dci_completeness"] > 0.9
    assert min(found["accuracy"].values()) > 0.99
    np.testing.assert_allclose(np.sum(found["importance"], axis=0), 1, atol=1e-6)


def test_rotated_units_score_lower_but_keep_the_information() -> None:
    rotation, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))
    axis = factor_probe(noisy(factors().astype(float)), factors(), NAMES)
    mixed = factor_probe(noisy(factors() @ rotation), factors(), NAMES)
    assert mixed["dci_disentanglement"] < axis["dci_disentanglement"] - 0.3
    assert mixed["accuracy"]["a"] > mixed["chance"]["a"] + 0.3


def test_noise_scores_nothing() -> None:
    codes = np.random.default_rng(3).standard_normal((1500, 6))
    found = factor_probe(codes, factors(), NAMES)
    assert found["dci_disentanglement"] < 0.05
    for name in NAMES:
        assert abs(found["accuracy"][name] - found["chance"][name]) < 0.1


def test_order_sign_and_scale_of_units_do_not_matter() -> None:
    codes = noisy(factors().astype(float))
    before = factor_probe(codes, factors(), NAMES)
    after = factor_probe(codes[:, ::-1] * [-3.0, 0.1, 50.0], factors(), NAMES)
    assert abs(before["dci_disentanglement"] - after["dci_disentanglement"]) < 0.05


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        factor_probe(np.zeros((20, 2)), factors(19), NAMES)
    bad = np.zeros((20, 2))
    bad[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        factor_probe(bad, factors(20), NAMES)
