"""Which images a step sees, which of them mirrored, and the seed of its noise: pure functions of
(seed, step)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class DataOrder:
    """Endless epochs of permutations; any step can be asked for, so resume needs no state."""

    def __init__(self, indices: NDArray[np.int64], batch: int, seed: int) -> None:
        assert len(indices) > 0
        self.indices, self.batch, self.seed = indices, batch, seed
        self._epochs: dict[int, NDArray[np.int64]] = {}

    def step(self, step: int) -> NDArray[np.int64]:
        """Indices of the global batch of `step`, [batch]."""
        n = len(self.indices)
        positions = np.arange(step * self.batch, (step + 1) * self.batch)
        epochs = positions // n
        chosen = np.empty(self.batch, dtype=np.int64)
        for epoch in np.unique(epochs):
            where = epochs == epoch
            chosen[where] = self.indices[self._permutation(int(epoch))[positions[where] % n]]
        return chosen

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._epochs:
            self._epochs = {k: v for k, v in self._epochs.items() if k == epoch - 1}
            generator = np.random.default_rng([self.seed, epoch])
            self._epochs[epoch] = generator.permutation(len(self.indices))
        return self._epochs[epoch]


def flips(seed: int, step: int, batch: int) -> NDArray[np.bool_]:
    """Which rows of the global batch of `step` are seen mirrored, [batch]: half of them."""
    return np.random.default_rng([seed, step, 1]).random(batch) < 0.5


def step_seed(seed: int, step: int) -> int:
    """A well-mixed 63-bit seed for the noise of a step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
