"""The diffusers pipeline gives what the model gives, also after a round trip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image

from cldis.data.decode import decode_image
from cldis.hub import CLDisPipeline
from cldis.images import to_model, to_uint8
from cldis.io import read_json, write_json
from cldis.model import Model, Origin
from cldis.navigation.directions import Directions
from cldis.navigation.store import save_directions
from loop.small import small_loop
from support.command import refused

UNITS, SIDE, STEPS = 4, 16, 3
STD = torch.tensor([0.5, 1.0, 2.0, 0.25])


@pytest.fixture
def model(tmp_path: Path) -> Model:
    loop = small_loop(scale=0.1)
    folder = Model(loop, torch.zeros(UNITS), STD).save_pretrained(tmp_path / "saved")
    save_directions(folder, Directions.random(UNITS, 2, 0).named(1, "smile"), {})
    return Model(loop, torch.zeros(UNITS), STD, origin=Origin(folder, None))


def photo(seed: int = 0, size: tuple[int, int] = (40, 24)) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 255, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)


def pixels(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def test_it_edits_as_the_model_does(model: Model) -> None:
    pipe, photos = CLDisPipeline.of(model), [photo(0), photo(1)]
    x = to_model(np.stack([decode_image(p, SIDE) for p in photos]))
    made = pipe(photos, shifts={2: 1.5}, num_inference_steps=STEPS).images
    wanted = to_uint8(model.edit(x, {2: 1.5}, STEPS)).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(pixels(made), wanted)
    one = pipe(photos[0], shifts={2: 1.5}, num_inference_steps=STEPS)
    assert len(one.images) == 1 and one.images[0].size == (SIDE, SIDE)


def test_directions_go_by_number_or_name_and_add_to_shifts(model: Model) -> None:
    pipe = CLDisPipeline.of(model)
    named, numbered = (
        pixels(pipe(photo(), directions={key: 2.0}, num_inference_steps=STEPS).images)
        for key in ("Smile", 1)
    )
    assert np.array_equal(named, numbered)
    x = to_model(decode_image(photo(), SIDE)[None])
    stored = Directions.random(UNITS, 2, 0)
    change = stored.shift(STD, {1: 2.0}) + model.shift({0: 1.0})
    both = pipe(photo(), {0: 1.0}, {"smile": 2.0}, STEPS).images
    assert np.array_equal(
        pixels(both)[0], to_uint8(model.move(x, change, STEPS))[0].permute(1, 2, 0)
    )


def test_a_round_trip_through_diffusers_changes_nothing(model: Model, tmp_path: Path) -> None:
    pipe = CLDisPipeline.of(model)
    pipe.save_pretrained(tmp_path / "pipe")
    assert (tmp_path / "pipe" / "model_index.json").is_file()
    back = CLDisPipeline.from_pretrained(tmp_path / "pipe")
    for name, tensor in model.loop.state_dict().items():
        assert torch.equal(tensor, back.model.cldis.loop.state_dict()[name])
    asked: dict[str, Any] = {"directions": {"smile": 2.0}, "num_inference_steps": STEPS}
    assert np.array_equal(
        pixels(pipe(photo(), **asked).images), pixels(back(photo(), **asked).images)
    )
    moved = back.to("cpu")
    assert np.array_equal(
        pixels(moved(photo(), **asked).images), pixels(pipe(photo(), **asked).images)
    )


@pytest.mark.parametrize("kind", ["model", "pipeline"])
def test_diffusers_opens_by_name_what_either_saved(model: Model, tmp_path: Path, kind: str) -> None:
    pipe, folder = CLDisPipeline.of(model), tmp_path / "shared"
    (model if kind == "model" else pipe).save_pretrained(folder)
    asked: dict[str, Any] = {"directions": {"smile": 2.0}, "num_inference_steps": STEPS}
    wanted = pixels(pipe(photo(), **asked).images)
    for opener in (DiffusionPipeline, CLDisPipeline):
        opened = opener.from_pretrained(str(folder))
        assert isinstance(opened, CLDisPipeline)
        assert np.array_equal(pixels(opened(photo(), **asked).images), wanted)


def test_it_takes_and_gives_what_other_pipelines_do(model: Model) -> None:
    pipe, photos = CLDisPipeline.of(model), [photo(0), photo(1)]
    asked: dict[str, Any] = {"shifts": {2: 1.5}, "num_inference_steps": STEPS}
    wanted = pixels(pipe(photos, **asked).images)
    array = pipe(photos, **asked, output_type="np").images
    assert array.dtype == np.float32 and array.shape == (2, SIDE, SIDE, 3)
    assert np.array_equal((array * 255).round().astype(np.uint8), wanted)
    tensor = pipe(photos, **asked, output_type="pt").images
    assert tensor.shape == (2, 3, SIDE, SIDE)
    assert np.array_equal(tensor.permute(0, 2, 3, 1).numpy(), array)
    (images,) = pipe(photos, **asked, return_dict=False)
    assert np.array_equal(pixels(images), wanted)
    generator = torch.Generator().manual_seed(7)
    state = generator.get_state()
    again = pipe(photos, **asked, generator=generator)
    assert np.array_equal(pixels(again.images), wanted)
    assert torch.equal(generator.get_state(), state)  # as documented, nothing is drawn


def test_a_strange_index_names_no_class_to_import(model: Model, tmp_path: Path) -> None:
    folder = model.save_pretrained(tmp_path / "shared")
    index = read_json(folder / "model_index.json")
    for wrong in (
        [],
        {**index, "_class_name": "StableDiffusionPipeline"},
        {**index, "model": ["somewhere.else", "CLDisComponent"]},
        {**index, "extra": ["somewhere.else", "Thing"]},
    ):
        write_json(folder / "model_index.json", wrong)
        with pytest.raises(ValueError, match="is not of a CL-Dis pipeline"):
            CLDisPipeline.from_pretrained(folder)


def test_mistakes_are_one_line(model: Model, tmp_path: Path) -> None:
    pipe = CLDisPipeline.of(model)
    bare = CLDisPipeline.of(Model(model.loop, model.unit_mean, model.unit_std))
    older = model.save_pretrained(tmp_path / "older")
    (older / "model_index.json").unlink()
    pipe.save_pretrained(tmp_path / "pipe")
    calls = {
        "PIL": lambda: pipe("photo.jpg"),
        "none": lambda: pipe([]),
        "unit 9": lambda: pipe(photo(), shifts={9: 1.0}),
        "'grin'": lambda: pipe(photo(), directions={"grin": 1.0}),
        "twice": lambda: pipe(photo(), directions={"smile": 1.0, 1: 1.0}),
        "cldis navigate": lambda: bare(photo(), directions={0: 1.0}),
        "one of pil, np, pt": lambda: pipe(photo(), output_type="jpeg"),
        "1..1000": lambda: pipe(photo(), num_inference_steps=0),
        "model_index.json": lambda: CLDisPipeline.from_pretrained(older),
        "is no folder here": lambda: CLDisPipeline.from_pretrained("someone/some-model"),
        "diffusers pipeline": lambda: Model.from_pretrained(tmp_path / "pipe"),
    }
    for words, call in calls.items():
        refused(call, words)
