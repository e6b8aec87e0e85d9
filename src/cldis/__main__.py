"""`python -m cldis`, which `torchrun -m cldis` needs."""

import sys

from cldis.cli import main

sys.exit(main())
