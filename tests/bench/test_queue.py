"""The queue: survives everything, repeats nothing, shares its work."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cldis.bench import score, session
from cldis.bench.queue import Queue
from cldis.bench.record import read_record
from cldis.bench.session import Session
from cldis.bench.suites import SUITES
from cldis.cli import main
from support.bench_suite import NAMES, SMALL, folders, quick_scores
from training.harness import environment

DRIVER = Path(__file__).with_name("driver.py")
TESTS = str(Path(__file__).resolve().parents[1])


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(SUITES, SMALL.name, SMALL)
    monkeypatch.setattr(score, "scores", quick_scores)
    yield


def start(out: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    paths = environment()["PYTHONPATH"]
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *folders(out), *arguments],
        env=environment(PYTHONPATH=os.pathsep.join([TESTS, paths]), **more),
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    words = process.communicate(timeout=300)[1]
    return process.returncode, words


def bench(out: Path, *arguments: str) -> int:
    return main(["bench", SMALL.name, *folders(out), *arguments])


def queue(out: Path, *only: str) -> Queue:
    return Queue(SMALL, out / "results", out / "runs", only)


def states(out: Path) -> list[str]:
    found = queue(out)
    return [found.status(cell).state for cell in found.cells]


def measured(out: Path, name: str) -> dict[str, Any]:
    """What a result says apart from time and place."""
    record = read_record(out / "results" / "small" / f"{name}.json")
    curve = [{"images": p["images"], "codes": p["codes"]} for p in record["curve"]]
    kept = ("config", "scoring", "seed", "fingerprint", "health")
    timed = ("images_per_second", "processor_seconds")
    last = {k: v for k, v in record["last"].items() if k not in timed}
    return {**{key: record[key] for key in kept}, "curve": curve, "last": last}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All four cells, done without interruption."""
    out = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SUITES, SMALL.name, SMALL)
        patch.setattr(score, "scores", quick_scores)
        assert bench(out) == 0
    return out


def test_every_cell_has_a_result_and_only_scored_checkpoints_stay(whole: Path) -> None:
    assert states(whole) == ["done"] * 4
    files = {path.stem for path in (whole / "results" / "small").iterdir()}
    assert files == set(NAMES)
    for name in NAMES:
        kept = {path.name for path in (whole / "runs" / "small" / name / "checkpoints").iterdir()}
        assert kept == {f"{images:012d}" for images in (48, 96)}
        assert (whole / "runs" / "small" / name / "metrics.jsonl").exists()
        record = read_record(whole / "results" / "small" / f"{name}.json")
        assert [point["images"] for point in record["curve"]] == [48, 96]
        seconds = [point["seconds"] for point in record["curve"]]
        assert 0 <= seconds[0] <= seconds[1] == record["seconds"]
        codes = ["z_sem", "z_disen"] if record["method"] == "closed" else ["z_disen"]
        assert all(list(point["codes"]) == codes for point in record["curve"])


def test_the_two_seeds_differ(whole: Path) -> None:
    assert measured(whole, NAMES[0])["curve"] != measured(whole, NAMES[2])["curve"]


def test_finished_cells_are_never_run_again(
    whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in (whole / "results").rglob("*.json")}
    monkeypatch.setattr(session, "run_cell", lambda *_: pytest.fail("was run again"))
    assert bench(whole) == 0
    assert "4 of 4 cells done, 0 just now" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before


# Before the first checkpoint, after it, and in the second cell.
@pytest.mark.parametrize("step", [3, 8, 20])
def test_a_killed_queue_goes_on_to_the_same_results(whole: Path, tmp_path: Path, step: int) -> None:
    code, _ = finish(start(tmp_path, "--only", "s0", CLDIS_TEST_KILL=f"{signal.SIGKILL}:{step}"))
    assert code == -signal.SIGKILL
    assert states(tmp_path)[:2] == (["done", "to do"] if step > 12 else ["to do", "to do"])
    assert bench(tmp_path, "--only", "s0") == 0
    for name in NAMES[:2]:
        assert measured(tmp_path, name) == measured(whole, name)


def test_ctrl_c_saves_and_says_how_to_go_on(whole: Path, tmp_path: Path) -> None:
    code, words = finish(start(tmp_path, CLDIS_TEST_KILL=f"{signal.SIGINT}:8"))
    assert code == 130 and "go on with: cldis bench small --results" in words
    assert f"{NAMES[0]}: stopped and saved at 72 images" in words
    assert queue(tmp_path).status(queue(tmp_path).cells[0]).note == "72 of 96 images"
    assert bench(tmp_path, "--only", NAMES[0]) == 0
    assert measured(tmp_path, NAMES[0]) == measured(whole, NAMES[0])


def test_the_time_limit_stops_cleanly(tmp_path: Path) -> None:
    code, words = finish(start(tmp_path, "--minutes", "0.05", CLDIS_TEST_SLOW="0.5"))
    assert code == 130 and "stopped and saved" in words
    assert states(tmp_path) == ["to do"] * 4


def test_two_processes_share_the_work(whole: Path, tmp_path: Path) -> None:
    pair = [start(tmp_path, CLDIS_TEST_SLOW="0.05") for _ in range(2)]
    ends = [finish(process) for process in pair]
    assert [code for code, _ in ends] == [0, 0], ends
    begun = [
        line.split(":")[0] for _, words in ends for line in words.splitlines() if " left" in line
    ]
    assert sorted(begun) == sorted(NAMES)  # each cell by one process only
    assert states(tmp_path) == ["done"] * 4
    for name in NAMES:
        assert measured(tmp_path, name) == measured(whole, name)


def test_a_cell_at_work_elsewhere_is_left_alone(tmp_path: Path) -> None:
    here, there = queue(tmp_path, NAMES[0]), queue(tmp_path, NAMES[0])
    with there.locked(there.cells[0]) as mine:
        assert mine
        assert here.status(here.cells[0]).state == "running"
        work = Session(here)
        work.run()
        assert work.finished == 0 and not work.stopped
    assert here.status(here.cells[0]).state == "to do"


@pytest.mark.parametrize("harm", ["cut", "digit", "empty", "binary", "renamed"])
def test_a_damaged_result_is_reported_and_run_again(
    whole: Path, tmp_path: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "results" / "small" / f"{NAMES[1]}.json"
    path.parent.mkdir(parents=True)
    found = whole / "results" / "small"
    text, other = ((found / f"{NAMES[i]}.json").read_bytes() for i in (1, 3))
    mig = json.loads(text)["curve"][0]["codes"]["z_disen"]["fast"]["mig"]["score"]
    harmed = {
        "cut": text[: len(text) // 2],
        "digit": text.replace(f'"score": {mig}'.encode(), b'"score": 0.999', 1),
        "empty": b"",
        "binary": b"\xff\xfe\x00",
        "renamed": other,
    }
    path.write_bytes(harmed[harm])
    assert bench(tmp_path, "--list") == 0
    assert f"damaged  {NAMES[1]}  {path}" in capsys.readouterr().out
    assert bench(tmp_path, "--only", NAMES[1]) == 0
    assert f"{NAMES[1]}: {path}" in capsys.readouterr().err
    assert measured(tmp_path, NAMES[1]) == measured(whole, NAMES[1])


def test_a_result_of_other_settings_is_neither_used_nor_overwritten(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole / "results", tmp_path / "results")
    methods = {**SMALL.methods, "vae": (*SMALL.methods["vae"], "vae.beta=7")}
    monkeypatch.setitem(SUITES, SMALL.name, dataclasses.replace(SMALL, methods=methods))
    assert bench(tmp_path) == 0
    words = capsys.readouterr().err
    assert "vae.beta 50.0 / 7.0" in words and "move the file away" in words
    assert "2 of 4 cells done, 0 just now" in words


def test_a_started_run_of_other_settings_begins_again(whole: Path, tmp_path: Path) -> None:
    finish(start(tmp_path, "--only", "vae", CLDIS_TEST_KILL=f"{signal.SIGINT}:8"))
    path = tmp_path / "runs" / "small" / NAMES[1] / "config.json"
    values = json.loads(path.read_text())
    values["vae"]["beta"] = 7.0
    path.write_text(json.dumps(values))
    assert bench(tmp_path, "--only", NAMES[1]) == 0
    assert measured(tmp_path, NAMES[1]) == measured(whole, NAMES[1])


def test_a_cell_that_fails_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = session.run_cell

    def sometimes(suite: Any, cell: Any, folder: Path, deadline: float | None) -> dict[str, Any]:
        if cell.method == "closed":
            raise RuntimeError("diverged,\nas it were")
        return real(suite, cell, folder, deadline)

    monkeypatch.setattr(session, "run_cell", sometimes)
    assert bench(tmp_path, "--only", "s0") == 1
    words = capsys.readouterr().err
    assert f"{NAMES[0]}: failed: diverged, as it were" in words
    assert "1 of 2 cells failed: closed-rooms-96-s0" in words
    assert states(tmp_path)[:2] == ["to do", "done"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["smal"], "did you mean small?"),
        (["small", "--only", "nothing"], "names look like closed-rooms-96-s0"),
        (["small", "--minutes", "0"], "--minutes 0 must be above 0"),
        (["small", "--images", "0"], "--images 0 must be at least 1"),
        (["small", "--results", __file__], "is a file; give a folder"),
        (["small", "--results", "nowhere", "--table"], "holds no finished cell"),
    ],
)
def test_mistakes_end_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["bench", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and words in lines[0]
