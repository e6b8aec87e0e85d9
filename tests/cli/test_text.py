"""Paths, names and messages that a terminal, a shell or UTF-8 cannot take."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cldis.cli import main, parser
from cldis.navigation.directions import Directions
from cldis.navigation.store import load_directions, save_directions
from cldis.text import HIDDEN, command, cut, folded, shown
from support.photos import write_photos

# Bytes that are no UTF-8, an accent, spaces, a quote, a line break and a control sequence.
NASTY = os.fsdecode(b"caf\xc3\xa9 it's\n\x1b[31m\xff")
SMALL = ["--recipe", "tiny", "--resolution", "16", "--images", "64"]
SMALL += ["--set", "model.units=4", "--set", "training.checkpoint_every=64"]


class Ascii(io.TextIOWrapper):
    """A terminal that shows ASCII alone, as with PYTHONIOENCODING=ascii."""

    def __init__(self, encoding: str = "ascii") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)

    def text(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined]


class Broken(io.StringIO):
    """A stream whose other end is gone, or whose disk is full."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


def run_with(out: object, err: object, arguments: Sequence[str], patch: pytest.MonkeyPatch) -> int:
    with patch.context() as streams:
        streams.setattr(sys, "stdout", out)
        streams.setattr(sys, "stderr", err)
        return main(list(arguments))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, and a run that a terminal for ASCII saw; all names are nasty."""
    folder = tmp_path_factory.mktemp("text") / NASTY
    write_photos(folder / f"photos {NASTY}", 24)
    (folder / f"photos {NASTY}" / f"{NASTY}.png").write_bytes(b"no picture")
    out, err = Ascii(), Ascii()
    arguments = ["train", str(folder / f"photos {NASTY}"), "--out", str(folder / "run"), *SMALL]
    with pytest.MonkeyPatch.context() as patch:
        assert run_with(out, err, arguments, patch) == 0, err.text()
    assert "report.html" in out.text() and "\x1b" not in out.text() and "\\udcff" in out.text()
    return folder


def test_files_of_a_nasty_run_are_utf_8_and_lead_back(place: Path) -> None:
    run = place / "run"
    for path in run.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".tsv", ".html"):
            path.read_bytes().decode("utf-8")
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert Path(about["data"]["source"]) == place / f"photos {NASTY}"
    assert len((run / "skipped.tsv").read_text(encoding="utf-8").splitlines()) == 2


def test_commands_work_on_nasty_paths(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, data = str(place / "run"), place / f"photos {NASTY}"
    photo = place / f"{NASTY}.png"
    photo.write_bytes((data / "photo_000.png").read_bytes())
    long = place / ("猫" * 83 + ".png")  # 253 bytes of the 255 that a name may have
    long.write_bytes(photo.read_bytes())
    wide = place / ("é" * 123 + ".parquet")  # 254
    for arguments in (
        ["info", run],
        ["edit", run, str(photo), str(long), "--shift", "0=1", "--out", str(place / "edited")],
        ["encode", run, str(data), "--out", str(wide)],
        ["export", run, "--out", str(place / ("ö" * 127))],
        ["analyse", run, str(data), "--out", str(place / "analysis")],
        ["report", run, "--data", str(data)],
    ):
        out, err = Ascii("cp1252"), Ascii("cp1252")
        assert run_with(out, err, arguments, monkeypatch) == 0, err.text()
        assert not HIDDEN.search(out.text().replace("\n", ""))
    names = sorted(path.name for path in (place / "edited").glob("*_edited.png"))
    assert len(names) == 2 and all(len(os.fsencode(name)) < 120 for name in names)
    assert len(pq.read_table(wide.open("rb"))) == 24  # one of 25 files is no picture


def test_info_as_json_is_json_on_any_terminal(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = Ascii()
    assert run_with(out, Ascii(), ["info", str(place / "run"), "--json"], monkeypatch) == 0
    assert json.loads(out.text())


@pytest.mark.parametrize(("number", "code"), [(32, 0), (28, 1)])  # a closed pipe, a full disk
def test_what_could_not_be_printed_is_no_mistake_of_the_user(
    place: Path, monkeypatch: pytest.MonkeyPatch, number: int, code: int
) -> None:
    err = Ascii()
    found = run_with(Broken(number), err, ["info", str(place / "run")], monkeypatch)
    assert found == code
    assert ("all was done" in err.text()) == bool(code)
    assert run_with(Broken(number), None, ["info", str(place / "run")], monkeypatch) == code
    assert run_with(None, Broken(number), ["info", str(place / "run")], monkeypatch) == 0
    assert run_with(None, None, ["info", str(place / "gone")], monkeypatch) == 2


def test_errors_are_one_harmless_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    err = Ascii()
    assert run_with(Ascii(), err, ["info", str(tmp_path / NASTY)], monkeypatch) == 2
    assert err.text().count("\n") == 1 and not HIDDEN.search(err.text().strip())
    assert r"\xe9" in err.text() and r"\udcff" in err.text() and r"\u001b" in err.text()
    with pytest.raises(SystemExit, match="2"):
        run_with(Ascii(), err, ["explore", "x", "--port", NASTY], monkeypatch)
    assert not HIDDEN.search(err.text().replace("\n", ""))


def test_a_true_process_without_standard_error(place: Path, tmp_path: Path) -> None:
    """Also: its first file must not become what libraries take for standard error."""
    made = tmp_path / "codes.parquet"
    line = command(sys.executable, "-m", "cldis", "encode", place / "run")
    line += " " + command(place / f"photos {NASTY}", "--out", made) + " 2>&- >&- <&-"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    # the shell reads every word as it was meant, bytes that are not UTF-8 included
    assert subprocess.run(["bash", "-c", os.fsencode(line)], env=environment).returncode == 0
    assert len(pq.read_table(made)) == 24


def test_every_path_of_the_command_line_may_begin_at_home(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    words = {"train": ["~/a", "--out=~/x"], "name": ["~/a", "1", "~"]}
    words |= {"encode": ["~/a", "~/b", "--out=~/c.parquet"], "select": ["~/a", "~/b"]}
    words |= {"analyse": ["~/a", "~/b", "--out=~/c", "--labels=~/d", "--against=~/e"]}
    for name, arguments in words.items():
        options = vars(parser().parse_args([name, *arguments]))
        given = str({key: value for key, value in options.items() if key != "name"})
        assert "~" not in given and given.count(f"{tmp_path}/") == sum(
            "~/" in word for word in arguments
        )
    (tmp_path / "run").symlink_to(place / "run")
    assert main(["info", "~/run"]) == 0
    from cldis import load
    from cldis.editing.photos import read_photos

    model = load("~/run")
    model.save_pretrained("~/saved")
    assert (tmp_path / "saved" / "config.json").is_file() and load("~/saved").units == 4
    write_photos(tmp_path / "photos", 1)
    assert read_photos(["~/photos/photo_000.png"], 16).names == ["photo_000"]


def test_names_of_directions_are_compared_as_people_read_them(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = place / "run"
    save_directions(run, Directions.random(4, 2, 0), {})
    assert main(["name", str(run), "1", "sme\u0301"]) == 0  # e and a combining accent
    assert load_directions(run).names == {1: "sm\u00e9"}
    assert main(["name", str(run), "SM\u00c9", "Lumie\u0300re"]) == 0
    assert load_directions(run).number("lumi\u00e8re") == 1
    assert main(["name", str(run), "0", "LUMI\u00c8RE"]) == 2
    assert main(["name", str(run), "0", "\udcff"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_hints_can_be_pasted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "run two").mkdir()
    for name in ("run.json", "config.json"):
        (place / "run two" / name).write_bytes((place / "run" / name).read_bytes())
    monkeypatch.chdir(place)
    err = Ascii("utf-8")
    asked = ["edit", "run two", "x.png", "--shift", "0=1", "--out", "o"]
    assert run_with(Ascii(), err, asked, monkeypatch) == 2
    assert "`cldis train ... --out 'run two' --resume`" in err.text()


@given(st.text(), st.integers(0, 40))
def test_cutting_keeps_characters_whole(text: str, size: int) -> None:
    kept = cut(text, size)
    assert text.startswith(kept) and len(kept.encode("utf-8", "surrogateescape")) <= size
    rest = text[len(kept) : len(kept) + 1]
    assert not rest or len((kept + rest).encode("utf-8")) > size


@given(st.text(st.characters(codec=None)))
def test_what_is_shown_is_one_printable_line_of_utf_8(text: str) -> None:
    assert not HIDDEN.search(shown(text))
    shown(text).encode("utf-8")
    if not HIDDEN.search(text):
        assert shown(text) == text
    elif "\\" not in text and '"' not in text:  # the escapes are those of JSON
        assert json.loads(f'"{shown(text)}"') == text


@given(st.lists(st.text(st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp"]))))
def test_commands_are_read_back_word_for_word(words: list[str]) -> None:
    assert shlex.split(command(*words)) == words


def test_folding() -> None:
    assert folded("E\u0301") == folded("\u00e9") == folded("\u00c9") != folded("e")
