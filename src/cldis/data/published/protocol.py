"""The published files of the benchmark data sets: names, addresses, checksums, where they lie.

Nothing is downloaded: the files are put into the folder `$CLDIS_DATA` by hand, under the names
that their publishers gave them (`docs/data.md`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cldis.data.cache import stamp
from cldis.io import user_path

DOCUMENT = "docs/data.md"
NORB = "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/"
MPI3D = "https://storage.googleapis.com/disentanglement_dataset/Final_Dataset/"


@dataclass(frozen=True)
class PublishedFile:
    """One file as published.

    `checksum` is "sha256:..." or "md5:..." as another project recorded it (`docs/data.md` says
    which), or None where none was found.
    """

    name: str
    address: str
    checksum: str | None


def _norb(part: str, checksum: str) -> PublishedFile:
    lists = {"training": "46789", "testing": "01235"}
    name = f"smallnorb-5x{lists[part.split('-')[0]]}x9x18x6x2x96x96-{part}.mat.gz"
    return PublishedFile(name, NORB + name, f"sha256:{checksum}")


DSPRITES = PublishedFile(
    "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    "https://github.com/google-deepmind/dsprites-dataset/raw/master/"
    "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
    None,
)
SHAPES3D = PublishedFile(
    "3dshapes.h5",
    "https://storage.googleapis.com/3d-shapes/3dshapes.h5",
    "sha256:0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
)
MPI3D_TOY = PublishedFile(
    "mpi3d_toy.npz", MPI3D + "mpi3d_toy.npz", "md5:55889cb7c7dfc655d6e0277beee88868"
)
MPI3D_REAL = PublishedFile(
    "mpi3d_real.npz", MPI3D + "mpi3d_real.npz", "md5:0f33f609918fb5c97996692f91129802"
)
MPI3D_REAL_COMPLEX = PublishedFile(
    "real3d_complicated_shapes_ordered.npz",
    "https://drive.google.com/file/d/1Tp8eTdHxgUMtsZv5uAoYAbJR1BOa_OQm/view",
    None,
)
CARS3D = PublishedFile(
    "nips2015-analogy-data.tar.gz",
    "http://www.scottreed.info/files/nips2015-analogy-data.tar.gz",
    "md5:4e866a7919c1beedf53964e6f7a23686",
)
SMALLNORB = tuple(
    _norb(part, checksum)
    for part, checksum in {
        "training-dat": "5ffd6272a07d32695ee1082a26a41a93a37aab8c28da047f8c34ed348d214873",
        "training-cat": "2784e542c1922060691090952b6cd6278879a216c90f81476f0f00256d42cdaa",
        "training-info": "de7eb932ebe7a4ee16217fead60660d0eb3d23632c2f4d1c51f88c501c17bf32",
        "testing-dat": "cf7104eed3e51174d2f65b66d1e5878b9da233b886f161b0d88f4510ba2c7474",
        "testing-cat": "ecaf6d5bb8c3bc5eab9cf0258f6d2198dd474e016e374836fc097f2e5ff509ff",
        "testing-info": "16adf314226327ee006d1a44db8cfef52773c06c829951d5653a9f6f310248a2",
    }.items()
)
CELEBA_IMAGES = PublishedFile(
    "img_align_celeba.zip",
    "https://drive.google.com/file/d/0B7EVK8r0v71pZjFTYXZWM3FlRnM/view",
    "sha256:46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
)
CELEBA_ATTRIBUTES = PublishedFile(
    "list_attr_celeba.txt",
    "https://drive.google.com/file/d/0B7EVK8r0v71pblRyaVFSWGxPY0U/view",
    "sha256:f0e5da289d5ccf75ffe8811132694922b60f2af59256ed362afa03fefba324d0",
)
FILES: dict[str, tuple[PublishedFile, ...]] = {
    "dsprites": (DSPRITES,),
    "shapes3d": (SHAPES3D,),
    "mpi3d_toy": (MPI3D_TOY,),
    "mpi3d_real": (MPI3D_REAL,),
    "mpi3d_real_complex": (MPI3D_REAL_COMPLEX,),
    "cars3d": (CARS3D,),
    "smallnorb": SMALLNORB,
    "celeba": (CELEBA_IMAGES, CELEBA_ATTRIBUTES),
}


def data_folder() -> Path | None:
    """`$CLDIS_DATA`, or None where it is not set."""
    folder = os.environ.get("CLDIS_DATA")
    return user_path(folder) if folder else None


def find(data: str, *names: str) -> Path:
    """The first of `names` that lies in `$CLDIS_DATA`.

    Raises:
        ValueError: none of them does, or `$CLDIS_DATA` is not set.
    """
    folder = data_folder()
    if folder is not None:
        for name in names:
            if (folder / name).exists():
                return folder / name
    where = f"put it in {folder}" if folder else "put it in a folder and set CLDIS_DATA to it"
    own = f"; for your own folder of that name write ./{data}" if Path(data).is_dir() else ""
    raise ValueError(
        f"data {data!r} needs the published file {' or '.join(names)}: {where} (download command: "
        f"{DOCUMENT}){own}"
    )


def identity(data: str, *paths: Path) -> list[object]:
    """What a cache key holds of the files: names, sizes and times of change."""
    status = [(path, path.stat()) for path in paths]
    return [data, *([str(path.resolve()), *stamp(s)] for path, s in status)]


def damaged(data: str, path: Path, reason: object) -> ValueError:
    """The error for a file that is not what was published."""
    words = " ".join(str(reason).split())
    return ValueError(
        f"{path} is not {data} as published ({words}); check it with "
        f"`python -m cldis.data.published.verify {data}` and download it again ({DOCUMENT})"
    )
