"""Every command end to end on tiny real data, and every mistake a person can make."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import cldis
from cldis.cli import main
from cldis.data import load_photo
from cldis.editing.edits import parse_shifts
from cldis.images import to_model, to_uint8
from support.command import fails
from support.photos import write_photos
from support.small import TRAIN


def photo(photos: Path, index: int = 0) -> str:
    return str(photos / "discs" / f"photo_{index:03d}.png")


def test_train_writes_a_run_that_describes_itself(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    assert about["data"]["images"] == 80 and about["data"]["skipped"] == 1
    assert about["versions"]["torch"] and len(about["data"]["fingerprint"]) == 64
    assert "broken.jpg" in (run / "skipped.tsv").read_text()
    assert len(list((run / "checkpoints").iterdir())) == 2
    assert (run / "report.html").stat().st_size > 10_000
    assert list((run / "samples").glob("*.png"))
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["images"] for line in lines if line["kind"] == "train"] == [96, 192]


def test_traverse(run: Path, tmp_path: Path) -> None:
    assert main(["traverse", str(run), "--out", str(tmp_path)]) == 0
    grids = sorted(tmp_path.glob("unit_*.png"))
    assert len(grids) == 4
    width, height = Image.open(grids[0]).size
    assert width >= 7 * 16 and height >= 2 * 16  # 80 photos hold out four
    changes = json.loads((tmp_path / "traversals.json").read_text())["change"]
    assert len(changes) == 4 and all(0 <= value <= 2 for value in changes.values())


def test_traverse_given_photos(run: Path, photos: Path, tmp_path: Path) -> None:
    given = [photo(photos, i) for i in range(3)]
    assert main(["traverse", str(run), "--images", *given, "--out", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "traversals.json").read_text())["photos"] == [
        "photo_000",
        "photo_001",
        "photo_002",
    ]


def test_edit_with_no_shift_gives_the_photo_back(run: Path, photos: Path, tmp_path: Path) -> None:
    given = photo(photos)
    assert main(["edit", str(run), given, "--shift", "1=0", "--out", str(tmp_path)]) == 0
    edited = np.asarray(Image.open(tmp_path / "photo_000_edited.png"))
    original = load_photo(Path(given), 16)
    assert np.array_equal(edited.transpose(2, 0, 1), original)
    assert not json.loads((tmp_path / "edits.json").read_text())["exact"]


def test_an_exact_edit_is_the_decode_from_the_exact_inversion(
    run: Path, photos: Path, tmp_path: Path
) -> None:
    given, model = photo(photos), cldis.load(run)
    x = to_model(load_photo(Path(given), 16)[None])
    z, change = model.encode(x).z, model.shift({1: 3e5})  # a run this short hardly listens
    expected = to_uint8(model.decode(z + change, model.invert(x, z)))[0].permute(1, 2, 0)
    made = {}
    for name, words in (("kept", []), ("exact", ["--exact"])):
        out = tmp_path / name
        assert main(["edit", str(run), given, "--shift", "1=3e5", *words, "--out", str(out)]) == 0
        made[name] = np.asarray(Image.open(out / "photo_000_edited.png"))
        assert json.loads((out / "edits.json").read_text())["exact"] == (name == "exact")
    assert np.array_equal(made["exact"], expected.numpy())
    assert not np.array_equal(made["kept"], made["exact"])


def test_edit_skips_and_lists_what_it_cannot_read(run: Path, photos: Path, tmp_path: Path) -> None:
    broken = str(photos / "discs" / "broken.jpg")
    arguments = ["edit", str(run), photo(photos), broken, "--shift", "0=+2.0"]
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "photo_000_edited.png").is_file()
    assert "broken.jpg" in (tmp_path / "skipped.tsv").read_text()


def test_reconstruct(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reconstruct", str(run), photo(photos), "--out", str(tmp_path)]) == 0
    scores = json.loads((tmp_path / "reconstructions.json").read_text())
    assert scores["inverted"]["mean_psnr"] > scores["random"]["mean_psnr"]
    assert "inverted" in capsys.readouterr().out


def test_encode(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "codes.parquet"
    assert main(["encode", str(run), str(photos), "--out", str(out)]) == 0
    table = pq.read_table(out).to_pydict()
    assert len(table["path"]) == 80 and table["path"][0] == "discs/photo_000.png"
    model = cldis.load(run)
    from cldis.editing.photos import read_photos

    codes = model.encode(read_photos([photo(photos)], model.resolution).images)
    assert codes.sem is not None and codes.disen is not None
    np.testing.assert_allclose(table["z_sem_mean"][0], codes.sem.mean[0], atol=1e-5)
    np.testing.assert_allclose(table["z_disen_scale"][0], codes.disen.scale[0], atol=1e-5)
    assert "broken.jpg" in (tmp_path / "codes.skipped.tsv").read_text()


def test_info_and_recipes(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(run)]) == 0
    text = capsys.readouterr().out
    assert "192 of 192 images" in text and "fingerprint" in text
    assert main(["info", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["model"]["units"] == 4
    assert main(["recipes"]) == 0
    listed = capsys.readouterr().out
    assert "taught64 (default)" in listed and "demo" in listed


def test_resume_goes_further(run: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    arguments = ["train", str(photos), "--out", str(out), "--resume", "--images", "288"]
    assert main(arguments) == 0
    assert (out / "checkpoints" / "000000000288").is_dir()
    assert json.loads((out / "config.json").read_text())["training"]["images"] == 288


def test_resume_of_a_finished_run_says_that_nothing_was_left(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    shutil.copytree(run, out)
    before = (out / "metrics.jsonl").read_bytes()
    assert main(["train", str(photos), "--out", str(out), "--resume"]) == 0
    words = capsys.readouterr().out
    assert "has seen all its 192 images: nothing is left to train; more with --images" in words
    assert (out / "metrics.jsonl").read_bytes() == before


def test_dry_run_writes_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(["train", str(photos), "--out", str(out), *TRAIN, "--dry-run"]) == 0
    assert "80 images" in capsys.readouterr().out and not out.exists()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "no/such/folder", "--out", "OUT"], "no/such/folder"),
        (["train", "room", "--out", "OUT"], "rooms"),
        (["train", "rooms", "--out", "OUT", "--recipe", "dmeo"], "did you mean demo"),
        (["train", "rooms", "--out", "OUT", "--set", "model.unitz=3"], "did you mean model.units"),
        (["train", "rooms", "--out", "OUT", "--set", "model.units"], "section.key=value"),
        (["train", "rooms", "--out", "OUT", "--set", "model.units=many"], "model.units"),
        (["train", "rooms", "--out", "OUT", "--resolution", "50"], "try 48 or 56"),
        (["train", "rooms", "--out", "OUT", "--resolution", "large"], "invalid int value"),
        (["train", "rooms", "--out", "OUT", "--images", "0"], "training.images"),
        (["train", "rooms", "--out", "OUT", "--resume"], "does not exist"),
        (["train", "rooms"], "--out"),
        (["train", "rooms", "--out", "OUT", "--set", "training.start_from=starter:x"], "rooms64"),
        (
            ["train", "rooms", "--out", "OUT", "--recipe", "loop64"]
            + ["--set", "feedback.log_snr_max=-99"],
            "log_snr_max",
        ),
        (["info", "no/run"], "no/run does not exist"),
        (["traverse", "no/run", "--out", "OUT"], "does not exist"),
        (["nonsense"], "nonsense"),
    ],
)
def test_mistakes(
    arguments: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    text = fails(capsys, *(str(out) if part == "OUT" else part for part in arguments))
    assert expected in text
    assert not out.exists()


def test_mistakes_with_a_run(
    run: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, given, broken = str(tmp_path / "out"), photo(photos), str(photos / "discs" / "broken.jpg")

    def edit(*parts: str) -> str:
        return fails(capsys, "edit", str(run), *parts, "--out", out)

    assert "units are 0..3" in edit(given, "--shift", "4=1")
    assert "units are 0..3" in edit(given, "--shift=-1=1")
    assert "UNIT=AMOUNT" in edit(given, "--shift", "1=far")
    assert "UNIT=AMOUNT" in edit(given, "--shift", "smile=1")
    assert "finite" in edit(given, "--shift", "1=inf")
    assert "twice" in edit(given, "--shift", "1=1", "--shift", "1=2")
    assert "does not exist" in edit(str(photos / "none.png"), "--shift", "1=1")
    assert "broken.jpg" in edit(broken, "--shift", "1=1")
    assert "folder" in edit(str(photos), "--shift", "1=1")
    assert not Path(out).exists()
    text = fails(capsys, "train", str(photos), "--out", str(run), *TRAIN)
    assert "not empty" in text
    text = fails(capsys, "train", str(photos), "--out", str(run), "--resume", "--recipe", "tiny")
    assert "leave out" in text
    assert ".parquet" in fails(capsys, "encode", str(run), str(photos), "--out", out)
    text = fails(capsys, "train", "rooms", "--out", str(run), "--resume")
    assert "16" in text or "trained on" in text


def test_a_run_of_a_newer_version(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = tmp_path / "newer"
    shutil.copytree(run, newer)
    about = json.loads((newer / "run.json").read_text())
    (newer / "run.json").write_text(json.dumps({**about, "format": 99}))
    assert "upgrade" in fails(capsys, "info", str(newer))


def test_resume_refuses_other_data(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_photos(tmp_path / "other", 40, seed=1)
    text = fails(capsys, "train", str(tmp_path / "other"), "--out", str(run), "--resume")
    assert "is not what" in text


def test_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none").mkdir()
    text = fails(capsys, "train", str(tmp_path / "none"), "--out", str(tmp_path / "run"))
    assert "image" in text


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "your disk quota is used up")],
)
def test_full_disk(
    number: int,
    words: str,
    run: Path,
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The disk itself is full in tests/training; here only what a person is told."""

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("cldis.io.os.fsync", full)
    text = fails(
        capsys, "edit", str(run), photo(photos), "--shift", "0=1", "--out", str(tmp_path / "o")
    )
    assert words in text and "free some space" in text and str(tmp_path / "o") in text
    assert list((tmp_path / "o").iterdir()) == []


def test_photos_whose_names_begin_with_a_dash(
    run: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `--`, and without it, as the shell's `*.png` gives them."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(photo(photos), "-x.png")
    shutil.copy(photo(photos), "--shift.png")
    change = ["--shift", "0=1"]
    assert main(["edit", str(run), *change, "--out", "a", "--", "-x.png", "--shift.png"]) == 0
    assert main(["edit", str(run), "--shift.png", "-x.png", *change, "--out", "b"]) == 0
    assert main(["traverse", str(run), "--images", "-x.png", "--out", "c"]) == 0
    for folder in ("a", "b"):
        found = sorted(path.name for path in (tmp_path / folder).glob("*_edited.png"))
        assert found == ["--shift_edited.png", "-x_edited.png"]
    assert list((tmp_path / "c").glob("*.png"))


def test_nowhere_to_keep_decoded_images(
    photos: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No home folder at all, and a cache folder that cannot be: one line, and the way out."""
    command = ["train", str(photos), "--out", str(tmp_path / "run"), *TRAIN]

    def nobody(_: int) -> None:
        raise KeyError("this user is in no list")

    with monkeypatch.context() as patched:
        for name in ("HOME", "CLDIS_CACHE", "XDG_CACHE_HOME"):
            patched.delenv(name, raising=False)
        patched.setattr("pwd.getpwuid", nobody)
        assert "set CLDIS_CACHE to a folder" in fails(capsys, *command)
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "file" / "cache"))
    text = fails(capsys, *command)
    assert str(tmp_path / "file" / "cache") in text and "set CLDIS_CACHE to another" in text


def test_parse_shifts() -> None:
    assert parse_shifts(["3=+2.0", "0=-1e-1"]) == {3: 2.0, 0: -0.1}


def test_edit_as_a_process_of_its_own(run: Path, photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cldis", "edit", str(run), photo(photos)]
    subprocess.run([*command, "--shift", "0=1", "--out", str(tmp_path)], check=True)
    assert (tmp_path / "photo_000_edited.png").is_file()
