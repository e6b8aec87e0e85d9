"""The Hugging Face Hub: fetch a saved model, send one. Every failure is one clear line."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from cldis.hub.facts import Savable
from cldis.hub.folder import AUTOENCODER, FILES, save_model
from cldis.io import NO_SPACE, user_path

REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9_][\w.-]*")
PATIENCE = 10  # seconds for the first answer
Answer = TypeVar("Answer")


def local_folder(
    name: str | Path,
    revision: str | None = None,
    token: str | None = None,
    files: tuple[str, ...] = (*FILES, *AUTOENCODER),
) -> Path:
    """`name` itself when it is a folder here, else a repository of the Hub, fetched to its cache.

    Raises:
        ValueError: neither, or the Hub does not give it.
        OSError: the disk is full.
    """
    path = user_path(name)
    if path.exists():
        if revision is not None:
            raise ValueError(
                f"{name} is a folder here, so revision={revision!r} means nothing; leave it out"
            )
        return path
    if not REPOSITORY.fullmatch(str(name)):
        raise ValueError(
            f"{name} does not exist here, and is no repository of the Hub either (owner/name)"
        )
    hub = _hub()
    fetched = _asked(
        f"{name} is no folder here, and the Hub does not give it",
        "check the name and the network, log in for a private one (`hf auth login`), or give a "
        "folder",
        lambda: hub.snapshot_download(
            str(name),
            revision=revision,
            token=token,
            allow_patterns=list(files),
            etag_timeout=PATIENCE,
            library_name="cldis",
        ),
    )
    return Path(fetched)


def push_model(
    model: Savable,
    repo_id: str,
    licence: str | None = None,
    private: bool = False,
    token: str | None = None,
    message: str = "Upload a CL-Dis model",
) -> str:
    """Save a model to a repository of the Hub, made if it is new; returns its address.

    Raises:
        ValueError: not of the form owner/name, or the Hub does not take it.
    """
    if not REPOSITORY.fullmatch(repo_id):
        raise ValueError(f"repository {repo_id!r} is not of the form owner/name")
    hub = _hub()
    with tempfile.TemporaryDirectory() as temporary:
        folder = save_model(model, Path(temporary) / "model", licence)

        def send() -> str:
            api = hub.HfApi(token=token)
            made = api.create_repo(repo_id, private=private, exist_ok=True)
            api.upload_folder(repo_id=repo_id, folder_path=str(folder), commit_message=message)
            return str(made)

        return _asked(
            f"the Hub does not take {repo_id}",
            "check the network and that you may write there (`hf auth login`)",
            send,
        )


def _asked(what: str, fix: str, ask: Callable[[], Answer]) -> Answer:
    """The answer of the Hub, or one line on why there is none."""
    try:
        return ask()
    except Exception as error:  # network, rights, names: each library below raises its own types
        if isinstance(error, OSError) and error.errno in NO_SPACE:
            raise
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        raise ValueError(f"{what} ({reason or type(error).__name__}); {fix}") from None


def _hub() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError("the Hub needs an extra: pip install 'cldis[hub]'") from None
    return huggingface_hub
