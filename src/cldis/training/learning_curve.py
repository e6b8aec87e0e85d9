"""Does more training still help? Told from the log of a run, without labels.

The loss on held-out images is measured with the same noise every time, so it moves only when the
weights do. Two stretches are compared by their medians: the middle third of the images seen, and
the last third. A loss that goes on falling as a power law falls by a fixed share from the one to
the other, however long the run is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from cldis.config import Config
from cldis.text import number

HARDLY = 0.02  # a fall of the held-out loss by less is none, a rise by more is one
LEAST = 2  # looks in each of the two stretches
KEY = "learning"  # in a line of the log: the kind of sign that was given then


@dataclass(frozen=True)
class Sign:
    """More training no longer helps.

    Attributes:
        kind: `flat`: held-out loss has hardly fallen; `overfit`: it rises while training falls.
        over: images between the two stretches.
        change: of the held-out loss from the one to the other, as a share; below 0 it fell.
        best: images seen where the held-out loss was lowest.
    """

    kind: Literal["flat", "overfit"]
    over: int
    change: float
    best: int

    def words(self, photos: int) -> str:
        """One sentence for the owner of so many photos, and what to do."""
        share = f"{number(100 * abs(self.change), 2)} %"
        if self.kind == "overfit":
            return (
                f"The collection is small: held-out loss rose by {share} over the last "
                f"{self.over:,} images while training loss fell, so the {photos:,} photos are now "
                f"learned by heart; held-out loss was lowest at {self.best:,} images. Add photos, "
                f"train for that long, or set training.flip=true where mirrored photos are as good."
            )
        moved = f"has fallen by only {share}" if self.change < 0 else "has not fallen"
        return (
            f"More training no longer helps much: held-out loss {moved} over the last "
            f"{self.over:,} images; more photos or a larger model would."
        )


def sign(lines: Sequence[Mapping[str, Any]], config: Config) -> Sign | None:
    """What the log of a run says so far; None: still falling, or too early to say.

    Where the method measures information (`feedback`), it must have settled too.

    Args:
        lines: of `metrics.jsonl`, by rising images.
    """
    since = _since(config)
    looks = _points(lines, "heldout_diffusion", since)
    seen = looks[-1][0] if looks else 0
    heldout = _stretches(looks, seen)
    if heldout is None:
        return None
    best = min(looks, key=lambda point: point[1])[0] + since
    change = heldout[1] / heldout[0] - 1
    if change > HARDLY:
        training = _stretches(_points(lines, "diffusion", since), seen)
        falls = training is not None and training[1] < training[0]
        return Sign("overfit", seen // 3, change, best) if falls else None
    if config.uses_feedback:
        information = _stretches(_points(lines, "feedback", since), seen)
        if information is None or abs(information[1] / information[0] - 1) > HARDLY:
            return None
    return Sign("flat", seen // 3, change, best) if change > -HARDLY else None


def _points(lines: Sequence[Mapping[str, Any]], name: str, since: int) -> list[tuple[int, float]]:
    """Images seen after `since`, and a finite measurement."""
    return [
        (line["images"] - since, float(line[name]))
        for line in lines
        if line["images"] > since
        and isinstance(line.get(name), int | float)
        and math.isfinite(line[name])
    ]


def _stretches(points: Sequence[tuple[int, float]], seen: int) -> tuple[float, float] | None:
    """Medians over the middle third and over the last third; None: too few points."""
    middle = [value for images, value in points if seen < 3 * images <= 2 * seen]
    last = [value for images, value in points if 2 * seen < 3 * images <= 3 * seen]
    if min(len(middle), len(last)) < LEAST or median(middle) <= 0:
        return None
    return median(middle), median(last)


def _since(config: Config) -> int:
    """Images after which the losses mean the same as at the end."""
    phases = (config.loop.vae_alone, config.loop.rate_from, config.distillation.end)
    return max(at for at in (0, *phases) if at < config.training.images)
