"""Readers of published files, on small files of exactly the published format."""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tarfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cldis.data import open_data
from cldis.data.catalogue import CATALOGUE
from cldis.data.published import cars3d, celeba, dsprites, mpi3d, shapes3d, smallnorb, verify
from cldis.data.published.protocol import FILES, PublishedFile
from support.command import refused

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "published"
    root.mkdir()
    monkeypatch.setenv("CLDIS_DATA", str(root))
    monkeypatch.setenv("CLDIS_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return root


def few(monkeypatch: pytest.MonkeyPatch, module: Any, name: str, sizes: tuple[int, ...]) -> None:
    """The same format with fewer values per factor."""
    monkeypatch.setattr(module, name, dict(zip(getattr(module, name), sizes, strict=True)))


def check_grid(name: str, expected: np.ndarray, sizes: tuple[int, ...]) -> None:
    """`expected`: [*sizes, H, W, 3] at the published resolution."""
    side = expected.shape[-2]
    source = open_data(name, side)
    assert source.name == name and source.factor_sizes == sizes
    assert len(source) == np.prod(sizes) and source.skipped == []
    everything = np.arange(len(source))
    images = source.batch(everything)
    assert np.array_equal(images, expected.reshape(-1, side, side, 3).transpose(0, 3, 1, 2))
    factors = source.factors(everything)
    assert np.array_equal(source.index(factors), everything)  # type: ignore[attr-defined]
    number = int(RNG.integers(len(source)))
    assert np.array_equal(images[number].transpose(1, 2, 0), expected[tuple(factors[number])])
    small = open_data(name, 8).batch(everything)
    blocks = images.reshape(len(images), 3, 8, side // 8, 8, side // 8).mean((3, 5))
    assert small.shape == (len(source), 3, 8, 8)
    assert abs(small.mean() - blocks.mean()) < 3  # a filter, not single pixels
    for wrong in ([-1], [len(source)], [0.5]):
        refused(partial(source.batch, np.array(wrong)), "image number")


def test_dsprites(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (3, 2, 2, 2, 2)
    few(monkeypatch, dsprites, "FACTORS", sizes)
    images = RNG.integers(0, 2, (48, 64, 64), dtype=np.uint8)
    np.savez_compressed(
        folder / FILES["dsprites"][0].name,
        metadata=np.array({"title": "a pickled dict, as in the published file"}, dtype=object),
        imgs=images,
        latents_classes=np.zeros((48, 6), np.int64),
        latents_values=np.zeros((48, 6)),
    )
    coloured = np.repeat(images[..., None] * 255, 3, axis=-1)
    check_grid("dsprites", coloured.reshape(*sizes, 64, 64, 3), sizes)


@pytest.mark.parametrize("name", list(mpi3d.VARIANTS))
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_mpi3d(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, save: Any) -> None:
    few(monkeypatch, mpi3d, "OTHERS", (2, 1, 1, 2, 2))
    sizes = (*mpi3d.VARIANTS[name], 2, 1, 1, 2, 2)
    images = RNG.integers(0, 256, (int(np.prod(sizes)), 64, 64, 3), dtype=np.uint8)
    save(folder / FILES[name][0].name, images=images)
    check_grid(name, images.reshape(*sizes, 64, 64, 3), sizes)


def test_shapes3d(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    sizes = (2, 2, 2, 2, 4, 5)
    few(monkeypatch, shapes3d, "FACTORS", sizes)
    images = RNG.integers(0, 256, (320, 64, 64, 3), dtype=np.uint8)
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        file["images"] = images
        file["labels"] = np.zeros((320, 6))
    check_grid("shapes3d", images.reshape(*sizes, 64, 64, 3), sizes)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert len(open_data("shapes3d", 64)) == 320  # from the cache
    refused(lambda: open_data("shapes3d", 16), "pip install 'cldis[official]'")


@pytest.mark.parametrize("packed", [False, True])
def test_cars3d(folder: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    from scipy.io import savemat

    sizes = (4, 24, 2)
    monkeypatch.setattr(cars3d, "CARS", 2)
    few(monkeypatch, cars3d, "FACTORS", sizes)
    cars = RNG.integers(0, 256, (2, 128, 128, 3, 24, 4), dtype=np.uint8)
    contents = {"data/cars/list.txt": b"car_001_mesh\ncar_002_mesh\n", "data/shapes48.mat": b"-"}
    for number in (2, 1):  # an archive need not be sorted
        buffer = io.BytesIO()
        mask = np.zeros((128, 128, 24, 4), np.uint8)
        savemat(buffer, {"im": cars[number - 1], "mask": mask}, do_compression=True)
        contents[f"data/cars/car_{number:03d}_mesh.mat"] = buffer.getvalue()
    if packed:
        with tarfile.open(folder / FILES["cars3d"][0].name, "w:gz") as archive:
            for name, content in contents.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    else:
        (folder / "data" / "cars").mkdir(parents=True)
        for name, content in contents.items():
            (folder / name).write_bytes(content)
    check_grid("cars3d", cars.transpose(5, 4, 0, 1, 2, 3), sizes)


def matrix(values: np.ndarray) -> bytes:
    """The binary matrix format of the NORB page."""
    magic = {np.dtype("uint8"): 0x1E3D4C55, np.dtype("int32"): 0x1E3D4C54}[values.dtype]
    sizes = [*values.shape, 1, 1][: max(3, values.ndim)]
    header = struct.pack(f"<Ii{len(sizes)}i", magic, values.ndim, *sizes)
    return header + values.astype(values.dtype.newbyteorder("<")).tobytes()


@pytest.mark.parametrize("packed", [True, False])
def test_smallnorb(folder: Path, monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    sizes = (5, 4, 1, 3, 2)
    few(monkeypatch, smallnorb, "FACTORS", sizes)
    grid = np.stack(np.unravel_index(np.arange(120), sizes), axis=1).astype(np.int32)
    shuffled = RNG.permutation(grid)
    expected = np.zeros((*sizes, 96, 96, 3), np.uint8)
    training = np.isin(shuffled[:, 1], (1, 3))
    for start, rows in ((0, shuffled[training]), (3, shuffled[~training])):
        pictures = RNG.integers(0, 256, (len(rows), 2, 96, 96), dtype=np.uint8)
        expected[tuple(rows.T)] = pictures[:, 0, :, :, None]
        info = rows[:, 1:].copy()
        info[:, 2] *= 2  # the azimuth, as published
        for file, values in zip(
            FILES["smallnorb"][start : start + 3], (pictures, rows[:, 0], info), strict=True
        ):
            path = folder / (file.name if packed else file.name.removesuffix(".gz"))
            content = matrix(np.ascontiguousarray(values))
            path.write_bytes(gzip.compress(content, 1) if packed else content)
    check_grid("smallnorb", expected, sizes)


def write_celeba(folder: Path, count: int) -> np.ndarray:
    names = [f"attribute_{number}" for number in range(40)]
    values = RNG.choice([-1, 1], (count, 40))
    (folder / celeba.FOLDER).mkdir()
    lines = [str(count), " ".join(names) + " "]
    for number in range(count):
        name = f"{number + 1:06d}.jpg"
        Image.new("RGB", (178, 218), (5 * number, 90, 9)).save(folder / celeba.FOLDER / name)
        lines.append(f"{name} " + " ".join(f"{value:2d}" for value in values[number]))
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    return values


def test_celeba(folder: Path) -> None:
    values = write_celeba(folder, 6)
    (folder / celeba.FOLDER / "000003.jpg").write_bytes(b"\xff\xd8 and no more")
    source = open_data("celeba", 16)
    assert len(source) == 5 and source.factor_sizes == (2,) * 40
    assert source.factor_names[39] == "attribute_39"
    assert [path for path, _ in source.skipped] == ["000003.jpg"]
    kept = [0, 1, 3, 4, 5]
    assert np.array_equal(source.factors(np.arange(5)), values[kept] > 0)
    red = source.batch(np.arange(5))[:, 0, 8, 8].astype(int)
    assert np.abs(red - 5 * np.array(kept)).max() <= 3
    refused(lambda: source.factors(np.array([5])), "outside 0..4")


@pytest.mark.parametrize(
    "text",
    ["", "2\n", "2\na b\nx.jpg 1 1\n", "1\na b\nx.jpg 1\n", "1\na\nx.jpg 0\n", "1\na\nx y\n"],
)
def test_celeba_with_another_list(folder: Path, text: str) -> None:
    write_celeba(folder, 1)
    (folder / "list_attr_celeba.txt").write_text(text)
    refused(lambda: open_data("celeba", 16), "not celeba as published")


@pytest.mark.parametrize("name", FILES)
def test_missing_files(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def message() -> str:
        with pytest.raises(ValueError) as caught:
            open_data(name, 64)
        assert "\n" not in str(caught.value) and "docs/data.md" in str(caught.value)
        return str(caught.value)

    assert str(folder) in message()
    assert any(file.name.removesuffix(".zip") in message() for file in FILES[name][::-1])
    Path(name).mkdir()
    assert f"write ./{name}" in message()
    monkeypatch.delenv("CLDIS_DATA")
    assert "set CLDIS_DATA" in message()


@pytest.mark.parametrize("damage", ["cut", "other array", "other shape", "pickled", "no archive"])
def test_damaged_npz(folder: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    few(monkeypatch, mpi3d, "OTHERS", (1, 1, 1, 1, 1))
    images = RNG.integers(0, 256, (36, 64, 64, 3), dtype=np.uint8)
    path = folder / "mpi3d_toy.npz"
    if damage == "other array":
        np.savez(path, pictures=images)
    elif damage == "other shape":
        np.savez(path, images=images[:35])
    elif damage == "pickled":
        np.savez(path, images=np.array([{}] * 36, dtype=object))
    else:
        np.savez(path, images=images)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else b"no archive")
    with pytest.raises(ValueError, match="mpi3d_toy as published") as caught:
        open_data("mpi3d_toy", 16)
    assert "python -m cldis.data.published.verify mpi3d_toy" in str(caught.value)
    assert not list((folder.parent / "cache").glob("*"))


def test_a_flipped_bit_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few(monkeypatch, mpi3d, "OTHERS", (1, 1, 1, 1, 1))
    path = folder / "mpi3d_toy.npz"
    np.savez(path, images=RNG.integers(0, 256, (36, 64, 64, 3), dtype=np.uint8))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    refused(lambda: open_data("mpi3d_toy", 16), "as published")


@pytest.mark.parametrize("name", ["cars3d", "smallnorb", "shapes3d"])
def test_garbage(folder: Path, name: str) -> None:
    if name == "shapes3d":
        pytest.importorskip("h5py")
    for file in FILES[name]:
        (folder / file.name).write_bytes(b"garbage" * 100)
    with pytest.raises(ValueError, match=f"not {name} as published"):
        open_data(name, 16)


def test_rows_are_streamed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The array is never asked for as a whole."""
    few(monkeypatch, mpi3d, "OTHERS", (2, 3, 3, 1, 1))
    images = np.zeros((648, 64, 64, 3), np.uint8)
    np.savez(folder / "mpi3d_toy.npz", images=images)
    sizes: list[int] = []
    read = zipfile.ZipExtFile.read

    def watched(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        sizes.append(-1 if n is None else n)
        return read(self, n)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", watched)
    open_data("mpi3d_toy", 8)
    assert min(sizes) >= 0 and max(sizes) < images.nbytes / 2


def test_verify(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = PublishedFile("a.bin", "", "md5:900150983cd24fb0d6963f7d28e17f72")  # RFC 1321: "abc"
    monkeypatch.setattr(verify, "FILES", {"a": (known,), "b": (PublishedFile("b.bin", "", None),)})
    assert verify.main(["a"]) == 1 and "not in" in capsys.readouterr().out
    (folder / "a.bin").write_bytes(b"abc")
    (folder / "b.bin").write_bytes(b"abc")
    assert verify.main([]) == 0
    out = capsys.readouterr().out
    # FIPS 180-2, appendix B.1
    assert "a.bin: ok (md5)" in out and "no checksum is known; its sha256 is ba7816bf" in out
    (folder / "a.bin").write_bytes(b"abd")
    assert verify.main(["a"]) == 1 and "differs" in capsys.readouterr().out
    assert verify.main(["c"]) == 2 and "no published data 'c'" in capsys.readouterr().err
    monkeypatch.delenv("CLDIS_DATA")
    assert verify.main([]) == 2


def test_every_published_file_is_described() -> None:
    assert list(FILES) == [name for name, data in CATALOGUE.items() if data.published]
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
    for files in FILES.values():
        for file in files:
            assert file.name in text, file.name
            assert (file.checksum or "none found").partition(":")[2] in text
            assert len((file.checksum or "md5:" + 32 * "0").partition(":")[2]) in (32, 64)
