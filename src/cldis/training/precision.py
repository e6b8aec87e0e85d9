"""Which arithmetic a machine is fast in: bf16 where it has instructions for it, else float32.

Without them PyTorch computes bf16 convolutions in a fallback that took 13 times as long as float32
on an AVX2 processor (decision 9), so a fixed default would be right on one machine and ruinous on
the next. The same choice is made for drawing with a trained model, for batches that are worth it.
"""

from __future__ import annotations

from typing import Literal

import torch

from cldis.config import Config

# Images times weights from which bf16 pays on a processor: eight images by the default recipe. With
# one its casts cost more than its convolutions save (results/notebook.md); by the networks of
# Diff-AE two take half as long (results/throughput.json).
ENOUGH = 15_000_000


def settled(config: Config) -> Config:
    """`config` with `training.precision=auto` replaced by what suits this machine."""
    if config.training.precision != "auto":
        return config
    return config.with_overrides([f"training.precision={best()}"])


def best(device: torch.device | None = None) -> Literal["no", "bf16"]:
    """bf16 on CUDA and on processors whose convolutions have it in hardware, else `no`.

    None is the device that a training takes: the first GPU, where there is one.
    """
    kind = device.type if device else "cuda" if torch.cuda.is_available() else "cpu"
    if kind not in ("cuda", "cpu"):
        return "no"
    if kind == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "no"
    fast = "avx512_bf16", "amx_bf16", "bf16"  # the last is what ARM calls it
    return "bf16" if any(flag in processor_flags() for flag in fast) else "no"


def pays(device: torch.device, images: int, weights: int) -> bool:
    """Whether a model of so many weights draws so many images faster in bf16.

    Pictures then differ from those of float32 by less than a grey level. Codes would be rounded to
    8 bits, and encoding takes less time than reading the files: it stays in float32.
    """
    return best(device) == "bf16" and (device.type != "cpu" or images * weights >= ENOUGH)


def arithmetic(device: torch.device, half: bool) -> torch.autocast:
    """bf16 where it is wanted and the device has it, else float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=half and best(device) == "bf16")


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
