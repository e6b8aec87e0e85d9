"""What a step says of itself, left on its device until it is wanted: a read waits for a GPU."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StepTerms:
    """The terms of one step."""

    images: int  # seen before the step
    names: tuple[str, ...]
    values: Tensor  # [terms + 1]: sums over processes; last, how many of these were asked to stop
    processes: int
    known: dict[str, float]  # what needs no read

    def read(self) -> tuple[dict[str, float], bool]:
        """Means of the terms, and whether a process was asked to stop."""
        *sums, asked = self.values.tolist()
        means = {name: value / self.processes for name, value in zip(self.names, sums, strict=True)}
        return {**means, **self.known}, asked > 0
