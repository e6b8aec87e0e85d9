"""The weights in a PyTorch Lightning checkpoint of a stranger; nothing in it is run.

This is the one module that opens a pickle (decision 4). PyTorch's restricted reader makes tensors
and plain containers of it and refuses the rest; the archive around it is judged first.
"""

from __future__ import annotations

import re
import stat
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cldis.io import utf8_path
from cldis.text import shown

SAFE = "2.6"  # earlier versions have a hole in the restricted reader (CVE-2025-32434)
LARGEST = 2**26  # bytes of the pickle; the tensors lie beside it
# Lightning 1.4 files the state of a callback under its class. The name stands for a class of ours
# that does nothing.
CALLBACKS = ("pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",)


class Nothing:
    """What a class of Lightning is read as."""


def lightning_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint. Its tensors stay on disk until they are used.

    Raises:
        ValueError: the file is no checkpoint, cut off, or asks for more than tensors and plain
            containers; or this PyTorch is too old to read it safely.
        OSError: the file cannot be read.
    """
    if torch.torch_version.TorchVersion(torch.__version__) < SAFE:
        raise ValueError(
            f"PyTorch {torch.__version__} does not read a checkpoint of others safely; upgrade "
            f"with `pip install -U 'torch>={SAFE}'`"
        )
    _judge(path)
    loaded = _loaded(path)
    state = loaded.get("state_dict") if isinstance(loaded, dict) else None
    if not isinstance(state, dict) or not state:
        raise _refused(path, "it has no state_dict")
    for name, value in state.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise _refused(path, f"{name!r:.80} in its state_dict is no tensor of floats")
    return state


def _judge(path: Path) -> None:
    """Raises ValueError: not the archive that `torch.save` writes, as far as its index tells."""
    mode = path.stat().st_mode  # OSError: it is not there
    if stat.S_ISDIR(mode):
        raise ValueError(f"{path} is a folder; give the checkpoint in it, such as last.ckpt")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{path} is no file; give a checkpoint, such as last.ckpt")
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _refused(path, f"it is cut off, or not in PyTorch's zip format ({error})") from None
    pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise _refused(path, "it is an archive of something else (no data.pkl in it)")
    if pickles[0].file_size > LARGEST:
        raise _refused(path, f"its data.pkl has {pickles[0].file_size:,} bytes")
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise _refused(path, "it is compressed, which PyTorch never does")


def _loaded(path: Path) -> Any:
    names: list[Any] = [(Nothing, name) for name in CALLBACKS]
    try:
        with utf8_path(path) as file, torch.serialization.safe_globals(names):
            return torch.load(file, map_location="cpu", mmap=True, weights_only=True)
    except Exception as error:  # whatever a stranger's file makes the reader raise
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked:
            raise _refused(path, f"it asks for {asked[1]:.80}, which is not loaded") from None
        what = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise _refused(path, f"it is damaged ({what:.120})") from None


def _is_plain(value: Any) -> bool:
    """A dense tensor of floats on the CPU."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.is_floating_point()
    )


def _refused(path: Path, why: str) -> ValueError:
    return ValueError(
        f"{path} cannot be imported: {shown(why)}; give an autoencoder's last.ckpt as the official "
        f"Diff-AE code wrote it, downloaded whole"
    )
