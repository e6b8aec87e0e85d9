"""Labels from sub-folders, CSV files and known factors, and every way to get them wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cldis.data import open_data
from cldis.pages.analysis.labels import column, gather, read_table


class Photos:
    """A source whose factors nobody knows."""

    name = "photos"
    factor_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(PATHS)


PATHS = [f"{'cat' if k % 2 else 'dog'}/img_{k:02d}.jpg" for k in range(40)]


def csv(tmp_path: Path, text: str, name: str = "labels.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_sub_folders_are_classes() -> None:
    found = gather(Photos(), PATHS, None)  # type: ignore[arg-type]
    (label,) = found.columns
    assert (label.name, label.kind, label.classes) == ("folder", "category", ("cat", "dog"))
    assert label.values.tolist() == [1, 0] * 20 and label.known.all() and found.notes == []


def test_no_folders_and_one_folder() -> None:
    flat = gather(Photos(), [path.split("/")[1] for path in PATHS], None)  # type: ignore[arg-type]
    assert flat.columns == [] and "no sub-folders" in flat.notes[0]
    one = gather(Photos(), [f"all/{path}" for path in PATHS], None)  # type: ignore[arg-type]
    assert one.columns == [] and "one value only (all)" in one.notes[0]


def test_known_factors_are_labels() -> None:
    rooms = open_data("rooms", 32)
    few = type("Few", (), {"name": "few", "factor_names": rooms.factor_names, "factors": rooms.factors})
    few.__len__ = lambda self: 500  # type: ignore[attr-defined]
    found = gather(few(), [f"rooms/{k}" for k in range(500)], None)  # type: ignore[arg-type]
    assert "orientation" in [label.name for label in found.columns]
    # the first 500 rooms have one floor only
    assert any("floor_hue has one value only" in note for note in found.notes)


def test_columns_of_a_csv(tmp_path: Path) -> None:
    rows = [f"{path},{k / 7:.3f},{'AB'[k % 4 == 0]},{k}x" for k, path in enumerate(PATHS[:-2])]
    text = "\n".join(["File,Age,Site,Name", *rows, "gone.jpg,1,A,z", f"{PATHS[0]},9,B,z", ""])
    found = gather(Photos(), PATHS, csv(tmp_path, text))  # type: ignore[arg-type]
    age, site, folder = found.columns
    assert (age.name, age.kind) == ("Age", "number") and age.values[7] == pytest.approx(1)
    assert np.isnan(age.values[-2:]).all() and age.known.sum() == 38
    assert site.classes == ("A", "B") and site.values[-1] == -1 and site.values[0] == 1
    assert folder.name == "folder"
    notes = " ".join(found.notes)
    assert "no image here: 1 (gone.jpg)" in notes and "labels.csv: 2 of 40" in notes
    assert "earlier row named: 1" in notes and "Column Name has 38 different values" in notes


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_names_without_folders_and_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    rows = [delimiter.join((path.split("/")[1], "ab"[k < 20])) for k, path in enumerate(PATHS)]
    text = "\ufeff" + "\r\n".join([delimiter.join(("filename", "half")), *rows])
    found = gather(Photos(), PATHS, csv(tmp_path, text))  # type: ignore[arg-type]
    assert found.columns[0].values.tolist() == [1] * 20 + [0] * 20


def test_values_of_a_column() -> None:
    few_numbers, _ = column("stars", ["10", "2", "1"] * 10)
    assert few_numbers is not None and few_numbers.classes == ("1", "2", "10")
    rare, note = column("kind", ["a"] * 9 + ["b"] * 9 + ["c"] * 2)
    assert rare is not None and rare.classes == ("a", "b") and "count as unknown: 1" in note
    assert rare.values.tolist()[-2:] == [-1, -1]
    number, _ = column("age", [str(k) for k in range(20)] + ["", "nan", "inf"])
    assert number is not None and number.kind == "number" and number.known.sum() == 20
    assert column("x", [""] * 5) == (None, "Column x is empty.")
    assert column("x", ["a"] * 5 + [""])[0] is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,age\na.jpg,1\n", "columns name, age; one of them must be named file or"),
        ("file\na.jpg\n", "only the column file"),
        ("file,age\n", "has no row"),
        ("file,age,age\na,1,2\n", "a name twice"),
        ("file,,age\na,1,2\n", "without a name"),
        ("", "has no row"),
        ("file,age\nother.jpg,1\n", "for example 'other.jpg', images are called .* 'dog/img_00"),
    ],
)
def test_csv_files_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        gather(Photos(), PATHS, csv(tmp_path, text))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_what_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no file"):
        read_table(tmp_path / "gone.csv")
    (tmp_path / "bytes.csv").write_bytes(b"file,age\n\xff\xfe\x00,1")
    with pytest.raises(ValueError, match="no CSV file in UTF-8"):
        read_table(tmp_path / "bytes.csv")
