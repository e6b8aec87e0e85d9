"""A run of several processes: which of them speaks, and how it ends."""

from __future__ import annotations

import os
import sys


def is_main() -> bool:
    """Whether this process is the only one, or the first of those that a launcher started."""
    return place()[0] == 0


def place() -> tuple[int, int]:
    """(number of this process, how many a launcher started): (0, 1) where it is the only one.

    Raises:
        ValueError: RANK and WORLD_SIZE are no such numbers.
    """
    rank, count = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise ValueError(
            f"RANK={rank} and WORLD_SIZE={count} do not number the processes of a run; unset both, "
            "or start with torchrun"
        )
    return int(rank), int(count)


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
