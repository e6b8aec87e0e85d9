"""The data sets that have a name: who reads each, where it comes from, which extra it needs.

A new one is a file and a line here. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DataSet:
    """One named data set.

    Attributes:
        reader: `module:name` below `cldis.data`; called with the resolution, the folder of the
            cache (or None) and whether to show a bar, it gives an `ImageSource`.
        published: read from its publisher's files (`published/protocol.py` names them), not
            rendered here.
        images: how many, where that is known before the first use.
        extra: of `pip install 'cldis[...]'`, what the first use needs; the cache then does not.
    """

    reader: str
    published: bool = False
    images: int = 0
    extra: str = ""


CATALOGUE: dict[str, DataSet] = {
    "rooms": DataSet("rendered.rooms:Rooms", images=480_000),
    "kuka": DataSet("rendered.kuka:Kuka", images=172_800, extra="kuka"),
    "robots": DataSet("rendered.robots:Robots", images=1_000_000, extra="robots"),
    "dsprites": DataSet("published.dsprites:DSprites", published=True),
    "shapes3d": DataSet("published.shapes3d:Shapes3d", published=True, extra="official"),
    "mpi3d_toy": DataSet("published.mpi3d:Toy", published=True),
    "mpi3d_real": DataSet("published.mpi3d:Real", published=True),
    "mpi3d_real_complex": DataSet("published.mpi3d:RealComplex", published=True),
    "cars3d": DataSet("published.cars3d:Cars3d", published=True),
    "smallnorb": DataSet("published.smallnorb:SmallNorb", published=True),
    "celeba": DataSet("published.celeba:CelebA", published=True),
}


def install_command(name: str) -> str:
    """How to install what the first use of a data set needs beyond `cldis` itself."""
    return f"pip install 'cldis[{CATALOGUE[name].extra}]'"
