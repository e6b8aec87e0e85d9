"""From a file of weights to networks; nothing is allocated before names and shapes fit.

The file's header is compared with a model on torch's `meta` device, which has shapes and no
numbers. So a configuration that asks for a large network costs nothing unless the file has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open

from cldis.config import Config
from cldis.io import utf8_path
from cldis.loop.two_branch import TwoBranch
from cldis.methods.build import build, outline
from cldis.training.checkpoint import load_into, load_tensors, unreadable


@dataclass(frozen=True)
class Origin:
    """Where a model was opened: a run and the name of its checkpoint, or a saved model."""

    path: Path
    checkpoint: str | None


def open_networks(config: Config, path: Path, origin: str | Path) -> TwoBranch:
    """The method of `config` with the weights in `path`.

    Args:
        origin: the checkpoint or the saved model, for messages.

    Raises:
        ValueError: the file is missing or damaged, its names or shapes are not of this method, or
            its weights are not finite floats.
    """
    try:
        wanted = {name: tuple(t.shape) for name, t in outline(config).state_dict().items()}
    except ValueError as error:
        raise ValueError(f"{origin} has settings that no model has: {error}") from None
    stored = shapes(path)
    wrong = sorted(name for name in {*wanted, *stored} if wanted.get(name) != stored.get(name))
    if wrong:
        raise ValueError(
            f"{origin} does not fit its settings: {len(wrong)} tensors differ, first "
            f"{', '.join(wrong[:3])}; restore config.json and {path.name}, which belong together"
        )
    loop = build(config)
    load_into(loop, load_tensors(path), str(origin))
    return loop


def shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor in a safetensors file, from its header alone.

    Raises:
        ValueError: the file is missing or damaged.
    """
    try:
        with utf8_path(path) as name, safe_open(name, framework="pt") as file:
            return {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}
    except Exception as error:  # safetensors raises its own types
        raise unreadable(path, error) from None
