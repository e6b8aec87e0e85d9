"""What is fast on a GPU is the same work: mixed images, compiled networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cldis.data.rendered.colour_mixing import ColourMixing, DeviceMixer
from cldis.data.rendered.rooms import Rooms
from cldis.images import to_model
from cldis.methods.build import build
from cldis.training import device as speed
from training.harness import TwoFactors, config, trainer

CPU = torch.device("cpu")


@given(st.lists(st.integers(0, 479_999), min_size=1, max_size=20))
def test_a_device_mixes_the_same_images(indices: list[int]) -> None:
    source = Rooms(32)
    mixed = DeviceMixer(source, CPU).batch(np.array(indices))
    assert mixed.dtype == torch.uint8
    plain = source.batch(np.array(indices)).astype(np.int64)
    apart = np.abs(mixed.numpy().astype(np.int64) - plain)
    assert apart.max() <= 1 and apart.mean() < 1e-3


def test_mixed_indices_are_checked() -> None:
    with pytest.raises(ValueError, match="number 480000 is outside"):
        DeviceMixer(Rooms(32), CPU).batch(np.array([480_000]))


def test_a_processor_takes_the_images_of_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "DeviceMixer", lambda *_: pytest.fail("mixed on a processor"))
    source, indices = Rooms(32), np.array([3, 77])
    assert torch.equal(speed.loader(source, CPU)(indices), to_model(source.batch(indices)))


def test_only_sources_with_maps_are_mixed() -> None:
    assert isinstance(Rooms(32), ColourMixing) and not isinstance(TwoFactors(), ColourMixing)


def test_compiled_networks_keep_the_names_of_their_weights() -> None:
    plain, compiled = build(config()), build(config())
    speed.compile_networks(compiled, backend="eager")
    assert list(plain.state_dict()) == list(compiled.state_dict())


@pytest.mark.parametrize("method", ["closed", "beta_vae", "encdiff"])
def test_compiled_training_takes_the_same_steps(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = speed.compile_networks
    # The default backend builds C++, which takes longer than all of these tests.
    monkeypatch.setattr(
        "cldis.training.trainer.compile_networks", lambda model: real(model, "aot_eager")
    )
    settings = [f"method={method}", "training.images=24", "model.dropout=0"]
    plain = trainer(tmp_path / "plain", *settings)
    compiled = trainer(tmp_path / "compiled", *settings, "training.compile=true")
    assert plain.fit() and compiled.fit()
    for one, other in zip(plain.raw.parameters(), compiled.raw.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
