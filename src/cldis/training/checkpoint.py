"""Atomic checkpoints: a folder of safetensors and JSON that appears whole or not at all."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from cldis.io import parse_json, sync_directory, utf8_path, write_bytes, write_json
from cldis.loop.feedback.base import Feedback
from cldis.training.contents import State, read
from cldis.training.optimizer import slots

NAME = re.compile(r"^\d{12}$")
MODEL = ("ema.safetensors", "state.json")  # what it takes to use a model
FILES = (*MODEL, "model.safetensors", "optimizer.safetensors")  # and to go on with a training


def write_checkpoint(
    folder: Path,
    images: int,
    model: dict[str, Tensor],
    ema: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    state: dict[str, Any],
    keep: int,
) -> Path:
    """Write `folder/<images>` and drop all but the newest `keep`.

    Raises:
        OSError: full disk or no permission; earlier checkpoints are untouched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / f"{images:012d}"
    temporary = folder / f".{final.name}.{os.getpid()}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        write_bytes(temporary / "model.safetensors", save(_plain(model)))
        write_bytes(temporary / "ema.safetensors", save(_plain(ema)))
        write_bytes(temporary / "optimizer.safetensors", save(_plain(optimizer)))
        write_json(temporary / "state.json", {**state, "images": images})
        if final.exists():  # left incomplete, or the same step again: same content
            _discard(final)
        os.replace(temporary, final)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_directory(folder)
    for old in checkpoints(folder)[:-keep]:
        _discard(old)
    return final


def checkpoints(folder: Path, files: tuple[str, ...] = MODEL) -> list[Path]:
    """Checkpoints that have these files, by default those from which a model can be used; the
    oldest first."""
    if not folder.is_dir():
        return []
    known = [path for path in folder.iterdir() if NAME.match(path.name) and path.is_dir()]
    return sorted(path for path in known if all((path / name).is_file() for name in files))


def newest_complete(folder: Path) -> Path | None:
    """The checkpoint from which a training goes on; None where there is no checkpoint at all.

    Raises:
        ValueError: the newest checkpoint lacks a file, so that going on would lose what it knows.
    """
    known = checkpoints(folder, ())
    if not known:
        return None
    newest = known[-1]
    missing = [name for name in FILES if not (newest / name).is_file()]
    if not missing:
        return newest
    older = checkpoints(folder, FILES)
    instead = f", or move {newest} away to go on from {older[-1].name}" if older else ""
    raise ValueError(
        f"{newest / missing[0]} is missing, and training cannot go on without it; restore "
        f"it{instead}. The model itself can be used as long as {' and '.join(MODEL)} are there"
    )


def clean(folder: Path) -> None:
    """Remove what a killed process left half-written or half-removed."""
    if folder.is_dir():
        for path in folder.glob(".*.tmp"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        with utf8_path(path) as file:
            return load_file(file)
    except Exception as error:  # safetensors raises its own types
        raise unreadable(path, error) from None


def described(path: Path, key: str) -> tuple[dict[str, Tensor], Any]:
    """Tensors of a safetensors file, and the JSON value that its metadata holds as `key`.

    Raises:
        Exception: the file is missing or damaged; safetensors raises its own types.
    """
    with utf8_path(path) as file_name, safe_open(file_name, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return tensors, parse_json((file.metadata() or {}).get(key, ""))


def unreadable(path: Path, error: Exception) -> ValueError:
    """What to say of a safetensors file that cannot be read."""
    return ValueError(f"{path} cannot be read ({error}); restore it or use an older checkpoint")


def load_into(module: nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Strict load, but that the buffers, which are moving averages, may all be missing: where a
    run begins from one that did not keep them, they begin anew.

    Raises:
        ValueError: names or shapes differ, or a weight is no finite float; the first differences
            are named.
    """
    own = module.state_dict()
    averages = {name: own[name] for name, _ in module.named_buffers() if name in own}
    if not set(averages) & set(tensors):
        tensors = {**tensors, **averages}
    wrong = sorted(set(own) ^ set(tensors))
    wrong += [name for name in own if name in tensors and own[name].shape != tensors[name].shape]
    if wrong:
        raise ValueError(
            f"{origin} does not fit this model: {len(wrong)} tensors differ, first "
            f"{', '.join(wrong[:3])}; use the recipe and --set values it was trained with"
        )
    bad = [name for name, tensor in tensors.items() if not finite_floats(tensor)]
    if bad:
        raise ValueError(
            f"{origin} holds weights that are not finite floats, first {', '.join(bad[:3])}; "
            f"restore it or use an older checkpoint"
        )
    module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()})


def optimizer_tensors(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, Tensor]:
    """The optimiser's state as flat tensors `parameter|slot`; `names` in its own order."""
    state = optimizer.state_dict()["state"]
    return {
        f"{names[index]}|{slot}": value
        for index, kept in state.items()
        for slot, value in kept.items()
    }


def load_optimizer(
    optimizer: torch.optim.Optimizer, names: list[str], tensors: dict[str, Tensor], origin: str
) -> None:
    """The inverse of `optimizer_tensors`.

    Raises:
        ValueError: not this optimiser's state of these parameters; `origin` is named.
    """
    index = {name: i for i, name in enumerate(names)}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    expected = slots(optimizer)
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, _, slot = key.partition("|")
        i = index.get(name)
        shape = None
        if i is not None and slot in expected[i]:
            shape = torch.Size([]) if slot == "step" else parameters[i].shape
        if i is None or value.shape != shape or not value.is_floating_point():
            raise ValueError(
                f"{origin} does not fit this model: first {key[:80]!r}; restore it or use an "
                f"older checkpoint"
            )
        state.setdefault(i, {})[slot] = value
    for name, i in index.items():
        if i in state and set(state[i]) != expected[i]:
            raise ValueError(
                f"{origin} lacks a part of the state of {name}; restore it or use an older "
                f"checkpoint"
            )
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What a checkpoint holds beside tensors.

    Raises:
        ValueError: the file is damaged.
    """
    return read(State, checkpoint / "state.json", "restore it or use an older checkpoint")


def load_feedback(feedback: Feedback, state: dict[str, Any], checkpoint: Path) -> None:
    """Go on with C from what `read_state` gave.

    Raises:
        ValueError: it is of another kind of feedback, or of other bins.
    """
    try:
        feedback.load_state(state["feedback"])
    except ValueError as error:
        raise ValueError(f"{checkpoint / 'state.json'}: {error}") from None


def _discard(checkpoint: Path) -> None:
    """Remove a folder so that it is whole or gone: renamed first, and then `clean` knows it."""
    doomed = checkpoint.with_name(f".{checkpoint.name}.{os.getpid()}.old.tmp")
    shutil.rmtree(doomed, ignore_errors=True)
    os.replace(checkpoint, doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def finite_floats(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and bool(torch.isfinite(tensor).all())


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
