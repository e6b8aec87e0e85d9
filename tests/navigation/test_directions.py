"""Directions: what they move, how they are called, and that they survive the disk."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from cldis.navigation.directions import Directions
from cldis.navigation.store import (
    directions_or_units,
    folder_of,
    has_directions,
    load_directions,
    read_about,
    save_directions,
)
from support.command import refused


@given(units=st.integers(1, 12), data=st.data())
def test_random_directions_are_orthonormal(units: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, units))
    seed = data.draw(st.integers(0, 2**32))
    found = Directions.random(units, count, seed)
    torch.testing.assert_close(found.matrix.T @ found.matrix, torch.eye(count), atol=1e-5, rtol=0)
    assert torch.equal(found.matrix, Directions.random(units, count, seed).matrix)


def test_identity_moves_a_unit_by_its_own_deviation() -> None:
    std = torch.tensor([1.0, 0.5, 4.0])
    change = Directions.identity(3).shift(std, {2: -1.5, 0: 2.0})
    assert change.tolist() == [2.0, 0.0, -6.0]


@given(st.dictionaries(st.integers(0, 2), st.floats(-10, 10), max_size=3))
def test_shift_is_linear_in_the_amounts(amounts: dict[int, float]) -> None:
    found, std = Directions.random(5, 3, 0), torch.rand(5) + 0.1
    single = sum((found.shift(std, {k: a}) for k, a in amounts.items()), torch.zeros(5))
    torch.testing.assert_close(found.shift(std, amounts), single, atol=1e-4, rtol=1e-4)


def test_pca_finds_the_axis_that_codes_lie_along() -> None:
    generator = torch.Generator().manual_seed(0)
    axis = torch.tensor([0.6, 0.0, 0.8])
    codes = 5 * torch.randn(500, 1, generator=generator) * axis
    codes = codes + 0.1 * torch.randn(500, 3, generator=generator) + 7
    found = Directions.pca(codes, 2)
    assert abs(float(found.matrix[:, 0] @ axis)) > 0.999
    refused(lambda: Directions.pca(codes[:1], 1), "at least 2 images")
    refused(lambda: Directions.pca(codes / 0 * 0, 1), "finite")


@pytest.mark.parametrize("count", [0, -1, 5])
def test_a_count_that_cannot_be(count: int) -> None:
    refused(lambda: Directions.random(4, count, 0), "1..4")


def test_wrong_numbers_and_amounts_are_named() -> None:
    found, std = Directions.identity(3), torch.ones(3)
    for number in (3, -1, 1.5, "1"):
        with pytest.raises(ValueError, match=rf"direction {number} does not exist.*0\.\.2"):
            found.shift(std, {number: 1.0})  # type: ignore[dict-item]
    refused(lambda: found.shift(std, {1: float("nan")}), "direction 1 is not a finite")


def test_names() -> None:
    found = Directions.identity(4).named(3, " smile ").named(0, "hair colour")
    assert found.number("smile") == found.number("SMILE") == found.number("3") == 3
    assert found.number("+1") == 1 and found.label(3) == "smile" and found.label(1) == "1"
    assert found.named(3, "grin").names[3] == "grin"
    assert found.named(3, "Smile").names[3] == "Smile"
    refused(lambda: found.number("smiel"), "did you mean 'smile'")
    refused(lambda: found.number("zzz"), "hair colour, smile")
    refused(lambda: Directions.identity(2).number("smile"), "cldis name")
    for wrong in ("4", "-1", "1.0", "1e0"):
        refused(partial(found.number, wrong), "0..3")


@pytest.mark.parametrize("name", ["", "  ", "7", "-1", "1e3", "nan", "a\nb", "x" * 61])
def test_names_that_cannot_be(name: str) -> None:
    refused(lambda: Directions.identity(4).named(1, name), "cannot be the name")


def test_a_name_that_exists_twice() -> None:
    found = Directions.identity(4).named(1, "smile")
    refused(lambda: found.named(2, "Smile"), "direction 1 is named 'smile' already")


def test_store_round_trip(tmp_path: Path) -> None:
    found = Directions(Directions.random(5, 2, 1).matrix, "navigated", {1: "größer"}, [0.9, 0.8])
    path = save_directions(tmp_path, found, {"dropped": [3]})
    again = load_directions(tmp_path)
    assert torch.equal(again.matrix, found.matrix) and again.names == {1: "größer"}
    assert (again.origin, again.recognised) == ("navigated", [0.9, 0.8])
    save_directions(tmp_path, again.named(0, "older"))
    assert read_about(tmp_path) == {"dropped": [3]}
    assert json.loads(path.read_text())["names"] == {"0": "older", "1": "größer"}
    assert not list(path.parent.glob("*.tmp"))


def test_a_run_without_directions(tmp_path: Path) -> None:
    assert not has_directions(tmp_path)
    refused(lambda: load_directions(tmp_path), "run `cldis navigate")
    assert directions_or_units(tmp_path, 4).origin == "identity"
    save_directions(tmp_path, Directions.identity(3))
    refused(lambda: directions_or_units(tmp_path, 4), "3 units, the model has 4")


def test_damaged_files_are_told(tmp_path: Path) -> None:
    save_directions(tmp_path, Directions.identity(3))
    file = folder_of(tmp_path) / "directions.safetensors"
    file.write_bytes(file.read_bytes()[:40])
    refused(lambda: load_directions(tmp_path), "cannot be read")
    save_file({"matrix": torch.eye(3)}, file)  # no metadata
    refused(lambda: load_directions(tmp_path), "cannot be read")
