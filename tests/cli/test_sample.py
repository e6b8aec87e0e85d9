"""`cldis sample`: new images of a run, of a saved model, of the pipeline and in the report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cldis
from cldis.cli import main
from cldis.data import open_data
from cldis.hub import CLDisPipeline
from cldis.pages.report.write import write_report
from cldis.training import prior
from cldis.training.prior import FOLDER, TENSORS, TEXT
from cldis.training.run_folder import RunFolder
from support.command import fails


@pytest.fixture(scope="module")
def sampled(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a prior that learned for a moment. Not to be changed."""
    mine = tmp_path_factory.mktemp("sampled") / "run"
    shutil.copytree(run, mine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior, "STEPS", 20)
        assert main(["sample", str(mine), "--n", "10", "--out", str(mine.parent / "new")]) == 0
    return mine


def test_it_fits_a_prior_once_and_draws_from_it(
    sampled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (sampled / FOLDER / TENSORS).read_bytes()
    assert main(["sample", str(sampled), "--n", "10", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(tmp_path / "samples.png") and "fitting" not in told.err
    assert (sampled / FOLDER / TENSORS).read_bytes() == before
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [*(f"sample_{i:05d}.png" for i in range(10)), "samples.png"]
    for name in names:  # the same seed, the same images
        assert (tmp_path / name).read_bytes() == (sampled.parent / "new" / name).read_bytes()
    record = json.loads((sampled / FOLDER / TEXT).read_text())
    assert record["codes"] == 76 and record["heldout"] == 4
    assert set(record["distances"]) == {"prior", "gaussian", "training"}


def test_a_saved_model_takes_it_along_and_the_pipeline_draws_the_same(
    sampled: Path, tmp_path: Path
) -> None:
    saved = cldis.load(sampled).save_pretrained(tmp_path / "saved")
    assert main(["sample", str(saved), "--n", "10", "--out", str(tmp_path / "new")]) == 0
    made = CLDisPipeline.from_pretrained(saved).sample(10).images
    for number, image in enumerate(made):
        for folder in (sampled.parent, tmp_path):
            with Image.open(folder / "new" / f"sample_{number:05d}.png") as file:
                assert np.array_equal(np.asarray(file), np.asarray(image))


def test_the_report_shows_new_images(sampled: Path, photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "run"
    shutil.copytree(sampled, mine)
    run = RunFolder.open(mine)
    page = write_report(run, open_data(photos, 16)).read_text()
    assert "Codes drawn from the prior" in page and "New images, drawn by the model." in page
    assert "prior" in json.loads((mine / "report.json").read_text())
    (mine / FOLDER / TENSORS).unlink()
    assert "<code>cldis sample" in write_report(run, open_data(photos, 16)).read_text()


def test_mistakes_are_told_in_one_line(
    sampled: Path,
    run: Path,
    vae_run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def told(folder: Path, *more: str) -> str:
        return fails(capsys, "sample", str(folder), "--out", str(tmp_path / "new"), *more)

    assert "--n 0 must be a whole number from 1" in told(sampled, "--n", "0")
    assert "--seed -1 must be" in told(sampled, "--seed", "-1")
    assert "no diffusion decoder" in told(vae_run)
    saved = cldis.load(run).save_pretrained(tmp_path / "saved")
    assert "has no prior" in told(saved)

    mine = tmp_path / "run"
    shutil.copytree(sampled, mine)
    newest, file = max((mine / "checkpoints").iterdir()), mine / FOLDER / TENSORS
    shutil.rmtree(newest)  # the one before is used now
    assert "belongs to other weights" in told(mine)
    file.write_bytes(file.read_bytes()[:1000])
    assert "cannot be read" in told(mine)
    file.unlink()
    about = json.loads((mine / "run.json").read_text())
    about["data"].update(source=str(tmp_path / "gone"), relative="gone")
    (mine / "run.json").write_text(json.dumps(about))
    assert "--data" in told(mine)
    assert not (tmp_path / "new").exists()


def test_kid_is_measured_from_held_out_images(
    sampled: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def drawn(folder: Path, *more: str) -> dict[str, object]:
        out = tmp_path / folder.name
        assert main(["sample", str(folder), "--n", "6", "--kid", "--out", str(out), *more]) == 0
        record: dict[str, object] = json.loads((out / "kid.json").read_text())
        assert f"KID {record['kid']:.4f} ± " in capsys.readouterr().out
        return record

    found = drawn(sampled)
    assert (found["drawn"], found["heldout"], found["subset"]) == (6, 4, 2)
    assert found["extractor"] == "R64 at 64 px"
    saved = cldis.load(sampled).save_pretrained(tmp_path / "saved")
    more = ("sample", str(saved), "--kid", "--out", str(tmp_path / "none"))
    assert "name those to compare with by --data" in fails(capsys, *more)
    assert drawn(saved, "--data", str(photos))["kid"] == found["kid"]
    assert "at least 4" in fails(capsys, *more, "--n", "3", "--data", str(photos))
    assert not (tmp_path / "none").exists()
