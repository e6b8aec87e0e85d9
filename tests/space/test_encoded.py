"""Images are encoded once: kept by content, gone on with after a kill, made anew when damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cldis.data.encoded import ROWS, Halves, encoded_once

SHAPE = (2, 4, 4)
COUNT = 2 * ROWS + 7


class Numbered:
    """Image i is i everywhere."""

    name, resolution, fingerprint = "numbered", 8, "a" * 64
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()
    skipped: list[tuple[str, str]] = []

    def __len__(self) -> int:
        return COUNT

    def batch(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        rows = np.asarray(indices, np.uint16)[:, None, None, None] % 251
        return np.broadcast_to(rows, (len(indices), 3, 8, 8)).astype(np.uint8)

    def factors(self, indices: NDArray[Any]) -> NDArray[np.int64]:
        return np.zeros((len(indices), 0), np.int64)

    def label(self, index: int) -> str:
        return f"numbered/{index}"


class Coder:
    """Counts the images that it is asked for; is killed, or fails, when told."""

    def __init__(self, most: int = 10**9, bad: int | None = None) -> None:
        self.asked, self.most, self.bad = 0, most, bad

    def __call__(self, images: NDArray[np.uint8]) -> Halves:
        if self.asked + len(images) > self.most:
            raise KeyboardInterrupt
        made = images[:, :2, :4, :4].astype(np.float16) / 2
        if self.bad is not None and self.asked <= self.bad < self.asked + len(images):
            made[self.bad - self.asked, 0, 0, 0] = np.inf
        self.asked += len(images)
        return made


def encode(folder: Path, coder: Coder, name: str = "one") -> Halves:
    return encoded_once(Numbered(), name, SHAPE, coder, folder, progress=False)


def expected() -> Halves:
    whole: Halves = Coder()(Numbered().batch(np.arange(COUNT)))
    return whole


def test_once_and_by_content(tmp_path: Path) -> None:
    first, again, other = Coder(), Coder(), Coder()
    assert np.array_equal(encode(tmp_path, first), expected())
    found = encode(tmp_path, again)
    assert found.dtype == np.float16 and np.array_equal(found, expected())
    encode(tmp_path, other, "another")
    assert (first.asked, again.asked, other.asked) == (COUNT, 0, COUNT)
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".json", ".npy", ".npy"]


def test_work_that_was_killed_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        encode(tmp_path, Coder(most=ROWS + 1))
    rest = Coder()
    found = encoded_once(Numbered(), "one", SHAPE, rest, tmp_path, progress=True)
    assert np.array_equal(found, expected())
    assert rest.asked == COUNT - ROWS
    assert f"encoding: {COUNT} of {COUNT} images" in capsys.readouterr().err


@pytest.mark.parametrize("where", ["part", "array", "index"])
def test_what_is_damaged_is_made_anew(where: str, tmp_path: Path) -> None:
    if where == "part":
        with pytest.raises(KeyboardInterrupt):
            encode(tmp_path, Coder(most=ROWS + 1))
        (path,) = tmp_path.glob("*.parts/*.npy")
    else:
        encode(tmp_path, Coder())
        (path,) = tmp_path.glob("*.npy" if where == "array" else "*.json")
    path.write_bytes(path.read_bytes()[:-5])
    assert np.array_equal(encode(tmp_path, Coder()), expected())


def test_numbers_that_are_not_finite_name_their_image(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"numbered/{ROWS + 3};"):
        encode(tmp_path, Coder(bad=ROWS + 3))


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="set CLDIS_CACHE"):
        encode(tmp_path / "file", Coder())
