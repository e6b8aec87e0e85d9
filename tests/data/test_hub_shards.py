"""Shards of the Hub: fetched once from a server on loopback that answers as the Hub does."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cldis.data import open_data
from cldis.data.hub_shards import fetched
from cldis.data.shards import Shards
from cldis.training.run_folder import is_path
from support.shards import EACH, SIDE, png, shard, shards

COMMIT = "c" * 40
# Opens what its arguments name, and says what a run would remember of it.
OPEN = """
import json, sys
from cldis.data import open_data
for words in sys.argv[1:]:
    source = open_data(words, 16)
    print(json.dumps([source.name, len(source), source.label(7), source.fingerprint]))
"""


class Hub(http.server.ThreadingHTTPServer):
    """One data set, someone/shards: the files of a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder = folder
        self.sent: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Answer(http.server.BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        files = {
            path.relative_to(self.server.folder).as_posix(): path
            for path in self.server.folder.rglob("*")
            if path.is_file()
        }
        asked = self.path.partition("?")[0]
        resolved = re.fullmatch(rf"/datasets/someone/shards/resolve/(?:main|{COMMIT})/(.+)", asked)
        if asked.startswith("/api/datasets/someone/shards"):
            about = {"id": "someone/shards", "sha": COMMIT, "private": False, "tags": []}
            about |= {"siblings": [{"rfilename": name} for name in files]}
            if "/tree/" in asked:
                tree = [
                    {"type": "file", "path": n, "size": p.stat().st_size, "oid": "0" * 40}
                    for n, p in files.items()
                ]
                self.give(json.dumps(tree).encode(), {"Content-Type": "application/json"})
            else:
                self.give(json.dumps(about).encode(), {"Content-Type": "application/json"})
        elif resolved and resolved[1] in files:
            content = files[resolved[1]].read_bytes()
            if self.command == "GET":
                self.server.sent.append(resolved[1])
            tag = hashlib.sha256(content).hexdigest()
            self.give(content, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})
        else:
            self.send_error(404)

    def give(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    server = Hub(shards(tmp_path / "there", 2))
    others = {f"{k}.png": png(99 + k) for k in range(9)}
    shard(tmp_path / "there" / "more" / "000.tar", others)
    (tmp_path / "there" / "README.md").write_text("what this is")
    yield server
    server.shutdown()
    server.server_close()


def opened(address: str, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the client reads its address when it is imported."""
    own = {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": address, "HF_HOME": str(folder / "hub")}
    own |= {"CLDIS_CACHE": str(folder / "cache"), "NO_PROXY": "*", "HF_HUB_DISABLE_XET": "1"}
    return subprocess.run(
        [sys.executable, "-c", OPEN, *words],
        env={**os.environ, **own},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_shards_are_fetched_once_and_are_those_of_a_folder(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    here = Shards(tmp_path / "there", SIDE, tmp_path / "cache")
    address, words = f"http://127.0.0.1:{hub.server_port}", "hf://someone/shards"
    first = opened(address, tmp_path, f"stream:{words}", words)
    streamed, cached = (json.loads(line) for line in first.stdout.splitlines())
    assert streamed == ["shards", 2 * EACH, "000.tar/000007.png", here.fingerprint]
    assert cached[:3] == streamed[:3]
    assert sorted(hub.sent) == ["000.tar", "001.tar"]  # once, and neither README nor the folder
    away = opened("http://127.0.0.1:9", tmp_path, f"stream:{words}")  # nobody answers there
    assert json.loads(away.stdout) == streamed
    more = opened(address, tmp_path, f"stream:{words}/more/", f"stream:{words}/none")
    assert json.loads(more.stdout)[:2] == ["more", 9]
    line = more.stderr.strip().splitlines()[-1]
    assert line.startswith("ValueError: hf://someone/shards/none names no .tar file")
    assert hub.sent[2:] == ["more/000.tar"]


def test_a_name_that_the_hub_does_not_know_is_one_line(hub: Hub, tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    answer = opened(f"http://127.0.0.1:{hub.server_port}", tmp_path, "stream:hf://someone/else")
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("ValueError: the Hub does not give hf://someone/else (")


@pytest.mark.parametrize(
    "words", ["hf://", "hf://one", "hf://a/b/../c", "hf://a/*", "hf://a/b/{0..9}.tar"]
)
def test_other_forms_are_refused(words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not of the form hf://owner/name"):
        open_data(f"stream:{words}", SIDE, tmp_path)


def test_a_run_does_not_fetch_them_unasked() -> None:
    assert not is_path("stream:hf://someone/shards") and not is_path("hf://someone/shards")
    assert is_path("stream:folder") and fetched("stream:folder") == "stream:folder"
