"""`CLDisPipeline`: encode, edit and decode a photo the way `diffusers` users expect."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from diffusers import DiffusionPipeline, ModelMixin
from diffusers.utils import BaseOutput
from PIL import Image
from torch import Tensor

from cldis.data.decode import decode_image
from cldis.hub.contents import PipelineIndex
from cldis.hub.folder import FILES, save_model, stored_directions
from cldis.hub.remote import local_folder
from cldis.images import to_model, to_uint8
from cldis.model import STEPS, Model
from cldis.navigation.store import has_directions
from cldis.training.contents import read

# diffusers opens a component of another library only where it finds ModelMixin beside its class:
# keep the import above.
Photo = Image.Image
COMPONENT = "model"


@dataclass
class CLDisOutput(BaseOutput):
    """`images`: one edited PIL picture per photo, of the model's side."""

    images: list[Image.Image]


class CLDisComponent(ModelMixin):
    """A `cldis.Model` as a component of a pipeline, stored as `Model.save_pretrained` does."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.loop = model.loop  # what `to(device)` moves
        self._model = model

    @property
    def cldis(self) -> Model:
        """The model, on the device that its networks are on.

        Raises:
            ValueError: the networks were cast away from float32.
        """
        parameter = next(self.loop.parameters())
        if str(parameter.dtype) != "torch.float32":
            raise ValueError(
                f"the pipeline was cast to {parameter.dtype}, but inversion needs float32; leave "
                f"the type out of .to(...)"
            )
        self._model.device = parameter.device
        return self._model

    def save_pretrained(self, save_directory: str | os.PathLike[str], **_: Any) -> None:
        save_model(self.cldis, Path(save_directory))

    @classmethod
    def from_pretrained(cls, name: str | os.PathLike[str], **_: Any) -> CLDisComponent:
        return cls(Model.from_pretrained(os.fspath(name)))


class CLDisPipeline(DiffusionPipeline):
    """Encode a photo, move units or directions, decode it from the same x_T.

        pipe = CLDisPipeline.of(cldis.load("runs/mine"))
        pipe(photo, shifts={3: 1.5}).images[0]
        pipe(photo, directions={"smile": 2}).images[0]

    `save_pretrained`, `from_pretrained` and `to` are those of `diffusers`; weights stay float32.
    """

    def __init__(self, model: CLDisComponent) -> None:
        super().__init__()
        self.register_modules(model=model)

    @classmethod
    def of(cls, model: Model) -> CLDisPipeline:
        """A pipeline around an opened model."""
        return cls(CLDisComponent(model))

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **options: Any
    ) -> CLDisPipeline:
        """Open a saved pipeline, here or on the Hub.

        Raises:
            ValueError: neither a folder here nor a repository that the Hub gives, no pipeline in
                it, or damaged.
        """
        files = ("model_index.json", *(f"{COMPONENT}/{name}" for name in FILES))
        revision, token = options.pop("revision", None), options.pop("token", None)
        folder = local_folder(os.fspath(pretrained_model_name_or_path), revision, token, files)
        if not (folder / "model_index.json").is_file():
            raise ValueError(
                f"{folder} holds no pipeline (no model_index.json); if it is a saved model, use "
                f"CLDisPipeline.of(cldis.Model.from_pretrained(...))"
            )
        read(PipelineIndex, folder / "model_index.json", "save the pipeline again")
        opened: CLDisPipeline = super().from_pretrained(str(folder), **options)
        return opened

    def __call__(
        self,
        image: Photo | Sequence[Photo],
        shifts: Mapping[int, float] | None = None,
        directions: Mapping[int | str, float] | None = None,
        num_inference_steps: int = STEPS,
    ) -> CLDisOutput:
        """Edited photos.

        Args:
            image: one picture or several; turned upright, cropped to the centre square and
                resized to the model's side.
            shifts: unit -> standard deviations.
            directions: number or name of a stored direction -> standard deviations.
            num_inference_steps: of the inversion and of the decode.

        Raises:
            ValueError: no picture, a unit or direction that does not exist, an amount that is not
                finite, wrong steps, or a model without a diffusion decoder.
        """
        model = self.model.cldis
        change = model.shift(shifts or {}) + self._along(model, directions or {})
        edited = model.move(self._pictures(image, model.resolution), change, num_inference_steps)
        pixels = to_uint8(edited).permute(0, 2, 3, 1).numpy()
        return CLDisOutput(images=[Image.fromarray(picture) for picture in pixels])

    def _along(self, model: Model, amounts: Mapping[int | str, float]) -> Tensor:
        if not amounts:
            return model.shift({})
        path = None if model.origin is None else model.origin.path
        if path is None or not has_directions(path):
            raise ValueError(
                "this model has no directions; run `cldis navigate` on its run and save it again, "
                "or move units with shifts"
            )
        stored = stored_directions(path, model.units)
        numbers = stored.amounts((str(key), amount) for key, amount in amounts.items())
        return stored.shift(model.unit_std, numbers)

    def _pictures(self, image: Photo | Sequence[Photo], side: int) -> Tensor:
        photos = [image] if isinstance(image, Image.Image) else list(image)
        wrong = [type(photo).__name__ for photo in photos if not isinstance(photo, Image.Image)]
        if wrong or not photos:
            raise ValueError(
                f"expected a PIL image or several, got {wrong[0] if wrong else 'none'}; open a "
                f"file with PIL.Image.open"
            )
        return to_model(np.stack([decode_image(photo, side) for photo in photos]))
