"""The command line: a thin face. Heavy imports wait until a command needs them."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from cldis import __version__
from cldis.commands import analyse, bench, directions, explore, export, imports, photos, runs, train
from cldis.commands.cli_common import FAILURE, INTERRUPTED, USER_ERROR, Parser
from cldis.io import NO_SPACE
from cldis.text import say, speaking

GROUPS = (train, photos, directions, runs, explore, analyse, imports, export, bench)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns 0, 2 for a mistake of the user, 1 for a failure, 130 for Ctrl-C."""
    with speaking() as heard:
        code = _run(sys.argv[1:] if arguments is None else arguments)
        heard.flush()
        if code == 0 and heard.full:
            code = _complain(f"all was done, but not all could be printed ({heard.lost})", FAILURE)
    if "torch" in sys.modules:  # else no other process was called in
        from cldis.training.processes import leave

        leave(code)
    return code


def _run(arguments: Sequence[str]) -> int:
    options = parser().parse_args([_as_path(word) for word in arguments])
    try:
        return options.run_command(options)
    except ValueError as error:
        return _complain(error, USER_ERROR)
    except OSError as error:
        return _complain(_system_words(error), USER_ERROR)
    except RuntimeError as error:
        return _complain(error, FAILURE)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)


def parser() -> argparse.ArgumentParser:
    root = Parser(prog="cldis", description="Closed-loop unsupervised disentanglement (CL-Dis).")
    root.add_argument("--version", action="version", version=f"cldis {__version__}")
    commands = root.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    for group in GROUPS:
        group.add(commands)
    return root


def _as_path(word: str) -> str:
    """A file whose name begins with a dash (`*.jpg` finds it) is a file, not an option."""
    is_file = word.startswith("-") and "." in word and os.path.isfile(word)
    return os.path.join(os.curdir, word) if is_file else word


def _system_words(error: OSError) -> str:
    if error.errno in NO_SPACE:
        full = "the disk is full" if error.errno == errno.ENOSPC else "your disk quota is used up"
        return (
            f"{full} ({error}); what was written whole is kept, nothing is half-written: "
            f"free some space and run the command again, a training with --resume"
        )
    return str(error)


def _complain(message: object, code: int) -> int:
    say(f"cldis: error: {' '.join(str(message).split())}", error=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
