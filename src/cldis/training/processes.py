"""A run of several processes: which of them speaks, and how it ends."""

from __future__ import annotations

import os
import sys


def is_main() -> bool:
    """Whether this process is the only one, or the first of those that a launcher started."""
    return os.environ.get("RANK", "0") == "0"


def leave(status: int) -> None:
    """End this process with `status` if it is one of several; else do nothing.

    After an error (`status` is not 0) the others may be waiting for this one, so the group is not
    ended with them.

    The interpreter is not taken down. DistributedDataParallel keeps its group, and the group its
    threads, beyond `destroy_process_group`, and at the end of the interpreter they now and then
    abort a process whose work is done (seen once in some hundred runs; PyTorch issue 190489).
    """
    import torch.distributed

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    if status == 0:
        torch.distributed.destroy_process_group()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(status)
