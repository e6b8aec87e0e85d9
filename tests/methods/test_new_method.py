"""A new method is one file and one line: what a newcomer writes, trained, reported and benched."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from cldis.bench.cell import run_cell
from cldis.bench.record import path_of, read_record, write_record
from cldis.bench.suite import Suite
from cldis.cli import main
from cldis.hub.card import method as method_on_card
from cldis.io import read_json
from cldis.methods import METHODS, VAE, VAE_ALONE, Method
from cldis.training.run_folder import RunFolder
from support.photos import write_photos

FILE = '''
"""A VAE with an L1 price on its code."""

from __future__ import annotations

from cldis.loop.step import StepNoise
from cldis.loop.two_branch import Coded
from cldis.methods.vae import Penalty, VAEAlone


class SparseVAE(VAEAlone):
    def penalty(self, coded: Coded, noise: StepNoise, capacity: float) -> Penalty:
        price = coded.q.mean.abs().sum(dim=1).mean()
        return Penalty(
            coded.kl + self.config.penalty_weight * price, {"sparsity": price.detach()}
        )
'''
LINE = Method("sparse_vae:SparseVAE", "SparseVAE", "a sparse VAE", VAE, VAE_ALONE, weight=2.0)


@pytest.fixture
def sparse_vae(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sparse_vae.py").write_text(FILE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(METHODS, "sparse_vae", LINE)


@pytest.mark.usefixtures("sparse_vae")
def test_a_new_method_trains_reports_and_benches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    small = ["model.units=2", "training.images=64", "training.sample_every=64", "method_weight=3"]
    words = [word for item in ["method=sparse_vae", *small] for word in ("--set", item)]
    write_photos(tmp_path / "photos", 12)
    assert (
        main(["train", str(tmp_path / "photos"), "--out", str(out), "--recipe", "tiny", *words])
        == 0
    )
    run = RunFolder.open(out)
    assert run.config.method == "sparse_vae" and run.config.penalty_weight == 3
    assert json.loads(run.metrics.read_text().splitlines()[0])["sparsity"] > 0
    page = (out / "report.html").read_text("utf-8")
    assert "A sparse VAE, trained on" in page and "<dt>method</dt><dd>sparse_vae" in page
    assert read_json(out / "report.json")["method"] == "sparse_vae"
    capsys.readouterr()
    assert main(["info", str(out)]) == 0
    assert "method sparse_vae, " in capsys.readouterr().out
    assert "SparseVAE" in method_on_card(run.config.to_dict())

    suite = Suite(
        "newcomer",
        "tests",
        recipe="tiny",
        methods={"sparse": ("method=sparse_vae", *small)},
        data={"rooms": 32},
        seeds=(0,),
        images=(64,),
        shares=(Fraction(1),),
        pool=64,
    )
    (cell,) = suite.cells()
    record = run_cell(suite, cell, tmp_path / "bench", deadline=None)
    path = path_of(tmp_path / "results", cell)
    path.parent.mkdir(parents=True)
    write_record(path, record)
    assert read_record(path)["config"]["method"] == "sparse_vae"
    assert set(record["curve"][-1]["codes"]) == {"z_disen"}


@pytest.mark.usefixtures("sparse_vae")
def test_the_command_line_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "sparse_vae" in capsys.readouterr().out
    words = ["train", "rooms", "--out", "none", "--dry-run", "--set", "method=sparse_vea"]
    assert main(words) == 2
    assert "did you mean sparse_vae?" in capsys.readouterr().err
