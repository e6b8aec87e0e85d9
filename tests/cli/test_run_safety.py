"""Nothing of a run is lost and nothing is silently wrong: checkpoints, locks, data, logs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cldis
from cldis.cli import main
from cldis.data import open_data
from cldis.progress import PlainLines, duration
from cldis.training.lock import run_lock
from support.command import fails
from support.photos import write_photos
from support.small import TRAIN

COMMAND = [sys.executable, "-m", "cldis"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and a finished run in it: `photos/` and `photos/runs/one`."""
    folder = tmp_path_factory.mktemp("home")
    write_photos(folder / "photos", 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "photos")
        assert main(["train", ".", "--out", "runs/one", *TRAIN, "--images", "192"]) == 0
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it elsewhere, as a moved folder is."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "moved"))


@pytest.fixture
def run(home: Path) -> Path:
    """The run in it."""
    return home / "photos" / "runs" / "one"


def about(run: Path) -> dict[str, str]:
    data: dict[str, str] = json.loads((run / "run.json").read_text())["data"]
    return data


def told(run: Path, **data: str) -> None:
    """Let the run say something else of its data."""
    about = json.loads((run / "run.json").read_text())
    about["data"] |= data
    (run / "run.json").write_text(json.dumps(about))


def newest(run: Path) -> Path:
    return max((run / "checkpoints").iterdir())


def test_a_model_needs_only_averages_and_state(
    home: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (newest(run) / "optimizer.safetensors").unlink()
    photo = str(home / "photos" / "photo_000.png")
    assert main(["edit", str(run), photo, "--shift", "0=1", "--out", str(home / "out")]) == 0
    capsys.readouterr()
    log = (run / "metrics.jsonl").read_bytes()
    line = fails(capsys, "train", str(home / "photos"), "--out", str(run), "--resume")
    assert "optimizer.safetensors is missing" in line and newest(run).name in line
    assert (run / "metrics.jsonl").read_bytes() == log
    cldis.load(run)


def test_resuming_names_an_older_checkpoint_that_is_whole(
    home: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = run / "checkpoints" / "000000000096"
    assert older.is_dir()
    (newest(run) / "model.safetensors").unlink()
    line = fails(capsys, "train", str(home / "photos"), "--out", str(run), "--resume")
    assert "model.safetensors is missing" in line and "to go on from 000000000096" in line


def test_a_log_is_kept_when_a_run_starts_anew(
    home: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = (run / "metrics.jsonl").read_bytes()
    shutil.rmtree(run / "checkpoints")
    command = ["train", str(home / "photos"), "--out", str(run), "--resume", "--images", "96"]
    assert main(command) == 0
    assert "no checkpoint yet: training starts at 0" in capsys.readouterr().err
    assert (run / "metrics.earlier.jsonl").read_bytes() == log
    assert (run / "metrics.jsonl").read_bytes() not in (b"", log)


def test_one_writer_at_a_time(home: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lock is another process's: flock tells processes, and descriptors, apart."""
    photos = str(home / "photos")
    held = "import sys, time; sys.argv = ['cldis', 'navigate', 'that run'];"
    held += "from pathlib import Path; from cldis.training.lock import run_lock\n"
    held += f"with run_lock(Path({str(run)!r})): print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", held], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        for command in (
            ["train", photos, "--out", str(run), "--resume"],
            ["navigate", str(run)],
            ["track", str(run), "--images", "2"],
            ["name", str(run), "0", "light"],
            ["report", str(run)],
        ):
            line = fails(capsys, *command)
            assert "is being written by `cldis navigate 'that run'`" in line
            assert f"process {other.pid} " in line
        assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    finally:
        other.kill()  # a dead process stops nobody
        other.wait()
    with run_lock(run):
        pass


def test_a_new_run_is_not_mixed_with_another(tmp_path: Path) -> None:
    """Two trainings into one new folder: the second finds the first at work."""
    write_photos(tmp_path / "photos", 12)
    out = tmp_path / "run"
    with run_lock(out):
        command = ["train", str(tmp_path / "photos"), "--out", str(out), *TRAIN]
        assert main([*command, "--images", "96"]) == 2
    assert [path.name for path in out.iterdir()] == [".lock"]


def test_data_is_found_after_a_move(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = home / "photos" / "runs" / "one"
    assert Path(about(run)["source"]).is_absolute() and about(run)["relative"] == "../.."
    shutil.rmtree(home / "photos" / "runs" / "x", ignore_errors=True)
    shutil.move(home, home.with_name("again"))
    run = home.with_name("again") / "photos" / "runs" / "one"
    command = ["traverse", str(run), "--out", str(home.with_name("grids"))]
    assert main(command) == 0


def test_other_images_are_not_taken_for_those_of_the_run(
    made: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is there, its pictures are others: said, and the named right ones are recorded."""
    shutil.move(home / "photos" / "runs" / "one", home / "one")
    run = home / "one"
    write_photos(home / "others", 40, seed=5)
    told(run, source=str(home / "others"), relative="others")
    for command in (["traverse", str(run), "--out", str(home / "out")], ["navigate", str(run)]):
        line = fails(capsys, *command)
        assert "does not hold the images" in line and "--data" in line
    assert not (home / "out").exists()
    right = ["--data", str(home / "photos")]
    assert main(["traverse", str(run), "--out", str(home / "out"), *right]) == 0
    assert about(run)["source"] == str(home / "photos")
    assert "now looks for its images" in capsys.readouterr().out
    line = fails(capsys, "traverse", str(run), "--out", "o", "--data", str(home / "others"))
    assert "does not hold the images" in line and about(run)["source"] == str(home / "photos")


def test_resuming_records_where_the_images_are_now(home: Path, run: Path) -> None:
    shutil.copytree(home / "photos", home / "new", ignore=shutil.ignore_patterns("runs"))
    command = ["train", str(home / "new"), "--out", str(run), "--resume", "--images", "288"]
    assert main(command) == 0
    assert about(run)["source"] == str(home / "new")


def test_a_report_without_the_right_images_shows_none(
    home: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run.json names another folder of the user: nothing of it is shown, nothing is lost."""
    write_photos(home / "private", 15, seed=8)
    told(run, source=str(home / "private"), relative="../../../private")
    page = (run / "report.html").read_bytes()
    line = fails(capsys, "report", str(run))
    assert "does not hold the images" in line and "report.html shows them and is kept" in line
    assert (run / "report.html").read_bytes() == page
    (run / "report.json").rename(home / "report.json")
    assert main(["report", str(run)]) == 0
    numbers = json.loads((run / "report.json").read_text())
    assert "held_out" not in numbers and "does not hold the images" in numbers["data_missing"]


def test_nothing_is_downloaded_unasked(
    home: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told(run, source="hf:someone/private", relative="gone")
    line = fails(capsys, "traverse", str(run), "--out", str(home / "out"))
    assert "hf:someone/private, which is not downloaded unasked" in line


def test_scores_of_the_runs_own_images_are_kept(
    home: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("cv2")
    (run / "tracking").mkdir()
    scores = run / "tracking" / "scores.json"
    scores.write_text('{"data": {"trained_on": true}}')
    write_photos(home / "others", 12, seed=5)
    line = fails(capsys, "track", str(run), "--data", str(home / "others"))
    assert "give --out DIR" in line
    assert scores.read_text() == '{"data": {"trained_on": true}}'


def test_results_inside_an_image_folder_are_no_images(home: Path) -> None:
    photos = home / "photos"
    known = open_data(photos, 16)
    assert len(known) == 40  # not the sample grids of the run that lies inside
    (skipped,) = known.skipped
    assert skipped == ("runs/one", "a run, an export or results of cldis, no image data")
    photo = str(photos / "photo_000.png")
    run = str(photos / "runs" / "one")
    assert main(["edit", run, photo, "--shift", "0=1", "--out", str(photos / "edited")]) == 0
    assert main(["traverse", run, "--images", photo, "--out", str(photos / "grids")]) == 0
    assert main(["reconstruct", run, photo, "--out", str(photos / "back")]) == 0
    assert main(["export", run, "--out", str(photos / "shared")]) == 0
    again = open_data(photos, 16)
    assert again.fingerprint == known.fingerprint
    folders = {"runs/one", "edited", "grids", "back", "shared"}
    assert {path for path, _ in again.skipped} == folders


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no SIGHUP on this system")
def test_a_closed_terminal_saves_the_training_and_its_log_is_plain(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", 40)
    out = tmp_path / "run"
    settings = [*TRAIN, "--images", "640000", "--set", "training.log_every=64"]
    command = [*COMMAND, "train", str(tmp_path / "photos"), "--out", str(out), *settings]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (tmp_path / "log.txt").open("w") as log:
        training = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        wait_for(out / "metrics.jsonl", training)
        training.send_signal(signal.SIGHUP)
        training.send_signal(signal.SIGHUP)
        assert training.wait(timeout=120) == 130
    text = (tmp_path / "log.txt").read_text()
    assert "stopped and saved; go on with: cldis train" in text
    assert "\r" not in text and "\x1b" not in text
    lines = [line for line in text.splitlines() if line.startswith("train: ")]
    assert lines and " of 640,000 images, " in lines[0] and " left, " in lines[0]
    assert int(newest(out).name) > 0


def wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not (path.is_file() and path.stat().st_size):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)


def test_plain_lines_say_each_state_once(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainLines(100, "work", "items", done=20) as bar:
        bar.update(30)
        bar.set_postfix_str("loss 1")
        bar.set_postfix_str("loss 1")
        bar.update(50)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("work: 50 of 100 items, ") and lines[0].endswith(" left, loss 1")
    assert lines[1].startswith("work: 100 of 100 items, ") and "left" not in lines[1]
    assert [duration(s) for s in (12, 250, 7500)] == ["12 s", "4 min 10 s", "2 h 05 min"]


def test_nothing_is_shown_without_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with PlainLines(1, "work", "items") as bar:
        bar.update()
        bar.write("a note")
