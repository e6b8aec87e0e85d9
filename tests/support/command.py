"""What a person gets wrong: a command, or a call."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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


def refused(call: Callable[[], object], *parts: str, longest: int = 1200) -> str:
    """Make a call that must end with a `ValueError` of one line, which holds `parts`; the line."""
    with pytest.raises(ValueError) as caught:
        call()
    text = str(caught.value)
    assert text and "\n" not in text and len(text) < longest
    for part in parts:
        assert part in text, text
    return text


def without(module: str, code: str, cwd: Path | None = None) -> str:
    """What `code` prints, in a process where an import finds that `module` is not installed; a
    `ValueError` is printed."""
    code = f"try:\n    {code}\nexcept ValueError as error:\n    print(error)"
    code = f"import sys\nsys.modules[{module!r}] = None\nfrom cldis.data import open_data\n{code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()
