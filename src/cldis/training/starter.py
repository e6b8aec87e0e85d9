"""Start from trained weights: a packaged starter, or the newest checkpoint of another run."""

from __future__ import annotations

from pathlib import Path

from cldis.io import read_json
from cldis.loop.closed_loop import ClosedLoop
from cldis.loop.feedback import Feedback
from cldis.training.checkpoint import load_into, load_tensors, read_state
from cldis.training.run import RunFolder

PREFIX = "starter:"
FOLDER = Path(__file__).parent.parent / "starters"


def load_starter(origin: str, model: ClosedLoop, ema: ClosedLoop, feedback: Feedback) -> None:
    """Put averaged weights and the state of C into a fresh model.

    Args:
        origin: `starter:NAME` for a packaged one, else a run folder.

    Raises:
        ValueError: unknown starter, no checkpoint in the run, or other sizes.
    """
    if origin.startswith(PREFIX):
        path = FOLDER / origin.removeprefix(PREFIX)
        if not path.is_dir():
            raise ValueError(
                f"training.start_from {origin!r} is unknown; packaged starters: "
                f"{', '.join(PREFIX + name for name in starters())}"
            )
        tensors, state = load_tensors(path / "ema.safetensors"), read_json(path / "state.json")
    else:
        checkpoint = RunFolder.open(origin).latest()
        if checkpoint is None:
            raise ValueError(f"training.start_from {origin!r} has no checkpoint; train it first")
        tensors, state = load_tensors(checkpoint / "ema.safetensors"), read_state(checkpoint)
    load_into(model, tensors, origin)
    load_into(ema, tensors, origin)
    saved = state["feedback"]
    if set(saved) == set(feedback.state()):
        feedback.load_state(saved)


def starters() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir()) if FOLDER.is_dir() else []
