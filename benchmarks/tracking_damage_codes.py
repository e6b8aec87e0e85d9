"""Codes with known damage, without training: what tracking_damage.py scores.

    python benchmarks/tracking_damage_codes.py --runs RUNS --data rooms --store DIR

draws their pictures (each once) and takes DCI, and writes DIR/NAME/DAMAGE.npz. A code here is
`c = A z'`, with z' the units of a checkpoint that change the pictures, each less its mean and
divided by its spread. Labels see c; pictures see direction k of it, one spread of c_k times column
k of the pseudo-inverse of A.
"""

from __future__ import annotations

import argparse
import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from shared import model_at
from tracking_mixing import fields, seen

from cldis.arrays import Floats
from cldis.bench.score import pool
from cldis.data import open_data
from cldis.data.source import ImageSource
from cldis.io import write_bytes
from cldis.metrics.dci import importances
from cldis.metrics.labelled import labelled
from cldis.metrics.suite import SETTINGS
from cldis.model import Model
from cldis.networks.gaussian import kl_to_standard

ROWS = 4_500  # images that labels are taken on
IMAGES = 10  # that are moved along every direction
SHIFTS = (-1.0, 0.0, 1.0)  # in spreads of each unit of the code
SIZE = 64  # pixels of a side
STEPS = 3  # of DPM-Solver++
INFORMATIVE = 0.01  # nats of KL(q || p) per unit, as UDR has it
ANGLES = (15, 30, 45)
LEAK = 1.0
DAMAGES = (
    "raw",
    *(f"pairs_{angle}" for angle in ANGLES),
    "triples_45",
    "random",
    "leaking",
    "doubled",
    "dead",
    "noise",
)


def matrix(damage: str, units: int, seed: int) -> Floats:
    """A [K, units] of a damage. Which units it takes is drawn with `seed`."""
    rng = np.random.default_rng([seed, 18])
    order, eye = rng.permutation(units), np.eye(units)
    kind, _, angle = damage.partition("_")
    if kind == "pairs":
        for one, other in zip(order[::2], order[1::2], strict=False):
            eye[np.ix_([one, other], [one, other])] = turn(2, float(angle))
    elif kind == "triples":
        for at in range(0, units - 2, 3):
            three = order[at : at + 3]
            eye[np.ix_(three, three)] = turn(3, float(angle))
    elif kind == "random":
        eye = np.linalg.qr(rng.standard_normal((units, units)))[0]
    elif kind == "leaking":
        for one, other in zip(order[::2], order[1::2], strict=False):
            eye[one, other] = LEAK
    elif kind == "doubled":
        eye = np.concatenate([eye, eye[order[: units // 2]]])
    elif kind in ("dead", "noise"):
        eye[order[:2]] = 0
    else:
        assert kind == "raw", damage
    return eye


def turn(size: int, angle: float) -> Floats:
    """Rotation by `angle` degrees, of a plane or about the diagonal of three axes."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    if size == 2:
        return np.array([[c, s], [-s, c]])
    axis = np.ones(3) / np.sqrt(3)
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return c * np.eye(3) + s * cross + (1 - c) * np.outer(axis, axis)


@dataclass
class Checkpoint:
    """Averaged weights of one run; opened when first needed."""

    name: str
    folder: Path  # of the run
    checkpoint: Path
    data: str
    store: Path  # pictures are kept here
    seed: int = 0

    @cached_property
    def source(self) -> ImageSource:
        return _source(self.data)

    @cached_property
    def indices(self) -> np.ndarray:
        return pool(self.source, ROWS)

    @cached_property
    def model(self) -> Model:
        return model_at(self.folder, self.checkpoint)

    @cached_property
    def read(self) -> dict[str, np.ndarray]:
        """`codes` [n, d] and which units are `informative` [d]; kept on disk."""
        path = self.store / self.name / "codes.npz"
        if not path.is_file():
            found = self.model.encode_source(self.source, self.indices).sem
            assert found is not None
            codes, informative = found.mean.numpy(), found.mean.std(dim=0).numpy() > 1e-6
            if self.model.config.model.gaussian:
                informative &= kl_to_standard(found).mean(dim=0).numpy() > INFORMATIVE
            path.parent.mkdir(parents=True, exist_ok=True)
            np.savez(path, codes=codes, informative=informative)
        return dict(np.load(path))

    @cached_property
    def active(self) -> np.ndarray:
        """Numbers of the informative units that change the pictures."""
        path = self.store / self.name / "active.npz"
        if not path.is_file():
            units = np.flatnonzero(self.read["informative"])
            moves = np.diag(self.read["codes"].std(axis=0).astype(np.float64))[units]
            frames = np.stack([self.frames(move) for move in moves], axis=1)
            np.savez(path, units=units[seen(fields(frames))])
        return np.load(path)["units"]

    def scaled(self) -> Floats:
        """z' [n, informative units]."""
        z = self.read["codes"][:, self.active].astype(np.float64)
        return (z - z.mean(axis=0)) / z.std(axis=0)

    def code(self, damage: str) -> Floats:
        """c [n, K], as labels see it."""
        c = self.scaled() @ matrix(damage, len(self.active), self.seed).T
        if damage == "noise":
            empty = c.std(axis=0) == 0
            rng = np.random.default_rng([self.seed, 19])
            c[:, empty] = rng.standard_normal((len(c), int(empty.sum())))
        return c

    def labels(self, damage: str, seed: int = 0) -> dict[str, Floats]:
        """DCI importances [K, factors] and accuracies [factors], in the `fast` setting.

        Another seed trains on other images.
        """
        fast = SETTINGS["fast"]
        factors = self.source.factors(self.indices)[:, np.array(self.source.factor_sizes) > 1]
        parts = labelled(self.code(damage), factors, 1).split(fast.dci_train, fast.dci_test, seed)
        importance, accuracy, _ = importances(*parts, fast.estimator, 0)
        return {"importance": importance, "accuracy": accuracy}

    # ------------------------------------------------------------------------------- pictures

    def directions(self, damage: str) -> Floats:
        """One spread of every unit of the code, as moves of z [K, d]; 0 for a unit that is dead."""
        a = matrix(damage, len(self.active), self.seed)
        back = np.linalg.pinv(a).T  # [K, informative]
        spread = (self.scaled() @ a.T).std(axis=0)  # noise is dead to a decoder
        moves = np.zeros((len(a), self.read["codes"].shape[1]))
        moves[:, self.active] = back * spread[:, None] * self.read["codes"][:, self.active].std(0)
        return moves

    def start(self, part: int) -> torch.Tensor:
        return self.model.random_start(IMAGES, 10 * self.seed + part)

    def draw(self, move: Floats | float, part: int = 0, lost: tuple[int, ...] = ()) -> np.ndarray:
        """uint8 [n, H, W, 3]: the first images after one move, from x_T number `part`.

        Args:
            lost: units that the code does not hold, at their mean.
        """
        z = self.read["codes"][:IMAGES].astype(np.float64)
        z[:, lost] = self.read["codes"].mean(axis=0)[list(lost)]
        z = z + move
        key = hashlib.sha256(np.round(z, 5).tobytes() + bytes([part, STEPS])).hexdigest()[:20]
        path = self.store / self.name / f"{key}.bin"
        if not path.is_file():
            codes = torch.from_numpy(z).float()
            drawn = self.model.decode(codes, self.start(part), STEPS, fast=True)
            grey = drawn.clamp(-1, 1).add(1).mul(127.5).round().to(torch.uint8)
            write_bytes(path, grey.permute(0, 2, 3, 1).contiguous().numpy().tobytes())
        return np.frombuffer(path.read_bytes(), np.uint8).reshape(IMAGES, SIZE, SIZE, 3)

    def traversals(self, damage: str) -> np.ndarray:
        """uint8 [n, K, J, H, W, 3].

        Dead units: pictures of the others are those of the raw code, only `same_code` lacks them.
        """
        return np.stack([self.frames(move) for move in self.directions(damage)], axis=1)

    def frames(self, move: Floats) -> np.ndarray:
        """uint8 [n, J, H, W, 3]: one direction."""
        return np.stack([self.draw(shift * move) for shift in SHIFTS], axis=1)

    def same_code(self, damage: str) -> np.ndarray:
        """uint8 [n, 3, H, W, 3]: each code from its own x_T and two others."""
        dead = ~self.directions(damage).any(axis=1)
        lost = tuple(self.active[dead]) if damage in ("dead", "noise") else ()
        return np.stack([self.draw(0.0, part, lost) for part in range(3)], axis=1)


@lru_cache
def _source(name: str) -> ImageSource:
    return open_data(name, SIZE, progress=False)


# Checkpoints by data set: name -> cell of a suite and images seen.
CHECKPOINTS = {
    "rooms": {
        "encdiff-32": ("compact/encdiff-rooms-96000-s0", 32_000),
        "taught-320": ("rate/taught-rooms-320000-s0", 320_000),
        "encdiff-96": ("compact/encdiff-rooms-96000-s0", 96_000),
        "loop-192": ("compact/loop-rooms-192000-s0", 192_000),
        "rate_loop-320": ("rate/rate_loop-rooms-320000-s0", 320_000),
        "taught-256": ("rate/taught-rooms-320000-s0", 256_000),
        "taught-192": ("rate/taught-rooms-320000-s0", 192_000),
        "unmixed-192": ("compact/unmixed-rooms-192000-s0", 192_000),
        "unmixed-192b": ("compact/unmixed-rooms-192000-s1", 192_000),
        "taught-192b": ("compact/taught-rooms-192000-s1", 192_000),
        "encdiff-64": ("compact/encdiff-rooms-96000-s1", 64_000),
    },
    "kuka": {
        "encdiff-32": ("compact/encdiff-kuka-96000-s0", 32_000),
        "taught-320": ("rate/taught-kuka-320000-s0", 320_000),
        "encdiff-96": ("compact/encdiff-kuka-96000-s0", 96_000),
        "loop-192": ("compact/loop-kuka-192000-s0", 192_000),
        "rate_loop-320": ("rate/rate_loop-kuka-320000-s0", 320_000),
        "encdiff-320": ("rate/encdiff-kuka-320000-s0", 320_000),
        "unmixed-192": ("compact/unmixed-kuka-192000-s0", 192_000),
        "unmixed-192b": ("compact/unmixed-kuka-192000-s1", 192_000),
        "taught-192b": ("compact/taught-kuka-192000-s1", 192_000),
        "encdiff-64": ("compact/encdiff-kuka-96000-s1", 64_000),
    },
    "robots": {
        "encdiff-32": ("compact/encdiff-robots-96000-s0", 32_000),
        "encdiff-96": ("compact/encdiff-robots-96000-s0", 96_000),
        "encdiff-64": ("compact/encdiff-robots-96000-s0", 64_000),
        "unmixed-192": ("compact/unmixed-robots-192000-s0", 192_000),
    },
}


def stored(path: Path) -> Checkpoint:
    """The checkpoint that STORE/DATA/NAME/DAMAGE.npz is of, without its weights."""
    data, name = path.parent.parent, path.parent.name
    seed = list(CHECKPOINTS[data.name]).index(name)
    return Checkpoint(name, Path(), Path(), data.name, data, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, required=True, help="holds folders of suites")
    parser.add_argument("--data", choices=sorted(CHECKPOINTS), required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--damages", nargs="+", choices=DAMAGES, default=DAMAGES)
    parser.add_argument("--only", nargs="+", help="names of checkpoints")
    args = parser.parse_args()
    for damage in args.damages:
        for seed, (name, (cell, images)) in enumerate(CHECKPOINTS[args.data].items()):
            path = args.store / args.data / name / f"{damage}.npz"
            if path.is_file() or (args.only and name not in args.only):
                continue
            folder = args.runs / cell
            weights = folder / "checkpoints" / f"{images:012d}"
            one = Checkpoint(name, folder, weights, args.data, args.store / args.data, seed)
            pictures = {"frames": one.traversals(damage), "same_code": one.same_code(damage)}
            np.savez(path, **pictures, **one.labels(damage))
            print(path, flush=True)


if __name__ == "__main__":
    main()
