"""Starting from trained weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cldis.training import starter
from cldis.training.checkpoint import checkpoints, load_tensors, read_state
from training.harness import assert_equal, resumed, trainer


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("other") / "run"
    assert trainer(out).fit()
    return out


def test_weights_and_capacity_of_another_run(other: Path, tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", f"training.start_from={other}", "training.seed=5")
    path = checkpoints(other / "checkpoints")[-1]
    ema = load_tensors(path / "ema.safetensors")
    assert_equal(dict(made.raw.state_dict()), ema)
    assert_equal(dict(made.averaged.state_dict()), ema)
    saved = read_state(path)["feedback"]
    assert saved["capacity"] > 0 and made.feedback.state() == saved
    assert made.images == 0


@pytest.mark.parametrize("setting", ["feedback.kind=reverse_kl", "feedback.bins=8", "method=open"])
def test_feedback_of_another_kind_starts_afresh(other: Path, tmp_path: Path, setting: str) -> None:
    settings = [f"training.start_from={other}", setting, "training.images=8"]
    made = trainer(tmp_path / "run", *settings)
    assert made.feedback.capacity == 0
    assert made.fit() is True


def test_the_other_run_may_be_gone_when_resuming(other: Path, tmp_path: Path) -> None:
    gone, out = tmp_path / "gone", tmp_path / "run"
    shutil.copytree(other, gone)
    settings = [f"training.start_from={gone}"]
    assert trainer(out, *settings, "training.images=32").fit()
    shutil.rmtree(gone)
    made = resumed(out, *settings)
    assert made.images == 32 and made.fit() is True


def test_a_packaged_starter(other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = checkpoints(other / "checkpoints")[-1]
    folder = tmp_path / "starters" / "tiny"
    folder.mkdir(parents=True)
    for name in ("ema.safetensors", "state.json"):
        shutil.copy(path / name, folder / name)
    monkeypatch.setattr(starter, "FOLDER", tmp_path / "starters")
    made = trainer(tmp_path / "run", "training.start_from=starter:tiny")
    assert_equal(dict(made.raw.state_dict()), load_tensors(path / "ema.safetensors"))
    assert made.feedback.capacity > 0
    with pytest.raises(ValueError, match="'starter:tinny' is unknown; packaged .*: starter:tiny"):
        trainer(tmp_path / "second", "training.start_from=starter:tinny")


@pytest.mark.parametrize("name", ["starter:nothing", "starter:", "starter:../training"])
def test_unknown_starter(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is unknown; packaged starters: ") as caught:
        trainer(tmp_path / "run", f"training.start_from={name}")
    assert "\n" not in str(caught.value)


def test_no_run_and_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        trainer(tmp_path / "one", f"training.start_from={tmp_path / 'nothing'}")
    trainer(tmp_path / "fresh")
    with pytest.raises(ValueError, match="has no checkpoint; train it first"):
        trainer(tmp_path / "two", f"training.start_from={tmp_path / 'fresh'}")


def test_other_sizes(other: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="does not fit this model"):
        trainer(tmp_path / "run", f"training.start_from={other}", "model.units=5")
