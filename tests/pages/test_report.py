"""The report: every method, every missing piece, one file that needs nothing but itself."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cldis.config import Config
from cldis.data import open_data
from cldis.images import SHOWN_SIDE, to_model
from cldis.model import load
from cldis.pages import figures
from cldis.pages import page as pages
from cldis.pages.report import measure, plots, sentences, write_report
from cldis.pages.report.results import Encoded
from cldis.text import number
from cldis.training.run_folder import RunFolder
from pages.runs import METHODS, copy
from support.html_page import check_report


@pytest.mark.parametrize("method", METHODS)
def test_every_method_has_a_whole_report(trained: dict[str, RunFolder], method: str) -> None:
    run = trained[method]
    path = write_report(
        run, open_data(run.about["data"]["source"], run.config.model.resolution), probe_images=60
    )
    assert path == run.path / "report.html"
    page, numbers = check_report(path)

    expected = {"closed": {"inverted", "random", "vae"}, "vae": {"vae"}}
    expected |= {"open": expected["closed"], "diffusion": {"inverted", "random"}}
    assert set(numbers["reconstruction"]) == expected[method]
    for scores in numbers["reconstruction"].values():
        assert -1 <= scores["ssim"] <= 1 and scores["psnr"] > 0
    if "inverted" in expected[method]:
        found = numbers["reconstruction"]
        assert found["inverted"]["psnr"] > found["random"]["psnr"] + 3
    assert [unit["unit"] for unit in numbers["units"]] == [0, 1, 2, 3]
    assert all(unit["change"] >= 0 and unit["std"] >= 0 for unit in numbers["units"])
    assert numbers["images_seen"] == 64 and numbers["steps"] == 12

    # pictures: a grid per unit, a strip per way to draw and the originals, three edits, curves,
    # and the sample grid
    grids = 4 + 1 + len(expected[method]) + 3 + 1
    vectors = [image for image in page.images if "svg" in (image["src"] or "")[:20]]
    assert len(page.images) == grids + len(vectors)
    assert len(vectors) == {"closed": 6, "open": 8, "diffusion": 4, "vae": 4}[method]

    if method == "closed":
        assert "have no labels" in page.words and "factors" not in numbers
        assert "listed with reasons in skipped.tsv" in page.words
        assert numbers["health"] is None and "two held-out images" in page.words  # 1 of 24
    else:
        codes = {"open": {"z_sem", "z_disen"}, "diffusion": {"z_sem"}, "vae": {"z_disen"}}
        assert set(numbers["factors"]) == codes[method]
        for probe in numbers["factors"].values():
            assert probe["estimator"] in page.words
            assert np.shape(probe["importance"]) == (4, 6)
    assert run.config.recipe in page.words and "loop" in page.words


def test_the_same_run_gives_the_same_report(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    run = copy(trained["vae"], tmp_path / "run")
    first = write_report(run, probe_images=60).read_text("utf-8")
    assert write_report(run, probe_images=60).read_text("utf-8") == first


def test_data_that_is_gone(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    run = copy(trained["closed"], tmp_path / "run")
    place = {"source": str(tmp_path / "gone"), "relative": "gone"}
    about = {**run.about, "data": {**run.about["data"], **place}}
    gone = dataclasses.replace(run, about=about)
    shown = write_report(run).read_bytes()
    with pytest.raises(ValueError, match=r"not there any more.*report.html shows them and is kept"):
        write_report(gone)
    assert (run.path / "report.html").read_bytes() == shown
    (run.path / "report.json").unlink()
    page, numbers = check_report(write_report(gone))
    assert "not there any more" in page.words and "made-up codes" in page.words
    assert "gone" in numbers["data_missing"]
    assert "reconstruction" not in numbers and len(numbers["units"]) == 4
    assert all(unit["change"] is not None for unit in numbers["units"])


def test_other_data_is_said_to_be_other(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    run = copy(trained["vae"], tmp_path / "run")
    about = {**run.about, "data": {**run.about["data"], "fingerprint": "0" * 64}}
    page, numbers = check_report(
        write_report(dataclasses.replace(run, about=about), open_data("rooms", 32), probe_images=60)
    )
    assert numbers["data_differs"] and "fingerprint differs" in page.words


def test_a_run_without_anything_yet(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    run = copy(trained["closed"], tmp_path / "run")
    for name in ("checkpoints", "samples"):
        shutil.rmtree(run.path / name)
    run.metrics.unlink()
    page, numbers = check_report(write_report(run))
    assert page.images == [] and "directions" not in numbers and numbers["images_seen"] == 0
    assert "Nothing can be said yet" in page.words and "no checkpoint" in page.words


def test_health_is_measured_when_training_has_not(
    trained: dict[str, RunFolder], tmp_path: Path
) -> None:
    run = copy(trained["diffusion"], tmp_path / "run")
    shutil.rmtree(run.samples)
    lines = [line for line in run.metrics.read_text().splitlines() if '"health"' not in line]
    run.metrics.write_text("\n".join(lines) + '\n{"kind": "train", "ima')  # cut off by a crash
    page, numbers = check_report(write_report(run, probe_images=60))
    assert "gap" in numbers["health"] and "for this report" in page.words
    assert "None yet" in page.words


def test_too_few_images_for_a_probe(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    page, numbers = check_report(
        write_report(copy(trained["vae"], tmp_path / "run"), probe_images=5)
    )
    assert "factors" not in numbers and "n >= 10" in page.words


def test_images_of_another_size_are_refused(trained: dict[str, RunFolder]) -> None:
    with pytest.raises(ValueError, match=r"32 px but .* is of 16 px"):
        write_report(trained["closed"], open_data("rooms", 32))


def test_changes_are_those_of_the_pictures(trained: dict[str, RunFolder]) -> None:
    """A unit's number can be computed again from its grid, and the middle is the image."""
    model = load(trained["open"].path)
    x = to_model(open_data("rooms", 32).batch(np.arange(3)))
    found = measure.traversals(model, Encoded(model.start(x, 12), []), [2, 0])
    assert {item.unit for item in found} == {0, 2}
    assert found[0].change >= found[1].change
    for item in found:
        middle = item.cells[:, 2]
        torch.testing.assert_close(middle, x)
        torch.testing.assert_close(item.cells[:, 3], model.edit(x, {item.unit: 1.0}, 12))
        ends = (item.cells[:, [0, 4]] - middle[:, None]).abs().mean() * 127.5
        assert item.change == pytest.approx(float(ends), rel=1e-4)


def test_slow_models_show_fewer_units(trained: dict[str, RunFolder]) -> None:
    model = load(trained["vae"].path)
    model.loop.config.model.__dict__["units"] = 100
    model.unit_std = torch.arange(100.0)
    assert measure.affordable(model, 1.0) == list(range(68, 100))
    assert measure.affordable(model, 30.0) == list(range(90, 100))
    assert measure.affordable(model, 1e6) == list(range(96, 100))


@given(st.floats(allow_nan=True, allow_infinity=True) | st.integers(-(10**9), 10**9))
def test_numbers_read_well_and_are_json(value: float) -> None:
    text = number(value)
    assert text and "e+" not in text and len(text.replace(",", "")) < 320
    if math.isfinite(value) and abs(value) < 1e6:
        assert float(text.replace(",", "")) == pytest.approx(value, rel=0.006, abs=1e-300)
    json.dumps(pages.finite({"a": [value]}), allow_nan=False)


@given(st.integers(1, 3), st.integers(1, 4), st.sampled_from([8, 16, 100]))
def test_pictures_keep_their_pixels_and_their_gaps_are_clear(
    rows: int, columns: int, side: int
) -> None:
    cells = torch.rand(rows, columns, 3, side, side) * 2 - 1
    found = pages.picture(cells, "A picture.")
    kind, _, data = found["src"].partition(",")
    assert kind == "data:image/webp;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    shown = min(side, SHOWN_SIDE)
    assert image.size == found["size"] == (columns * (shown + 2) + 2, rows * (shown + 2) + 2)
    alpha = np.asarray(image)[..., 3]
    assert (alpha == 255).sum() == rows * columns * shown**2 and set(np.unique(alpha)) == {0, 255}
    if side < pages.EXACT:
        first = torch.from_numpy(np.asarray(image)[2 : 2 + side, 2 : 2 + side, :3].copy())
        expected = ((cells[0, 0].permute(1, 2, 0) + 1) * 127.5).round()
        torch.testing.assert_close(first.float(), expected)


def test_curves_bear_lost_values_and_single_points() -> None:
    lines = [{"kind": "train", "images": 64, "diffusion": None, "images_per_second": 9.0}]
    drawn = plots.draw_all(Config(), lines)
    assert [item.title for item in drawn] == ["Speed"]
    text = drawn[0].figure.svg.decode()
    assert "currentColor" in text and "prefers-color-scheme" in text and figures.INK not in text
    assert "from 9 to 9" in drawn[0].figure.alt
    assert plots.draw_all(Config(), []) == []


def test_the_verdict_in_words() -> None:
    run = RunFolder(Path("x"), Config(), {})
    well = {"gap": 0.5, "sem_active_units": 3, "disen_active_units": 2, "warnings": []}

    def say(health: dict[str, Any] | None) -> str:
        return sentences.verdict(run, {"health": health, "images_seen": 10})

    assert say(well).startswith("Both codes are alive: ") and "1.5 times as high" in say(well)
    assert say({**well, "warnings": ["A.", "B."]}) == "A. B."
    assert say({"disen_active_units": 2, "warnings": []}).startswith("The code is alive: 2 of 16")
    assert "not measured" in say(None)
