"""The smoke suite from the command line to its page: real metrics, less of everything."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest

from cldis.bench.record import read_record
from cldis.bench.suite import Suite
from cldis.bench.suites import SUITES
from cldis.cli import main
from support.bench_suite import folders


@pytest.mark.parametrize("name", ["smoke", "untrained"])
def test_from_nothing_to_the_page(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small: Suite = dataclasses.replace(SUITES["smoke"], shares=(Fraction(1),), pool=400)
    if name == "untrained":
        methods = {"pca": (), "random_encoder": ()}
        small = dataclasses.replace(small, name=name, methods=methods, pairs=())
    monkeypatch.setitem(SUITES, name, small)
    chosen = [name, *folders(tmp_path), "--images", "64", "--only", "s0"]
    assert main(["bench", *chosen]) == 0
    assert main(["bench", *chosen, "--list"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 done"
    assert main(["bench", *chosen, "--table"]) == 0
    text = (tmp_path / "results" / f"{name}.md").read_text()
    assert (tmp_path / "results" / f"{name}-rooms.png").exists()
    for path in (tmp_path / "results" / name).iterdir():
        record = read_record(path)
        assert f"| {record['method']} |" in text
        if name == "smoke":  # a CPU has no peak to compare with, and counts no memory
            assert set(record["speed"]) == {"gflop_per_image"}
        for scores in record["curve"][-1]["codes"].values():
            assert scores["fast"]["pool"] == 400 and scores["fast"]["units"] == 6
            assert 0 <= scores["fast"]["dci"]["disentanglement"] <= 1
