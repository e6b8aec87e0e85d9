"""A run that was stopped, or killed, ends bit by bit as one that was not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cldis.io import read_json
from cldis.training.checkpoint import checkpoints, read_state
from training.driver import DONE, FAILED, STOPPED
from training.harness import (
    SIGINT,
    SIGKILL,
    SIGTERM,
    Server,
    assert_same,
    left_over,
    logged,
)


def test_the_tiny_run_has_state_to_lose(uninterrupted: Path) -> None:
    state = read_state(checkpoints(uninterrupted / "checkpoints")[-1])
    assert state["feedback"]["capacity"] > 0
    assert sum(state["feedback"]["counts"]) > 0
    assert state["averaged"] == 12
    assert logged(uninterrupted, "train") == list(range(8, 97, 8))
    assert logged(uninterrupted, "health") == [96]


@pytest.mark.parametrize(("number", "step"), [(SIGINT, 1), (SIGTERM, 6)])
def test_stopped_by_a_signal(
    server: Server, uninterrupted: Path, tmp_path: Path, number: int, step: int
) -> None:
    out, result = tmp_path / "run", tmp_path / "result.json"
    assert server.run(out, at=["step", step, number], result=str(result)) == STOPPED
    assert read_json(result)["finished"] is False
    # Asked between two steps, it stops after the next one.
    assert checkpoints(out / "checkpoints")[-1].name == f"{(step + 1) * 8:012d}"
    assert server.run(out, resume=True) == DONE
    assert_same(uninterrupted, out)


def test_stopped_in_accumulation_and_bf16(server: Server, tmp_path: Path) -> None:
    settings = ["training.accumulate=2", "training.precision=bf16", "feedback.kind=reverse_kl"]
    one, other = tmp_path / "one", tmp_path / "other"
    assert server.run(one, *settings) == DONE
    assert server.run(other, *settings, at=["step", 5, SIGINT]) == STOPPED
    assert server.run(other, resume=True) == DONE
    assert_same(one, other)


def test_stopped_with_muon(server: Server, tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    settings = ("training.optimizer=muon", "training.precision=bf16", "loop.vae_alone=24")
    assert server.run(one, *settings) == DONE
    assert server.run(other, *settings, at=["step", 5, SIGINT]) == STOPPED
    assert server.run(other, resume=True) == DONE
    assert_same(one, other)


@pytest.mark.parametrize("step", [2, 3, 8])
def test_stopped_in_each_phase_of_the_second_form(
    server: Server, tmp_path: Path, step: int
) -> None:
    """Also between two phases, where the next step begins with a hand-over."""
    one, other = tmp_path / "one", tmp_path / "other"
    phases = (
        "method=rate_loop",
        "loop.vae_alone=32",
        "loop.rate_from=64",
        "loop.unmix=true",
        "distillation.warmup=0",
    )
    phases += ("diffusion.redundancy=0.02",)
    assert server.run(one, *phases) == DONE
    assert server.run(other, *phases, at=["step", step, SIGINT]) == STOPPED
    assert server.run(other, resume=True) == DONE
    assert_same(one, other)


def test_a_signal_in_the_last_step_comes_too_late(server: Server, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert server.run(out, at=["step", 12, SIGINT]) == DONE
    assert logged(out, "health") == [96]


@pytest.mark.parametrize(("number", "status"), [(SIGINT, FAILED), (SIGTERM, -SIGTERM)])
def test_the_second_signal_ends_at_once(
    server: Server, uninterrupted: Path, tmp_path: Path, number: int, status: int
) -> None:
    out, result = tmp_path / "run", tmp_path / "result.json"
    at = ["step", 5, number]  # again in step 6, after which it would have saved
    assert server.run(out, at=at, again=True, result=str(result)) == status
    if status == FAILED:
        assert read_json(result)["error"].startswith("KeyboardInterrupt")
    assert [path.name for path in checkpoints(out / "checkpoints")] == [f"{32:012d}"]
    assert server.run(out, resume=True) == DONE
    assert_same(uninterrupted, out)


# A save is five renames: four files, then the folder. From the second on, a sixth makes an old
# checkpoint disappear.
KILLS = {
    "before the first checkpoint": ["step", 3],
    "inside a line of the log": ["log", 7],
    "inside a line that a checkpoint would have vouched for": ["log", 8],
    "before the temporary folder exists": ["save", 2],
    "between the files of the first checkpoint": ["replace", 3],
    "between the files of the second": ["replace", 8],
    "before the folder's rename": ["replace", 10],
    "after the rename, before the old one goes": ["replaced", 10],
    "while the old one goes": ["replaced", 11],
    "in the last save": ["replace", 13],
}


@pytest.mark.parametrize("at", KILLS.values(), ids=KILLS.keys())
def test_killed(server: Server, uninterrupted: Path, tmp_path: Path, at: list[object]) -> None:
    out = tmp_path / "run"
    assert server.run(out, at=[*at, SIGKILL]) == -SIGKILL
    assert server.run(out, resume=True) == DONE
    assert_same(uninterrupted, out)


def test_killed_twice_then_resumed_twice(
    server: Server, uninterrupted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert server.run(out, at=["replace", 4, SIGKILL]) == -SIGKILL
    assert left_over(out)
    assert server.run(out, resume=True, at=["replaced", 9, SIGKILL]) == -SIGKILL
    assert server.run(out, resume=True) == DONE
    assert_same(uninterrupted, out)
    assert server.run(out, resume=True) == DONE  # nothing is left to do
    assert_same(uninterrupted, out)


@pytest.mark.parametrize("step", [3, 6, 9])
def test_stopped_in_each_stage(server: Server, tmp_path: Path, step: int) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    stages = ("loop.vae_alone=40", "distillation.end=64")  # after 5 and after 8 of 12 steps
    assert server.run(one, *stages) == DONE
    assert server.run(other, *stages, at=["step", step, SIGINT]) == STOPPED
    assert server.run(other, resume=True) == DONE
    assert_same(one, other)
