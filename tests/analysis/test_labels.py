"""Labels from sub-folders, CSV files and known factors, and every way to get them wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cldis.data import open_data
from cldis.pages.analysis.labels import column, gather
from cldis.pages.analysis.table import matched, read_table


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
    facts = {"name": "few", "factor_names": rooms.factor_names, "factors": rooms.factors}
    few = type("Few", (), facts)
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
        ("file,age\na.jpg,3,5\n", "line 2 has 3 values, the header has 2 names; is there a comma"),
        ("file,age\nother.jpg,1\n", "for example 'other.jpg', images are called .* 'dog/img_00"),
    ],
)
def test_csv_files_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        gather(Photos(), PATHS, csv(tmp_path, text))  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def rows_of(paths: list[str], names: list[str], folder: str = "photos") -> list[int | None]:
    return matched(names, paths, folder, "--labels t.csv")[0]


def test_the_longest_ending_of_a_path_decides() -> None:
    images = ["cat/img0.jpg", "dog/img0.jpg", "dog/old/img1.jpg"]
    assert rows_of(images, ["cat/img0.jpg", "dog/img0.jpg", "img1.jpg"]) == [0, 1, 2]
    assert rows_of(images, ["D:\\all\\dog\\img0.jpg", "/x/cat/img0.jpg"]) == [1, 0, None]
    assert rows_of(images, ["old/img1.jpg"]) == [None, None, 0]
    # a file of that name in another folder is another image
    assert rows_of(images, ["cat/img0.jpg", "bird/img1.jpg"]) == [0, None, None]
    flat = ["img0.jpg", "img1.jpg"]
    assert rows_of(flat, ["photos/img0.jpg", "other/img0.jpg", "other/img1.jpg"]) == [0, None]
    assert rows_of(flat, ["img0.jpg", "other/img1.jpg"]) == [0, None]
    assert rows_of(flat, ["train/img0.jpg", "train/img1.jpg"]) == [0, 1]


def test_what_may_mean_several_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'img0.jpg', which may be any of 2 images \('cat/img0"):
        rows_of(["cat/img0.jpg", "dog/img0.jpg"], ["img0.jpg"])
    with pytest.raises(ValueError, match=r"may mean 'img0.jpg' \('a/img0.jpg', 'b/img0.jpg'\)"):
        rows_of(["img0.jpg"], ["a/img0.jpg", "b/img0.jpg"])


def test_accents_are_compared_however_they_are_composed(tmp_path: Path) -> None:
    paths = [f"caf\u00e9/{k}.jpg" for k in range(20)]
    text = "file,kind\n" + "".join(f"cafe\u0301/{k}.jpg,{'ab'[k % 2]}\n" for k in range(20))
    found = gather(Photos(), paths, csv(tmp_path, text))  # type: ignore[arg-type]
    assert found.columns[0].known.all()


def test_tables_as_programs_save_them(tmp_path: Path) -> None:
    ages = [f"{k / 7:.2f}" for k in range(40)]
    plain = "file,age\n" + "".join(f"{p},{a}\n" for p, a in zip(PATHS, ages, strict=True))
    lines = plain.splitlines()
    pandas = "\n".join(f"{'' if k == 0 else k - 1},{line}" for k, line in enumerate(lines))
    comma = plain.replace(",", ";").replace(".", ",").replace(",jpg", ".jpg")
    files = {
        "plain": plain.encode(),
        "pandas": pandas.encode(),
        "pandas twice": pandas.replace(",file", "Unnamed: 0,file", 1).encode(),
        "empty columns": "\n".join(f"{line},," for line in lines).encode(),
        "excel": ("sep=;\r\n" + plain.replace(",", ";").replace("\n", "\r\n")).encode(),
        "excel text": plain.replace(",", "\t").encode("utf-16"),
        "decimal comma": comma.encode("utf-8-sig"),
    }
    wanted = gather(Photos(), PATHS, csv(tmp_path, plain)).columns[0]  # type: ignore[arg-type]
    assert wanted.kind == "number"
    for name, data in files.items():
        (tmp_path / "t.csv").write_bytes(data)
        label = gather(Photos(), PATHS, tmp_path / "t.csv").columns[0]  # type: ignore[arg-type]
        assert (label.name, label.kind) == ("age", "number"), name
        assert np.array_equal(label.values, wanted.values), name


def test_empty_values_as_programs_write_them(tmp_path: Path) -> None:
    empty = ["", "NA", "N/A", "n/a", "null", "NULL", "NaN", "nan", "None", "<NA>", "#N/A"]
    values = [empty[k] if k < len(empty) else "ab"[k % 2] for k in range(40)]
    text = "file,kind\n" + "".join(f"{p},{v}\n" for p, v in zip(PATHS, values, strict=True))
    label = gather(Photos(), PATHS, csv(tmp_path, text)).columns[0]  # type: ignore[arg-type]
    assert label.classes == ("a", "b") and label.known.tolist() == [k >= 11 for k in range(40)]


def test_commas_in_numbers_that_are_not_clear_are_said() -> None:
    for texts in (["1,234", "5,678"] * 9, ["1.234,5", "2,5"] * 9, ["1,234,567", "2"] * 9):
        label, note = column("price", texts)
        assert label is None and "price is left out" in note and "1234.5" in note
    dates, _ = column("when", ["May 1, 2020", "June 2, 2020"] * 9)
    assert dates is not None and dates.kind == "category"
    small, _ = column("share", [f"0,{k:03d}" for k in range(20)])
    assert small is not None and small.kind == "number" and small.values[5] == 0.005
    poses, _ = column("pose", [f"{k % 20}_2" for k in range(100)])
    assert poses is not None and poses.kind == "category"


def test_what_is_no_csv(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is no file"):
        read_table(tmp_path / "gone.csv")
    (tmp_path / "bytes.csv").write_bytes(b"file,age\n\xff\xfe\x00,1")
    with pytest.raises(ValueError, match="no CSV file in UTF-8"):
        read_table(tmp_path / "bytes.csv")
