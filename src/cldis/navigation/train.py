"""Learns A and the predictor together; both branches of the model stay as they are.

z' = z + unit_std * A(eps e_k);  x, x' decoded from one x_T;  (A, R) <- CE(k) + .25 |eps_R - eps|

as Voynov & Babenko 2020 do for GANs, with A orthogonal.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from cldis.config import one_line
from cldis.io import write_bytes
from cldis.navigation.decoder import Decode
from cldis.navigation.directions import Directions, check_count
from cldis.navigation.predictor import Predictor, navigation_loss
from cldis.navigation.recognition import Recognition, RecognitionCounts, held_out_rows
from cldis.progress import progress_bar
from cldis.training.checkpoint import described, load_into, load_optimizer, optimizer_tensors
from cldis.training.contents import Checkpoint, Content, Count, checked
from cldis.training.interrupts import Interrupts
from cldis.training.sampler import step_seed

Init = Literal["identity", "random", "pca"]
INITS: tuple[Init, ...] = ("identity", "random", "pca")
STATE = "state.safetensors"
SAVE_EVERY = 50  # steps
AFRESH = "remove it and navigate afresh"
Some = Annotated[int, Field(ge=1, le=2**31)]
RENAMED = {"grain": "noise_std", "lead": "predictor_alone"}  # as earlier states call them
HELD_OUT_STREAM = 2**40  # a step number that no training reaches: its own random numbers


@dataclass(frozen=True)
class NavigationConfig:
    """How to navigate. Amounts of shifts are in standard deviations of the code."""

    directions: Some  # K
    init: Init = "identity"
    images: Some = 12_800  # pairs to see
    learn: bool = True  # False keeps A as it starts, which is the control
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    batch: Some = 32
    steps: Some = 4  # of the decoder
    least: float = 0.5  # eps_min
    reach: float = 3.0  # eps_max
    noise_std: float = 0.3  # noise on both images, of a range of 2: faint changes shall not count
    predictor_alone: float = 0.3  # share of the steps in which only the predictor learns
    predictor_rate: float = 1e-3
    matrix_rate: float = 3e-3
    held_out_shifts: Some = 96  # per direction


class State(Content):
    """The metadata of `state.safetensors`."""

    step: Count
    checkpoint: Checkpoint
    recipe: dict[str, Any]  # see `read_config`


class Scene(NamedTuple):
    """Where to navigate: a frozen decoder and the codes of images."""

    decode: Decode
    codes: Tensor  # [n, d], of training images
    held_out: Tensor  # [m, d]
    unit_std: Tensor  # [d]
    resolution: int
    start_shape: tuple[int, int, int]  # of one x_T
    device: torch.device
    checkpoint: str  # of the model; a state of another one is refused


class Pairs(NamedTuple):
    """Images before and after a shift, with noise."""

    x: Tensor  # [n, 3, H, W]
    moved: Tensor  # likewise
    k: Tensor  # [n] int64
    eps: Tensor  # [n]
    change: Tensor  # [n], mean |x' - x| without the noise


class Navigator:
    """Trains A and the predictor on a scene, with its state in `folder`.

    Raises:
        ValueError: more directions than units, or codes that do not vary.
    """

    def __init__(
        self, scene: Scene, config: NavigationConfig, folder: Path, progress: bool = True
    ) -> None:
        self.scene, self.config, self.folder, self.progress = scene, config, folder, progress
        check_count(config.directions, scene.codes.shape[1])
        if config.images < 1:
            raise ValueError(f"{config.images} images are too few to navigate; give at least 1")
        if not bool((scene.unit_std > 0).any()):
            raise ValueError(
                "no unit of the code varies over the training images, so there is nowhere to go: "
                "the images are all alike, or the code has collapsed"
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.matrix = orthogonal_matrix(starting_matrix(scene, config))
            self.predictor = Predictor(scene.resolution, config.directions)
        self.net = nn.ModuleDict({"matrix": self.matrix, "predictor": self.predictor})
        self.matrix.requires_grad_(config.learn)
        self.net.to(scene.device)
        self.unit_std = scene.unit_std.to(scene.device)
        self.names = [name for name, _ in self.net.named_parameters()]
        self.optimizer = torch.optim.Adam(
            [
                {"params": list(self.matrix.parameters()), "lr": config.matrix_rate},
                {"params": list(self.predictor.parameters()), "lr": config.predictor_rate},
            ]
        )
        self.step, self.steps = 0, math.ceil(config.images / config.batch)
        self.predictor_alone = math.ceil(config.predictor_alone * self.steps)
        self.stop = False

    def fit(self) -> bool:
        """Train to `config.images`; False when interrupted. The state is saved either way.

        Raises:
            RuntimeError: the loss is not finite; the last saved state is good.
            OSError: the state could not be written; the one before is good.
        """
        batch = self.config.batch
        done = self.step * batch
        bar = progress_bar(self.steps * batch, "navigate", "pairs", not self.progress, done)
        with Interrupts(self.ask_to_stop), bar:
            while self.step < self.steps and not self.stop:
                loss, accuracy = self.learn()
                self.step += 1
                bar.update(batch)
                bar.set_postfix_str(f"loss {loss:.3f}, recognised {accuracy:.2f}", refresh=False)
                if self.step == self.steps or self.stop or self.step % SAVE_EVERY == 0:
                    self.save()
        return self.step >= self.steps

    def learn(self) -> tuple[float, float]:
        """One step; the loss, and the share of the batch whose direction the predictor names."""
        config, device = self.config, self.scene.device
        generator = torch.Generator().manual_seed(step_seed(config.seed, self.step))
        k = torch.randint(config.directions, (config.batch,), generator=generator)
        pairs = self.pairs(self.scene.codes, k.to(device), generator)
        # Seen from its end, a shift is the opposite one: a second pair for no further decoding.
        first, second = torch.cat([pairs.x, pairs.moved]), torch.cat([pairs.moved, pairs.x])
        both_k, both_eps = pairs.k.repeat(2), torch.cat([pairs.eps, -pairs.eps])
        logits, amount = self.predictor(first, second)
        loss = navigation_loss(logits, amount, both_k, both_eps)
        if not bool(torch.isfinite(loss)):
            raise RuntimeError(
                f"the loss of navigation is not finite after {self.step * config.batch} pairs; "
                f"check the run with `cldis info`: its decoder may give NaN"
            )
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        accuracy = (logits.argmax(dim=1) == both_k).float().mean()
        return float(loss.detach()), float(accuracy)

    def pairs(
        self, codes: Tensor, k: Tensor, generator: torch.Generator, moved: bool = True
    ) -> Pairs:
        """Codes drawn from `codes`, shifted along directions k [n], or left; gradients reach A."""
        config, device, n = self.config, self.scene.device, len(k)
        side = self.scene.resolution
        z = codes[torch.randint(len(codes), (n,), generator=generator)].to(device)
        far = config.least + (config.reach - config.least) * torch.rand(n, generator=generator)
        sign = torch.randint(2, (n,), generator=generator) * 2 - 1
        eps = (far * sign * moved).to(device)
        x_T = torch.randn(n, *self.scene.start_shape, generator=generator).to(device)
        noise = config.noise_std * torch.randn(2, n, 3, side, side, generator=generator).to(device)
        with torch.no_grad():
            x = self.scene.decode(z, x_T)
        # What an untaught predictor asks of A is noise, and dear: it takes a pass back through the
        # decoder.
        A = self.matrix.weight if self.step >= self.predictor_alone else self.matrix.weight.detach()
        z_moved = z + self.unit_std * (eps[:, None] * A.T[k])
        x_moved = self.scene.decode(z_moved, x_T)
        change = (x_moved.detach() - x).abs().mean(dim=(1, 2, 3))
        return Pairs(x + noise[0], x_moved + noise[1], k, eps, change)

    @torch.no_grad()
    def recognise(self) -> Recognition:
        """The predictor on shifts of held-out codes; the same numbers at every call."""
        config, device = self.config, self.scene.device
        generator = torch.Generator().manual_seed(step_seed(config.seed, HELD_OUT_STREAM))
        counts = RecognitionCounts(config.directions)
        for k in held_out_rows(config.directions, config.held_out_shifts, 2 * config.batch):
            pairs = self.pairs(self.scene.held_out, k.to(device), generator)
            logits, amount = self.predictor(pairs.x, pairs.moved)
            counts.add(pairs.k, pairs.eps, logits, amount, pairs.change)
        for k in torch.zeros(config.held_out_shifts, dtype=torch.int64).split(2 * config.batch):
            pairs = self.pairs(self.scene.held_out, k.to(device), generator, moved=False)
            counts.add_no_shift(self.predictor(pairs.x, pairs.moved)[0])
        return counts.done()

    @torch.no_grad()
    def directions(self, chosen: list[int], accuracy: list[float]) -> Directions:
        """Columns `chosen` of A, in that order, each with the predictor's accuracy."""
        matrix = self.matrix.weight.detach().cpu()[:, chosen].contiguous()
        origin = "navigated" if self.config.learn else self.config.init
        return Directions(matrix, origin, {}, [accuracy[k] for k in chosen])

    def ask_to_stop(self) -> None:
        """Save and stop after this step."""
        self.stop = True

    def save(self) -> None:
        """Write all state in one atomic file."""
        tensors = {f"net|{name}": value for name, value in self.net.state_dict().items()}
        slots = optimizer_tensors(self.optimizer, self.names)
        tensors |= {f"adam|{name}": value for name, value in slots.items()}
        plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        record = {
            "step": self.step,
            "checkpoint": self.scene.checkpoint,
            "recipe": asdict(self.config),
        }
        data = save(plain, metadata={"state": json.dumps(record, allow_nan=False)})
        write_bytes(self.folder / STATE, data)

    def resume(self) -> None:
        """Load the saved state.

        Raises:
            ValueError: none there, damaged, or of another checkpoint of the model.
        """
        record, tensors = read_state(self.folder)
        if record["checkpoint"] != self.scene.checkpoint:
            raise ValueError(
                f"{self.folder / STATE} belongs to checkpoint {record['checkpoint']}, the run is "
                f"at {self.scene.checkpoint} now; remove that file and navigate afresh"
            )
        path = str(self.folder / STATE)
        load_into(self.net, _part(tensors, "net"), path)
        load_optimizer(self.optimizer, self.names, _part(tensors, "adam"), path)
        self.step = int(record["step"])


def read_config(folder: Path) -> NavigationConfig:
    """The settings of a saved state.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    settings = read_state(folder)[0]["recipe"]
    renamed = {RENAMED.get(name, name): value for name, value in settings.items()}
    try:
        return TypeAdapter(NavigationConfig).validate_python(renamed)
    except ValidationError as error:
        raise ValueError(f"{folder / STATE} is damaged: {one_line(error)}; {AFRESH}") from None


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Step, settings and checkpoint of a saved state, and its tensors.

    Raises:
        ValueError: there is none, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise ValueError(f"{folder} holds no unfinished navigation; start without --resume")
    try:
        tensors, record = described(path, "state")
    except Exception as error:  # safetensors raises its own types
        raise ValueError(f"{path} cannot be read ({error}); {AFRESH}") from None
    return checked(State, record, path, AFRESH), tensors


def starting_matrix(scene: Scene, config: NavigationConfig) -> Tensor:
    """A before training, [d, K]. `identity` takes the units that vary most."""
    d, count = len(scene.unit_std), config.directions
    if config.init == "random":
        return Directions.random(d, count, config.seed).matrix
    if config.init == "pca":
        scale = torch.where(scene.unit_std > 0, scene.unit_std, torch.inf)
        return Directions.pca(scene.codes / scale, count).matrix
    if config.init == "identity":
        largest = scene.unit_std.argsort(descending=True, stable=True)[:count]
        return torch.eye(d)[:, largest.sort().values]
    raise ValueError(f"init {config.init!r} is unknown; known: {', '.join(INITS)}")


def orthogonal_matrix(start: Tensor) -> nn.Linear:
    """A as a linear map K -> d whose weight [d, K] keeps orthonormal columns in training."""
    d, count = start.shape
    made = orthogonal(nn.Linear(count, d, bias=False), orthogonal_map="matrix_exp")
    assert isinstance(made, nn.Linear)
    made.weight = start
    return made


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}|"
    return {
        name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)
    }
