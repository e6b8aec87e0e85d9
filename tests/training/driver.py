"""Trains in a process that can be killed: alone, as a server of forked jobs, or under torchrun.

A job is a JSON object:
    out        run folder
    overrides  settings, as for --set
    data       name of the images; rooms where it is left out
    resume     go on with the run in `out`
    at         [point, number, signal]: send the signal to this very process at the number-th
               arrival (from 1) at the point:
                 step            after the optimiser's step
                 log             in the middle of writing a line of metrics
                 save            before a checkpoint is begun
                 replace         before a rename inside checkpoints/
                 replaced        after a rename inside checkpoints/
    again      after the signal, send it once more in the next step
    rank       only this rank sends the signal
    result     file for {"finished": ..., "processes": ..., "error": ...}

The package itself knows nothing of this: the points are patched in here.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import cldis.io
from cldis.config import Config
from cldis.data import open_data
from cldis.training import checkpoint
from cldis.training.log import MetricsLog
from cldis.training.processes import leave
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer

DONE, STOPPED, FAILED = 0, 3, 4


class Tripwire:
    """Counts arrivals at points, and sends the signal at the one that was asked for."""

    def __init__(self, job: dict[str, Any]) -> None:
        self.point, self.number, self.signal = job.get("at") or ["", 0, 0]
        self.again = bool(job.get("again"))
        if job.get("rank", int(os.environ.get("RANK", "0"))) != int(os.environ.get("RANK", "0")):
            self.point = ""
        self.counts: Counter[str] = Counter()

    def trips(self, point: str) -> bool:
        self.counts[point] += 1
        wanted = (self.number, self.number + 1) if self.again else (self.number,)
        return point == self.point and self.counts[point] in wanted

    def arrive(self, point: str) -> None:
        if self.trips(point):
            os.kill(os.getpid(), self.signal)


def patch(wire: Tripwire) -> Callable[[], None]:
    """Lay the wire through the package; returns how to take it out again."""
    step, write, save, replace = (
        Trainer.step,
        MetricsLog.write,
        checkpoint.write_checkpoint,
        os.replace,
    )

    def new_step(self: Trainer, number: int) -> None:
        step(self, number)
        wire.arrive("step")

    def new_write(self: MetricsLog, kind: str, images: int, values: dict[str, Any]) -> None:
        if wire.trips("log"):
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f'{{"kind": "{kind}", "images": {images}, "lo')
            os.kill(os.getpid(), wire.signal)
        write(self, kind, images, values)

    def new_save(*arguments: Any) -> Path:
        wire.arrive("save")
        return save(*arguments)

    def new_replace(source: Any, target: Any) -> None:
        watched = "checkpoints" in Path(target).parts
        if watched:
            wire.arrive("replace")
        replace(source, target)
        if watched:
            wire.arrive("replaced")

    def set_all(a: Any, b: Any, c: Any, d: Any) -> None:
        setattr(Trainer, "step", a)  # noqa: B010
        setattr(MetricsLog, "write", b)  # noqa: B010
        setattr(checkpoint, "write_checkpoint", c)  # noqa: B010
        setattr(os, "replace", d)  # noqa: B010

    set_all(new_step, new_write, new_save, new_replace)
    return lambda: set_all(step, write, save, replace)


def perform(job: dict[str, Any]) -> int:
    """Do one job in this process."""
    torch.set_num_threads(1)
    if "RANK" in os.environ:  # shown where a process dies
        print(f"process {os.environ['RANK']}: {Path(job['out']).name}", file=sys.stderr)
    out, rank = Path(job["out"]), int(os.environ.get("RANK", "0"))
    loop = Config.from_dict({"method": "closed", "model": {"gaussian": True}})
    config = loop.with_overrides(job["overrides"])
    data = job.get("data", "rooms")
    source = open_data(data, config.model.resolution)
    resume = bool(job.get("resume"))
    if resume:
        run = RunFolder.open(out)
    elif rank == 0:
        run = RunFolder.create(out, config, source, data)
    else:
        run = RunFolder.plan(out, config, source, data)
    unpatch = patch(Tripwire(job))
    found: dict[str, Any] = {"finished": None, "error": None}
    try:
        trainer = Trainer(run, source, quiet=True)
        found["processes"] = trainer.accelerator.num_processes
        if resume:
            trainer.resume()
        found["finished"] = trainer.fit()
    except (Exception, KeyboardInterrupt) as error:
        found["error"] = f"{type(error).__name__}: {error}"
    finally:
        unpatch()
    if rank == 0 and "result" in job:
        cldis.io.write_json(job["result"], found)
    return FAILED if found["error"] else DONE if found["finished"] else STOPPED


def serve() -> None:
    """One job a line on stdin; one line with the wait status on stdout. Each job is a fork."""
    # Loaded once, for all forks.
    import torch.utils.tensorboard  # noqa: F401
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler  # noqa: F401

    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os._exit(perform(json.loads(line)))
        print(json.dumps({"status": os.waitpid(pid, 0)[1]}), flush=True)


def main(path: str) -> None:
    """All jobs of a file, one after the other, in this process (under torchrun: in each)."""
    for job in json.loads(Path(path).read_text(encoding="utf-8")):
        perform(job)
    print("leaves", os.environ.get("RANK"), end="")  # not flushed by itself: stdout is a pipe
    leave(0)


if __name__ == "__main__":
    serve() if sys.argv[1] == "serve" else main(sys.argv[1])
