"""The whole suite: its shape, its agreement with the single metrics, its errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from cldis.metrics.suite import SETTINGS, evaluate
from cldis.metrics.tad import tad
from metrics.known import SIZES, aligned, grid_factors, noise, rotated


def test_every_metric_is_there_and_is_json() -> None:
    factors = grid_factors(900)
    found = evaluate(aligned(factors, dead=1), factors, SIZES)
    json.dumps(found, allow_nan=False)
    assert found["setting"] == "fast" and found["pool"] == 900 and found["units"] == 4
    assert "30 rounds" in found["dci"]["estimator"]
    for value in (
        found["dci"]["disentanglement"],
        found["mig"]["score"],
        found["factor_vae"]["score"],
        found["beta_vae"]["score"],
        found["infomec"]["compactness"],
    ):
        assert value > 0.9
    assert found["sap"]["score"] > 0.3 and found["modularity_explicitness"]["explicitness"] > 0.9


def test_the_standard_setting_has_the_sizes_of_the_field() -> None:
    setting = SETTINGS["standard"]
    assert (setting.train, setting.test, setting.estimator) == (10_000, 5_000, "gbt")
    assert (setting.dci_train, setting.dci_test, setting.batch) == (10_000, 5_000, 64)
    assert (setting.votes, setting.evaluate) == (10_000, 5_000)


def test_factors_of_size_one_are_left_out() -> None:
    factors = np.concatenate([np.zeros((300, 1), int), grid_factors(300)], axis=1)
    found = evaluate(aligned(factors[:, 1:]), factors, (1, *SIZES))
    assert found["left_out"] == 1 and len(found["dci"]["accuracy"]) == 3


def test_vector_units() -> None:
    factors = grid_factors(600)
    found = evaluate(np.repeat(rotated(factors), 4, axis=1), factors, SIZES, unit_size=4)
    assert found["units"] == 3


def test_seeds_matter_little_and_repeat_exactly() -> None:
    factors = grid_factors(900)
    codes = rotated(factors) + 0.2 * noise(900, 3)
    a, again, b = (evaluate(codes, factors, SIZES, seed=seed) for seed in (0, 0, 1))
    assert a == again and a != b
    assert a["dci"]["disentanglement"] == pytest.approx(b["dci"]["disentanglement"], abs=0.1)


def test_mistakes() -> None:
    factors = grid_factors(60)
    with pytest.raises(ValueError, match="no setting 'slow'; choose one of standard, fast"):
        evaluate(noise(60), factors, SIZES, setting="slow")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="factor 0 is 4 in row .*its size is 4"):
        evaluate(noise(60), factors, (4, 4, 3))
    with pytest.raises(ValueError, match="3 factor sizes|and 2 factor sizes"):
        evaluate(noise(60), factors, (5, 4))
    with pytest.raises(ValueError, match="give 0 and 1"):
        tad(noise(60), factors)
