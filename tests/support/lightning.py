"""Checkpoints as the official Diff-AE code leaves them, with made weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from cldis.networks.official import template
from support.scripts import ROOT, load_script

recorder = load_script("record_diffae_fixture")
SHAPES: dict[str, list[int]] = json.loads(
    (ROOT / "tests" / "fixtures" / "diffae_tiny.json").read_text()
)["parameters"]
TINY = {"tiny": template(32, 32, (1, 1, 2), (1, 1, 2, 2), units=64)}
CALLBACK = ("pytorch_lightning", "callbacks", "model_checkpoint")


def tiny_state() -> dict[str, Tensor]:
    """The state dict of the official training module: averaged weights, others, and noise."""
    averaged = recorder.official_state(SHAPES)
    return {
        **{f"model.{name}": torch.zeros_like(value) for name, value in averaged.items()},
        **{f"ema_model.{name}": value for name, value in averaged.items()},
        "x_T": torch.zeros(2, 3, 32, 32),
    }


def lightning_content(state: Any) -> dict[Any, Any]:
    """What Lightning 1.4 writes beside the state dict, but its class of a callback."""
    return {
        "epoch": 3,
        "global_step": 1000,
        "pytorch-lightning_version": "1.4.5",
        "state_dict": state,
        "optimizer_states": [{"state": {0: {"step": 5, "exp_avg": torch.zeros(3)}}}],
        "lr_schedulers": [],
        "native_amp_scaling_state": {"scale": 65536.0},
        "hparams_name": "conf",
        "hyper_parameters": {"img_size": 999, "net_ch_mult": (9, 9), "model_conf": {"dims": 2}},
    }


def write_checkpoint(path: Path, state: Any) -> Path:
    """`last.ckpt`, with the state of a callback under the class of the callback."""
    names = [".".join(CALLBACK[: n + 1]) for n in range(len(CALLBACK))]
    callback = type("ModelCheckpoint", (), {"__module__": names[-1]})
    before = {name: sys.modules.get(name) for name in names}
    for name in names:
        sys.modules[name] = ModuleType(name)
    vars(sys.modules[names[-1]])["ModelCheckpoint"] = callback
    try:
        content = lightning_content(state)
        torch.save({**content, "callbacks": {callback: {"monitor": None}}}, path)
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return path
