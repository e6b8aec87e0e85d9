"""Serving the explorer: loopback unless told otherwise, a password elsewhere, no trace after."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

LOOPBACK = ("127.0.0.1", "localhost")
PASSWORD = "CLDIS_EXPLORE_PASSWORD"
SHORTEST = 12  # characters of a password
PORTS = range(7860, 7900)
WAITING = 64  # requests that may wait
FILES = ("/gradio_api/file=", "/gradio_api/file/")  # where Gradio hands out its files


def explore(run: str | Path, host: str, port: int | None, password_file: str | None) -> None:
    """Serve a run until Ctrl-C.

    Args:
        host: a loopback address, or another one, which demands a password.
        port: None takes the first free one from 7860 on.
        password_file: holds the password; None takes it from `$CLDIS_EXPLORE_PASSWORD`.

    Raises:
        ValueError: no such run, no password where one is needed, a port in use, or no Gradio.
    """
    password = read_password(host, password_file)
    port = free_port(host, port)
    # Asked to end, it cleans up as it does after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="cldis-explore-"))
    try:
        prepare(folder)
        from cldis.explorer.studio import Studio

        print("opening the run and measuring what each direction changes", flush=True)
        page = launch(Studio.open(run), host, port, password)
        try:
            print(f"open http://{host}:{port} in a browser; Ctrl-C ends", flush=True)
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            print("ended", flush=True)
        finally:
            page.close(verbose=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path) -> None:
    """Set Gradio up, before it is imported: its files in `folder`, nothing sent anywhere.

    Raises:
        ValueError: Gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Gradio asks its own server whether it is there; that must not go through a proxy.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name, ""), *LOOPBACK]))
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise ValueError(
            "the explorer needs Gradio; install it with: pip install 'cldis[explore]'"
        ) from None


def launch(studio: Any, host: str, port: int, password: str | None) -> Any:
    """Start the server in threads of its own; returns the page, which has `close`."""
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from cldis.explorer.door import Door
    from cldis.explorer.page import build
    from cldis.explorer.style import css, paste_script, theme
    from cldis.explorer.uploads import MAX_BYTES

    # A page elsewhere that points its own name at this machine must not be let in.
    hosts = list(LOOPBACK) if host in LOOPBACK else ["*"]
    locked = [] if password is None else [Middleware(Door, password=password)]
    page = build(studio)
    page.queue(api_open=False, max_size=WAITING)
    page.launch(
        server_name=host,
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
                Middleware(TrustedHostMiddleware, allowed_hosts=hosts),
                *locked,
                Middleware(NoUploadsBack),
            ]
        },
    )
    return page


class NoUploadsBack:
    """ASGI middleware: no uploaded file is handed out, not even to the page that sent it.

    Gradio's parts ask for a preview of what was just sent. It may be read and removed before that
    answer is under way, which would then break off; and nobody is to see another's photo.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"].startswith(FILES):
            from starlette.responses import PlainTextResponse

            answer = PlainTextResponse("uploads are not handed out", status_code=404)
            await answer(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def read_password(host: str, file: str | None) -> str | None:
    """The password from a file, else from the environment.

    Raises:
        ValueError: none where one is needed, or too short.
    """
    if file is not None:
        if not Path(file).is_file():
            raise ValueError(f"--password-file {file} does not exist")
        password: str | None = Path(file).read_text(encoding="utf-8").strip()
    else:
        password = os.environ.get(PASSWORD)
    if password is None:
        if host not in LOOPBACK:
            raise ValueError(
                f"--host {host} lets other machines in, which needs a password: give "
                f"--password-file FILE or set {PASSWORD}"
            )
        return None
    if len(password) < SHORTEST:
        raise ValueError(f"the password has fewer than {SHORTEST} characters; choose a longer one")
    return password


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
