"""The trainer in this process: it learns, it stops, it notices what goes wrong."""

from __future__ import annotations

import errno
import math
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cldis.data.rendered.rooms import Rooms
from cldis.data.split import split
from cldis.images import to_model
from cldis.networks.space import Views
from cldis.training import health
from cldis.training.checkpoint import checkpoints, load_tensors
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder
from cldis.training.sampler import flips
from cldis.training.trainer import Diverged, Trainer, train
from training.harness import (
    Server,
    TwoFactors,
    assert_same,
    config,
    left_over,
    logged,
    resumed,
    trainer,
)

# 200 steps on 100 images: the code is worth 50 % of the loss by then on every seed that was tried.
LEARN = [
    "model.dropout=0",
    "distillation.warmup=1000",
    "distillation.weight=2e-5",
    "feedback.warmup=320",
    "feedback.memory=320",
    "feedback.rate=2.0",
    "training.images=1600",
    "training.learning_rate_warmup=0",
    "training.ema=200",
    "training.log_every=400",
    "training.checkpoint_every=1600",
]


def test_steps_see_mirrored_images_where_they_are_asked_for(tmp_path: Path) -> None:
    for flip in (False, True):
        words = (f"training.flip={str(flip).lower()}", "training.accumulate=2")
        made, told = trainer(tmp_path / words[0], *words), []
        load = made.load

        def listen(indices: Any, mirrored: Any = None, load: Any = load, told: Any = told) -> Views:
            told.append(mirrored)
            return load(indices, mirrored)  # type: ignore[no-any-return]

        made.load = listen  # type: ignore[assignment]
        made.step(3)
        if flip:
            assert np.array_equal(np.concatenate(told), flips(0, 3, 8))
        else:
            assert told == [None, None]
    rows, mirrored = np.array([7, 9]), np.array([True, False])
    images, found = to_model(made.source.batch(rows)), load(rows, mirrored)
    assert torch.equal(found.images, torch.stack([images[0].flip(-1), images[1]]))
    assert found.x0 is found.images and not torch.equal(found.images[0], images[0])


@pytest.mark.parametrize("method", ["vae", "diffusion", "closed"])
def test_every_branch_learns(tmp_path: Path, method: str) -> None:
    source = TwoFactors()
    made = trainer(tmp_path / "run", *LEARN, f"method={method}", source=source)
    assert made.fit() is True
    lines = [line for line in read_metrics(made.run.metrics) if line["kind"] == "train"]
    assert [line["images"] for line in lines] == [400, 800, 1200, 1600]
    if method != "diffusion":
        assert lines[-1]["vae_nll"] < 0.95 * lines[0]["vae_nll"]
        assert lines[-1]["capacity"] > 0
    if method != "vae":
        assert lines[-1]["diffusion"] < 0.75 * lines[0]["diffusion"]
        x = to_model(source.batch(np.arange(0, 100, 2)))
        found = health.measure(made.averaged, Views.pixels(x))
        assert found["gap"] > 10 * health.DEAD_GAP
        assert not any("z_sem" in words for words in health.warnings(found, 4))
    if method == "closed":
        assert lines[1]["lambda_dt"] == 0 < lines[-1]["lambda_dt"]
        assert lines[-1]["feedback"] > 0  # nats that the decoder draws from z_sem
    else:
        assert "lambda_dt" not in lines[-1]  # nothing is distilled


@pytest.mark.parametrize(
    "settings",
    [
        ["method=open", "distillation.kind=softmax_kl"],
        ["feedback.kind=reverse_kl", "distillation.kind=mse", "model.gaussian=false"],
        ["training.precision=bf16", "training.accumulate=4", "model.conditioning=adagn"],
        ["model.encoder=diffae", "model.encoder_multipliers=[1]", "diffusion.prediction=v"],
    ],
    ids=lambda settings: settings[0],
)
def test_every_kind_trains(tmp_path: Path, settings: list[str]) -> None:
    """One process after another precision, too."""
    made = trainer(tmp_path / "run", *settings, "training.images=32")
    before = {name: p.detach().clone() for name, p in made.raw.named_parameters()}
    assert made.fit() is True
    still = [name for name, p in made.raw.named_parameters() if torch.equal(p, before[name])]
    assert still == []
    (line,) = [line for line in read_metrics(made.run.metrics) if line["images"] == 32][:1]
    assert all(math.isfinite(v) for v in line.values() if isinstance(v, float))
    assert (made.run.samples / f"{32:012d}.png").is_file()


def test_the_vae_and_c_stay_as_they_are_once_the_vae_is_frozen(tmp_path: Path) -> None:
    phases = ("method=open", "distillation.end=32", "feedback.warmup=0")
    made = trainer(tmp_path / "run", *phases)
    weights: dict[int, dict[str, torch.Tensor]] = {}
    capacity: dict[int, float] = {}
    step = made.step

    def watched(number: int) -> dict[str, float]:
        terms = step(number)
        weights[number] = {name: p.detach().clone() for name, p in made.raw.named_parameters()}
        capacity[number] = made.feedback.capacity
        return terms

    made.step = watched  # type: ignore[method-assign]
    assert made.fit() is True
    moved = {name for name, w in weights[11].items() if not torch.equal(w, weights[3][name])}
    assert moved == {name for name in weights[3] if not name.startswith("vae.")}
    assert any(not torch.equal(w, weights[0][name]) for name, w in weights[3].items())
    assert capacity[0] < capacity[3] == capacity[11]
    lines = [line for line in read_metrics(made.run.metrics) if line["kind"] == "train"]
    assert all(("vae_nll" in line) == (line["images"] <= 32) for line in lines)


def test_accumulation_is_one_batch_in_parts(tmp_path: Path) -> None:
    """Draws are made for the whole batch, so parts change no term that is a mean over images."""
    settings = ["training.images=40", "feedback.warmup=1000000", "model.dropout=0"]
    curves = []
    for parts in (1, 4):
        made = trainer(tmp_path / str(parts), *settings, f"training.accumulate={parts}")
        made.fit()
        lines = read_metrics(made.run.metrics)
        curves.append([line["diffusion"] for line in lines if line["kind"] == "train"])
    assert curves[1] == pytest.approx(curves[0], rel=1e-4)


def test_health_looks_at_all_of_the_held_out(tmp_path: Path) -> None:
    """Not at the first of them, whose neighbours are alike: there every code looks dead."""
    made = trainer(tmp_path / "run")
    heldout = split(480_000)[1]
    assert len(set(made.heldout)) == 128 and set(made.heldout) <= set(heldout)
    floors = Rooms(32).factors(made.heldout)[:, 0]
    assert set(floors) == set(range(10))
    assert np.mean(floors == np.roll(floors, 1)) < 0.3


def test_one_image_is_enough(tmp_path: Path) -> None:
    class One(TwoFactors):
        def __len__(self) -> int:
            return 1

    made = trainer(tmp_path / "run", "training.images=16", source=One())
    assert made.fit() is True
    assert logged(made.run.path, "health") == []


def test_a_short_run_is_logged(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", "training.images=20", "training.log_every=1000")
    assert made.fit() is True
    assert logged(made.run.path, "train") == [24]  # whole batches


def test_asked_to_stop(tmp_path: Path) -> None:
    made = trainer(tmp_path / "run")
    before = signal.getsignal(signal.SIGINT)
    made.ask_to_stop()
    assert made.fit() is False
    assert signal.getsignal(signal.SIGINT) is before
    assert [path.name for path in checkpoints(made.run.checkpoints)] == [f"{8:012d}"]


def test_it_trains_outside_the_main_thread(tmp_path: Path) -> None:
    made, found = trainer(tmp_path / "run", "training.images=8", "method=vae"), []
    thread = threading.Thread(target=lambda: found.append(made.fit()))
    thread.start()
    thread.join()
    assert found == [True]


def assert_last_good(run: RunFolder, images: int) -> None:
    """The only checkpoint is that of `images`, and it is finite."""
    (path,) = checkpoints(run.checkpoints)
    assert path.name == f"{images:012d}"
    assert left_over(run.path) == []
    for name in ("model", "ema", "optimizer"):
        assert all(t.isfinite().all() for t in load_tensors(path / f"{name}.safetensors").values())


def test_diverged_before_any_checkpoint(tmp_path: Path) -> None:
    settings = ["training.learning_rate=1000", "training.learning_rate_warmup=0"]
    made = trainer(tmp_path / "run", *settings)
    with pytest.raises(Diverged, match="no checkpoint was written yet") as caught:
        made.fit()
    assert "\n" not in str(caught.value) and "training.learning_rate (now 1000.0)" in str(
        caught.value
    )
    assert checkpoints(made.run.checkpoints) == []


def test_diverged_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert trainer(out, "training.images=32").fit()
    made = resumed(out, "training.learning_rate=1000", "training.learning_rate_warmup=0")
    with pytest.raises(Diverged) as caught:
        made.fit()
    assert f"the last good checkpoint is {out / 'checkpoints' / '000000000032'}" in str(
        caught.value
    )
    assert_last_good(made.run, 32)
    lower = resumed(out)
    assert lower.images == 32 and lower.fit() is True


@pytest.mark.parametrize("branch", ["diffusion", "vae"])
def test_a_gradient_that_is_not_finite_is_never_saved(tmp_path: Path, branch: str) -> None:
    """The loss of that step is still finite, and the step is one that saves."""
    made = trainer(tmp_path / "run")
    calls = iter(range(100))
    parameter = made.raw.branches()[branch][0]
    parameter.register_hook(lambda g: g * math.inf if next(calls) == 7 else g)
    with pytest.raises(Diverged, match="000000000032"):
        made.fit()
    assert_last_good(made.run, 32)


def test_weights_that_give_no_finite_code_are_never_saved(tmp_path: Path) -> None:
    """One wild step, the eighth: loss and gradients were finite, the weights are of size 1e30."""

    class Wild(Trainer):
        def set_learning_rate(self) -> None:
            super().set_learning_rate()
            if self.images == 56:
                for group in self.optimizer.param_groups:
                    group["lr"] = 1e30

    source = Rooms(32)
    run = RunFolder.create(tmp_path / "run", config(), source, "rooms")
    with pytest.raises(Diverged, match="000000000032"):
        Wild(run, source, quiet=True).fit()
    assert_last_good(run, 32)


def test_full_disk_while_training(server: Server, uninterrupted: Path, tmp_path: Path) -> None:
    """A file system that holds one checkpoint but not two; with more space it goes on."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)]
        subprocess.run(command, check=True, capture_output=True)

    try:
        mount("size=6m")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a tmpfs")
    try:
        made = trainer(disk / "run")
        with pytest.raises(OSError) as caught:
            made.fit()
        assert caught.value.errno == errno.ENOSPC
        assert_last_good(made.run, 32)
        mount("remount,size=20m")
        assert server.run(disk / "run", resume=True) == 0
        assert_same(uninterrupted, disk / "run")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_resume_without_a_checkpoint_starts(tmp_path: Path) -> None:
    out = tmp_path / "run"
    trainer(out)
    made = resumed(out)
    assert made.images == 0


def test_resume_of_another_architecture(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert trainer(out, "training.images=8").fit()
    with pytest.raises(ValueError, match="does not fit this model: .* tensors differ"):
        resumed(out, "model.units=5")


@pytest.mark.parametrize("file", ["model", "ema", "optimizer"])
def test_resume_from_damage(tmp_path: Path, file: str) -> None:
    out = tmp_path / "run"
    assert trainer(out, "training.images=8", "method=vae").fit()
    path = checkpoints(out / "checkpoints")[0] / f"{file}.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"{file}.safetensors cannot be read") as caught:
        resumed(out, "method=vae")
    assert "\n" not in str(caught.value)


def test_train_is_the_door(tmp_path: Path) -> None:
    source = Rooms(32)
    settings = config("training.images=16", "method=vae")
    run = RunFolder.create(tmp_path / "run", settings, source, "rooms")
    assert train(run, source, resume=False, quiet=True) is True
    before = checkpoints(run.checkpoints)
    assert train(run, source, resume=True, quiet=True) is True
    assert checkpoints(run.checkpoints) == before
