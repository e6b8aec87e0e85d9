"""The look of the explorer: fonts of the machine itself, nothing from outside. And Ctrl+V."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ASSETS = Path(__file__).parent / "assets"
FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "DejaVu Sans", "sans-serif")
MONO = ("ui-monospace", "DejaVu Sans Mono", "monospace")


def theme() -> Any:
    import gradio as gr

    return gr.themes.Default(
        primary_hue="blue", neutral_hue="slate", font=list(FONT), font_mono=list(MONO)
    )


def css() -> str:
    return (ASSETS / "explorer.css").read_text("utf-8")


def paste_script() -> str:
    """JavaScript that Gradio runs when the page is loaded: Ctrl+V pastes a photo."""
    return (ASSETS / "paste.js").read_text("utf-8")
