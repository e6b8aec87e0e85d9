"""What all commands share: the parser, exit codes, and arguments that every run command takes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from cldis.io import user_path
from cldis.text import shown

if TYPE_CHECKING:
    from cldis.training.run_folder import RunFolder

USER_ERROR, FAILURE, INTERRUPTED = 2, 1, 130


# How the placeholder of a path begins: `~` is a home folder there, also after `--out=`.
PATHS = ("RUN", "DIR", "FILE", "PHOTO", "PATH_OR_NAME")


class Parser(argparse.ArgumentParser):
    """Usage mistakes in the style of all other errors: one line, exit code 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(USER_ERROR, f"{self.prog}: error: {shown(message)}; see `{self.prog} --help`\n")

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        if options.get("metavar", "").startswith(PATHS):
            options["type"] = os.path.expanduser
        return super().add_argument(*names, **options)


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def run_command(
    commands: Commands, name: str, function: Callable[[argparse.Namespace], int], text: str
) -> Parser:
    """Add a command that takes a run folder as its first argument."""
    made = commands.add_parser(name, help=text)
    made.add_argument("run", metavar="RUN")
    made.set_defaults(run_command=function)
    return made


def data_argument(command: argparse.ArgumentParser) -> None:
    """Add `--data`, for a run whose images are not where it says."""
    command.add_argument(
        "--data", metavar="PATH_OR_NAME", help="where the images of the run are now"
    )


def open_run(run: str | Path) -> RunFolder:
    """Open a run folder; the import waits until a command needs it."""
    from cldis.training.run_folder import RunFolder

    return RunFolder.open(run)


def out_folder(text: str, option: str = "--out") -> Path:
    """The path after an option.

    Raises:
        ValueError: it is a file.
    """
    path = user_path(text)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{option} {text} is a file; give a folder")
    return path
