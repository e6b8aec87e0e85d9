"""`cldis bench small ARGUMENTS...` in a process that can be killed.

CLDIS_TEST_KILL=SIGNAL:STEP sends the signal to this process after that many optimiser steps.
CLDIS_TEST_SLOW=SECONDS makes every step take so much longer.
"""

from __future__ import annotations

import os
import sys
import time

import torch

from cldis.bench import score
from cldis.bench.suites import SUITES
from cldis.cli import main
from cldis.training.trainer import Trainer
from support.bench_suite import SMALL, quick_scores

torch.set_num_threads(1)
SUITES[SMALL.name] = SMALL
score.scores = quick_scores  # type: ignore[assignment]
number, _, limit = os.environ.get("CLDIS_TEST_KILL", "0:0").partition(":")
slow = float(os.environ.get("CLDIS_TEST_SLOW", "0"))
taken = 0
step = Trainer.step


def counted(self: Trainer, index: int) -> dict[str, float]:
    global taken
    terms = step(self, index)
    taken += 1
    time.sleep(slow)
    if taken == int(limit):
        os.kill(os.getpid(), int(number))
    return terms


Trainer.step = counted  # type: ignore[method-assign]
sys.exit(main(["bench", SMALL.name, *sys.argv[1:]]))
