"""Start from trained weights: a packaged starter, or the newest checkpoint of another run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cldis.io import read_json
from cldis.loop.feedback.base import Feedback
from cldis.loop.two_branch import TwoBranch
from cldis.training.checkpoint import load_into, load_tensors, read_state
from cldis.training.contents import FeedbackState, checked
from cldis.training.run_folder import RunFolder

PREFIX = "starter:"
FOLDER = Path(__file__).parent.parent / "starters"


def load_starter(origin: str, model: TwoBranch, ema: TwoBranch, feedback: Feedback) -> None:
    """Put averaged weights and the state of C into a fresh model.

    Args:
        origin: `starter:NAME` for a packaged one, else a run folder.

    Raises:
        ValueError: unknown starter, no checkpoint in the run, or other sizes.
    """
    if origin.startswith(PREFIX):
        name = origin.removeprefix(PREFIX)
        if name not in starters():
            known = ", ".join(PREFIX + other for other in starters()) or "none"
            raise ValueError(
                f"training.start_from {origin!r} is unknown; packaged starters: {known}; or give "
                f"a run folder"
            )
        path = FOLDER / name
        tensors = load_tensors(path / "ema.safetensors")
        saved = checked(FeedbackState, read_json(path / "state.json")["feedback"], path)
    else:
        checkpoint = RunFolder.open(origin).latest()
        if checkpoint is None:
            raise ValueError(f"training.start_from {origin!r} has no checkpoint; train it first")
        tensors = load_tensors(checkpoint / "ema.safetensors")
        saved = read_state(checkpoint)["feedback"]
    load_into(model, tensors, origin)
    load_into(ema, tensors, origin)
    if _shape(saved) == _shape(feedback.state()):
        feedback.load_state(saved)


def _shape(state: dict[str, Any]) -> dict[str, int]:
    """Names and lengths: another kind of feedback, or other bins, starts afresh."""
    return {name: len(value) if isinstance(value, list) else 1 for name, value in state.items()}


def starters() -> list[str]:
    return sorted(path.name for path in FOLDER.iterdir()) if FOLDER.is_dir() else []
