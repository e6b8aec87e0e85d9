"""`CLDisPipeline`: encode, edit and decode a photo the way `diffusers` users expect."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import DiffusionPipeline, ModelMixin
from diffusers.utils import BaseOutput
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cldis.data.decode import decode_image
from cldis.hub.contents import INDEX
from cldis.hub.folder import AUTOENCODER, FILES, PIPELINE, save_model
from cldis.hub.remote import local_folder
from cldis.images import to_model, to_uint8
from cldis.io import read_json
from cldis.model import STEPS, Model
from cldis.navigation.store import directions_or_units, has_directions
from cldis.training.contents import LARGEST
from cldis.training.prior import load_prior

# diffusers opens a component of another library only where it finds ModelMixin beside its class:
# keep the import above.
Photo = Image.Image
COMPONENT = "model"
OUTPUTS = ("pil", "np", "pt")


@dataclass
class CLDisOutput(BaseOutput):
    """`images`: one edited picture per photo, of the model's side, as `output_type` asks."""

    images: list[Image.Image] | NDArray[np.float32] | Tensor


class CLDisComponent(ModelMixin):
    """A `cldis.Model` as a component of a pipeline, stored as `Model.save_pretrained` does."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.loop, self.space = model.loop, model.space  # what `to(device)` moves
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
    """Encode a photo, move units or directions, decode it; the rest stays the photo.

        pipe = CLDisPipeline.of(cldis.load("runs/mine"))
        pipe(photo, shifts={3: 1.5}).images[0]
        pipe(photo, directions={"smile": 2}).images[0]
        pipe.sample(8).images

    Once this module is imported, `DiffusionPipeline.from_pretrained` opens one too: `diffusers`
    finds the class of a pipeline by its name, and runs no code that lies beside the weights.

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
        """Open a saved pipeline or a saved model, here or on the Hub.

        Raises:
            ValueError: neither a folder here nor a repository that the Hub gives, no pipeline in
                it, or damaged.
        """
        own = (*FILES, *AUTOENCODER)
        files = (*own, *(f"{COMPONENT}/{name}" for name in own))
        revision, token = options.pop("revision", None), options.pop("token", None)
        folder = local_folder(os.fspath(pretrained_model_name_or_path), revision, token, files)
        if not (folder / INDEX).is_file():
            raise ValueError(
                f"{folder} holds no pipeline (no {INDEX}); of a run or an older saved model, "
                f"CLDisPipeline.of(cldis.load(...)) makes one"
            )
        index = read_json(folder / INDEX, LARGEST)
        known = isinstance(index, dict) and all(index.get(k) == v for k, v in PIPELINE.items())
        other = {} if not known else {k: v for k, v in index.items() if k not in PIPELINE}
        if not known or not all(k.startswith("_") and isinstance(v, str) for k, v in other.items()):
            raise ValueError(
                f"{folder / INDEX} is not of a CL-Dis pipeline; give a folder that save_pretrained "
                f"of CLDisPipeline or of cldis.Model wrote"
            )
        opened: CLDisPipeline = super().from_pretrained(str(folder), **options)
        return opened

    def __call__(
        self,
        image: Photo | Sequence[Photo],
        shifts: Mapping[int, float] | None = None,
        directions: Mapping[int | str, float] | None = None,
        num_inference_steps: int = STEPS,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
    ) -> CLDisOutput | tuple[Any]:
        """Edited photos.

        Args:
            image: one picture or several; turned upright, cropped to the centre square and
                resized to the model's side.
            shifts: unit -> standard deviations.
            directions: number or name of a stored direction -> standard deviations.
            num_inference_steps: of the inversion and of the decode.
            generator: taken as other pipelines take it, and not drawn from: x_T comes from the
                photo and from one fixed noise, so the same call always gives the same picture.
            output_type: "pil", "np" (float32 [n, H, W, 3] in [0, 1]) or "pt" (float32
                [n, 3, H, W] in [0, 1]).
            return_dict: False gives the tuple `(images,)`.

        Raises:
            ValueError: no picture, a unit or direction that does not exist, an amount that is not
                finite, wrong steps, another `output_type`, or a model without a diffusion decoder.
        """
        _check_output(output_type)
        model = self.model.cldis
        change = model.shift(shifts or {}) + self._along(model, directions or {})
        edited = model.move(self._pictures(image, model.resolution), change, num_inference_steps)
        images = _as(output_type, edited)
        return CLDisOutput(images=images) if return_dict else (images,)

    def sample(
        self,
        n: int = 1,
        seed: int = 0,
        num_inference_steps: int = STEPS,
        output_type: str = "pil",
    ) -> CLDisOutput:
        """New images, as `cldis sample` draws them, from the prior that is stored with the model.

        Raises:
            ValueError: no prior, or it is damaged; another `output_type`.
        """
        _check_output(output_type)
        model = self.model.cldis
        path = None if model.origin is None else model.origin.path
        z = load_prior(path, model.loop, model.units)[0].sample(n, seed)
        return CLDisOutput(
            images=_as(output_type, model.decode(z, None, num_inference_steps, seed))
        )

    def _along(self, model: Model, amounts: Mapping[int | str, float]) -> Tensor:
        if not amounts:
            return model.shift({})
        path = None if model.origin is None else model.origin.path
        if path is None or not has_directions(path):
            raise ValueError(
                "this model has no directions; run `cldis navigate` on its run and save it again, "
                "or move units with shifts"
            )
        stored = directions_or_units(path, model.units)
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


def _check_output(output_type: str) -> None:
    if output_type not in OUTPUTS:
        raise ValueError(
            f"output_type {output_type!r} is unknown; give one of {', '.join(OUTPUTS)}"
        )


def _as(output_type: str, images: Tensor) -> list[Image.Image] | NDArray[np.float32] | Tensor:
    """Images [n, 3, H, W] in [-1, 1] as the caller wants them."""
    if output_type == "pil":
        return [
            Image.fromarray(picture) for picture in to_uint8(images).permute(0, 2, 3, 1).numpy()
        ]
    scaled = ((images + 1) / 2).clamp(0, 1)
    return scaled if output_type == "pt" else scaled.permute(0, 2, 3, 1).numpy()


# `DiffusionPipeline.from_pretrained` looks a class up here by the name in model_index.json. The
# other way, code beside the weights, would have to be trusted and run.
diffusers.CLDisPipeline = CLDisPipeline
