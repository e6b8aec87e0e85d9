"""The script for the full budgets names suites that exist, and says what it is for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from cldis.bench.suites import SUITES

SCRIPTS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_without_a_stage_it_says_what_it_does() -> None:
    done = subprocess.run(["bash", str(SCRIPTS / "gpu_suite.sh")], capture_output=True, text=True)
    assert done.returncode == 2
    assert "benchmarks/gpu_suite.sh rooms" in done.stderr and "set -" not in done.stderr


@pytest.mark.parametrize("script", ["gpu_suite.sh", "gpu_wheels.sh"])
def test_the_scripts_are_valid_shell(script: str) -> None:
    subprocess.run(["bash", "-n", str(SCRIPTS / script)], check=True)


def test_its_stages_are_suites_with_compiled_networks() -> None:
    text = (SCRIPTS / "gpu_suite.sh").read_text("utf-8")
    stages = set(re.findall(r"gpu_suite\.sh (\w+) ", text)) - {"check"}
    assert stages == {name.removeprefix("gpu_") for name in SUITES if name.startswith("gpu_")}
    for stage in stages:
        suite = SUITES[f"gpu_{stage}"]
        for cell in suite.cells():
            trained = cell.method not in ("pca", "random_encoder")
            assert suite.config(cell).training.compile == trained
