"""The training loop: one process or many, any method, exact resume (on Hugging Face accelerate)."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs
from torch import Tensor

from cldis.config import Config
from cldis.data.shards import Shards
from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.loop.feedback import build_feedback
from cldis.loop.phases import TrainingPhase, phase_at
from cldis.loop.step import StepNoise
from cldis.loop.two_branch import TwoBranch
from cldis.methods.build import build
from cldis.progress import progress_bar
from cldis.training import checkpoint, health
from cldis.training.average import Average
from cldis.training.device import compile_networks, keep_memory, peak_memory
from cldis.training.interrupts import Interrupts
from cldis.training.learning_curve import KEY, sign
from cldis.training.log import MetricsLog, read_metrics
from cldis.training.meter import Meter
from cldis.training.optimizer import build_optimizer, clip, in_order, set_steps
from cldis.training.precision import settled
from cldis.training.run_folder import RunFolder
from cldis.training.sampler import DataOrder, flips, step_seed
from cldis.training.samples import sample_grid
from cldis.training.space import open_space, view_loader
from cldis.training.starter import load_starter
from cldis.training.terms import StepTerms
from cldis.training.unit_stats import typical_images, unit_statistics

HEALTH_IMAGES = 128
HAND_OVER = 2_048  # images that a new phase of the second form begins from


class Diverged(RuntimeError):
    """The loss, a gradient, the feedback or a code is no longer finite."""


class Trainer:
    """Trains the method of `run.config` on `source`, writing into `run`."""

    def __init__(self, run: RunFolder, source: ImageSource, quiet: bool = False) -> None:
        config = run.config
        keep_memory()
        self.run, self.config, self.source, self.quiet = run, config, source, quiet
        self.accelerator = accelerator(config)
        processes = self.accelerator.num_processes
        parts = processes * config.training.accumulate
        if config.training.batch % parts:
            raise ValueError(
                f"training.batch {config.training.batch} must be a multiple of processes x "
                f"accumulate = {parts}"
            )
        self.rows = config.training.batch // parts
        train, heldout = split(len(source))
        self.heldout = np.random.default_rng(0).permutation(heldout)[:HEALTH_IMAGES]
        blocks = source.blocks(train) if isinstance(source, Shards) else None
        self.order = DataOrder(train, config.training.batch, config.training.seed, blocks)

        torch.manual_seed(config.training.seed)
        model = build(config)
        self.ema = Average(model, config)
        optimizer = build_optimizer(config.training, model.parameters())
        self.names = in_order(optimizer, model)
        self.feedback = build_feedback(config, model.process)
        self.images = 0
        if config.training.start_from and run.latest() is None:
            load_starter(config.training.start_from, model, self.averaged, self.feedback)
        self.raw = model
        if config.training.compile:
            compile_networks(model)  # after the averages took their copy, which stays plain
        device = self.accelerator.device
        self.space = open_space(config, run.about, run.path).to(device)
        self.load = view_loader(self.space, config, source, device, not quiet)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.ema.module.to(self.accelerator.device)
        self.unread: list[StepTerms] = []  # the terms of the last steps
        self.stop_requested = False  # by a signal, in this process
        self.stop = False  # agreed by all processes

    def resume(self) -> None:
        """Load the newest checkpoint, if there is one.

        Raises:
            ValueError: the newest checkpoint lacks a file or is damaged.
        """
        if self.accelerator.is_main_process:
            for folder in (self.run.path, self.run.checkpoints, self.run.samples):
                checkpoint.clean(folder)
        path = checkpoint.newest_complete(self.run.checkpoints)
        if path is None:
            return
        origin = str(path)
        load, name = checkpoint.load_tensors, ".safetensors"
        checkpoint.load_into(self.raw, load(path / f"model{name}"), origin)
        checkpoint.load_into(self.averaged, load(path / f"ema{name}"), origin)
        checkpoint.load_optimizer(
            self.base_optimizer, self.names, load(path / f"optimizer{name}"), origin
        )
        state = checkpoint.read_state(path)
        self.images = state["images"]
        set_steps(self.base_optimizer, self.images // self.config.training.batch)
        self.ema.count = state["averaged"]
        checkpoint.load_feedback(self.feedback, state, path)

    def fit(self) -> bool:
        """Train to `training.images`; False when interrupted (the state is saved).

        Raises:
            Diverged: the loss, a gradient or the feedback became NaN or infinite; the last
                checkpoint is good.
            OSError: a checkpoint could not be written; earlier ones are good.
        """
        total, batch = self.config.training.images, self.config.training.batch
        steps = math.ceil(total / batch)
        main = self.accelerator.is_main_process
        self.metrics_log = MetricsLog(self.run.metrics, self.images) if main else None
        try:
            with Interrupts(self.ask_to_stop), self.bar(steps * batch) as bar:
                self.loop(steps, bar)
        finally:
            if self.metrics_log is not None:
                self.metrics_log.close()
        return self.images >= total

    def loop(self, steps: int, bar: Any) -> None:
        """The steps that are left. The checkpoint comes last: it vouches for log and samples."""
        every, batch = self.config.training, self.config.training.batch
        meter = Meter()
        for step in range(self.images // batch, steps):
            self.step(step)
            self.images = (step + 1) * batch
            last = step + 1 == steps
            bar.update(batch)
            if last or self.wants_terms():
                for terms in self.read_terms():
                    meter.add(terms, batch)
            if last or self.is_due(every.log_every):
                self.log("train", {**meter.take(), **peak_memory(self.accelerator.device)})
                bar.set_postfix_str(meter.words)
            if last or self.is_due(every.sample_every):
                self.report_health(bar)
            if last or self.stop or self.is_due(every.checkpoint_every):
                self.save()
            if self.stop:
                break

    def wants_terms(self) -> bool:
        """Whether the terms of the steps so far are read now, in all processes or in none.

        Several stop together, by what they read: CPUs have it there after every step.
        """
        every, state = self.config.training, self.accelerator
        if any(map(self.is_due, (every.log_every, every.sample_every, every.checkpoint_every))):
            return True
        return self.stop_requested if state.num_processes == 1 else state.device.type == "cpu"

    def read_terms(self) -> list[dict[str, float]]:
        """The terms of the steps that were not read yet.

        Raises:
            Diverged: one is not finite.
        """
        found = []
        for step in self.unread:
            means, asked = step.read()
            self.stop |= asked
            if not all(map(math.isfinite, means.values())):
                raise Diverged(self.diverged_words(step.images))
            found.append(means)
        self.unread = []
        return found

    def step(self, step: int) -> None:
        """One optimiser step over the global batch: the updates of the method, then C.

        Its terms stay on the device until they are read, so that the host runs ahead of a GPU. Only
        a feedback that hears the step needs them at once: C is part of the next loss.
        """
        config, device = self.config, self.accelerator.device
        indices = self.order.step(step)
        mirrored = flips(config.training.seed, step, len(indices)) if config.training.flip else None
        seed = step_seed(config.training.seed, step)
        generator = torch.Generator(device).manual_seed(seed)
        noise = StepNoise.draw(config, len(indices), generator)
        torch.manual_seed(seed + self.accelerator.process_index)  # dropout
        phase = phase_at(config, self.images)
        if self.images and phase.kind != phase_at(config, self.images - len(indices)).kind:
            self.enter(phase)
        self.set_learning_rate()

        sums: Tensor | None = None
        terms: dict[str, Tensor] = {}
        for part in range(config.training.accumulate):
            start = part * self.accelerator.num_processes + self.accelerator.process_index
            start *= self.rows
            rows = slice(start, start + self.rows)
            own = noise.rows(start, start + self.rows)
            x = self.load(indices[rows], None if mirrored is None else mirrored[rows])
            with self.accelerator.accumulate(self.model):
                out = self.model(x, own, phase, self.feedback)
                self.accelerator.backward(out.loss)
                norms = self.clip() if self.accelerator.sync_gradients else {}
                self.optimizer.step()
                self.optimizer.zero_grad()
            for name, value in {"loss": out.loss.detach(), **out.terms, **norms}.items():
                terms[name] = terms.get(name, value.new_zeros(())) + value.float()
            signal = out.signal
            if signal is None:
                signal = self.averaged.listen(x, own, phase, self.feedback)
            if signal is not None:
                sums = signal if sums is None else sums + signal
        self.ema.update(self.raw)
        said, sums = self.reduce(terms, sums)
        heard = phase.vae or sums is not None
        if heard:
            batch = config.training.batch
            rate = None if sums is None else said.read()[0].get("rate")
            self.feedback.update(sums, self.images + batch, batch, rate)
        if not math.isfinite(self.feedback.signal):
            raise Diverged(self.diverged_words(self.images))
        if config.uses_capacity and heard:
            said.known.update(capacity=self.feedback.capacity, feedback=self.feedback.signal)
        if config.distils:
            said.known["lambda_dt"] = phase.lambda_dt
        self.unread.append(said)

    def enter(self, phase: TrainingPhase) -> None:
        """Begin a phase from the averaged weights, changed as the method says."""
        if not self.config.lowers_rate:
            return
        self.raw.load_state_dict(self.averaged.state_dict())
        few = typical_images(len(self.source), HAND_OVER)
        self.raw.enter(phase, self.load(few).images)
        self.averaged.load_state_dict(self.raw.state_dict())
        self.ema.count = 0

    def clip(self) -> dict[str, Tensor]:
        """Clip each branch by itself: nats of the VAE must not scale the U-Net's step."""
        limits = {"diffusion": self.config.training.gradient_clip}
        return {
            f"{name}_gradient_norm": clip(parameters, limits.get(name, math.inf))
            for name, parameters in self.raw.branches().items()
        }

    def reduce(
        self, terms: dict[str, Tensor], sums: Tensor | None
    ) -> tuple[StepTerms, Tensor | None]:
        """The terms over micro-batches and processes, sums of the signal; one message."""
        accumulate = self.config.training.accumulate
        names = sorted(terms)
        parts = [1 if name.endswith("gradient_norm") else accumulate for name in names]
        head = [terms[name] / count for name, count in zip(names, parts, strict=True)]
        flag = head[0].new_full((), float(self.stop_requested))
        tail = sums.float() if sums is not None else flag.new_zeros(1)
        message = torch.cat([torch.stack([*head, flag]), tail])
        processes = self.accelerator.num_processes
        if processes > 1:
            message = self.accelerator.reduce(message, reduction="sum")
        if sums is not None:
            message = message.cpu()
            sums = message[len(names) + 1 :]
        values = message[: len(names) + 1]
        return StepTerms(self.images, tuple(names), values, processes, {}), sums

    def save(self) -> None:
        """Write a checkpoint (main process).

        Raises:
            Diverged: the averaged weights give codes that are not finite; nothing is written.
        """
        if self.accelerator.is_main_process:
            units = unit_statistics(self.averaged, self.source)
            if not all(map(math.isfinite, [*units["mean"], *units["std"]])):
                raise Diverged(self.diverged_words(self.images))
            checkpoint.write_checkpoint(
                self.run.checkpoints,
                self.images,
                self.raw.state_dict(),
                self.averaged.state_dict(),
                checkpoint.optimizer_tensors(self.base_optimizer, self.names),
                {
                    "averaged": self.ema.count,
                    "feedback": self.feedback.state(),
                    "units": units,
                },
                self.config.training.keep,
            )
            self.run.list_skipped(self.source)
        self.accelerator.wait_for_everyone()

    def report_health(self, bar: Any) -> None:
        """Health and a sample grid from the averaged weights (main process)."""
        if not self.accelerator.is_main_process:
            return
        model = self.averaged
        x = self.load(self.heldout)
        if len(x) >= 2:
            found = health.measure(model, x)
            words = health.warnings(found, self.config.model.units)
            told = [f"warning: {text}" for text in words]
            lines = read_metrics(self.run.metrics)
            now = sign([*lines, {"images": self.images, **found}], self.config)
            if now is not None:
                if not any(line.get(KEY) == now.kind for line in lines):
                    told.append(now.words(len(self.source)))
                found[KEY] = now.kind
            self.log("health", {**found, "warnings": words})
            for text in told if not self.quiet else []:
                bar.write(text)
        sample_grid(model, self.space, x.rows(8), self.run.samples / f"{self.images:012d}.png")

    def log(self, kind: str, values: dict[str, Any]) -> None:
        if self.metrics_log is not None:
            self.metrics_log.write(kind, self.images, values)

    def is_due(self, every: int) -> bool:
        """Whether the last batch passed a multiple of `every` images."""
        return self.images // every > (self.images - self.config.training.batch) // every

    def set_learning_rate(self) -> None:
        """A linear warm-up, and another when the diffusion branch joins or the rate counts."""
        warmup, loop = self.config.training.learning_rate_warmup, self.config.loop
        begun = max(start for start in (0, loop.vae_alone, loop.rate_from) if start <= self.images)
        seen = self.images - begun + self.config.training.batch
        ramp = min(1.0, seen / warmup) if warmup else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.training.learning_rate * ramp

    @property
    def averaged(self) -> TwoBranch:
        return self.ema.module

    @property
    def base_optimizer(self) -> torch.optim.Optimizer:
        return getattr(self.optimizer, "optimizer", self.optimizer)

    def ask_to_stop(self) -> None:
        """Save and stop after this step, in every process."""
        self.stop_requested = True

    def bar(self, total: int) -> Any:
        hidden = self.quiet or not self.accelerator.is_main_process
        return progress_bar(total, "train", "images", hidden, self.images)

    def diverged_words(self, images: int) -> str:
        last = self.run.latest()
        where = f"the last good checkpoint is {last}" if last else "no checkpoint was written yet"
        return (
            f"the loss is not finite after {images} images; {where}. Start again with a lower "
            f"training.learning_rate (now {self.config.training.learning_rate}) or "
            f"training.precision=no"
        )


def accelerator(config: Config) -> Accelerator:
    """An Accelerator whose world size is what the launcher announced.

    Raises:
        RuntimeError: the launcher started several processes that do not see each other.
    """
    AcceleratorState._reset_state()  # an earlier run in this process may have had another precision
    made = Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=settled(config).training.precision,
        gradient_accumulation_steps=config.training.accumulate,
        # A branch that does not learn in a phase has no gradients there.
        kwargs_handlers=[
            DistributedDataParallelKwargs(
                find_unused_parameters=config.loop.vae_alone > 0 or config.distillation.end > 0
            )
        ],
    )
    announced = int(os.environ.get("WORLD_SIZE", "1"))
    if made.num_processes != announced:
        raise RuntimeError(
            f"the launcher announced {announced} processes but {made.num_processes} see each "
            f"other; start with `torchrun --nproc-per-node {announced} -m cldis train ...`"
        )
    return made


def train(run: RunFolder, source: ImageSource, resume: bool, quiet: bool = False) -> bool:
    """Train `run`; see `Trainer.fit`."""
    trainer = Trainer(run, source, quiet)
    if resume:
        trainer.resume()
    return trainer.fit()
