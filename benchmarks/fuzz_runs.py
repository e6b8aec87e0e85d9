"""Damaged run folders: every reader of a stranger's files ends with ValueError, or opens them.

    python benchmarks/fuzz_runs.py --files 6000 --seed 0 --out results/fuzz_runs.json

A small run is trained, navigated, tracked, exported and saved as a pipeline; then one of its files
at a time is damaged (bits, cuts, JSON structure, headers and numbers of safetensors), and what
reads it is called, and used where it opens. Anything but ValueError in one line that names the file
is a defect: it is listed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import logging
from PIL import Image
from shared import RESULTS, last_line

from cldis.bench.record import _checksum, read_record, record_settings
from cldis.config import Config
from cldis.data import open_data
from cldis.hub.card import model_card
from cldis.hub.contents import read_record as read_saved
from cldis.hub.facts import facts_of, run_scores
from cldis.hub.pipeline import CLDisPipeline
from cldis.io import write_json
from cldis.loop.feedback import build_feedback
from cldis.methods.build import build
from cldis.model import Model, load
from cldis.navigation.directions import Directions
from cldis.navigation.navigate import scene_of
from cldis.navigation.store import directions_or_units, folder_of, read_about, save_directions
from cldis.navigation.train import NavigationConfig, Navigator, read_config
from cldis.pages.report.sentences import health_rows, verdict
from cldis.tracking.maps import tracked
from cldis.tracking.pictures import table
from cldis.tracking.select import stored_scores
from cldis.tracking.track import track_to_folder
from cldis.training.checkpoint import (
    load_feedback,
    load_into,
    load_optimizer,
    load_tensors,
    read_state,
)
from cldis.training.info import info_text, run_info
from cldis.training.log import read_metrics
from cldis.training.run_folder import RunFolder, versions
from cldis.training.trainer import Trainer

SETTINGS = (
    "method=closed model.gaussian=true model.resolution=16 model.units=4 model.width=8 "
    "model.embed=8 model.attention=[2] "
    "model.encoder_width=8 model.vae_width=8 training.batch=8 training.images=16 "
    "training.log_every=8 training.sample_every=8 training.checkpoint_every=16 "
    "training.precision=no distillation.warmup=4 feedback.warmup=4 diffusion.steps=12"
).split()
CHECKPOINT = "checkpoints/000000000016"
# Placed into JSON text after it was written: what `json.dumps` does not write.
RAW = {
    "@deep@": "[" * 5000 + "]" * 5000,
    "@nested@": '{"a":' * 200 + "1" + "}" * 200,
    "@huge@": "9" * 5000,
    "@long@": "9" * 25,
    "@infinite@": "1e999",
    "@surrogate@": '"\\ud800"',
}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 2.5, -0.5, 1e308, -1e308, 2**62, float("nan"), float("inf")),
    *("", "text", "17", "\x1b[2J\x07", "<script>", "\u202e", "../../up", "a\nb"),
    *([], {}, [[]], [{}]),
    *({"a": 1}, ["a"], [1, 2, 3], list(range(1000)), *RAW),
]


@dataclass(frozen=True)
class Target:
    """A file of the folder, and what reads it."""

    file: str
    reader: str
    use: Callable[[Path], object]

    @property
    def without(self) -> str:
        """A file that would be read instead."""
        return MAPS if (self.file, self.reader) == ("run/tracking/scores.json", "tracking") else ""


def make(folder: Path) -> Path:
    """A run, its saved model and its pipeline, and a result of `cldis bench`, in `folder`."""
    photos, out = folder / "photos", folder / "run"
    photos.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for i in range(60):
        pixels = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((16, 16)).save(photos / f"{i:02d}.png")
    source = open_data(str(photos), 16)
    run = RunFolder.create(out, Config().with_overrides(SETTINGS), source, str(photos))
    if not Trainer(run, source, quiet=True).fit():
        raise RuntimeError("interrupted")
    kept = [{"accuracy": 0.5, "sign_accuracy": 0.75, "change": 0.1} for _ in range(2)]
    about = {"kept": kept, "chance": 0.25, "checkpoint": "000000000016"}
    save_directions(out, Directions.random(4, 2, 0).named(1, "light"), about)
    track_to_folder(out, str(photos), images=2, progress=False)
    scene = scene_of(run, load(out), source, 1)
    Navigator(scene, NavigationConfig(directions=2), folder_of(out), progress=False).save()
    probe = {"dci_disentanglement": 0.5, "dci_completeness": 0.5, "estimator": "trees", "test": 9}
    probe |= {"accuracy": {"hue": 0.5}, "chance": {"hue": 0.1}}
    ways = {"random": {"ssim": 0.5, "psnr": 17.0}}
    numbers = {"images_seen": 16, "factors": {"z_sem": probe}, "reconstruction": ways}
    write_json(out / "report.json", numbers)
    load(out).save_pretrained(folder / "saved", "mit")
    CLDisPipeline.of(load(out)).save_pretrained(folder / "pipe")
    (folder / "hours64").mkdir()
    shutil.copy(min((RESULTS / "hours64").glob("*.json")), folder / "hours64")
    return folder


# --- what reads the files; each takes the folder of `make`


def info(folder: Path) -> None:
    run = RunFolder.open(folder / "run")
    info_text(run_info(run))
    lines = read_metrics(run.metrics)
    health, train = (last_line(lines, kind) for kind in ("health", "train"))
    numbers = {"images_seen": 16, "health": health, "training": train}
    verdict(run, numbers)
    health_rows(run, numbers)


def opened(model: Model) -> Model:
    assert model.unit_std.shape == model.unit_mean.shape == (model.units,)
    assert bool(torch.isfinite(model.unit_mean).all()) and bool((model.unit_std >= 0).all())
    model.encode(torch.zeros(1, 3, model.resolution, model.resolution))
    return model


def resume(folder: Path) -> None:
    """What `Trainer.resume` reads."""
    path = folder / "run" / CHECKPOINT
    model = build(RunFolder.open(folder / "run").config)
    load_into(model, load_tensors(path / "model.safetensors"), str(path))
    names, file = [name for name, _ in model.named_parameters()], path / "optimizer.safetensors"
    load_optimizer(torch.optim.Adam(model.parameters()), names, load_tensors(file), str(file))
    load_feedback(build_feedback(model.config, model.process), read_state(path), path)


def directions(folder: Path) -> None:
    found = directions_or_units(folder / "run", 4)
    found.shift(torch.ones(4), {found.count - 1: 1.0})
    [found.label(k) for k in range(found.count)]
    read_about(folder / "run")


def tracking(folder: Path) -> None:
    run = RunFolder.open(folder / "run")
    found = tracked(run, directions_or_units(run, 4))
    if found.scores is not None:
        table(found.scores)
    if found.maps is not None:
        [found.maps.change(k) for k in range(len(found.maps.motion))]
    stored_scores(run.path)


def saved(folder: Path) -> None:
    model = opened(Model.from_pretrained(folder / "saved"))
    record = {**read_saved(folder / "saved"), **facts_of(model)}
    stored = directions_or_units(folder / "saved", model.units)
    card = model_card({**record, "config": model.config.to_dict()}, stored)
    bare = re.sub(r"\\.", "", card)  # without what is escaped
    assert "\x1b" not in bare and "<script" not in bare, "markup got onto the card"


READERS: dict[str, Callable[[Path], object]] = {
    "info": info,
    "load": lambda folder: opened(load(folder / "run")),
    "resume": resume,
    "directions": directions,
    "navigation": lambda folder: read_config(folder_of(folder / "run")),
    "tracking": tracking,
    "scores": lambda folder: run_scores(folder / "run", "000000000016"),
    "saved": saved,
    "pipeline": lambda folder: CLDisPipeline.from_pretrained(folder / "pipe"),
    "result": lambda folder: record_settings(read_record(min((folder / "hours64").iterdir()))),
}
MAPS = "run/tracking/maps.safetensors"
READ = (
    ("run/run.json", "info"),
    ("run/config.json", "load"),
    ("run/metrics.jsonl", "info scores"),
    (f"run/{CHECKPOINT}/state.json", "load resume"),
    (f"run/{CHECKPOINT}/ema.safetensors", "load"),
    (f"run/{CHECKPOINT}/optimizer.safetensors", "resume"),
    ("run/navigation/directions.safetensors", "directions"),
    ("run/navigation/state.safetensors", "navigation"),
    ("run/tracking/scores.json", "tracking scores"),
    (MAPS, "tracking"),
    ("run/report.json", "scores"),
    ("saved/config.json", "saved"),
    ("saved/model.safetensors", "saved"),
    ("saved/navigation/directions.safetensors", "saved"),
    ("pipe/model_index.json", "pipeline"),
    ("hours64/*.json", "result"),
)


def targets(folder: Path) -> list[Target]:
    """Every file with everything that reads it."""
    return [
        Target(path.relative_to(folder).as_posix(), name, READERS[name])
        for pattern, names in READ
        for path in folder.glob(pattern)
        for name in names.split()
    ]


# --- damage


def damaged(name: str, data: bytes, chance: random.Random) -> bytes:
    """A copy with something wrong, by the kind of file."""
    if chance.random() < 0.3:
        return scrambled(data, chance)
    if name.endswith(".safetensors"):
        return damaged_tensors(data, chance)
    if name.endswith(".jsonl"):
        lines = data.decode().splitlines()
        place = chance.randrange(len(lines))
        lines[place] = damaged_json(lines[place], chance)
        return "\n".join(lines).encode(errors="surrogatepass") + b"\n"
    return damaged_json(data.decode(), chance).encode(errors="surrogatepass")


def scrambled(data: bytes, chance: random.Random) -> bytes:
    """Bits flipped, cut off, a slice lost, doubled or zeroed, or noise put in."""
    out, way = bytearray(data), chance.randrange(6)
    a, b = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    b = min(b, a + 64)
    if way == 0:
        for _ in range(chance.randint(1, 8)):
            out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    elif way == 1:
        del out[a:]
    elif way == 2:
        del out[a:b]
    elif way == 3:
        out[a:a] = out[a:b]
    elif way == 4:
        out[a:b] = bytes(b - a)
    else:
        out[a:a] = chance.randbytes(chance.randint(1, 16))
    return bytes(out)


def damaged_json(text: str, chance: random.Random) -> str:
    value = json.loads(text)
    for _ in range(chance.randint(1, 3)):
        value = restructured(value, chance)
    return written(value)


def written(value: Any) -> str:
    """JSON with what `RAW` stands for."""
    text = json.dumps(value)
    for mark, raw in RAW.items():
        text = text.replace(json.dumps(mark), raw)
    return text


def restructured(value: Any, chance: random.Random) -> Any:
    """One place of a JSON value dropped, renamed, doubled, swapped or replaced by something odd."""
    boxes = [box for box in _boxes(value) if box]
    if not boxes or chance.random() < 0.02:
        return copy.deepcopy(chance.choice(ODD))
    box = chance.choice(boxes)
    key = chance.choice(list(box)) if isinstance(box, dict) else chance.randrange(len(box))
    way = chance.randrange(6)
    if way == 0:
        del box[key]
    elif way == 1 and isinstance(box, dict):
        box[chance.choice(["", "x", "-1", "9" * 30, "__proto__", str(key) + "s"])] = box.pop(key)
    elif way == 1 or way == 2:
        box[key] = [box[key], copy.deepcopy(box[key])]
    elif way == 3:
        other = chance.choice(list(box)) if isinstance(box, dict) else chance.randrange(len(box))
        box[key], box[other] = box[other], box[key]
    else:
        box[key] = copy.deepcopy(chance.choice(ODD))
    return value


def _boxes(value: Any) -> list[Any]:
    found = [value] if isinstance(value, dict | list) else []
    for box in found:
        children = box.values() if isinstance(box, dict) else box
        found += [child for child in children if isinstance(child, dict | list)]
    return found


def damaged_tensors(data: bytes, chance: random.Random) -> bytes:
    """The header, the JSON within its metadata, or the numbers of a safetensors file."""
    size = int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    way = chance.random()
    metadata = header.get("__metadata__")
    if way < 0.4 and metadata:
        key = next(iter(metadata))
        if metadata[key].startswith("{"):
            metadata[key] = damaged_json(metadata[key], chance)
    elif way < 0.65:
        numbers = np.frombuffer(body, np.float32).copy()
        places = chance.sample(range(len(numbers)), min(len(numbers), chance.randint(1, 4)))
        odd = [np.nan, np.inf, -np.inf, -1.0, 0.0, 3e38, 1e-40]
        numbers[places] = np.float32(chance.choice(odd))
        body = bytearray(numbers.tobytes())
    else:
        names = [name for name in header if name != "__metadata__"]
        entry, way = header[chance.choice(names)], chance.randrange(5)
        if way == 0:
            kinds = ("F64", "F16", "BF16", "I32", "U32", "I64", "BOOL", "U8", "F8_E4M3", "C64", "x")
            entry["dtype"] = chance.choice(kinds)
        elif way == 1:
            entry["shape"] = chance.choice([entry["shape"][::-1], [-1], [2**62, 2**62], [0], []])
        elif way == 2:
            one, other = chance.choice(names), chance.choice(names)
            header[one], header[other] = header[other], header[one]
        elif way == 3:
            flat = int(np.prod(entry["shape"], dtype=np.int64))
            entry["shape"] = chance.choice([[flat], [1, flat], [flat, 1]])
        else:
            header = restructured(header, chance)
    head = written(header).encode(errors="surrogatepass")
    return len(head).to_bytes(8, "little") + head + bytes(body)


def with_checksum(data: bytes) -> bytes:
    """A result whose checksum fits again, so that what follows is tried too."""
    try:
        record = json.loads(data)
        record.pop("sha256")
        return json.dumps({**record, "sha256": _checksum(record)}).encode()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return data


# --- the trial


def outcome(target: Target, folder: Path) -> str:
    """`opened`, `refused`, or what went wrong."""
    try:
        target.use(folder)
    except ValueError as error:
        words, name = str(error), Path(target.file).name
        near = (name, name.partition(".")[0], Path(target.file).parent.name)
        if "\n" in words or not any(part in words for part in near):
            return f"unclear: {words[:300]!r}"
        return "refused"
    except Exception as error:  # whatever it is, it is the defect looked for
        return f"{type(error).__name__}: {str(error)[:300]!r}"
    return "opened"


def fuzz(folder: Path, files: int, seed: int) -> dict[str, Any]:
    """Damage `files` files in turn; counts by reader, and what was neither opened nor refused.

    Raises:
        RuntimeError: a file is refused as it was made.
    """
    found = targets(folder)
    counts: dict[str, Counter[str]] = {}
    defects, slowest = [], 0.0
    for i in range(files + len(found)):
        target = found[i % len(found)]
        chance = random.Random(f"{seed}/{i}")
        path, aside = folder / target.file, folder / (target.without or "nothing")
        whole, hidden = path.read_bytes(), aside.with_suffix(".aside")
        data = damaged(target.file, whole, chance) if i >= len(found) else whole
        if i >= len(found) and target.file.startswith("hours64") and chance.random() < 0.7:
            data = with_checksum(data)
        try:
            path.write_bytes(data)
            if target.without:
                aside.rename(hidden)
            began = time.perf_counter()
            result = outcome(target, folder)
            slowest = max(slowest, time.perf_counter() - began)
        finally:
            path.write_bytes(whole)
            if hidden.exists():
                hidden.rename(aside)
        if i < len(found):  # as it was made
            if result != "opened":
                raise RuntimeError(f"{target.file} does not open as it is: {result}")
            continue
        if result not in ("opened", "refused"):
            defects.append(
                {"file": i, "name": target.file, "reader": target.reader, "what": result}
            )
            result = "defect"
        name = f"{target.file} ({target.reader})"
        counts.setdefault(name, Counter(opened=0, refused=0, defect=0))[result] += 1
    return {
        "files": files,
        "seed": seed,
        "counts": {name: dict(counter) for name, counter in counts.items()},
        "slowest_seconds": round(slowest, 2),
        "defects": defects,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as temporary:
        result = fuzz(make(Path(temporary) / "made"), options.files, options.seed)
    print(json.dumps(result, indent=2))
    if options.out:
        command = f"python benchmarks/fuzz_runs.py --files {options.files} --seed {options.seed}"
        write_json(options.out, {"command": command, "versions": versions(), **result})
    return 1 if result["defects"] else 0


if __name__ == "__main__":
    sys.exit(main())
