"""What a line of the training log says: means of the terms, the rate, and the processor time."""

from __future__ import annotations

import time


class Meter:
    """Means of the terms since the last line, each over the steps that had it, with the rate."""

    def __init__(self) -> None:
        self.words = ""
        self.reset()

    def reset(self) -> None:
        self.terms: dict[str, list[float]] = {}
        self.images, self.since, self.spent = 0, time.perf_counter(), time.process_time()

    def add(self, terms: dict[str, float], images: int) -> None:
        for name, value in terms.items():
            self.terms.setdefault(name, []).append(value)
        self.images += images

    def take(self) -> dict[str, float]:
        found = {name: sum(values) / len(values) for name, values in self.terms.items()}
        found["images_per_second"] = self.images / (time.perf_counter() - self.since)
        found["processor_seconds"] = time.process_time() - self.spent
        shown = ["diffusion", "distillation", "vae_kl", "capacity"]
        if not found.get("lambda_dt"):  # nothing holds the two codes together: no loss to watch
            shown.remove("distillation")
        self.words = " ".join(f"{name} {found[name]:.3g}" for name in shown if name in found)
        self.reset()
        return found
