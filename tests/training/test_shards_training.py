"""Training on shards: a run that was killed, or lost a shard, ends as one that did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cldis.data import open_data
from cldis.data.shards import Shards
from cldis.training.run_data import open_run_data
from cldis.training.run_folder import RunFolder
from cldis.training.trainer import Trainer
from support.shards import EACH, shards
from training.driver import DONE
from training.harness import SIGKILL, Server, assert_same, config

BAD = frozenset({3, 4, 40})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shards(tmp_path_factory.mktemp("data") / "many", 5, BAD)


@pytest.fixture(scope="module")
def whole(server: Server, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert server.run(out, data=f"stream:{folder}") == DONE
    return out


def test_killed_and_resumed(server: Server, folder: Path, whole: Path, tmp_path: Path) -> None:
    out, data = tmp_path / "run", f"stream:{folder}"
    assert server.run(out, data=data, at=["step", 6, SIGKILL]) == -SIGKILL
    assert server.run(out, data=data, resume=True) == DONE
    assert_same(whole, out)
    for run in (whole, out):  # 96 of 57 images: all were seen
        listed = (run / "skipped.tsv").read_text().split("\n")[1:-1]
        assert sorted(line.split("\t")[0] for line in listed) == [
            f"{k // EACH:03d}.tar/{k:06d}.png" for k in sorted(BAD)
        ]


class Losing(Trainer):
    """Loses a shard after the sixth step."""

    def step(self, step: int) -> None:
        if step == 6:
            assert isinstance(self.source, Shards)
            path = self.source.index.paths[2]
            path.rename(path.with_suffix(".gone"))
        super().step(step)


def test_a_shard_vanishes_half_way(folder: Path, whole: Path, tmp_path: Path) -> None:
    """In a line; the last checkpoint stands, and with the shard back the run ends as ever."""
    source = open_data(f"stream:{folder}", 32)
    run = RunFolder.create(tmp_path / "run", config(), source, f"stream:{folder}")
    with pytest.raises(OSError, match=r"002\.tar cannot be read any more"):
        Losing(run, source, quiet=True).fit()
    (folder / "002.gone").rename(folder / "002.tar")
    again = Trainer(RunFolder.open(run.path), open_data(f"stream:{folder}", 32), quiet=True)
    again.resume()
    assert again.images == 32 and again.fit()
    assert_same(whole, run.path)


@pytest.mark.parametrize("start", ["", "stream:"])
def test_a_run_finds_its_shards_again(tmp_path: Path, start: str) -> None:
    """Also when both were moved, and only if they are its own."""
    home, moved = tmp_path / "home", tmp_path / "moved"
    data = f"{start}{shards(home / 'many', 3)}"
    source = open_data(data, 32)
    RunFolder.create(home / "run", config(), source, data)
    home.rename(moved)
    run = RunFolder.open(moved / "run")
    assert open_run_data(run).fingerprint == source.fingerprint
    shards(home / "many", 2)  # others where they were
    assert open_run_data(run).fingerprint == source.fingerprint
    pattern = f"{start}{moved}/many/{{000..002}}.tar"
    assert open_run_data(run, pattern).fingerprint == source.fingerprint
    assert open_run_data(RunFolder.open(run.path)).fingerprint == source.fingerprint
    (moved / "many" / "002.tar").unlink()
    with pytest.raises(ValueError, match="are not there any more; name the images with --data"):
        open_run_data(RunFolder.open(run.path))
    shards(moved / "many", 3, frozenset({30}))
    with pytest.raises(ValueError, match="does not hold the images"):
        open_run_data(RunFolder.open(run.path))
