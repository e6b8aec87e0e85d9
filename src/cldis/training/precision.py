"""Which arithmetic a machine is fast in: bf16 where it has instructions for it, else float32.

Without them PyTorch computes bf16 convolutions in a fallback that took 13 times as long as float32
on an AVX2 processor (decision 9), so a fixed default would be right on one machine and ruinous on
the next.
"""

from __future__ import annotations

from typing import Literal

import torch

from cldis.config import Config


def settled(config: Config) -> Config:
    """`config` with `training.precision=auto` replaced by what suits this machine."""
    if config.training.precision != "auto":
        return config
    return config.with_overrides([f"training.precision={best()}"])


def best() -> Literal["no", "bf16"]:
    """bf16 on CUDA and on processors whose convolutions have it in hardware, else `no`."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    fast = "avx512_bf16", "amx_bf16", "bf16"  # the last is what ARM calls it
    return "bf16" if any(flag in processor_flags() for flag in fast) else "no"


def processor_flags() -> set[str]:
    """Instruction sets of the processor as Linux lists them; empty elsewhere."""
    return set(cpuinfo("flags", "features").split())


def cpuinfo(*names: str) -> str:
    """The value of the first line of /proc/cpuinfo that has one of `names`; "" where none has."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip().lower() in names:
                    return value.strip()
    except OSError:
        pass
    return ""
