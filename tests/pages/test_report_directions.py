"""Directions in the report: what navigation and content tracking left, whole, partly or wrong."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

pytest.importorskip("cv2")

from browsers import assert_readable
from cldis.data import open_data
from cldis.io import read_json, write_json
from cldis.model import load
from cldis.navigation.directions import Directions
from cldis.navigation.store import save_directions
from cldis.pages.page import Terms, animation, coded, environment
from cldis.pages.report import directions, write_report
from cldis.pages.report.glossary import TERMS
from cldis.pages.report.page import DirectionPictures
from cldis.pages.report.results import Encoded
from cldis.tracking.maps import load_maps
from cldis.tracking.track import track_to_folder
from cldis.training import precision
from cldis.training.run_folder import RunFolder
from pages.runs import copy
from support.html_page import Page, check_report

HOSTILE = "<b>\"'&smile"


def navigate(run: RunFolder, count: int = 3) -> Directions:
    """Store directions as navigation does, one of them named."""
    found = Directions.random(4, count, seed=0).named(1, HOSTILE)
    kept = [{"accuracy": 0.9 - 0.2 * k, "sign_accuracy": 0.8, "change": 0.1} for k in range(count)]
    save_directions(run, found, {"kept": kept, "dropped": [], "chance": 0.25, "init": "random"})
    return found


def loud(run: RunFolder) -> None:
    """Make the units of a hardly trained run move the pictures."""
    checkpoint = run.latest()
    assert checkpoint is not None
    state = read_json(checkpoint / "state.json")
    state["units"]["std"] = [100.0 for _ in state["units"]["std"]]
    write_json(checkpoint / "state.json", state)


@pytest.fixture(scope="module")
def scored(
    trained: dict[str, RunFolder], tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunFolder, Page, dict[str, Any]]:
    """A run that was navigated and tracked, and its report."""
    run = copy(trained["vae"], tmp_path_factory.mktemp("scored") / "run")
    loud(run)
    navigate(run)
    track_to_folder(run.path, images=3, progress=False)
    page, numbers = check_report(write_report(run, probe_images=60))
    return run, page, numbers


def text_of(run: RunFolder) -> str:
    return (run.path / "report.html").read_text("utf-8")


def test_every_direction_has_a_page_with_all_of_it(
    scored: tuple[RunFolder, Page, dict[str, Any]],
) -> None:
    run, page, numbers = scored
    rows = numbers["directions"]["directions"]
    maps = load_maps(run)
    assert maps is not None and sum(row["active"] for row in rows) == 3
    assert [row["score"] for row in rows] == sorted((r["score"] for r in rows), reverse=True)
    text = text_of(run)
    sheets = re.split(r'(?=<section class="[^"]*direction" id=)', text)[1:]
    assert [re.search(r'id="direction-(\d)"', sheet)[1] for sheet in sheets] == [  # type: ignore[index]
        str(row["number"]) for row in rows
    ]
    for row, sheet in zip(rows, sheets, strict=True):
        one = Page(sheet.split("</section>")[0])
        still, moving, heat, curve = one.images
        assert one.tags.count("source") == 1
        assert (curve["alt"] or "").startswith(f"Change against shift: {row['curve'][0]:.3g} grey")
        assert "columns, after the image itself" in (still["alt"] or "")
        assert (heat["alt"] or "").startswith("Mean image")
        data = base64.b64decode((moving["src"] or "").partition(",")[2])
        with Image.open(io.BytesIO(data)) as film:
            assert film.format == "WEBP" and film.n_frames == 16  # type: ignore[attr-defined]
            assert film.info["loop"] == 0 and film.size == (3 * 32, 32)
        for key in ("score", "purity", "own"):
            assert f"{row[key]:.2f}" in one.words
        assert "sign told" in one.words and "80\N{NO-BREAK SPACE}%" in one.words
        np.testing.assert_allclose(row["curve"], maps.curve[row["number"]], rtol=1e-6)
        assert row["by_motion"] + row["by_appearance"] > 0.5
    assert HOSTILE in page.words and HOSTILE not in text  # escaped
    assert "cldis track" not in page.words and "cldis navigate" not in page.words
    assert f"{numbers['directions']['tracking']['score']:.2f}" in page.words


def test_the_report_is_readable_by_all_and_printed_whole(
    scored: tuple[RunFolder, Page, dict[str, Any]], browser: Any
) -> None:
    assert_readable(browser, scored[0].path / "report.html")


def test_pages_are_drawn_along_the_directions(
    trained: dict[str, RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pictures are edits by shift * unit_std * direction."""
    monkeypatch.setattr(precision, "best", lambda device: "no")  # many at once may be in bf16
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for method in ("vae", "open"):
        run = copy(trained[method], tmp_path / method)
        loud(run)
        given_ = navigate(run)
        model = load(run.path)
        known = directions.read_known(run, model)
        shown = directions.show(model, known, Encoded(model.start(x, 12), []))
        pictures = DirectionPictures(shown)
        assert [sheet.facts["number"] for sheet in shown.sheets] == [0, 1, 2]
        assert shown.images is not None and len(shown.images) == 3
        for sheet in shown.sheets:
            change = given_.shift(model.unit_std, {sheet.facts["number"]: -1.5})
            expected = model.move(x, change, 12)
            torch.testing.assert_close(sheet.cells[:, 1], expected, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(sheet.cells[:, 4], x, rtol=0, atol=1e-4)
            if method == "vae":  # the denoiser of a new run does not listen to the code yet
                assert float((expected - x).abs().max()) > 0.05
            assert pictures.stills(sheet).shape == (3, 6, 3, 32, 32)
            torch.testing.assert_close(pictures.stills(sheet)[:, 0], x)


def test_what_is_missing_is_said(trained: dict[str, RunFolder], tmp_path: Path) -> None:
    """No directions, no scores, older scores, scores of other directions, damaged files."""
    run = copy(trained["vae"], tmp_path / "run")
    page, numbers = check_report(write_report(run, probe_images=60))
    assert "directions" not in numbers and "direction-0" not in page.ids
    assert f"cldis navigate {run.path}" in page.words and f"cldis track {run.path}" in page.words

    track_to_folder(run.path, images=2, progress=False)
    page, numbers = check_report(write_report(run, probe_images=60))  # the raw units
    assert "not navigated" in page.words and len(numbers["directions"]["directions"]) == 4
    assert "Unit 3" in page.words and numbers["directions"]["origin"] == "identity"

    model = load(run.path)
    maps = run.path / "tracking" / "maps.safetensors"
    whole = maps.read_bytes()
    maps.unlink()
    old = directions.read_known(run, model)
    assert "Heat maps and curves are missing" in old.notes[0] and old.scores is not None
    assert "curve" not in directions.facts_of(old)[0]
    maps.write_bytes(whole[:-40])
    broken = directions.read_known(run, model)
    assert "maps.safetensors cannot be read" in broken.notes[0] and broken.directions is None

    maps.write_bytes(whole)
    navigate(run)
    page, numbers = check_report(write_report(run, probe_images=60))
    assert "scores in this run are of other directions" in page.words
    assert "score" not in numbers["directions"]["directions"][0]
    assert numbers["directions"]["directions"][0]["accuracy"] == 0.9 and "svg" not in page.tags

    (run.path / "navigation" / "directions.safetensors").write_bytes(b"nothing")
    assert "directions.safetensors cannot be read" in directions.read_known(run, model).notes[0]


def test_scores_of_an_older_model_are_said_to_be_old(
    scored: tuple[RunFolder, Page, dict[str, Any]],
) -> None:
    run = scored[0]
    model = load(run.path)
    old = directions.read_known(run, model)
    assert old.notes == [] and old.scores is not None
    old.scores["checkpoint"] = "000000000032"
    directions._advise(run, old)
    assert "after 32 images, not of the newest" in old.notes[0]


def test_the_film_goes_there_and_back() -> None:
    cells = torch.rand(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = animation(cells, "A film.")
    grey = ((cells + 1) * 127.5).round().permute(0, 1, 3, 4, 2).numpy()
    with Image.open(io.BytesIO(base64.b64decode(found["src"].partition(",")[2]))) as film:
        frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(film)]
    assert len(frames) == 4
    for frame, place in zip(frames, (0, 1, 2, 1), strict=True):
        np.testing.assert_array_equal(frame, np.concatenate(list(grey[:, place]), axis=1))
    with Image.open(io.BytesIO(base64.b64decode(found["still"].partition(",")[2]))) as still:
        np.testing.assert_array_equal(np.asarray(still), frames[1])


def test_terms_are_footnotes_in_order_of_use() -> None:
    terms = Terms({"a": ("A & B", 'say "A"'), "b": ("B", "b")})
    first, again = terms("b"), terms("b", "many <B>")
    assert "<sup>1</sup>" in first and "<sup>1</sup>" in again and "many &lt;B&gt;" in again
    assert (
        "<sup>2</sup>" in terms("a") and "A &amp; B" in terms("a") and "&#34;A&#34;" in terms("a")
    )
    assert [key for key, _, _ in terms.used()] == ["b", "a"]
    with pytest.raises(KeyError):
        terms("c")
    assert all(label and meaning[-1] in ".?" for label, meaning in TERMS.values())


def test_commands_in_words_become_code() -> None:
    assert coded("run `a <b>` now") == "run <code>a &lt;b&gt;</code> now"
    html = environment().from_string("{{ words|coded }}").render(words="`x`")
    assert html == "<code>x</code>"


def test_sixteen_directions_make_a_small_page() -> None:
    """At 64 px the pages of 16 directions stay below 2.2 MB, with pictures as rich as photos."""
    source = open_data("rooms", 64)
    x = torch.from_numpy(np.array(source.batch(np.arange(3)))).float() / 127.5 - 1
    noise = torch.rand(3, 9, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.1
    cells = (x[:, None] + noise).clamp(-1, 1)
    sheet = {"still": torch.cat([x[:, None], cells[:, :5]], dim=1), "film": cells}
    template = "{{ still|picture('a')|img }}{{ film|animation('b')|img }}"
    html = environment().from_string(template).render(**sheet)
    assert 16 * len(html) < 2_200_000, len(html)


def test_numbers_of_the_report_are_those_of_the_run(
    scored: tuple[RunFolder, Page, dict[str, Any]],
) -> None:
    run, _, numbers = scored
    scores = json.loads((run.path / "tracking" / "scores.json").read_text())
    by_number = {row["number"]: row for row in numbers["directions"]["directions"]}
    for row in scores["directions"]:
        for key, value in row.items():
            assert by_number[row["number"]][key] == value
