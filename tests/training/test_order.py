"""Which images a step sees."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cldis.training.sampler import WINDOW, DataOrder, flips, step_seed

SIZES = st.integers(1, 40)
BATCHES = st.integers(1, 50)
SEEDS = st.integers(0, 2**31 - 1)


def stream(n: int, batch: int, seed: int, epochs: int) -> np.ndarray:
    """The first whole epochs, asked for step after step."""
    order = DataOrder(np.arange(n) * 3 + 1, batch, seed)
    steps = -(-epochs * n // batch)
    return np.concatenate([order.step(step) for step in range(steps)])[: epochs * n]


@given(SIZES, BATCHES, SEEDS)
def test_every_epoch_holds_every_image_once(n: int, batch: int, seed: int) -> None:
    for epoch in stream(n, batch, seed, 3).reshape(3, n):
        assert np.array_equal(np.sort(epoch), np.arange(n) * 3 + 1)


@given(SIZES, BATCHES, BATCHES, SEEDS)
def test_the_order_does_not_depend_on_the_batch(n: int, one: int, other: int, seed: int) -> None:
    assert np.array_equal(stream(n, one, seed, 2), stream(n, other, seed, 2))


@given(SIZES, BATCHES, SEEDS, st.lists(st.integers(0, 60), min_size=1, max_size=8))
def test_a_step_does_not_depend_on_how_one_gets_there(
    n: int, batch: int, seed: int, jumps: list[int]
) -> None:
    walked, jumped = (DataOrder(np.arange(n), batch, seed) for _ in range(2))
    steps = [walked.step(step) for step in range(max(jumps) + 1)]
    for step in jumps:
        found = jumped.step(step)
        assert found.shape == (batch,) and found.dtype == np.int64
        assert np.array_equal(found, steps[step])


def test_a_batch_larger_than_the_data_sees_images_again() -> None:
    counts = np.bincount(DataOrder(np.arange(3), 8, 0).step(0), minlength=3)
    assert counts.sum() == 8 and counts.min() >= 2


def test_seeds_and_epochs_differ() -> None:
    epochs = stream(40, 8, 0, 4).reshape(4, 40)
    assert len({tuple(epoch) for epoch in epochs}) == 4
    assert not np.array_equal(stream(40, 8, 0, 1), stream(40, 8, 1, 1))


def test_images_in_blocks_are_mixed_some_blocks_at_a_time() -> None:
    """Each once an epoch, close together in the data, and in another order every time."""
    n, size = 5000, 10
    orders = [DataOrder(np.arange(n) * 2, 50, seed, np.arange(n) // size) for seed in (0, 0, 1)]
    first = [np.concatenate([one.step(step) for step in range(n // 50)]) for one in orders]
    second = np.concatenate([orders[0].step(step) for step in range(n // 50, 2 * n // 50)])
    assert np.array_equal(orders[1].step(73), first[0][73 * 50 : 74 * 50])
    for epoch in (first[0], first[2], second):
        assert np.array_equal(np.sort(epoch), np.arange(n) * 2)
        for start in range(0, n, WINDOW * size):
            window = epoch[start : start + WINDOW * size] // 2
            assert len(np.unique(window // size)) == len(window) // size
            assert abs(np.corrcoef(window, np.arange(len(window)))[0, 1]) < 0.2  # mixed inside
    assert not np.array_equal(first[0], second) and not np.array_equal(first[0], first[2])


@given(SEEDS)
def test_step_seeds_are_distinct_and_fit(seed: int) -> None:
    seeds = [step_seed(seed, step) for step in range(64)]
    assert len(set(seeds)) == 64
    assert all(0 <= value < 2**63 - 4096 for value in seeds)  # room for the number of a process
    assert seeds == [step_seed(seed, step) for step in range(64)]


@given(SEEDS, st.integers(0, 10**6))
def test_flips_depend_on_seed_and_step_alone(seed: int, step: int) -> None:
    found = flips(seed, step, 64)
    assert found.dtype == bool and found.shape == (64,)
    assert np.array_equal(found, flips(seed, step, 64))
    assert not np.array_equal(found, flips(seed, step + 1, 64))
    assert not np.array_equal(found, flips((seed + 1) % 2**31, step, 64))


def test_half_of_the_rows_are_mirrored_each_for_itself() -> None:
    found = np.array([flips(0, step, 16) for step in range(1000)])
    assert abs(found.mean() - 0.5) < 0.02
    assert np.abs(found.mean(axis=0) - 0.5).max() < 0.06
