"""Every name opens what it says, or one line says what to write instead."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cldis.data import open_data
from cldis.data.catalogue import CATALOGUE
from cldis.data.split import split
from support.command import refused


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one folder of images, where nothing reaches for the network."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CLDIS_DATA", raising=False)
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "photos" / "a.png")
    return tmp_path


def not_opened(name: str, *parts: str) -> None:
    refused(lambda: open_data(name, 8), *parts, longest=1200 + len(name))


def test_folder_by_any_path(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(here))
    names = ["photos", "./photos", "photos/", str(here / "photos"), "~/photos", "photos/../photos"]
    for name in names:
        assert open_data(name, 8).name == "photos"
    assert len(list((here / "cache").glob("*.npy"))) == 1


def test_wrong_names(here: Path) -> None:
    not_opened("photo", "'photo'", "rooms", "hf:NAME", "did you mean 'photos'?")
    not_opened("room", "did you mean 'rooms'?")
    not_opened("photos/missing", "check the path")
    not_opened("./photso", "did you mean 'photos'?")
    not_opened("", "''")
    not_opened("/nowhere/at/all", "check the path")
    not_opened("x" * 5000, "check the path")
    not_opened("photos/a.png", "single file", "give photos")


def test_names_open_what_they_say(here: Path) -> None:
    assert open_data("rooms", 32).name == "rooms"
    for name in (name for name, data in CATALOGUE.items() if data.published):
        not_opened(name, repr(name), "published file", "CLDIS_DATA")
    not_opened("mpi3d", "did you mean 'mpi3d_toy'?")
    (here / "celeba").mkdir()
    Image.new("RGB", (8, 8)).save(here / "celeba" / "a.png")
    assert open_data("./celeba", 8).label(0) == "a.png"
    not_opened("celeba", "write ./celeba")


def test_resolution_first(here: Path) -> None:
    for resolution in (0, 7, 60, 2048):
        with pytest.raises(ValueError, match="multiple of 8 from 8 to 1024"):
            open_data("photos", resolution)
    with pytest.raises(ValueError, match="try 64"):
        open_data("photos", 62)
    assert not (here / "cache").exists()
    assert open_data("photos", 1024).batch(np.arange(1)).shape == (1, 3, 1024, 1024)


@given(st.integers(2, 30_000))
def test_split(length: int) -> None:
    train, held_out = split(length)
    assert len(held_out) == min(512, max(1, length // 20))
    assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(length))
    for part in (train, held_out):
        assert part.dtype == np.int64 and (np.diff(part) > 0).all()
    again = split(length)
    assert np.array_equal(again[0], train) and np.array_equal(again[1], held_out)


def test_split_of_one_and_of_nothing() -> None:
    train, held_out = split(1)
    assert train.tolist() == held_out.tolist() == [0]
    for length in (0, -1):
        with pytest.raises(ValueError, match="at least 1 image"):
            split(length)


def test_case_of_the_working_folder(here: Path) -> None:
    """The folder itself, named as people do."""
    os.chdir(here / "photos")
    assert open_data(".", 8).name == "photos"
