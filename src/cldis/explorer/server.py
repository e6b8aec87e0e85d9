"""Serving the explorer: loopback unless told otherwise, a token in its address, no trace after."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

LOOPBACK = ("127.0.0.1", "localhost", "::1")
PORTS = range(7860, 7900)
WAITING = 64  # requests that may wait
# Asked to end by one of these, it cleans up as it does after Ctrl-C.
ENDINGS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def explore(run: str | Path, host: str, port: int | None, data: str | None = None) -> None:
    """Serve a run until Ctrl-C.

    Args:
        host: the address to listen on; one that is not loopback lets other machines in, which
            need the printed address with its token too.
        port: None takes the first free one from 7860 on.
        data: where the images of the run are; None looks where the run says.

    Raises:
        ValueError: no such run, a port in use, or no Gradio.
    """
    port = free_port(host, port)
    for ending in ENDINGS:
        if signal.getsignal(ending) is not signal.SIG_IGN:  # as `nohup` leaves SIGHUP
            signal.signal(ending, _end)
    folder = Path(tempfile.mkdtemp(prefix="cldis-explore-"))
    try:
        prepare(folder)
        from cldis.explorer.studio import Studio

        print("opening the run and measuring what each direction changes", flush=True)
        token = secrets.token_urlsafe(16)
        page = launch(Studio.open(run, data), host, port, token, folder)
        try:
            for name in shown_names(host):
                print(f"open http://{name}:{port}/?token={token} in a browser", flush=True)
            print("this address lets in whoever has it; Ctrl-C ends", flush=True)
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            with suppress(OSError):  # the terminal may be gone
                print("ended", flush=True)
        finally:
            page.close(verbose=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(*_: object) -> NoReturn:
    """A terminal that closes sends SIGHUP, and its shell sends it again: the first one counts."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    raise KeyboardInterrupt


def prepare(folder: Path) -> None:
    """Set Gradio up, before it is imported: its files in `folder`, nothing sent anywhere.

    Raises:
        ValueError: Gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Nobody is believed who says for whom a request is: uvicorn trusts no proxy.
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    # Gradio asks its own server whether it is there; that must not go through a proxy.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name, ""), *LOOPBACK]))
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise ValueError(
            "the explorer needs Gradio; install it with: pip install 'cldis[explore]'"
        ) from None


def launch(studio: Any, host: str, port: int, token: str, folder: Path) -> Any:
    """Start the server in threads of its own; returns the page, which has `close`."""
    from starlette.middleware import Middleware

    from cldis.explorer.gate import Gate
    from cldis.explorer.inbox import Inbox
    from cldis.explorer.page import build
    from cldis.explorer.received import Received
    from cldis.explorer.style import css, paste_script, theme
    from cldis.explorer.uploads import MAX_BYTES

    received = Received(folder / "uploads")
    page = build(studio, received)
    page.queue(api_open=False, max_size=WAITING)
    page.launch(
        server_name=f"[{host}]" if ":" in host else host,
        server_port=port,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        inbrowser=False,
        max_file_size=MAX_BYTES,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css=css(),
        js=paste_script(),
        app_kwargs={
            "middleware": [
                Middleware(Gate, token=token, host=host, names=machine_names(host)),
                Middleware(Inbox, blocks=page, received=received),
            ]
        },
    )
    return page


def machine_names(host: str) -> list[str]:
    """What a browser may call this machine where the explorer listens on `host`."""
    if host in LOOPBACK:
        return list(LOOPBACK)
    name = socket.gethostname()
    return [*LOOPBACK, name, f"{name.partition('.')[0]}.local", socket.getfqdn()]


def shown_names(host: str) -> list[str]:
    """What to call the explorer in the addresses that are printed."""
    if host in ("0.0.0.0", "::"):
        return ["127.0.0.1" if host == "0.0.0.0" else "[::1]", socket.gethostname()]
    return [f"[{host}]" if ":" in host else host]


def free_port(host: str, port: int | None) -> int:
    """`port` itself, or the first free one.

    Raises:
        ValueError: in use, no port, or a host that is not this machine's.
    """
    if port is not None and not 1 <= port <= 65535:
        raise ValueError(f"--port {port} is no port; give 1 to 65535")
    reason = ""
    for candidate in PORTS if port is None else [port]:
        try:
            family = socket.getaddrinfo(host, candidate, type=socket.SOCK_STREAM)[0][0]
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
            return candidate
        except OSError as error:
            reason = str(error)
    raise ValueError(f"cannot listen on {host} port {port or PORTS}: {reason}; give another --port")
