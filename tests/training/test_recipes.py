"""Recipes over other budgets and with other methods: whole, valid, and the same in proportion."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cldis.bench.record import settings
from cldis.bench.suites import SUITES
from cldis.cli import main
from cldis.config import Config
from cldis.methods import METHODS
from cldis.training.recipes import DEFAULT, RECIPES, recipe_config, resized, stretched

names = st.sampled_from(sorted(RECIPES))


@given(name=names, images=st.integers(1, 10**9))
@example("rooms32", 1)
@example("rooms32", 2)
@example("rooms32", 3)
def test_phases_keep_their_share(name: str, images: int) -> None:
    recipe = recipe_config(name)
    found = stretched(recipe, images)
    assert found.training.images == images
    budget = recipe.training.images
    for key in ("loop.vae_alone", "distillation.warmup", "feedback.warmup"):
        section, field = key.split(".")
        before = getattr(getattr(recipe, section), field)
        after = getattr(getattr(found, section), field)
        assert 0 <= before * images - after * budget < budget  # whole images, rounded down
    release = recipe.distillation.end
    assert (found.distillation.end == 0) == (release == 0)
    assert abs(found.distillation.end * budget - release * images) <= 2 * budget
    end = [c.feedback.rate * c.training.images for c in (recipe, found)]
    assert end[1] == pytest.approx(end[0])  # C may rise as far


@given(name=names)
def test_the_own_budget_changes_nothing(name: str) -> None:
    recipe = recipe_config(name)
    assert stretched(recipe, recipe.training.images) == recipe


@given(name=names, images=st.integers(1, 10**6), again=st.integers(10**5, 10**6))
def test_what_is_no_phase_stays(name: str, images: int, again: int) -> None:
    phases = ("loop", "distillation", "feedback", "training")

    def rest(config: Config) -> dict[str, object]:
        return {k: v for k, v in config.to_dict().items() if k not in phases}

    recipe = recipe_config(name)
    assert rest(stretched(stretched(recipe, images), again)) == rest(recipe)


@given(name=names, side=st.sampled_from([32, 64, 128, 256]))
def test_what_follows_the_number_of_pixels(name: str, side: int) -> None:
    recipe = recipe_config(name)
    found = resized(recipe, side)
    assert found.model.resolution == side
    before, after = (c.vae.beta / c.model.seen**2 for c in (recipe, found))
    assert after == pytest.approx(before)
    ends = [c.feedback.log_snr_max + 2 * math.log(c.model.resolution) for c in (recipe, found)]
    assert ends[1] == pytest.approx(ends[0])
    assert resized(recipe, recipe.model.resolution) == recipe


@pytest.mark.parametrize(
    ("name", "suite", "method"),
    [
        ("cpu64", "px64", "encdiff_16"),
        ("loop64", "px64", "closed_led_go"),
        ("taught64", "compact", "unmixed_long"),
        ("rooms32", "led", "closed_led_go"),
    ],
)
def test_the_recipe_is_what_the_bench_measured(name: str, suite: str, method: str) -> None:
    cells = SUITES[suite].cells()
    (cell,) = [c for c in cells if (c.method, c.data, c.seed) == (method, "rooms", 0)]
    recipe, measured = recipe_config(name), SUITES[suite].config(cell)
    same, other = settings(recipe), settings(measured)
    if method.startswith("encdiff"):  # it reads none of these
        unread = ("distillation.", "feedback.", "vae.")
        same, other = (
            {key: value for key, value in found.items() if not key.startswith(unread)}
            for found in (same, other)
        )
    if name == "loop64":  # measured with the range of 32 px: C was below the signal with either
        other["feedback.log_snr_max"] = same["feedback.log_snr_max"]
    assert same == other
    assert recipe.training.images == cell.images


@pytest.mark.parametrize("images", [0, -5])
def test_a_budget_of_nothing_is_refused(images: int) -> None:
    with pytest.raises(ValueError, match=f"training.images {images} must be at least 1"):
        stretched(recipe_config("tiny"), images)


@pytest.mark.parametrize("name", sorted(RECIPES))
@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_asked_of_every_recipe(name: str, method: str) -> None:
    words = [f"method={method}"]
    if method in ("closed", "open"):  # a code that is a point has no KL
        words.append("distillation.kind=mse")
    if method == "rate_loop":  # the VAE's encoder becomes E_sem
        words.append(f"model.vae_width={recipe_config(name).model.encoder_width}")
    config = recipe_config(name).with_overrides(words)
    assert config.method == method
    if not config.distils:
        assert config.loop.vae_alone == 0


def test_the_defaults_are_those_of_the_recipe_that_they_name() -> None:
    assert Config() == recipe_config(Config().recipe)
    assert DEFAULT in RECIPES


def test_recipes_stand_alone() -> None:
    """Every recipe says itself what tells methods and budgets apart; none leans on a default."""
    for name, recipe in RECIPES.items():
        assert {"method", "model", "training"} <= set(recipe.settings), name
        assert {"resolution", "gaussian"} <= set(recipe.settings["model"]), name
        assert {"images", "batch"} <= set(recipe.settings["training"]), name
        if recipe.settings["method"] == "closed":
            assert {"kind", "weight", "warmup"} <= set(recipe.settings["distillation"]), name
            assert {"rate", "warmup", "log_snr_max"} <= set(recipe.settings["feedback"]), name
            assert "beta" in recipe.settings["vae"], name


def test_images_on_the_command_line_stretch_and_set_wins(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["train", "rooms", "--out", "none", "--recipe", "rooms32", "--images", "5120"]
    assert main([*words, "--dry-run"]) == 0
    assert "5120 images" in capsys.readouterr().out
    assert main([*words, "--set", "loop.vae_alone=5200", "--dry-run"]) == 2
    assert "loop.vae_alone 5200 must be below training.images 5120" in capsys.readouterr().err
