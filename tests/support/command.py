"""A command that a person gets wrong."""

from __future__ import annotations

import re
import sys

import pytest

from cldis.cli import main

PROGRESS = re.compile(r"\d ?\w+/s\b")


def fails(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """Run a command that must end with `code`; returns the one line that says why."""
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["cldis", *arguments])
        try:
            ended = main(arguments)
        except SystemExit as stop:
            ended = stop.code  # type: ignore[assignment]
    text = capsys.readouterr().err
    assert ended == code and "Traceback" not in text, text
    # A progress bar may have been drawn before the mistake was seen.
    lines = [line for line in text.splitlines() if line.strip() and not PROGRESS.search(line)]
    assert len(lines) == 1 and lines[0].startswith("cldis"), text
    return lines[0]
