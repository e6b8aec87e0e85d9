"""KID of new images, by features of a network with random weights: prior, Gaussian, and its floor.

    OMP_NUM_THREADS=1 python benchmarks/kid.py NAME=RUN ...      (its data must be there)

All from the held-out images of a run, up to 512 (`cldis.metrics.kid`), IMAGES of each: `training`,
real images of the training side; `again`, what the decoder makes of the codes of training images
from random x_T; `prior`, codes of the prior of the run, fitted where it has none; `gaussian`, codes
of `Model.random_codes`. What `again` has above `training` is the decoder's, what `prior` has above
`again` the prior's. Writes results/kid.json; what it holds of other runs stays.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from shared import RESULTS, provenance

from cldis import load
from cldis.data.split import split
from cldis.editing.sample import kid_record, prior_of
from cldis.images import to_model
from cldis.io import read_json, write_json
from cldis.metrics.kid import features
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

IMAGES = 128


def main() -> None:
    path = RESULTS / "kid.json"
    runs = read_json(path)["runs"] if path.is_file() else {}
    for word in sys.argv[1:]:
        name, _, place = word.partition("=")
        run, model = RunFolder.open(place), load(place)
        source = open_run_data(run)
        began = time.process_time()
        prior = prior_of(model)
        chosen = np.random.default_rng(1).permutation(split(len(source))[0])[:IMAGES]
        real = to_model(source.batch(chosen))
        heldout = features(to_model(source.batch(split(len(source))[1])))
        found = {"training": kid_record(features(real), heldout)}
        codes = {
            "again": model.encode(real).z,
            "prior": prior.sample(IMAGES),
            "gaussian": model.random_codes(IMAGES),
        }
        for kind, z in codes.items():
            found[kind] = kid_record(features(model.decode(z)), heldout)
            print(name, kind, found[kind], flush=True)
        runs[name] = {
            "run": Path(place).name,
            "method": run.config.method,
            "data": run.about["data"]["name"],
            "images_seen": int(run.used().name),
            "kid": found,
            "processor_seconds": round(time.process_time() - began, 1),
        }
        write_json(path, {"runs": runs, **provenance()})


if __name__ == "__main__":
    main()
