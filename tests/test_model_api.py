"""The model API on small random networks: shapes, batches, edits, and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cldis.data.rendered.rooms import Rooms
from cldis.diffusion.kept import mask
from cldis.diffusion.sampling import EDITS, END
from cldis.images import to_model
from cldis.model import Model
from cldis.training import precision
from cldis.training.recipes import recipe_config
from cldis.training.starter import FOLDER
from cldis.training.weights import open_networks
from loop.small import pictures, small_loop
from support.command import refused

UNITS, SIDE, STEPS = 4, 16, 6
STD = torch.tensor([0.5, 1.0, 2.0, 0.25])


def _model(method: str = "closed", batch: int = 64, prediction: str = "x0") -> Model:
    loop = small_loop(f"method={method}", f"diffusion.prediction={prediction}", scale=0.1)
    return Model(loop, torch.zeros(UNITS), STD, batch=batch)


@pytest.fixture(scope="module")
def model() -> Model:
    return _model()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return pictures(3)


def test_a_model_knows_its_sizes_and_does_not_learn(model: Model) -> None:
    assert (model.resolution, model.units) == (SIDE, UNITS)
    assert not model.loop.training
    assert not any(p.requires_grad for p in model.loop.parameters())


def test_codes_are_those_of_both_encoders(model: Model, images: Tensor) -> None:
    codes = model.encode(images)
    assert codes.sem is not None and codes.disen is not None
    assert model.loop.semantic is not None and model.loop.vae is not None
    for found, wanted in (
        (codes.sem, model.loop.semantic(images)),
        (codes.disen, model.loop.vae.encode(images)),
    ):
        torch.testing.assert_close(found.mean, wanted.mean)
        torch.testing.assert_close(found.scale, wanted.scale)
    assert torch.equal(codes.z, codes.sem.mean)


@pytest.mark.parametrize(("method", "has"), [("diffusion", (True, False)), ("vae", (False, True))])
def test_a_branch_that_the_arm_lacks_has_no_code(
    method: str, has: tuple[bool, bool], images: Tensor
) -> None:
    codes = _model(method).encode(images)
    assert (codes.sem is not None, codes.disen is not None) == has


@pytest.mark.parametrize("n", [0, 1, 3])
def test_shapes_for_any_number_of_images(model: Model, n: int) -> None:
    x = pictures(3)[:n]
    z = model.encode(x).z
    assert z.shape == (n, UNITS)
    x_T = model.invert(x, steps=2)
    whole = (n, 3, SIDE, SIDE)
    assert x_T.shape == whole
    for made in (
        model.decode(z, x_T, steps=2),
        model.decode(z, steps=2),
        model.decode(z, steps=2, fast=True),
        model.edit(x, {0: 1.0}, steps=2),
        *model.reconstruct(x, steps=2).values(),
    ):
        assert made.shape == whole and made.dtype == torch.float32
        assert not made.requires_grad and made.device.type == "cpu"
        assert n == 0 or (made.abs().max() <= 1 and made.std() > 0.01)
    for amounts in ([], [0.5], [-1.0, 0.0, 2.0]):
        assert model.traverse(x, 1, amounts, steps=2).shape == (n, len(amounts), 3, SIDE, SIDE)


@pytest.mark.parametrize("batch", [1, 2])
def test_the_batch_size_changes_nothing(images: Tensor, batch: int) -> None:
    whole, parts = _model(batch=64), _model(batch=batch)

    def same(call: Callable[[Model], Tensor], atol: float = 1e-4) -> None:
        torch.testing.assert_close(call(whole), call(parts), rtol=1e-4, atol=atol)

    same(lambda m: m.encode(images).z)
    same(lambda m: m.invert(images, steps=STEPS))
    same(lambda m: m.decode(m.encode(images).z, steps=STEPS))
    # A mask weighs rounding by 1 / (CLEAR - FAINT) where a network that knows nothing draws.
    same(lambda m: m.edit(images, {2: 1.5}, steps=STEPS), 1e-3)
    same(lambda m: m.traverse(images, 3, [-1, 1], steps=STEPS), 1e-3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_any_float_type_is_taken(model: Model, images: Tensor, dtype: torch.dtype) -> None:
    z = model.encode(images).z
    found = model.decode(z.to(dtype), model.invert(images.to(dtype), z.to(dtype), 2), 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found, model.decode(z, model.invert(images, z, 2), 2), atol=0.1, rtol=0
    )


@pytest.mark.parametrize("method", ["closed", "vae"])
@pytest.mark.parametrize("steps", [1, STEPS])
def test_editing_by_nothing_gives_the_photo_back(images: Tensor, method: str, steps: int) -> None:
    model = _model(method)
    assert float((model.start(images, steps).again - images).abs().max()) > 0.1
    for shifts in ({}, {0: 0.0}, {0: 0.0, 3: -0.0}):
        assert torch.equal(model.edit(images, shifts, steps), images)
    still = model.traverse(images, 1, [0.0, 2.0, 0.0], steps)
    for column in (0, 2):  # in a batch of another size
        torch.testing.assert_close(still[:, column], images, rtol=0, atol=1e-3)


def test_an_exact_edit_is_a_decode_from_the_exact_inversion(model: Model, images: Tensor) -> None:
    z, change = model.encode(images).z, model.shift({1: 2.0, 3: -1.0})
    expected = model.decode(z + change, model.invert(images, z, STEPS), STEPS)
    assert torch.equal(model.edit(images, {1: 2.0, 3: -1.0}, STEPS, exact=True), expected)
    assert torch.equal(model.move(images, change, STEPS, exact=True), expected)
    assert float((model.edit(images, {1: 2.0, 3: -1.0}, STEPS) - expected).abs().max()) > 0.01


def test_an_edit_is_a_blend_of_photo_and_decode(model: Model, images: Tensor) -> None:
    z, change = model.encode(images).z, model.shift({0: 3.0})
    x_T = model.invert(images, z, STEPS, EDITS)
    again, moved = (model.decode(code, x_T, STEPS) for code in (z, z + change))
    expected = moved + (1 - mask(moved - again)) * (images - again)
    found = model.edit(images, {0: 3.0}, STEPS)
    torch.testing.assert_close(found, expected.clamp(-1, 1), rtol=0, atol=1e-5)


def test_a_start_is_nearer_to_normal_the_higher_inversion_starts(images: Tensor) -> None:
    model = _model()
    far, errors = [], []
    for sigma in (END, 0.05, 0.1, 0.2, 0.4):
        x_T = model.invert(images, steps=STEPS, sigma=sigma)
        far.append(abs(float(x_T.std()) - 1))
        back = model.decode(model.encode(images).z, x_T, STEPS)
        errors.append(float((back - images).pow(2).mean()))
    assert far == sorted(far, reverse=True) and far[0] > 10 * far[-1]
    assert errors == sorted(errors)  # and the less comes back


def test_the_noise_of_an_inversion_depends_on_the_seed_alone(model: Model, images: Tensor) -> None:
    first, again, other = (model.invert(images, None, 2, 0.2, seed) for seed in (7, 7, 8))
    assert torch.equal(first, again) and float((first - other).abs().mean()) > 0.1
    alone = model.invert(images[1:2], None, 2, 0.2, 7)  # whoever stands beside it
    torch.testing.assert_close(alone, first[1:2], rtol=1e-4, atol=1e-4)
    whole = [model.invert(images, None, 2, END, seed) for seed in (7, 8)]
    assert torch.equal(*whole)
    assert torch.equal(model.edit(images, {0: 2.0}, 3), model.edit(images, {0: 2.0}, 3))


@pytest.mark.parametrize("prediction", ["x0", "v"])
def test_an_exact_edit_by_nothing_reconstructs(images: Tensor, prediction: str) -> None:
    model = _model(prediction=prediction)
    inverted = model.reconstruct(images, steps=25)["inverted"]
    assert (inverted - images).abs().max() < 0.05
    for shifts in ({}, {0: 0.0}, {0: 0.0, 3: -0.0}):
        assert torch.equal(model.edit(images, shifts, steps=25, exact=True), inverted)


def test_a_unit_moved_moves_the_image_and_back_again(model: Model, images: Tensor) -> None:
    still = model.edit(images, {}, STEPS, exact=True)
    for unit in range(UNITS):
        moved = model.edit(images, {unit: 3.0}, STEPS, exact=True)
        assert (moved - still).abs().max() > 1e-3
    z, x_T = model.encode(images).z, model.invert(images, steps=STEPS)
    there = z + model.shift({1: 2.0})
    back = model.decode(there - model.shift({1: 2.0}), x_T, STEPS)
    torch.testing.assert_close(back, still, rtol=0, atol=1e-3)


@settings(max_examples=5)
@given(unit=st.integers(0, UNITS - 1), amounts=st.lists(st.floats(-3, 3), min_size=1, max_size=3))
def test_an_edit_is_a_cell_of_the_traversal(unit: int, amounts: list[float]) -> None:
    model, images = _shared(), pictures(2)
    grid = model.traverse(images, unit, amounts, STEPS)
    for column, amount in enumerate(amounts):
        edited = model.edit(images, {unit: amount}, STEPS)
        torch.testing.assert_close(edited, grid[:, column], rtol=1e-4, atol=1e-3)
    start = model.start(images, STEPS)
    assert torch.equal(model.traverse_from(start, unit, amounts), grid)


_models: list[Model] = []


def _shared() -> Model:
    if not _models:
        _models.append(_model())
    return _models[0]


@given(
    shifts=st.dictionaries(st.integers(0, UNITS - 1), st.floats(-100, 100, width=32), max_size=4)
)
def test_shifts_are_standard_deviations(shifts: dict[int, float]) -> None:
    expected = [shifts.get(unit, 0.0) * float(STD[unit]) for unit in range(UNITS)]
    assert _shared().shift(shifts).tolist() == pytest.approx(expected, rel=1e-6)


def test_numpy_numbers_are_numbers(model: Model) -> None:
    found = model.shift({np.int64(2): np.float32(1.5)})  # type: ignore[dict-item]
    assert found.tolist() == [0, 0, 3.0, 0]


def test_random_images_depend_on_the_seed_alone(model: Model, images: Tensor) -> None:
    z = model.encode(images).z
    first, again, other = (model.decode(z, steps=3, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(first, again) and not torch.equal(first, other)
    random = model.reconstruct(images, steps=3, seed=7)["random"]
    assert torch.equal(random, first)


def test_random_codes_vary_as_those_of_the_training_images(model: Model) -> None:
    z = model.random_codes(4000)
    assert torch.equal(z, model.random_codes(4000)) and z.shape == (4000, UNITS)
    torch.testing.assert_close(z.std(dim=0), STD, rtol=0.05, atol=0)


def test_inputs_are_left_as_they_were(model: Model, images: Tensor) -> None:
    x, z = images.clone(), model.encode(images).z
    kept = z.clone()
    x_T = model.invert(x, z, 2)
    start = x_T.clone()
    model.decode(z, x_T, 2)
    model.traverse(x, 0, [1.0], 2)
    assert torch.equal(x, images) and torch.equal(z, kept) and torch.equal(x_T, start)


# --- refusals

NAN, INF = float("nan"), float("inf")
X, Z = torch.zeros(2, 3, SIDE, SIDE), torch.zeros(2, UNITS)
BAD_IMAGES: dict[str, Any] = {
    "another side": torch.zeros(2, 3, SIDE, 2 * SIDE),
    "grey": torch.zeros(2, 1, SIDE, SIDE),
    "no batch": torch.zeros(3, SIDE, SIDE),
    "channels last": torch.zeros(2, SIDE, SIDE, 3),
    "bytes": torch.zeros(2, 3, SIDE, SIDE, dtype=torch.uint8),
    "integers": torch.zeros(2, 3, SIDE, SIDE, dtype=torch.int64),
    "NaN": torch.full((2, 3, SIDE, SIDE), NAN),
    "infinity": torch.full((2, 3, SIDE, SIDE), -INF),
    "NumPy": np.zeros((2, 3, SIDE, SIDE), np.float32),
    "a list": [[0.0]],
}
# What x_T may be and images may not.
OUTSIDE = {
    "0..255": torch.full((2, 3, SIDE, SIDE), 255.0),
    "-1.5": torch.full((2, 3, SIDE, SIDE), -1.5),
}
BAD_CODES: dict[str, Any] = {
    "too wide": torch.zeros(2, UNITS + 1),
    "flat": torch.zeros(UNITS),
    "three axes": torch.zeros(2, UNITS, 1),
    "integers": torch.zeros(2, UNITS, dtype=torch.int64),
    "NaN": torch.full((2, UNITS), NAN),
    "too many": torch.zeros(3, UNITS),
    "NumPy": np.zeros((2, UNITS), np.float32),
}
BAD_SHIFTS: dict[str, dict[Any, Any]] = {
    "too high": {UNITS: 1.0},
    "negative": {-1: 1.0},
    "fraction": {0.5: 1.0},
    "text unit": {"0": 1.0},
    "NaN": {0: NAN},
    "infinity": {1: -INF},
    "text": {0: "much"},
    "None": {0: None},
}


@pytest.mark.parametrize("what", BAD_IMAGES)
def test_wrong_images_are_refused_everywhere(model: Model, what: str) -> None:
    bad = BAD_IMAGES[what]
    for call in (
        lambda: model.encode(bad),
        lambda: model.invert(bad),
        lambda: model.invert(bad, Z),
        lambda: model.decode(Z, bad),
        lambda: model.edit(bad, {}),
        lambda: model.traverse(bad, 0, [0.0]),
        lambda: model.start(bad),
        lambda: model.reconstruct(bad),
    ):
        assert "images" in refused(call)


@pytest.mark.parametrize("what", OUTSIDE)
def test_images_outside_their_range_are_refused_and_starts_are_not(model: Model, what: str) -> None:
    bad = OUTSIDE[what]
    for call in (
        lambda: model.encode(bad),
        lambda: model.invert(bad),
        lambda: model.edit(bad, {}),
        lambda: model.traverse(bad, 0, [0.0]),
        lambda: model.reconstruct(bad),
    ):
        assert "expected floats in [-1, 1]" in refused(call) and "127.5" in refused(call)
    assert model.decode(Z, bad, 1).shape == X.shape
    model.encode(X + 1.001)  # rounding


@pytest.mark.parametrize("what", ["NumPy", "bytes", "integers"])
def test_what_is_no_tensor_of_floats_is_told_how_to_become_one(model: Model, what: str) -> None:
    assert "cldis.images.to_model" in refused(lambda: model.encode(BAD_IMAGES[what]))


@pytest.mark.parametrize("change", [np.zeros(UNITS), torch.zeros(1), torch.zeros(2, UNITS)])
def test_a_change_of_another_shape_isrefused(model: Model, change: Any) -> None:
    assert "change of z" in refused(lambda: model.move(X, change, 1))


@pytest.mark.parametrize("what", BAD_CODES)
def test_wrong_codes_are_refused_everywhere(model: Model, what: str) -> None:
    bad = BAD_CODES[what]
    for call in (
        lambda: model.invert(X, bad),
        lambda: model.decode(bad, X),
        lambda: model.edited(model.start(X, 1), bad),
    ):
        assert "codes" in refused(call)


@pytest.mark.parametrize("what", BAD_SHIFTS)
def test_wrong_shifts_are_refused_everywhere(model: Model, what: str) -> None:
    bad = BAD_SHIFTS[what]
    (unit, amount), *_ = bad.items()
    for call in (
        lambda: model.shift(bad),
        lambda: model.edit(X, bad, 1),
        lambda: model.traverse(X, unit, [amount], 1),
        lambda: model.traverse_from(model.start(X, 1), unit, [0.0, amount]),
    ):
        text = refused(call)
        assert repr(unit) in text
        assert "units are 0..3" in text or "not a finite number" in text


@pytest.mark.parametrize("steps", [0, -1, 1001, 2.5])
def test_wrong_steps_are_refused_everywhere(model: Model, steps: Any) -> None:
    for call in (
        lambda: model.invert(X, steps=steps),
        lambda: model.decode(Z, steps=steps),
        lambda: model.decode(Z, steps=steps, fast=True),
        lambda: model.edit(X, {}, steps),
    ):
        assert "1..1000" in refused(call)


@pytest.mark.parametrize("sigma", [0, 0.019, 1, -0.2, NAN, INF, "0.2", None])
def test_wrong_noise_levels_arerefused(model: Model, sigma: Any) -> None:
    text = refused(lambda: model.invert(X, steps=1, sigma=sigma))
    assert f"sigma={sigma!r}" in text and "from 0.02 up to below 1" in text


@pytest.mark.parametrize("batch", [0, -4])
def test_a_batch_without_images_isrefused(batch: int) -> None:
    assert "batch" in refused(lambda: _model(batch=batch))


def test_a_vae_alone_draws_with_its_mean_picture() -> None:
    model = _model("vae")
    codes = model.encode(X)
    assert codes.sem is None and codes.disen is not None and codes.disen.mean.shape == (2, UNITS)
    assert torch.equal(codes.z, codes.disen.mean) and not model.diffuses
    vae = model.loop.vae
    assert vae is not None
    with torch.no_grad():
        expected = vae.decode(codes.z).sigmoid() * 2 - 1
    torch.testing.assert_close(model.decode(codes.z), expected)
    assert torch.equal(model.decode(codes.z), model.decode(codes.z, X, steps=3, seed=1))
    assert list(model.reconstruct(X)) == ["vae"]
    assert torch.equal(model.reconstruct(X)["vae"], model.decode(codes.z))
    moved = model.decode(codes.z + model.shift({0: 1.5}))
    torch.testing.assert_close(model.edit(X, {0: 1.5}, exact=True), moved)
    edited = moved + (1 - mask(moved - model.decode(codes.z))) * (X - model.decode(codes.z))
    torch.testing.assert_close(model.edit(X, {0: 1.5}), edited)
    torch.testing.assert_close(model.traverse(X, 0, [0.0, 1.5])[:, 1], edited)
    assert model.decode(Z[:0]).shape == (0, *X.shape[1:])
    for call in (lambda: model.invert(X), lambda: model.invert(X, Z)):
        assert "method" in refused(call) and "vae" in refused(call).lower()


def test_the_loop_draws_by_diffusion_and_its_vae_beside_it() -> None:
    model = _model("closed")
    drawn, codes = model.reconstruct(X, 2), model.encode(X)
    assert list(drawn) == ["inverted", "random", "vae"] and model.diffuses
    assert codes.disen is not None and codes.main is codes.sem
    assert torch.equal(drawn["vae"], model.decode_vae(codes.disen.mean))
    assert "has no VAE" in refused(lambda: _model("encdiff").decode_vae(Z))


def test_units_that_say_nothing_are_not_shown() -> None:
    std = torch.tensor([0.5, 0.049, 2.0, 0.19])
    assert Model(small_loop(), torch.zeros(4), std).shown_units == [2, 0]
    assert Model(small_loop(), torch.zeros(4), torch.ones(4)).shown_units == [0, 1, 2, 3]


def psnr_to(found: Tensor, expected: Tensor) -> float:
    return float(10 * torch.log10(4 / (found - expected).pow(2).flatten(1).mean(dim=1)).min())


def test_bf16_draws_what_float32_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """bf16 is forced, so that a machine without it is tested too. On the packaged starter: pictures
    above 40 dB; codes, the inversion of whole images and what is asked for exactly stay in float32,
    bit for bit."""
    path, config = FOLDER / "rooms64", recipe_config("demo")
    units = config.model.units
    model = Model(
        open_networks(config, path / "ema.safetensors", path), torch.zeros(units), torch.ones(units)
    )
    many = to_model(Rooms(64).batch(np.arange(0, 480_000, 60_000)))
    monkeypatch.setattr(precision, "best", lambda device: "no")
    z, x_T = model.encode(many).z, model.random_start(len(many))
    plain, inverted = model.decode(z, x_T, 6), model.invert(many, z, 1)
    monkeypatch.setattr(precision, "best", lambda device: "bf16")
    half = model.decode(z, x_T, 6)
    assert not torch.equal(half, plain) and psnr_to(half, plain) > 40
    assert torch.equal(half, model.decode(z, x_T, 6))
    assert torch.equal(plain, model.decode(z, x_T, 6, exact=True))
    assert torch.equal(inverted, model.invert(many, z, 1))
    assert torch.equal(model.encode(many).z, z)
    few = z[:2], x_T[:2], 2
    assert torch.equal(model.decode(*few), model.decode(*few, exact=True))


def test_all_edits_of_a_start_are_in_its_arithmetic(
    images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No change gives the photo back whether many were started and few edited, or the reverse."""
    monkeypatch.setattr(precision, "best", lambda device: "bf16")
    monkeypatch.setattr("cldis.model.pays", lambda device, images, weights: images > 3)
    model, many = _model(), images.repeat(3, 1, 1, 1)
    starts = model.start(many, 2).rows(slice(1, 2)), model.start(images[:1], 2).repeated(9)
    for start, exact in zip(starts, (False, True), strict=True):
        assert start.images is not None and start.exact == exact
        still = model.edited(start, start.z)
        torch.testing.assert_close(
            still, start.images, rtol=0, atol=2e-2 if len(still) == 1 else 1e-3
        )
