"""Pictures of the explorer: enlarged, side by side, moving, and the map of the codes."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from cldis.arrays import Floats
from cldis.explorer.collection import Collection
from cldis.images import captioned, enlarged, grid, png_bytes, to_uint8
from cldis.pages import page
from cldis.tracking.pictures import heat

SIDE = 192  # pixels at least, of a picture to take home
FRAME = 90  # milliseconds of a frame
LOUD = 0.5  # change of a pixel, of a range of 2, that is drawn white
MAP, THUMB = (1120, 680), 44  # pixels: of the map, and of a picture on it

# Ends and middle of the map's colours: cividis, which looks alike to nearly all eyes.
STOPS = np.array([[0, 34, 78], [87, 93, 109], [165, 156, 116], [254, 232, 56]], np.float64)


def picture(image: Tensor) -> Image.Image:
    """[3, H, W] in [-1, 1] as a picture of its own size."""
    return Image.fromarray(to_uint8(image).permute(1, 2, 0).numpy())


def coarse(side: int) -> bool:
    """Whether pictures of this side are shown as pixels; larger ones are smoothed."""
    return side < page.EXACT


def change(before: Tensor, after: Tensor) -> Image.Image:
    """Where two pictures [3, H, W] differ: black, red, yellow, white."""
    return picture(heat((after - before).abs().mean(dim=0).numpy() / LOUD))


def side_by_side(images: Sequence[Tensor], captions: Sequence[str] = ()) -> Image.Image:
    """A row of pictures [3, H, W], enlarged, a caption over each where there are captions."""
    big = grid(enlarged(torch.stack(list(images))[None], SIDE // 2))
    return captioned(big, list(captions)) if captions else big


def animation(frames: Tensor) -> bytes:
    """Frames [n, 3, H, W] there and back again, as a GIF."""
    shown = [picture(frame) for frame in enlarged(frames, SIDE)]
    shown += shown[-2:0:-1]
    buffer = io.BytesIO()
    shown[0].save(buffer, "GIF", save_all=True, append_images=shown[1:], duration=FRAME, loop=0)
    return buffer.getvalue()


def archive(images: Sequence[Tensor], names: Sequence[str]) -> bytes:
    """A ZIP of PNGs; names are made different."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for i, (image, name) in enumerate(zip(images, names, strict=True)):
            file.writestr(f"{i + 1:02d}_{name}_edited.png", png_bytes(picture(image)))
    return buffer.getvalue()


def colours(values: Floats) -> NDArray[np.uint8]:
    """Values [n], lowest to highest by rank, as colours [n, 3]."""
    rank = values.argsort(kind="stable").argsort(kind="stable") / max(len(values) - 1, 1)
    place = rank * (len(STOPS) - 1)
    channels = [np.interp(place, np.arange(len(STOPS)), STOPS[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def map_places(flat: Floats) -> tuple[NDArray[np.int64], list[int]]:
    """Pixel centres on the map [n, 2], and the images that are shown there: as many as fit without
    hiding each other."""
    room = np.array(MAP) - THUMB - 8
    centres = np.column_stack([flat[:, 0] * room[0], (1 - flat[:, 1]) * room[1]]) + THUMB / 2 + 4
    shown: list[int] = []
    for i in range(len(centres)):
        if not shown or np.abs(centres[shown] - centres[i]).max(axis=1).min() > THUMB + 10:
            shown.append(i)
    return centres.round().astype(np.int64), shown


def draw_map(collection: Collection, direction: int) -> Image.Image:
    """Every image a dot, some of them shown, all coloured by their place along a direction."""
    centres, shown = map_places(collection.map())
    tints = colours(collection.codes[:, direction])
    sheet = Image.new("RGB", MAP, (250, 250, 250))
    pen = ImageDraw.Draw(sheet)
    for (x, y), tint in zip(centres.tolist(), tints.tolist(), strict=True):
        pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=tuple(tint))
    half = THUMB // 2
    for i in shown:
        (x, y), tint = centres[i].tolist(), tuple(tints[i].tolist())
        small = Image.fromarray(collection.images[i].transpose(1, 2, 0))
        small = small.resize((THUMB, THUMB), Image.Resampling.BOX)
        pen.rectangle((x - half - 4, y - half - 4, x + half + 3, y + half + 3), fill=tint)
        sheet.paste(small, (x - half, y - half))
    return sheet


def map_hit(collection: Collection, x: float, y: float) -> int:
    """The image at a place of the map: the nearest of those shown."""
    centres, shown = map_places(collection.map())
    away = ((centres[shown] - np.array([x, y])) ** 2).sum(axis=1)
    return shown[int(away.argmin())]
