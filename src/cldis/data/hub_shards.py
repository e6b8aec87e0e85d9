"""Tar shards of a data set on the Hugging Face Hub: fetched once, as they are (the `hub` extra)."""

from __future__ import annotations

import re

from cldis.io import NO_SPACE

START = "hf://"
FORM = re.compile(r"hf://([A-Za-z0-9][\w.-]*/\w[\w.-]*)((?:/\w[\w.-]*)*)/?")
PATIENCE = 10  # seconds for the first answer


def fetched(words: str) -> str:
    """The folder of `hf://owner/name` or `hf://owner/name/FOLDER` here; other words as they are.

    Shards that are there are not fetched again, and without a network those of the last time are
    taken. They lie in the cache of `huggingface_hub`; those of other folders are left alone.

    Raises:
        ValueError: not of that form, `huggingface_hub` is not installed, or the Hub does not give
            it.
        OSError: the disk is full; shards that are whole are kept.
    """
    if not words.startswith(START):
        return words
    match = FORM.fullmatch(words)
    if match is None:
        raise ValueError(f"{words} is not of the form hf://owner/name or hf://owner/name/FOLDER")
    name, folder = match[1], match[2].removeprefix("/")
    before = f"{folder}/" if folder else ""
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ValueError(f"{words} needs an extra: pip install 'cldis[hub]'") from None
    try:
        path = snapshot_download(
            name,
            repo_type="dataset",
            allow_patterns=[f"{before}*.tar"],
            ignore_patterns=[f"{before}*/*"],
            etag_timeout=PATIENCE,
            library_name="cldis",
        )
    except Exception as error:  # network, rights, names: each library below raises its own types
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise ValueError(
            f"the Hub does not give {words} ({reason or type(error).__name__}); check the name and "
            "the network, and log in for a private one (`hf auth login`)"
        ) from None
    return f"{path}/{folder}"
