"""KID of new images, by features of a network with random weights: prior, Gaussian, and its floor.

    OMP_NUM_THREADS=1 python benchmarks/kid.py NAME=RUN ...      (its data must be there)

All from the held-out images of a run, up to 512 (`cldis.metrics.kid`): `training`, real images of
the training side; `again`, what the decoder makes of the codes of training images from random x_T;
`prior`, codes of the prior that `cldis sample` fits; `gaussian`, codes of `Model.random_codes`.
IMAGES of each. What `prior` has above `again` is the prior's, what `again` has above `training` the
decoder's. Writes results/kid.json; what it holds of other runs stays.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from shared import RESULTS, provenance

from cldis import load
from cldis.data.split import split
from cldis.editing.sample import fitted, kid_record
from cldis.images import to_model
from cldis.io import read_json, write_json
from cldis.metrics.kid import features
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder

IMAGES = 256


def main() -> None:
    path = RESULTS / "kid.json"
    runs = read_json(path)["runs"] if path.is_file() else {}
    for word in sys.argv[1:]:
        name, _, place = word.partition("=")
        run, model = RunFolder.open(place), load(place)
        source = open_run_data(run)
        began = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            prior = fitted(model, source, Path(folder))
        chosen = np.random.default_rng(1).permutation(split(len(source))[0])[:IMAGES]
        real = to_model(source.batch(chosen))
        found = {"training": kid_record(features(real), source)}
        codes = {
            "again": model.encode(real).z,
            "prior": prior.sample(IMAGES),
            "gaussian": model.random_codes(IMAGES),
        }
        for kind, z in codes.items():
            found[kind] = kid_record(features(model.decode(z)), source)
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
