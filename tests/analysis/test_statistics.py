"""Every statistic of the analysis against a closed form, a brute force, or a planted truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency

from cldis.pages.analysis import compare, dependence, outliers, units
from cldis.pages.analysis.labels import Label


def category(values: np.ndarray, name: str = "label") -> Label:
    count = int(values.max()) + 1
    return Label(name, "category", values.astype(np.int64), tuple(str(k) for k in range(count)))


def test_units_in_numbers() -> None:
    """KL(N(m, s) || N(0, 1)) = (s^2 + m^2 - 1) / 2 - log s."""
    means = np.array([[1.0, 0.0, 5.0], [-1.0, 0.05, 5.0]])
    scale = np.array([[0.5, 1.0, 1.0], [0.5, 1.0, 1.0]])
    first, second, third = units.describe(means, scale)
    assert first["share"] + second["share"] == pytest.approx(1) and third["share"] == 0
    assert (first["active"], second["active"], third["active"]) == (True, False, False)
    assert first["nats"] == pytest.approx((0.25 + 1 - 1) / 2 - np.log(0.5))
    assert third["nats"] == pytest.approx(12.5)
    assert first["std"] == 1 and third["mean"] == 5
    assert units.describe(means, None)[0]["nats"] is None
    assert units.varying(means, 5) == [0, 1] and units.varying(means, 1) == [0]


def test_extremes_and_the_typical_image() -> None:
    values = np.array([3.0, -1.0, 7.0, 0.0, 2.0])
    low, high = units.extremes(values, 2)
    assert low.tolist() == [1, 3] and high.tolist() == [2, 0]
    assert len(units.extremes(values, 10)[0]) == 2  # no image is at both ends
    codes = np.array([[0.0, 9, 4], [1, 1, 4], [2, 2, 4], [9, 0, 4], [1, 2, 4]])
    assert units.typical(codes) == 4


def test_mean_pictures_and_shares_of_pixels() -> None:
    """A unit that sets the pixels has all of them, one that bends them too, noise has none."""
    generator = np.random.default_rng(0)
    rising = np.repeat(np.arange(10), 60)
    images = np.broadcast_to((rising * 20)[:, None, None, None], (600, 3, 4, 4)).astype(np.uint8)
    bent = np.repeat(np.arange(10), 60).astype(float)
    bent[rising < 5] = 100 - bent[rising < 5]  # up is down for half of them
    codes = np.stack([rising + generator.uniform(0, 0.5, 600), bent, generator.normal(size=600)], 1)
    order = generator.permutation(600)
    found = units.average_pictures(codes[order], lambda k: images[order][k], np.arange(600))
    assert found.share[0] == pytest.approx(1) and found.share[1] == pytest.approx(1)
    assert found.share[2] < 0.03
    assert found.pictures.shape == (3, 10, 3, 4, 4)
    np.testing.assert_allclose(found.pictures[0, :, 0, 0, 0], np.arange(10) * 20)
    np.testing.assert_allclose(found.pictures[2].mean(), 90, atol=1e-3)


def test_mean_pictures_by_brute_force() -> None:
    generator = np.random.default_rng(1)
    images = generator.integers(0, 256, (300, 3, 2, 2)).astype(np.uint8)
    codes = generator.normal(size=(300, 1)) + images.mean(axis=(1, 2, 3))[:, None] / 20
    chosen = np.arange(0, 300, 2)
    found = units.average_pictures(codes, lambda k: images[k], chosen)
    bins, x = units.tenths(codes[chosen, 0]), images[chosen].astype(float)
    within = sum(((x[bins == k] - x[bins == k].mean(axis=0)) ** 2).sum() for k in range(10))
    total = ((x - x.mean(axis=0)) ** 2).sum()
    assert found.share[0] == pytest.approx(1 - (within / 140) / (total / 149), rel=1e-6)


def test_a_unit_that_is_the_label_and_units_that_are_noise() -> None:
    generator = np.random.default_rng(0)
    label = category(generator.permutation(np.repeat(np.arange(5), 160)))
    noise = generator.normal(size=(800, 6))
    telling = label.values + generator.uniform(0, 0.1, 800)
    found = dependence.unit_information(np.column_stack([telling, noise]), label)
    assert found["share"][0] == pytest.approx(1)
    assert found["p"][0] == 1 / (dependence.PERMUTATIONS + 1)
    assert max(found["share"][1:]) < 0.03 and found["floor"] < 0.03 and found["images"] == 800
    above = np.array(found["share"]) > found["floor"]
    np.testing.assert_array_equal(above, np.array(found["p"]) < 0.05)  # the two agree


def test_the_floor_holds_for_all_units_together() -> None:
    """Of 40 tables of noise, about 2 may cross a floor of 5 %; uncorrected, 26 would."""
    crossed = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        label = category(generator.integers(0, 3, 120))
        found = dependence.unit_information(generator.normal(size=(120, 20)), label)
        crossed += max(found["share"]) > found["floor"]
    assert crossed <= 6


def test_unknown_labels_are_left_out() -> None:
    generator = np.random.default_rng(0)
    values = generator.permutation(np.repeat(np.arange(5), 40))
    code = values + generator.uniform(0, 0.1, 200)
    values[code % 0.1 > np.median(code % 0.1)] = -1
    found = dependence.unit_information(code[:, None], category(values))
    assert found["images"] == 100 and found["share"][0] > 0.85


def test_association_against_its_formula() -> None:
    a = np.repeat([0, 0, 1, 1], [30, 10, 15, 45])
    b = np.repeat([0, 1, 0, 1], [30, 10, 15, 45])
    found = dependence.association(category(a), category(b))
    statistic, p, *_ = chi2_contingency([[30, 10], [15, 45]], correction=False)
    phi = statistic / 100 - 1 / 99
    assert found["v"] == pytest.approx((phi / (2 - 1 / 99 - 1)) ** 0.5)
    assert found["p"] == pytest.approx(p) and found["images"] == 100
    assert dependence.association(category(a), category(a))["v"] == pytest.approx(1, abs=0.01)
    other = np.random.default_rng(0).integers(0, 2, 100)
    assert dependence.association(category(a), category(other))["v"] < 0.2
    nothing = category(np.where(a == 0, -1, a))
    assert dependence.association(nothing, category(b))["v"] == 0


def test_holm() -> None:
    assert dependence.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert dependence.holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_plain_values_and_bonferroni(values: list[float]) -> None:
    for plain, found in zip(values, dependence.holm(values), strict=True):
        assert plain <= found <= min(1, plain * len(values)) + 1e-12


def test_outliers() -> None:
    generator = np.random.default_rng(0)
    mixed = generator.normal(size=(3000, 3)) @ (np.eye(3) + 0.3 * np.eye(3)[::-1])
    found = outliers.outliers(mixed)
    centred = mixed - mixed.mean(axis=0)
    inverse = np.linalg.inv(centred.T @ centred / 3000)
    expected = np.sqrt(np.einsum("ni,ij,nj->n", centred, inverse, centred))
    np.testing.assert_allclose(found["distance"], expected, rtol=0.05)  # hardly shrunk
    assert found["line"] == pytest.approx(16.266**0.5, abs=1e-3)  # chi-square, 3 degrees, .001
    assert found["expected"] == pytest.approx(3) and found["beyond"] < 12
    mixed[7] += 30
    assert outliers.outliers(mixed)["distance"].argmax() == 7


def test_near_duplicates_are_close_in_both() -> None:
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(200, 5))
    images = generator.integers(0, 256, (200, 3, 8, 8)).astype(np.uint8)
    codes[[50, 60, 70]] = codes[3]  # three copies of image 3 ...
    images[[50, 60]] = images[3]  # ... but the last has other pixels
    images[60] = np.clip(images[60].astype(int) + 3, 0, 255)
    images[100] = images[101]  # and these have other codes
    found = outliers.near_duplicates(codes, lambda k: images[k])
    assert [(pair["first"], pair["second"]) for pair in found] == [(3, 50), (3, 60), (50, 60)]
    assert found[0]["pixels"] == 0 and 2 < found[1]["pixels"] <= 3
    assert all(pair["code"] == 0 for pair in found)


def test_near_duplicates_of_long_codes_and_of_few_images() -> None:
    generator = np.random.default_rng(0)
    codes = generator.normal(size=(60, 40))
    images = generator.integers(0, 256, (60, 3, 8, 8)).astype(np.uint8)
    codes[9], images[9] = codes[4], images[4]
    pairs = outliers.near_duplicates(codes, lambda k: images[k])
    assert [(pair["first"], pair["second"]) for pair in pairs] == [(4, 9)]
    assert outliers.near_duplicates(codes[:2], lambda k: images[k]) == []


def test_shifts_against_brute_force() -> None:
    generator = np.random.default_rng(1)
    a = generator.normal(size=(60, 3))
    b = generator.normal(size=(40, 3)) + np.array([0.0, 1.5, 0.0])
    found = compare.shifts(a, b)
    for k, row in enumerate(found):
        pooled = np.sqrt((59 * a[:, k].var(ddof=1) + 39 * b[:, k].var(ddof=1)) / 98)
        assert row["d"] == pytest.approx((b[:, k].mean() - a[:, k].mean()) / pooled)
        signs = [np.sign(y - x) for x, y in itertools.product(a[:, k], b[:, k])]
        assert row["delta"] == pytest.approx(np.mean(signs))
        assert row["low"] < row["d"] < row["high"]
    assert [row["shifted"] for row in found] == [False, True, False]
    assert found[1]["low"] > 0.5 and found[0]["low"] < 0 < found[0]["high"]
    assert compare.shifts(a, b) == found  # the same seed, the same intervals


def test_shifts_of_large_values_and_of_constants() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 50, 1))
    plain, far = compare.shifts(a, b)[0], compare.shifts(a + 1e6, b + 1e6)[0]
    assert far["low"] == pytest.approx(plain["low"], abs=1e-5)
    same = compare.shifts(np.ones((9, 1)), np.ones((9, 1)))[0]
    assert same["d"] == 0 and not same["shifted"] and same["delta"] == 0
    with pytest.raises(ValueError, match="at least 2 images"):
        compare.shifts(a[:1], b)


def test_telling_collections_apart() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(2, 120, 4))
    assert compare.told_apart(a, b + 3)["score"] > 0.97
    alike = compare.told_apart(a, b)
    assert alike["low"] < 0.5 < alike["high"] and 0.3 < alike["score"] < 0.7
