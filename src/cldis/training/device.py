"""What makes long runs fast: images mixed on a GPU, compiled networks, memory that is kept."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cldis.data.rendered.colour_mixing import ColourMixing, DeviceMixer
from cldis.data.source import ImageSource
from cldis.images import from_uint8, to_model
from cldis.loop.two_branch import TwoBranch

Load = Callable[[NDArray[Any]], Tensor]

# The names of glibc (malloc.h), and the largest values it takes.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
KEPT, WHOLE = 2**31 - 1, 2**30


def default_device() -> str:
    """A GPU where there is one, of several processes each its own; else the processor."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


def keep_memory() -> bool:
    """Have freed memory stay with this process, where the C library is glibc; says whether.

    By default the tensors of a step go back to the system when the step ends, and the next one has
    each of their pages cleared again. What a process holds at most is the same.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # another C library; Windows has no such handle
        return False
    return bool(mallopt(TRIM_THRESHOLD, KEPT) and mallopt(MMAP_THRESHOLD, WHOLE))


def peak_memory(device: torch.device) -> dict[str, float]:
    """The most memory in GB that tensors took on a GPU since the last time; a CPU does not say."""
    if device.type != "cuda":
        return {}
    most = torch.cuda.max_memory_allocated(device) / 1e9
    torch.cuda.reset_peak_memory_stats(device)
    return {"memory_gb": most}


def loader(source: ImageSource, device: torch.device) -> Load:
    """A function from indices [n] to images [n, 3, H, W] in [-1, 1] on `device`.

    A GPU mixes the images of `rooms` and `kuka` itself; everything else is copied to it.
    """
    if device.type == "cuda" and isinstance(source, ColourMixing):
        mixer = DeviceMixer(source, device)
        return lambda indices: from_uint8(mixer.batch(indices))
    return lambda indices: to_model(source.batch(indices), device)


def compile_networks(model: TwoBranch, backend: str = "inductor") -> None:
    """`torch.compile` for each network of a method, in place: names of weights stay as they are.

    The step around them stays as it is: it holds the feedback, and costs little.
    """
    parts: list[nn.Module | None] = [model.semantic, model.denoiser]
    if model.vae is not None:
        parts += [model.vae.encoder, model.vae.decoder]
    for part in parts:
        if part is not None:
            part.compile(backend=backend)
