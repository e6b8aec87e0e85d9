"""Learning A and the predictor, on a decoder whose factors are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from cldis.model import Model
from cldis.navigation.decoder import few_step_decoder
from cldis.navigation.recognition import Recognition
from cldis.navigation.train import Init, NavigationConfig, Navigator, orthogonal_matrix, read_config
from loop.small import small_loop
from support.painting import LIVE, UNITS, rotation, scene

CONFIG = NavigationConfig(
    LIVE, init="random", images=4800, noise_std=1.0, matrix_rate=1e-2, held_out_shifts=48
)


def purity(matrix: Tensor) -> float:
    """Of the worst column of [d, K]: its squared cosine with the live factor that it is nearest."""
    return float((rotation()[:, :LIVE].T @ matrix.detach()).square().amax(dim=0).min())


@pytest.fixture(scope="module")
def navigated(tmp_path_factory: pytest.TempPathFactory) -> Navigator:
    navigator = Navigator(scene(), CONFIG, tmp_path_factory.mktemp("navigated"), progress=False)
    assert navigator.fit()
    return navigator


def test_navigation_finds_the_factors_behind_the_rotation(navigated: Navigator) -> None:
    start = Navigator(scene(), CONFIG, navigated.folder, progress=False).matrix.weight
    assert purity(start) < 0.7
    assert purity(navigated.matrix.weight) > 0.9
    nearest = (rotation()[:, :LIVE].T @ navigated.matrix.weight.detach()).square().argmax(dim=0)
    assert sorted(nearest.tolist()) == [0, 1]


def test_columns_stay_orthonormal(navigated: Navigator) -> None:
    weight = navigated.matrix.weight.detach()
    torch.testing.assert_close(weight.T @ weight, torch.eye(LIVE), atol=1e-4, rtol=0)


def test_live_directions_are_recognised_far_above_chance(navigated: Navigator) -> None:
    found = navigated.recognise()
    assert sorted(found.recognised()) == [0, 1]
    assert min(found.accuracy) > 0.8 and min(found.sign) > 0.8
    assert navigated.recognise() == found


def test_dead_directions_are_dropped_even_when_told_apart_by_being_dead(tmp_path: Path) -> None:
    """A = I over two live units and one dead one: 'nothing changed' gives the dead one away."""
    config = replace(CONFIG, directions=3, init="identity", learn=False, noise_std=0.1, images=3200)
    navigator = Navigator(scene(torch.eye(UNITS)), config, tmp_path, progress=False)
    before = navigator.matrix.weight.detach().clone()
    navigator.fit()
    found = navigator.recognise()
    assert torch.equal(navigator.matrix.weight.detach(), before)
    assert found.accuracy[2] > 0.6
    assert sorted(found.recognised()) == [0, 1]


@pytest.mark.parametrize(
    "accuracy, sign, no_shift, alive",
    [
        (1.0, 1.0, 1.0, True),
        (0.25, 1.0, 0.0, False),
        (1.0, 0.5, 1.0, False),  # named by having changed nothing
        (1.0, 0.5, 0.97, False),
        (1.0, 0.5, 0.0, True),  # a circle of hues: seen, and its sign is not
        (0.5, 0.8, 0.5, True),
        (0.5, 0.5, 0.4, False),
        (0.3, 0.9, 0.0, False),
    ],
)
def test_named_and_moving_something(
    accuracy: float, sign: float, no_shift: float, alive: bool
) -> None:
    others = [0.0, 1 - no_shift, 0.0]
    found = Recognition(
        96,
        [1.0, accuracy, 0.9, 0.9],
        [0.99, sign, 0.9, 0.9],
        [0.1] * 4,
        [others[0], no_shift, *others[1:]],
    )
    assert (1 in found.recognised()) == alive
    assert found.recognised()[0] == (0 if sign < 1 or accuracy < 1 else 1)


def test_a_lone_direction_is_judged_by_its_sign() -> None:
    assert Recognition(96, [1.0], [0.5], [0.0], [1.0]).recognised() == []
    assert Recognition(96, [1.0], [0.9], [0.1], [1.0]).recognised() == [0]


def test_a_circle_is_recognised_though_its_sign_is_not(tmp_path: Path) -> None:
    """The first unit turns a hue by half a circle either way, which looks the same."""
    config = replace(CONFIG, directions=2, init="identity", learn=False, noise_std=0.1, images=1600)
    plain = scene(torch.eye(UNITS))

    def folded(z: torch.Tensor, x_T: torch.Tensor) -> torch.Tensor:
        z = torch.cat([torch.cos(2 * z[:, :1]), z[:, 1:]], dim=1)
        return plain.decode(z, x_T)

    codes, held_out = (c * (torch.arange(UNITS) > 0) for c in (plain.codes, plain.held_out))
    made = plain._replace(decode=folded, codes=codes, held_out=held_out)
    navigator = Navigator(made, config, tmp_path, progress=False)
    navigator.fit()
    found = navigator.recognise()
    assert 0.3 < found.sign[0] < 0.7
    assert sorted(found.recognised()) == [0, 1]


@pytest.mark.parametrize("init", ["identity", "random", "pca"])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_every_start_is_orthonormal(init: Init, count: int, tmp_path: Path) -> None:
    config = NavigationConfig(directions=count, init=init, images=1)
    weight = Navigator(scene(), config, tmp_path, progress=False).matrix.weight.detach()
    torch.testing.assert_close(weight.T @ weight, torch.eye(count), atol=1e-5, rtol=0)


def test_identity_takes_the_units_that_vary_most(tmp_path: Path) -> None:
    wide = scene()._replace(unit_std=torch.tensor([0.0, 2.0, 0.1, 3.0]))
    weight = Navigator(wide, NavigationConfig(2), tmp_path, progress=False).matrix.weight.detach()
    torch.testing.assert_close(weight, torch.eye(4)[:, [1, 3]])


def test_matrix_keeps_orthonormal_columns_under_large_steps() -> None:
    matrix = orthogonal_matrix(torch.eye(6)[:, :3])
    with torch.no_grad():
        for parameter in matrix.parameters():
            parameter += torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(matrix.weight.T @ matrix.weight, torch.eye(3), atol=1e-5, rtol=0)
    assert float((matrix.weight - torch.eye(6)[:, :3]).detach().norm()) > 0.5


def test_resume_is_bit_for_bit(tmp_path: Path) -> None:
    config = replace(CONFIG, images=320)
    whole = Navigator(scene(), config, tmp_path / "whole", progress=False)
    assert whole.fit()

    part = Navigator(scene(), config, tmp_path / "part", progress=False)
    learn, count = part.learn, 0
    assert part.predictor_alone == 3  # A learns on both sides of the interruption

    def interrupted() -> tuple[float, float]:
        nonlocal count
        count += 1
        if count == 5:
            part.ask_to_stop()
        return learn()

    part.learn = interrupted  # type: ignore[method-assign]
    assert not part.fit() and part.step == 5
    assert read_config(tmp_path / "part") == config
    rest = Navigator(scene(), read_config(tmp_path / "part"), tmp_path / "part", progress=False)
    rest.resume()
    assert rest.step == 5 and rest.fit()
    for name, value in whole.net.state_dict().items():
        assert torch.equal(value, rest.net.state_dict()[name]), name
    assert rest.recognise() == whole.recognise()
    name = "state.safetensors"
    assert (tmp_path / "part" / name).stat().st_size == (tmp_path / "whole" / name).stat().st_size


def test_a_state_with_the_earlier_names_of_its_settings_is_read(tmp_path: Path) -> None:
    config = replace(CONFIG, images=32, predictor_alone=0.4)
    Navigator(scene(), config, tmp_path, progress=False).fit()
    path = tmp_path / "state.safetensors"
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        text = file.metadata()["state"]
    text = text.replace('"noise_std"', '"grain"').replace('"predictor_alone"', '"lead"')
    path.write_bytes(save(tensors, metadata={"state": text}))
    assert read_config(tmp_path) == config


def test_a_state_of_another_checkpoint_is_refused(tmp_path: Path) -> None:
    config = replace(CONFIG, images=32)
    Navigator(scene(), config, tmp_path, progress=False).fit()
    later = Navigator(scene()._replace(checkpoint="000000000002"), config, tmp_path, progress=False)
    with pytest.raises(ValueError, match="000000000001.*000000000002"):
        later.resume()
    with pytest.raises(ValueError, match="no unfinished navigation"):
        read_config(tmp_path / "nothing")


def test_nowhere_to_go(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"5 directions.*1\.\.4"):
        Navigator(scene(), NavigationConfig(5), tmp_path)
    with pytest.raises(ValueError, match="no unit of the code varies"):
        Navigator(scene()._replace(unit_std=torch.zeros(UNITS)), NavigationConfig(2), tmp_path)
    with pytest.raises(ValueError, match="at least 1"):
        Navigator(scene(), NavigationConfig(2, images=0), tmp_path)
    blank = scene()._replace(decode=lambda z, x_T: z.sum() * torch.nan * x_T)
    with pytest.raises(RuntimeError, match="not finite"):
        Navigator(blank, NavigationConfig(2, images=32), tmp_path, progress=False).fit()


@pytest.mark.parametrize("method", ["closed", "vae"])
def test_decoder_passes_gradients_and_leaves_the_model_alone(method: str) -> None:
    loop = small_loop(f"method={method}")
    model = Model(loop, torch.zeros(4), torch.ones(4))
    weights = {name: value.clone() for name, value in loop.state_dict().items()}
    decode = few_step_decoder(model, 3)
    x_T = model.random_start(2, seed=1)
    z = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    moved = z.clone().requires_grad_()
    images = decode(moved, x_T)
    images.square().sum().backward()
    assert moved.grad is not None and float(moved.grad.abs().sum()) > 0
    assert all(parameter.grad is None for parameter in loop.parameters())
    assert all(torch.equal(value, loop.state_dict()[name]) for name, value in weights.items())
    with torch.no_grad():
        plain = decode(z, x_T)
    torch.testing.assert_close(plain, images.detach())
    if method == "closed":
        torch.testing.assert_close(plain, model.decode(z, x_T, 3))
