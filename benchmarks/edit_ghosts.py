"""Ghosts of old outlines: edits from the exact inversion against edits of today, on `rooms`.

    OMP_NUM_THREADS=1 python benchmarks/edit_ghosts.py

The packaged starter moves each unit of held-out images by -2 and +2 standard deviations: from a
random x_T (what the code asks for), the old way (`exact`), the new way (`Model.start`), and, for
the units of the factors that move outlines, from every start in SIGMAS with and without the mask.
A picture is read as the nearest of all 480,000 renders. The intended image of an edit is the render
of the original with the factor that the unit is for, at the value read from the random x_T.

`ghost`: the share of the original's edges that remains where the intended image changes and has no
edge: <grad edited, grad original> / <grad original, grad original>, summed there. 1: all remains;
0: as good as a random x_T. `outside`: mean change, in grey levels, where the intended image is the
original. `distance`: mean difference from the intended image, in grey levels.
Writes results/edit_ghosts.json and results/edit_ghosts.png.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from editing import IMAGES, STEPS, numbers
from numpy.typing import NDArray
from shared import RESULTS, provenance
from torch import Tensor

from cldis.data import open_data
from cldis.data.rendered.rooms import Rooms
from cldis.diffusion.kept import Start
from cldis.diffusion.sampling import EDITS, END
from cldis.images import captioned, from_uint8, grid, save_png, to_model, to_uint8
from cldis.io import write_json
from cldis.metrics.editing import best_directions, changed, editing_scores, resampled_scores
from cldis.metrics.image import psnr
from cldis.model import Model
from cldis.training.recipes import recipe_config
from cldis.training.starter import FOLDER
from cldis.training.weights import open_networks

AMOUNTS = (-2.0, 2.0)
SIGMAS = (END, 0.05, 0.1, 0.2, 0.4)
OUTLINES = ("scale", "shape", "orientation")  # factors that move outlines
EDGE, FLAT = 0.15, 0.05  # gradients of pictures in [-1, 1]: an edge, and none
LEAST = 8  # pixels of old edges that an edit must uncover to count
CHANGED, SAME = 20 / 127.5, 4 / 127.5
KINDS = ("cyclic", "cyclic", "cyclic", "ordered", "categorical", "ordered")
DRAWS = 1000
FIGURES = ("ghost", "outside", "distance")


class NearestRender:
    """Factors of an image: those of the nearest of all renders, by the mean squared difference.

    An image is a mix of four maps of its geometry by three hues and the colour of the light, so
    that all 480,000 distances are sums over pairs of maps, which need no image.
    """

    def __init__(self, source: Rooms) -> None:
        self.source = source
        self.maps = torch.from_numpy(source.maps.astype(np.float32))  # [480, 4, H * W]
        hues = range(source.factor_sizes[0])
        first = np.array([[hue, hue, hue, 0, 0, 0] for hue in hues])
        colours = torch.from_numpy(source.mixture(source.index(first))[1])  # [10, 3, 4]
        self.hues, self.light = colours[:, :, 0], colours[0, :, 3]  # [10, 3] and [3]
        alike = torch.einsum("gmp,gnp->gmn", self.maps, self.maps)
        light, between = self.hues @ self.light, self.hues @ self.hues.T
        own = [
            alike[:, m, m, None] * between.diagonal() + 2 * alike[:, m, 3, None] * light
            for m in range(3)
        ]
        self.size = _outer(*own)  # |render|^2 but for the light alone, [480, 10, 10, 10]
        self.size += 2 * (alike[:, 0, 1, None, None] * between)[:, :, :, None]
        self.size += 2 * (alike[:, 0, 2, None, None] * between)[:, :, None, :]
        self.size += 2 * (alike[:, 1, 2, None, None] * between)[:, None, :, :]
        self.size += (alike[:, 3, 3] * self.light.square().sum())[:, None, None, None]

    def read(self, images: Tensor) -> NDArray[np.int64]:
        """int64 [n, k] of images [n, 3, H, W] in [-1, 1]."""
        found = []
        for image in to_uint8(images).float():
            shared = torch.einsum("gmp,cp->gmc", self.maps, image.flatten(1))
            by_hue = torch.einsum("gmc,hc->gmh", shared, self.hues)
            along = _outer(by_hue[:, 0], by_hue[:, 1], by_hue[:, 2])
            along += (shared[:, 3] @ self.light)[:, None, None, None]
            geometry, hues = divmod(int((self.size - 2 * along).argmin()), 1000)
            found.append(hues * len(self.maps) + geometry)
        return self.source.factors(np.array(found))


def _outer(one: Tensor, two: Tensor, three: Tensor) -> Tensor:
    """[g, h] each to their sums [g, h, h, h]."""
    return one[:, :, None, None] + two[:, None, :, None] + three[:, None, None, :]


def starter(source: Rooms, seen: Tensor) -> Model:
    """The packaged starter, with unit statistics over `seen`."""
    config, path = recipe_config("demo"), FOLDER / "rooms64"
    network = open_networks(config, path / "ema.safetensors", path)
    codes = Model(network, torch.zeros(config.model.units), torch.ones(1)).encode(seen).z
    return Model(network, codes.mean(dim=0), codes.std(dim=0))


def gradients(images: Tensor) -> Tensor:
    """Along both axes, of all channels, [n, 6, H, W]."""
    wide = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = wide[:, :, 1:-1, 2:] - wide[:, :, 1:-1, :-2]
    down = wide[:, :, 2:, 1:-1] - wide[:, :, :-2, 1:-1]
    return torch.cat([across, down], dim=1) / 2


def figures(original: Tensor, intended: Tensor, edited: Tensor) -> dict[str, NDArray[np.float64]]:
    """`FIGURES` of edits [n, 3, H, W], [n] each; NaN where an edit uncovers no old edge."""
    old, new, found = (gradients(images) for images in (original, intended, edited))
    strength = [g.square().sum(dim=1, keepdim=True).sqrt() for g in (old, new)]
    apart = (intended - original).abs().amax(dim=1, keepdim=True)
    area = F.max_pool2d(apart, 3, 1, 1) > CHANGED
    uncovered = area & (strength[0] > EDGE) & (F.max_pool2d(strength[1], 5, 1, 2) < FLAT)
    outside = F.max_pool2d(apart, 5, 1, 2) <= SAME

    def total(values: Tensor, where: Tensor) -> Tensor:
        return (values * where).sum(dim=(1, 2, 3))

    ghost = total(found * old, uncovered) / total(old * old, uncovered)
    ghost[uncovered.sum(dim=(1, 2, 3)) < LEAST] = torch.nan
    kept = total((edited - original).abs(), outside) / (3 * outside.sum(dim=(1, 2, 3)))
    distance = (edited - intended).abs().mean(dim=(1, 2, 3))
    values = {"ghost": ghost, "outside": 127.5 * kept, "distance": 127.5 * distance}
    return {name: value.double().numpy() for name, value in values.items()}


class Bench:
    """Held-out images, what the code asks for when each unit is moved, and the intended images."""

    def __init__(self) -> None:
        source = open_data("rooms", 64)
        assert isinstance(source, Rooms)
        chosen, seen = numbers(source)
        self.model = starter(source, to_model(source.batch(seen)))
        self.source, self.reader = source, NearestRender(source)
        self.images, self.truth = to_model(source.batch(chosen)), source.factors(chosen)
        noise = self.model.random_start(IMAGES, seed=1)
        z = self.model.encode(self.images).z
        again = self.model.decode(z, noise, STEPS)
        self.asked = Start(z, noise, STEPS, again, None)
        every = range(self.model.units)
        self.random = {unit: self.moved(self.asked, unit) for unit in every}
        changes = self.changes(self.random, again)
        names = source.factor_names
        best = best_directions(changes)
        self.unit = {name: int(best[names.index(name)]) for name in names}

    def moved(self, start: Start, unit: int) -> Tensor:
        """uint8 [n, a, 3, H, W], as pictures are kept."""
        print("unit", unit, flush=True)
        return to_uint8(self.model.traverse_from(start, unit, AMOUNTS))

    def changes(self, edited: dict[int, Tensor], before: Tensor) -> NDArray[np.bool_]:
        """Which factors change, [K, n, a, k]; every render reads right, so no tolerance."""
        read = self.reader.read(before)[:, None]
        after = np.stack(
            [
                self.reader.read(from_uint8(pictures.flatten(0, 1))).reshape(
                    *pictures.shape[:2], -1
                )
                for pictures in edited.values()
            ]
        )
        sizes = self.source.factor_sizes
        return changed(np.broadcast_to(read, after.shape), after, sizes, KINDS, (0,) * len(sizes))

    def intended(self, name: str) -> tuple[Tensor, NDArray[np.bool_]]:
        """Renders [n, a, 3, H, W] that the unit of a factor asks for, and where they differ."""
        f = self.source.factor_names.index(name)
        asked = self.random[self.unit[name]]
        values = self.truth[:, None].repeat(len(AMOUNTS), axis=1)
        read = self.reader.read(from_uint8(asked.flatten(0, 1)))
        values[:, :, f] = read[:, f].reshape(values.shape[:2])
        renders = self.source.batch(self.source.index(values.reshape(-1, values.shape[2])))
        renders = to_model(renders).unflatten(0, values.shape[:2])
        return renders, values[:, :, f] != self.truth[:, None, f]

    def score(self, name: str, edited: Tensor) -> dict[str, NDArray[np.float64]]:
        """`FIGURES` [n, a] of the edits of a factor's unit; NaN where it asks for no change."""
        intended, differs = self.intended(name)
        original = self.images.repeat_interleave(len(AMOUNTS), dim=0)
        found = figures(original, intended.flatten(0, 1), from_uint8(edited).flatten(0, 1))
        return {
            key: np.where(differs, value.reshape(differs.shape), np.nan)
            for key, value in found.items()
        }


def summary(scores: dict[str, dict[str, NDArray[np.float64]]]) -> dict[str, Any]:
    """Means over edits, then factors, with 95 % intervals: images drawn anew, all edits of one."""
    generator = np.random.default_rng(0)
    draws = generator.integers(0, IMAGES, (DRAWS, IMAGES))
    found: dict[str, Any] = {}
    for key in FIGURES:
        by_factor = {name: value[key] for name, value in scores.items()}
        by_factor = {n: v for n, v in by_factor.items() if np.isfinite(v).sum() >= LEAST}
        if by_factor:
            mean = np.mean([np.nanmean(v) for v in by_factor.values()])
            again = np.mean([_means(v[draws]) for v in by_factor.values()], axis=0)
            low, high = np.nanquantile(again, [0.025, 0.975])
            factors = {name: float(np.nanmean(v)) for name, v in by_factor.items()}
            found[key] = {
                "mean": float(mean),
                "low": float(low),
                "high": float(high),
                "factors": factors,
            }
    return found


def _means(drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """[draws, n, a] to [draws]; NaN where a draw holds no such edit."""
    count = np.isfinite(drawn).sum(axis=(1, 2))
    total = np.nansum(drawn, axis=(1, 2))
    return np.divide(total, count, out=np.full(len(drawn), np.nan), where=count > 0)


def difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """`one` minus `other`, edit by edit, as `summary`."""
    return summary({n: {k: one[n][k] - other[n][k] for k in FIGURES} for n in one})


def readings(bench: Bench, edited: dict[int, Tensor], before: Tensor) -> dict[str, Any]:
    """Intended change, leakage and margin with 95 % intervals over images."""
    changes = bench.changes(edited, before)
    scores, draws = editing_scores(changes), resampled_scores(changes)
    found = {}
    for key in ("intended", "leakage", "margin"):
        low, high = np.quantile([draw[key] for draw in draws], [0.025, 0.975])
        found[key] = {"mean": scores[key], "low": float(low), "high": float(high)}
    return found


def curve(bench: Bench) -> list[dict[str, Any]]:
    """Every start in SIGMAS, with and without the mask."""
    rows = []
    for sigma in SIGMAS:
        print("sigma", sigma, flush=True)
        z, model = bench.asked.z, bench.model
        noise = model.invert(bench.images, z, STEPS, sigma)
        plain = Start(z, noise, STEPS, model.decode(z, noise, STEPS), None)
        masked = Start(z, noise, STEPS, plain.again, bench.images)
        scores: dict[str, dict[str, Any]] = {"plain": {}, "masked": {}}
        for name in OUTLINES:
            drawn = model.traverse_from(plain, bench.unit[name], AMOUNTS)
            kept = masked.repeated(len(AMOUNTS)).edited(drawn.flatten(0, 1))
            scores["plain"][name] = bench.score(name, to_uint8(drawn))
            scores["masked"][name] = bench.score(name, to_uint8(kept).unflatten(0, drawn.shape[:2]))
        rows.append(
            {
                "sigma": sigma,
                "x_T_std": float(noise.std()),
                "reconstruction_psnr": float(psnr(plain.again, bench.images).mean()),
                **{way: summary(found) for way, found in scores.items()},
            }
        )
    return rows


def picture(bench: Bench, old: dict[int, Tensor], new: dict[int, Tensor]) -> None:
    """Rows: photo, old edit, new edit, intended render; two edits of each factor of OUTLINES.

    The first two images whose edit uncovers an old edge: no choice by eye.
    """
    columns, captions = [], []
    for name in OUTLINES:
        unit = bench.unit[name]
        counted = np.isfinite(bench.score(name, old[unit])["ghost"])
        renders, _ = bench.intended(name)
        shown = [(i, int(np.argmax(counted[i]))) for i in np.flatnonzero(counted.any(axis=1))[:2]]
        for i, a in shown:
            edits = [from_uint8(way[unit][i, a]) for way in (old, new)]
            columns.append(torch.stack([bench.images[i], *edits, renders[i, a]]))
            captions.append(f"{name} {AMOUNTS[a]:+g}")
    cells = torch.stack(columns, dim=1)
    cells = cells.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    rows = ["photo", "old edit", "new edit", "intended"]
    save_png(captioned(grid(cells), captions, rows), RESULTS / "edit_ghosts.png")


def main() -> None:
    bench = Bench()
    ways = {"random": bench.asked}
    for name, exact in (("old", True), ("new", False)):
        ways[name] = bench.model.start(bench.images, STEPS, exact)
    edited = {"random": bench.random}
    for name in ("old", "new"):
        edited[name] = {unit: bench.moved(ways[name], unit) for unit in bench.random}
    scores = {
        name: {factor: bench.score(factor, found[unit]) for factor, unit in bench.unit.items()}
        for name, found in edited.items()
    }
    result: dict[str, Any] = {
        "command": "python benchmarks/edit_ghosts.py",
        "model": "starter:rooms64",
        "images": IMAGES,
        "steps": STEPS,
        "amounts": AMOUNTS,
        "start": EDITS,
        **provenance(),
        "units": bench.unit,
        "ways": {
            name: {**summary(scores[name]), **readings(bench, edited[name], ways[name].unmoved)}
            for name in ways
        },
        "new_minus_old": difference(scores["new"], scores["old"]),
        "curve": curve(bench),
    }
    write_json(RESULTS / "edit_ghosts.json", result)
    picture(bench, edited["old"], edited["new"])
    for name, found in result["ways"].items():
        print(name, {key: round(found[key]["mean"], 3) for key in found})


if __name__ == "__main__":
    main()
