"""Which images a step sees, which of them mirrored, and the seed of its noise: pure functions of
(seed, step)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW = 64  # blocks of a source too large to be read in any order, whose images are mixed


class DataOrder:
    """Endless epochs of permutations; any step can be asked for, so resume needs no state.

    Where images lie in blocks (`blocks`, [n], the block of each of `indices`), an epoch goes
    through the blocks in a random order, `WINDOW` of them at a time, and through the images of
    these in a random order: what is read at a time lies close together.
    """

    def __init__(
        self,
        indices: NDArray[np.int64],
        batch: int,
        seed: int,
        blocks: NDArray[np.int64] | None = None,
    ) -> None:
        assert len(indices) > 0
        assert blocks is None or blocks.shape == indices.shape
        self.indices, self.batch, self.seed, self.blocks = indices, batch, seed, blocks
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
            order = generator.permutation(len(self.indices))
            if self.blocks is not None:
                place = generator.permutation(int(self.blocks.max()) + 1)
                order = order[np.argsort(place[self.blocks[order]] // WINDOW, kind="stable")]
            self._epochs[epoch] = order
        return self._epochs[epoch]


def flips(seed: int, step: int, batch: int) -> NDArray[np.bool_]:
    """Which rows of the global batch of `step` are seen mirrored, [batch]: half of them."""
    return np.random.default_rng([seed, step, 1]).random(batch) < 0.5


def step_seed(seed: int, step: int) -> int:
    """A well-mixed 63-bit seed for the noise of a step."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
