"""The documentation: it builds, asks nobody for anything, and what it says is true of the code."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cldis.cli import parser
from cldis.config import keys
from cldis.data import open_data
from cldis.data.catalogue import CATALOGUE, DataSet
from cldis.methods import METHODS
from cldis.training.recipes import RECIPES
from support.html_page import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
# `python` and `make` of a person are those of the environment that runs the tests.
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", out]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_no_page_asks_the_network_for_anything(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > len(PAGES) / 2
    for page in pages:
        fetched = Page(page.read_text("utf-8")).fetched
        assert fetched, page
        assert [url for url in fetched if re.match(r"(https?:)?//", url)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", sheet.read_text("utf-8")), sheet


def test_linked_results_come_along(site: Path) -> None:
    assert (site / "repository" / "results" / "speed.json").is_file()
    assert (site / "repository" / "results" / "study.html").is_file()
    text = (site / "recipes.html").read_text("utf-8")
    assert 'href="repository/results/speed.json"' in text
    assert (site / "notebooks" / "first_run.ipynb").is_file()


def fenced(text: str, language: str = "") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, list[str]]]:
    """(page, words) of every `cldis` line that is a command and no summary of options."""
    for page in PAGES:
        for block in fenced(page.read_text("utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.split(" #")[0].strip()
                found = re.search(r"(?:^|\s)(?:-m )?cldis (?!bench .*&)(\w.*)$", line)
                if found and "[" not in line and "..." not in line and "RUN RUN" not in line:
                    yield page.name, shlex.split(found[1])


def test_every_command_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    seen, root = set(), parser()
    for page, words in commands():
        seen.add(words[0])
        try:
            root.parse_args(words)
        except SystemExit:
            pytest.fail(f"{page}: cldis {' '.join(words)}: {capsys.readouterr().err}")
    assert {"train", "edit", "navigate", "track", "name", "export"} <= seen


def test_every_setting_exists() -> None:
    known, wrong = set(keys()), []
    sections = "|".join({key.split(".")[0] for key in known})
    for page in PAGES:
        text = page.read_text("utf-8")
        named = re.findall(rf"(?:--set |`)((?:{sections})\.\w+)(?:=|`)", text)
        wrong += [f"{page.name}: {name}" for name in named if name not in known]
    files = ("model.safetensors", "ema.safetensors")
    assert [line for line in wrong if not line.endswith(files)] == []


def test_the_table_of_recipes_is_true() -> None:
    text = (DOCS / "recipes.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)`.*?\| .*? \| ([\d,]+) \| (\d+) px \|$", text, re.MULTILINE)
    assert {name for name, *_ in rows} == set(RECIPES)
    for name, images, side in rows:
        config = RECIPES[name].config(name)
        assert int(images.replace(",", "")) == config.training.images, name
        assert int(side) == config.model.resolution, name


def test_times_follow_from_the_measurements() -> None:
    speed = json.loads((ROOT / "results" / "speed.json").read_text())
    backbone = speed["diffae"]["images_per_second_median"]
    text = (DOCS / "recipes.md").read_text("utf-8")
    assert f"| {backbone:.0f} images/s | 256,000 images: {256_000 / backbone / 60:.0f} min" in text
    for recipe, method in (("cpu64", "encdiff_16"), ("loop64", "closed_led_go")):
        cell = json.loads((ROOT / f"results/px64/{method}-rooms-256000-s0.json").read_text())
        whole, minutes = cell["images_per_second"], cell["seconds"] / 60
        (row,) = [line for line in text.splitlines() if f"recipe `{recipe}` as a whole" in line]
        assert f"| {whole:.0f} images/s on average | 256,000 images: {minutes:.0f} minutes" in row
    assert f"{speed['closed']['peak_gib_so_far']:.2f} GiB" in text
    cells = [json.loads(p.read_text()) for p in (ROOT / "results/study").glob("closed-*.json")]
    rates = [cell["images_per_second"] for cell in cells]
    assert f"{min(rates):.0f} to {max(rates):.0f} images/s over {len(cells)} " in text.replace(
        "eight", "8"
    )


def test_the_page_of_the_method_has_every_method() -> None:
    """Names, branches and whether C is part of it, as the table of the package has them."""
    text = (DOCS / "method.md").read_text("utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    found = {name: (branches, c) for name, _, branches, c in rows if name in METHODS}
    assert list(found) == list(METHODS)
    for name, method in METHODS.items():
        branches, c = found[name]
        assert branches == ", ".join(
            {"diffusion": "diffusion", "vae": "VAE"}[b] for b in method.branches
        )
        assert c == (
            "–"
            if not method.capacity
            else "follows the reverse process"
            if method.feedback
            else "rises linearly"
        )
        assert method.label.split(",")[0] in text


def test_the_examples_of_extending_run_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(METHODS, "sparse_vae", METHODS["beta_vae"])
    blocks = fenced((DOCS / "extending.md").read_text("utf-8"), "python")
    assert len(blocks) == 4
    # As a module, because dataclasses and annotations look theirs up.
    module = types.ModuleType("extending_example")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for block in blocks:
        # `from __future__` counts for its own block alone, as it would in a file of its own.
        exec(compile(block, "docs/extending.md", "exec"), module.__dict__)
    assert re.search(r"'score': 0\.\d+", capsys.readouterr().out)
    lines = (tmp_path / "runs" / "discs" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["sparsity"] > 0
    (line,) = re.findall(r'`"discs": (DataSet\(.*?\))`', (DOCS / "extending.md").read_text("utf-8"))
    monkeypatch.setitem(sys.modules, "cldis.data.discs", module)
    monkeypatch.setitem(CATALOGUE, "discs", eval(line, {"DataSet": DataSet}))
    images = open_data("discs", 32).batch(np.array([0, 5, 700]))
    assert images.shape == (3, 3, 32, 32) and images.std() > 1
    perfect = module.Discs(32).factors(range(len(module.Discs(32))))
    assert module.correlation_gap(perfect.astype(float), perfect)["score"] > 0.99


def test_the_notebook_runs() -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.read(DOCS / "notebooks" / "first_run.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code), "strip outputs"
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    pictures = [out for cell in code for out in cell.outputs if "image/png" in out.get("data", {})]
    assert len(pictures) == 3
    said = "".join(out.get("text", "") for cell in code for out in cell.outputs)
    assert "16 units, 64 px" in said and "README.md" in said
    assert float(re.search(r"inverted decode: (\S+)", said)[1]) < 0.02  # type: ignore[index]
