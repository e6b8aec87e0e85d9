"""How near new codes and new images come to held-out ones: the prior against a Gaussian.

    OMP_NUM_THREADS=1 python benchmarks/prior.py NAME=RUN ...      (its data must be there)

A prior is fitted to each run by `cldis.editing.sample.fitted`, seed 0, into a folder of its own.
`distances`: energy distance of held-out codes, each unit at deviation 1, from draws of the prior,
of a Gaussian with the mean and covariance of the training codes, and from training codes; `joint`
of all units, `marginal` the mean over units. `images`: the same distance between the codes that
E_sem reads from drawn images and from held-out ones; the Gaussian is that of `Model.random_codes`.
Writes results/prior.json; what it holds of other runs stays.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from shared import RESULTS, provenance

from cldis import load
from cldis.data.split import split
from cldis.editing.sample import fitted
from cldis.io import read_json, write_json
from cldis.training.prior import energy_distance, load_prior
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

IMAGES = 128


def main() -> None:
    path = RESULTS / "prior.json"
    runs = read_json(path)["runs"] if path.is_file() else {}
    for word in sys.argv[1:]:
        name, _, place = word.partition("=")
        run, model = RunFolder.open(place), load(place)
        source = open_run_data(run)
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            prior = fitted(model, source, Path(folder))
            seconds = time.process_time() - began
            record = load_prior(Path(folder), model.loop, model.units)[1]
        heldout = (model.encode_source(source, split(len(source))[1]).z - prior.mean) / prior.std
        images = {}
        for kind, z in (("prior", prior.sample(IMAGES)), ("gaussian", model.random_codes(IMAGES))):
            again = (model.encode(model.decode(z).clamp(-1, 1)).z - prior.mean) / prior.std
            images[kind] = round(energy_distance(again, heldout), 4)
        runs[name] = {
            "command": " ".join(run.about["command"]),
            "data": run.about["data"]["name"],
            "images_seen": int(run.used().name),
            **record,
            "images": {"count": IMAGES, **images},
            "processor_seconds": round(seconds, 1),
        }
        print(name, runs[name], flush=True)
        write_json(path, {"runs": runs, **provenance()})


if __name__ == "__main__":
    main()
