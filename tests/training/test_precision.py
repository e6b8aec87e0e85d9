"""bf16 only where the hardware has it, and settled in the run's own configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from cldis.training import precision
from cldis.training.run_folder import RunFolder
from training.harness import TwoFactors, config


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({"avx2", "fma"}, "no"),
        ({"avx2", "avx512f"}, "no"),
        ({"avx2", "avx512f", "avx512_bf16"}, "bf16"),
        ({"asimd", "bf16"}, "bf16"),
        (set(), "no"),
    ],
)
def test_a_processor_gets_what_it_is_fast_in(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(precision, "processor_flags", lambda: flags)
    assert precision.best() == expected
    assert precision.settled(config("training.precision=auto")).training.precision == expected


@pytest.mark.parametrize("asked", ["no", "bf16"])
def test_a_wish_is_kept(asked: str) -> None:
    wanted = config(f"training.precision={asked}")
    assert precision.settled(wanted) == wanted


def test_this_machine_has_flags() -> None:
    assert precision.processor_flags() >= {"fpu"} or "asimd" in precision.processor_flags()


def test_a_run_writes_down_what_it_computes_in(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path, config("training.precision=auto"), TwoFactors(), "data")
    assert run.config.training.precision in ("no", "bf16")
    assert RunFolder.open(tmp_path).config == run.config
