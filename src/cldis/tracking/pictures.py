"""Pictures of content tracking: heat maps, a ranked gallery, curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cldis.images import captioned, enlarged, from_uint8, grid, reduced, save_png
from cldis.io import write_bytes
from cldis.tracking.result import Tracking

SIDE = 96  # pixels at least: small maps are shown enlarged
PIXELS, LEVELS = 3.0, 48.0  # motion in pixels and change in grey levels that are drawn white


def write_pictures(tracking: Tracking, folder: Path) -> None:
    """Write `direction_NN.png`, `gallery.png` and `curves.png`.

    Raises:
        OSError: full disk or no permission.
    """
    rows = tracking.scores["directions"]
    for row in rows:
        save_png(heat_picture(tracking, row), folder / f"direction_{row['number']:02d}.png")
    save_png(gallery(tracking), folder / "gallery.png")
    write_bytes(folder / "curves.png", curves(tracking))


def ranked(scores: dict[str, Any]) -> list[dict[str, Any]]:
    """Active directions by score, the best first, then inactive ones by activity."""
    return sorted(scores["directions"], key=lambda row: (-row.get("score", -1.0), -row["activity"]))


def words(row: dict[str, Any]) -> str:
    """`3 smile 0.81`, or `4 inactive`."""
    label = f"{row['number']} {row['name']}" if "name" in row else str(row["number"])
    return f"{label}  {row['score']:.2f}" if row["active"] else f"{label}  inactive"


def heat_picture(tracking: Tracking, row: dict[str, Any]) -> Image.Image:
    """Mean image, where this direction moves things, and where it changes their appearance."""
    k, sums = row["number"], tracking.sums
    mean = torch.from_numpy(sums.mean("image")).permute(2, 0, 1).float() / 127.5 - 1
    panels = [
        mean,
        heat(sums.mean("motion")[k] / PIXELS),
        heat(sums.mean("appearance")[k] / LEVELS),
    ]
    shown = enlarged(reduced(torch.stack(panels)[None]), SIDE)
    return captioned(grid(shown), ["mean", "motion", "appearance"], [words(row)])


def heat(values: NDArray[np.float64]) -> Tensor:
    """[H, W] in [0, 1] -> [3, H, W] in [-1, 1]: black, red, yellow, white."""
    scaled = 3 * torch.from_numpy(np.clip(values, 0, 1)).float()
    return torch.stack([(scaled - i).clamp(0, 1) for i in range(3)]) * 2 - 1


def gallery(tracking: Tracking) -> Image.Image:
    """One row per direction, the best first: the first image over all shifts, then the change."""
    shifts = tracking.scores["settings"]["shifts"]
    order = ranked(tracking.scores)
    rows = []
    for row in order:
        k = row["number"]
        frames = torch.from_numpy(tracking.samples[:, k].copy()).permute(0, 1, 4, 2, 3)
        maps = [heat(tracking.sums.mean("motion")[k] / PIXELS)]
        maps.append(heat(tracking.sums.mean("appearance")[k] / LEVELS))
        rows.append(torch.cat([from_uint8(frames[0]), torch.stack(maps)]))
    captions = [f"{shift:+g}" for shift in shifts] + ["motion", "appearance"]
    shown = reduced(torch.stack(rows))
    return captioned(grid(enlarged(shown, SIDE // 2)), captions, [words(row) for row in order])


def curves(tracking: Tracking) -> bytes:
    """Change against shift for every active direction, a PNG."""
    import io

    from matplotlib.figure import Figure

    shifts = tracking.scores["settings"]["shifts"]
    values = tracking.sums.mean("curve")  # [K, J]
    order = [row for row in ranked(tracking.scores) if row["active"]]
    columns = 4
    lines = max(1, -(-len(order) // columns))
    figure = Figure(figsize=(2.6 * columns, 2.0 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axis in axes:
        axis.set_visible(False)
    for axis, row in zip(axes, order, strict=False):
        axis.set_visible(True)
        axis.plot(shifts, values[row["number"]], marker="o", ms=3, lw=1.4)
        axis.set_title(words(row), fontsize=7, parse_math=False)  # a name is no formula
        axis.tick_params(labelsize=7)
    figure.supxlabel("shift (standard deviations)", fontsize=8)
    figure.supylabel("change (grey levels)", fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def table(scores: dict[str, Any]) -> str:
    """The scores for people: one line per direction, the best first, and the run."""
    names = ("purity", "own")
    lines = [
        f"{'direction':24}  {'activity':>8}  {'motion':>6}  "
        + "  ".join(f"{name:>4}" for name in names)
    ]
    for row in ranked(scores):
        head = f"{words(row):24}  {row['activity']:8.2f}  {row['motion_share']:6.2f}"
        parts = [f"{row[name]:{max(len(name), 4)}.2f}" for name in names] if row["active"] else []
        lines.append("  ".join([head, *parts]))
    error = scores.get("error")
    spread = "" if error is None else f" ± {error:.3f}"
    count = f"{scores['active']} of {len(scores['directions'])}"
    lines.append(
        f"run {scores['score']:.3f}{spread}: {count} directions active, control "
        f"{scores['control']:.2f}, {scores['images']} images"
    )
    return "\n".join(lines)
