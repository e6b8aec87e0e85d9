"""The page on made-up cells: right numbers, and no average over what does not belong together."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from cldis.bench.plots import draw_curves, draw_ends, write_plots
from cldis.bench.results import COLUMNS, read_results
from cldis.bench.statistics import Summary
from cldis.bench.suite import Cell
from cldis.bench.suites import SUITES
from cldis.bench.table import entry
from cldis.cli import main
from cldis.metrics.suite import evaluate
from cldis.text import fraction
from support.bench_suite import SMALL, made_up, measured, write_made_up

CLOSED, VAE = [0.7, 0.5, 0.64], [0.2, 0.3, 0.19]


def cell(method: str, seed: int, images: int = 96) -> Cell:
    return Cell("small", method, "rooms", images, seed)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(SUITES, SMALL.name, SMALL)
    yield


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed, (mine, theirs) in enumerate(zip(CLOSED, VAE, strict=True)):
        write_made_up(tmp_path, cell("closed", seed), {48: 0.4, 96: mine})
        write_made_up(tmp_path, cell("vae", seed), {48: 0.1, 96: theirs})
    return tmp_path


def page(results: Path) -> str:
    assert main(["bench", "small", "--results", str(results), "--table"]) == 0
    return (results / "small.md").read_text()


def row(text: str, *start: str) -> list[str]:
    """The cells of the one table row that begins so."""
    lines = [line for line in text.splitlines() if line.startswith(f"| {' | '.join(start)} |")]
    return [part.strip() for part in lines[0].strip("|").split("|")]


def interval(values: list[float]) -> list[float]:
    """What an entry must say: mean, deviation, ends of SciPy's t-interval."""
    mean, error = float(np.mean(values)), stats.sem(values)
    low, high = stats.t.interval(0.95, len(values) - 1, loc=mean, scale=error)
    return [mean, float(np.std(values, ddof=1)), float(low), float(high)]


def numbers(text: str) -> list[float]:
    return [float(found) for found in re.findall(r"[+-]?\d*\.\d+", text)]


def test_means_and_intervals(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = page(results)
    assert capsys.readouterr().out.strip() == str(results / "small.md")
    mine = row(text, "closed", "z_sem")
    assert mine[2] == "3" and mine[-2:] == ["96", "1.00"]
    assert numbers(mine[4]) == pytest.approx(interval(CLOSED), abs=6e-4)
    assert numbers(row(text, "vae", "z_disen")[4]) == pytest.approx(interval(VAE), abs=6e-4)


def test_differences_are_paired_by_seed(results: Path) -> None:
    write_made_up(results, cell("closed", 7), {48: 0.4, 96: 0.9})  # no partner
    found = row(page(results), "closed - vae", "z_sem - z_disen", "3")
    wanted = interval([a - b for a, b in zip(CLOSED, VAE, strict=True)])
    assert numbers(found[4]) == pytest.approx(wanted, abs=6e-4)
    assert found[4].startswith("+")


def test_differences_at_equal_time_are_read_off_the_curves(tmp_path: Path) -> None:
    """One second per image here: both stood at 96 seconds, the second between two points."""
    for seed, (mine, theirs) in enumerate([(0.8, 0.3), (0.7, 0.4)]):
        write_made_up(tmp_path, cell("closed", seed), {48: 0.4, 96: mine})
        other = dataclasses.replace(cell("vae", seed), images=192)
        write_made_up(tmp_path, other, {48: 0.1, 72: theirs - 0.1, 120: theirs + 0.1, 192: 0.9})
    found = row(page(tmp_path), "closed - vae", "z_sem - z_disen", "2")
    assert numbers(found[4]) == pytest.approx(interval([0.5, 0.3]), abs=6e-4)
    assert found[-1] == "2"  # minutes


def test_images_until_the_goal(results: Path) -> None:
    text = page(results)
    speed = text[text.index("Speed") :]
    first, third = 48 + 48 * 0.2 / 0.3, 48 + 48 * 0.2 / 0.24  # the second seed ends at .5
    words = f"{(first + third) / 2:,.0f} (mean of the 2 of 3 seeds that reached it)"
    assert row(speed, "closed", "z_sem")[3] == words
    assert row(speed, "vae", "z_disen")[3] == "not reached"


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    write_made_up(tmp_path, cell("closed", 0), {48: 0.4, 96: 0.7})
    assert row(page(tmp_path), "closed", "z_sem")[4] == ".700"


def test_a_damaged_file_is_named_and_not_averaged(results: Path) -> None:
    path = results / "small" / "closed-rooms-96-s1.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    text = page(results)
    assert row(text, "closed", "z_sem")[2] == "2"
    assert f"- {path} was altered or cut off" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 99}, "result format 99"),
        ({"scoring": {"pool": 1, "pool_seed": 0}}, "scoring"),
        ({"fingerprint": "g"}, "not the same set of images"),
        ({"config": {"vae": {"beta": 7.0}}}, "vae.beta 50.0 / 7.0"),
    ],
)
def test_mixtures_are_refused_with_the_files_named(
    results: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, object],
    words: str,
) -> None:
    if "config" in changes:
        config = SMALL.config(cell("closed", 1)).with_overrides(["vae.beta=7"])
        changes = {"config": config.to_dict()}
    path = write_made_up(results, cell("closed", 1), {48: 0.4, 96: 0.5}, **changes)
    assert main(["bench", "small", "--results", str(results), "--table"]) == 2
    error = capsys.readouterr().err
    assert words in error and str(path) in error and len(error.splitlines()) == 1
    assert not (results / "small.md").exists()


def test_two_estimators_are_refused(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = made_up(cell("closed", 1), {96: 0.5})
    record["curve"][0]["codes"]["z_sem"]["fast"] = measured(0.5, "guesses")
    path = write_made_up(results, cell("closed", 1), {}, curve=record["curve"])
    assert main(["bench", "small", "--results", str(results), "--table"]) == 2
    error = capsys.readouterr().err
    assert "guesses" in error and str(path) in error


def test_the_columns_are_what_the_metrics_give() -> None:
    generator = np.random.default_rng(0)
    factors = generator.integers(0, 3, (300, 2))
    codes = factors + generator.normal(0, 0.1, (300, 2))
    found = evaluate(codes, factors, (3, 3), setting="fast")
    for column in COLUMNS:
        assert 0 <= column.of(found) <= 1


@pytest.mark.parametrize(("draw", "shares"), [(draw_curves, (1, 2)), (draw_ends, (1,))])
def test_the_picture_shows_something(
    results: Path, draw: Callable[..., bytes], shares: tuple[int, ...]
) -> None:
    """Curves, or the ends alone where a suite scores nothing else."""
    suite = replace(SMALL, shares=tuple(Fraction(share, shares[-1]) for share in shares))
    groups, _ = read_results(suite, results)
    (path,) = write_plots(suite, groups, results)
    assert path.read_bytes() == draw(suite, groups)
    image = Image.open(path).convert("RGB")
    assert image.width > 800 and image.height > (500 if draw is draw_curves else 150)
    colours = {colour for _, colour in image.getcolors(1 << 24) or []}
    assert {(0, 114, 178), (213, 94, 0)} <= colours


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.934, 2, ".93"),
        (1.0, 2, "1.00"),
        (-0.02, 2, "-.02"),
        (10.5, 2, "10.50"),
        (0, 2, ".00"),
        (0.9996, 3, "1.000"),
    ],
)
def test_numbers_have_no_zero_before_the_point(value: float, digits: int, text: str) -> None:
    assert fraction(value, digits) == text


def test_entries() -> None:
    assert entry(Summary(1, 0.5, None, None)) == ".500"
    assert entry(Summary(2, -0.25, 0.1, 1.5), signed=True) == "-.250 ± .100 [-1.750, +1.250]"
    assert entry(Summary(2, 1.0, 0.0, 0.0)) == "1.000 ± .000 [1.000, 1.000]"
