"""A checkpoint of the official Diff-AE code becomes a run; what is none is refused in one line.

The weights are made, at a small size; what the official code computes with them is recorded by
`benchmarks/record_diffae_fixture.py`.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

import cldis
from cldis.cli import main
from cldis.data.open import open_data
from cldis.diffusion import sampling
from cldis.training.import_diffae import import_diffae
from cldis.training.run_folder import RunFolder
from cldis.training.unit_stats import unit_statistics
from support.lightning import TINY, lightning_content, recorder, tiny_state, write_checkpoint
from support.photos import write_photos
from support.scripts import ROOT

STEPS = recorder.DDIM_STEPS


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and a checkpoint."""
    folder = tmp_path_factory.mktemp("diffae")
    write_photos(folder / "photos", 12, side=32)
    write_checkpoint(folder / "last.ckpt", tiny_state())
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    made = import_diffae(place / "last.ckpt", str(place / "photos"), place / "run", TINY)
    return made.path


@pytest.fixture(scope="module")
def model(run: Path) -> cldis.Model:
    return cldis.load(run)


@pytest.fixture(scope="module")
def recorded() -> dict[str, Tensor]:
    return load_file(ROOT / "tests" / "fixtures" / "diffae_tiny.safetensors")


def predict(model: cldis.Model, z: Tensor) -> sampling.Predict:
    denoiser = model.loop.denoiser
    assert denoiser is not None
    return lambda x, t: denoiser(x, t, z)


def test_codes_are_those_of_the_official_encoder(
    model: cldis.Model, recorded: dict[str, Tensor]
) -> None:
    z = model.encode(recorder.inputs(32)["x0"].clamp(-1, 1)).z
    assert (z - recorded["z_sem"]).abs().max() < 1e-5
    assert (z[0] - z[1]).std() > 0.05


@torch.no_grad()
def test_predictions_are_those_of_the_official_denoiser(
    model: cldis.Model, recorded: dict[str, Tensor]
) -> None:
    given = recorder.inputs(32)
    made = predict(model, recorded["z_sem"])(given["x_t"], given["t"])
    assert (made - recorded["pred"]).abs().max() < 1e-5
    assert recorded["pred"].std() > 0.1


@torch.no_grad()
def test_decoding_follows_the_official_rule(
    model: cldis.Model, recorded: dict[str, Tensor]
) -> None:
    """The official DDIM at the levels of our ladder, so noise, steps and prediction agree.

    Random weights predict no noise, so the numbers grow: they are compared relative to the largest.
    """
    known = json.loads((ROOT / "tests" / "fixtures" / "diffae_tiny.json").read_text())
    process, x_T = model.loop.process, recorder.inputs(32)["x_t"]
    assert sampling.ladder(process, STEPS) == known["levels"]
    drawn, other = (
        sampling.ddim(predict(model, z), process, x_T, STEPS)
        for z in (recorded["z_sem"], recorded["z_sem"].flip(0))
    )
    size = recorded["ddim"].abs().max()
    assert (drawn - recorded["ddim"]).abs().max() < 1e-5 * size
    assert (other - recorded["ddim"]).abs().max() > 1e-2 * size


@torch.no_grad()
def test_inversion_undoes_official_decoding(
    model: cldis.Model, recorded: dict[str, Tensor]
) -> None:
    """Four large steps of an untrained network: the fixed point is found, but slowly."""
    asked = predict(model, recorded["z_sem"][:1])
    found = sampling.invert(asked, model.loop.process, recorded["ddim"][:1], STEPS, 30)
    assert (found - recorder.inputs(32)["x_t"][:1]).abs().max() < 2e-3


def test_a_run_says_where_it_comes_from(place: Path, run: Path) -> None:
    about = RunFolder.open(run).about
    assert about["imported"]["file"] == "last.ckpt"
    assert about["imported"]["model"] == "tiny"
    assert set(about["imported"]) == {"file", "sha256", "model"}
    assert RunFolder.open(run).config.method == "diffusion"
    assert not [path for path in place.iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize("damage", [{"sha256": "f00"}, {"file": 3}, {"model": ""}])
def test_a_damaged_origin_is_refused(run: Path, tmp_path: Path, damage: dict[str, Any]) -> None:
    about = json.loads((run / "run.json").read_text())
    about["imported"] |= damage
    shutil.copytree(run, tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=r"run\.json is damaged: imported"):
        RunFolder.open(tmp_path / "run")


def test_units_are_measured_on_the_photos(place: Path, model: cldis.Model) -> None:
    found = unit_statistics(model.loop, open_data(place / "photos", 32))
    assert torch.allclose(model.unit_mean, torch.tensor(found["mean"]))
    assert torch.allclose(model.unit_std, torch.tensor(found["std"]))
    assert model.unit_std.min() > 0


def test_statistics_of_the_training_images_come_first(place: Path, tmp_path: Path) -> None:
    """A checkpoint with a prior has them; the prior itself is left out."""
    state = tiny_state()
    state |= {"conds_mean": torch.arange(64.0)[None], "conds_std": torch.full((1, 64), 2.0)}
    state["ema_model.latent_net.layers.0.linear.weight"] = torch.zeros(3, 3)
    made = write_checkpoint(tmp_path / "last.ckpt", state)
    import_diffae(made, str(place / "photos"), tmp_path / "run", TINY)
    model = cldis.load(tmp_path / "run")
    assert model.unit_mean.tolist() == list(range(64)) and set(model.unit_std.tolist()) == {2.0}


def test_commands_open_the_run(
    place: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = str(place / "photos" / "photo_000.png")
    assert main(["info", str(run)]) == 0
    assert (
        "imported    tiny of the official Diff-AE code, from last.ckpt" in capsys.readouterr().out
    )
    codes = tmp_path / "codes.parquet"
    assert main(["encode", str(run), str(place / "photos"), "--out", str(codes)]) == 0
    assert codes.is_file()
    edit = ["edit", str(run), photo, "--shift", "3=2", "--out", str(tmp_path / "edited")]
    assert main(edit) == 0
    assert list((tmp_path / "edited").rglob("*.png"))
    assert main(["export", str(run), "--out", str(tmp_path / "saved")]) == 0
    card = (tmp_path / "saved" / "README.md").read_text()
    assert "trained by the authors of Diff-AE" in card and str(place) not in card
    same = cldis.load(tmp_path / "saved")
    image = torch.zeros(1, 3, 32, 32)
    assert torch.equal(same.encode(image).z, cldis.load(run).encode(image).z)


def test_training_does_not_resume_in_it(
    place: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(place / "photos"), "--out", str(run), "--resume"]) == 2
    assert "was imported and has no state of a training" in capsys.readouterr().err


class Runs:
    """A pickle that makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.marker), "w")


def cut(file: Path) -> None:
    data = write_checkpoint(file, tiny_state()).read_bytes()
    file.write_bytes(data[: len(data) // 2])


def carries_code(file: Path) -> None:
    write_checkpoint(file, {**tiny_state(), "x_T": Runs(file.with_name("marker"))})


def other_archive(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("holiday.txt", "no weights")


def compressed(file: Path) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("last/data.pkl", b"\0" * 1000)


def broken_pickle(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("last/data.pkl", b"\x80\x02garbage")
        archive.writestr("last/version", "3")


def old_format(file: Path) -> None:
    torch.save(lightning_content({}), file, _use_new_zipfile_serialization=False)


def without_weights(file: Path) -> None:
    torch.save({"epoch": 3}, file)


def of_other_things(file: Path) -> None:
    write_checkpoint(file, {**tiny_state(), "x_T": [1, 2]})


def of_integers(file: Path) -> None:
    write_checkpoint(
        file, {**tiny_state(), "ema_model.out.2.bias": torch.zeros(3, dtype=torch.int)}
    )


def not_finite(file: Path) -> None:
    write_checkpoint(file, {**tiny_state(), "ema_model.out.2.bias": torch.full((3,), torch.nan)})


def wider(file: Path) -> None:
    write_checkpoint(file, {**tiny_state(), "ema_model.out.2.bias": torch.zeros(4)})


def other_statistics(file: Path) -> None:
    odd = {"conds_mean": torch.zeros(1, 5), "conds_std": torch.zeros(1, 64)}
    write_checkpoint(file, {**tiny_state(), **odd})


def endless_statistics(file: Path) -> None:
    endless = torch.zeros(()).expand(10**6, 10**6)  # 4 bytes in the file
    write_checkpoint(file, {**tiny_state(), "conds_mean": endless, "conds_std": endless})


HOSTILE: list[tuple[Callable[[Path], Any], str]] = [
    (cut, "cut off"),
    (carries_code, r"it asks for \w+\.open, which is not loaded"),
    (other_archive, "an archive of something else"),
    (compressed, "compressed"),
    (broken_pickle, "damaged"),
    (old_format, "zip format"),
    (without_weights, "no state_dict"),
    (of_other_things, "'x_T' in its state_dict is no tensor of floats"),
    (of_integers, "is no tensor of floats"),
    (not_finite, "not finite floats, first denoiser.unet.out.bias"),
    (wider, r"1 of another shape \(out\.2\.bias \[4\] instead of \[3\]\)"),
    (other_statistics, "conds_mean"),
    (endless_statistics, "conds_mean"),
    (lambda file: file.mkdir(), "is a folder"),
    (lambda file: file.write_bytes(b""), "cut off"),
    (lambda file: file.write_text("not a checkpoint"), "zip format"),
]


@pytest.mark.parametrize(("make", "message"), HOSTILE)
def test_what_is_no_checkpoint_is_refused(
    place: Path, tmp_path: Path, make: Callable[[Path], Any], message: str
) -> None:
    file = tmp_path / "last.ckpt"
    make(file)
    with pytest.raises(ValueError, match=message) as error:
        import_diffae(file, str(place / "photos"), tmp_path / "run", TINY)
    assert "\n" not in str(error.value) and str(file) in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_other_sizes_are_refused_by_name(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import-diffae", str(place / "last.ckpt"), "--data", str(place / "photos")]
    assert main([*words, "--out", str(tmp_path / "run")]) == 2
    told = capsys.readouterr().err
    assert "accepted: celeba64; ffhq128, bedroom128 or horse128; ffhq256" in told
    assert "nearest, it differs: " in told and told.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_what_is_there_is_kept(place: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "run"
    if kind == "file":
        out.write_text("mine")
    elif kind == "folder":
        out.mkdir()
    else:
        out.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is there already; choose another --out"):
        import_diffae(place / "last.ckpt", str(place / "photos"), out, TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_images_that_are_none_leave_nothing(place: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "array.npy", np.zeros(3))
    with pytest.raises(ValueError):
        import_diffae(place / "last.ckpt", str(tmp_path), tmp_path / "run", TINY)
    assert [path.name for path in tmp_path.iterdir()] == ["array.npy"]
