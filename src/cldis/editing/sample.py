"""New images: codes drawn from a prior, which is fitted to the run where it has none."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cldis.arrays import Floats
from cldis.data.open import open_data
from cldis.data.source import ImageSource
from cldis.data.split import split
from cldis.images import grid, in_rows, save_png, to_model
from cldis.io import write_json
from cldis.metrics.kid import EXTRACTOR, FEWEST, features, kid
from cldis.model import CHUNK, STEPS, Model
from cldis.progress import progress_bar
from cldis.text import say
from cldis.training.lock import run_lock
from cldis.training.prior import (
    Prior,
    distances,
    fit_prior,
    has_prior,
    load_prior,
    save_prior,
    weights_hash,
)
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

CODES = 16_384  # training images that a prior is fitted to, at the most
MOST = 100_000  # images of a call
SHOWN = 64  # of them in the overview
KID_FILE = "kid.json"


def sample_images(
    model: Model,
    n: int,
    out: Path,
    seed: int = 0,
    data: str | None = None,
    progress: bool = True,
    steps: int = STEPS,
    measure: bool = False,
) -> list[Path]:
    """Write `n` new images to `out`, `sample_NNNNN.png` each, and `samples.png`, the first 64.

    Args:
        data: where the images of the run are, for a prior that has yet to be fitted.
        measure: also write `kid.json`, their KID from held-out images (`cldis.metrics.kid`).

    Raises:
        ValueError: n or seed out of range, no diffusion decoder, a prior that is damaged or of
            other weights, or none and no images to fit one to; too few to measure.
    """
    for name, value, least, most in (("n", n, 1, MOST), ("seed", seed, 0, 2**31 - 1)):
        if not isinstance(value, Integral) or not least <= value <= most:
            raise ValueError(f"--{name} {value!r} must be a whole number from {least} to {most:,}")
    if measure and n < FEWEST:
        raise ValueError(f"--n {n} is too few to measure KID; draw at least {FEWEST}")
    source = images_of(model, data, progress) if measure else None
    prior = prior_of(model, data, progress)
    seen: list[Floats] = []
    codes, paths = prior.sample(n, seed), [out / "samples.png"]
    with progress_bar(n, "sample", "images", not progress) as bar:
        for start in range(0, n, SHOWN):
            z = codes[start : start + SHOWN]
            images = model.decode(z, None, steps, seed + start)
            for number, image in enumerate(images, start):
                paths.append(out / f"sample_{number:05d}.png")
                save_png(grid(image[None, None], gap=0), paths[-1])
            if start == 0:
                save_png(grid(in_rows(images)), paths[0])
            if measure:
                seen.append(features(images))
            bar.update(len(z))
    if source is not None:
        heldout = to_model(source.batch(split(len(source))[1]))
        write_json(out / KID_FILE, kid_record(np.concatenate(seen), features(heldout)))
    return paths


def images_of(model: Model, data: str | None, progress: bool) -> ImageSource:
    """The images that a run was trained on, or those that are named for a saved model.

    Raises:
        ValueError: they are not there.
    """
    assert model.origin is not None, "a model of the command line was opened from a folder"
    if model.origin.checkpoint is not None:
        return open_run_data(RunFolder.open(model.origin.path), data, progress)
    if data is None:
        raise ValueError("a saved model has no images; name those to compare with by --data")
    return open_data(data, model.resolution, progress=progress)


def kid_record(drawn: Floats, heldout: Floats) -> dict[str, Any]:
    """KID of features of drawn images from those of held-out ones, as plain data."""
    found = kid(drawn, heldout)
    return {
        "kid": found.mean,
        "deviation": found.deviation,
        "subset": found.size,
        "drawn": len(drawn),
        "heldout": len(heldout),
        "extractor": EXTRACTOR,
    }


def prior_of(model: Model, data: str | None = None, progress: bool = True) -> Prior:
    """The prior that lies beside the model, else one that is fitted to its run and put there.

    Raises:
        ValueError: as `sample_images` says.
    """
    if not model.diffuses:
        raise ValueError(
            f"this run is of method {model.config.method!r}, which has no diffusion decoder to "
            f"draw new images with; train with method=encdiff or closed"
        )
    assert model.origin is not None, "a model of the command line was opened from a folder"
    path = model.origin.path
    if has_prior(path) or model.origin.checkpoint is None:  # a saved model has no images
        return load_prior(path, model.loop, model.units)[0]
    source = images_of(model, data, progress)
    say(f"{path} has no prior over codes yet; fitting one", error=True)
    with run_lock(path):
        return fitted(model, source, path, progress)


def fitted(
    model: Model, source: ImageSource, folder: Path, progress: bool = True, seed: int = 0
) -> Prior:
    """A prior fitted to the training images of a source, and stored in `folder`; says how near it
    comes to held-out images."""
    train, heldout = split(len(source))
    chosen = np.sort(np.random.default_rng(0).permutation(train)[:CODES])
    with progress_bar(len(chosen) + len(heldout), "encode", "images", not progress) as bar:

        def encoded(rows: NDArray[np.int64]) -> Tensor:
            parts = []
            for start in range(0, len(rows), CHUNK):
                part = rows[start : start + CHUNK]
                parts.append(model.encode_source(source, part).z)
                bar.update(len(part))
            return torch.cat(parts)

        codes, others = encoded(chosen), encoded(heldout)
    prior = fit_prior(codes, seed, progress)
    far = distances(prior, codes, others, seed)
    record = {
        "weights": weights_hash(model.loop),
        "codes": len(codes),
        "heldout": len(others),
        "seed": seed,
        "distances": far,
    }
    path = save_prior(folder, prior, record)
    words = ", ".join(f"{name} {values['joint']:.4f}" for name, values in far.items())
    say(f"{path}: energy distance from held-out codes: {words}", error=True)
    return prior
