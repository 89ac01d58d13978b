"""All dates of a window asked about the persistence of their masks, before a composite is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from landslide_scale.grid import Lattice, PixelBox
from landslide_scale.imagery.datatake import Datatake
from landslide_scale.imagery.mask import looked_around, squares
from landslide_scale.imagery.persistence import Persistent, Votes, judged_box, strips


def persistence(datatakes: Sequence[Datatake], box: PixelBox) -> dict[Lattice, Persistent]:
    """Where a box of the lattice is persistent, by the squares that datatakes decide on; nothing where none asks.

    Datatakes mostly have the same squares; where they do not, all are asked on the squares of each.

    Raises:
        ReadError: A scene cannot be read; the error names scene and asset.
    """
    asked = datatakes and datatakes[0].config.persistence is not None
    return {fine: _over(datatakes, box, fine) for fine in dict.fromkeys(one.fine for one in datatakes)} if asked else {}


def _over(datatakes: Sequence[Datatake], box: PixelBox, fine: Lattice) -> Persistent:
    lattice, config = datatakes[0].lattice, datatakes[0].config
    assert config.persistence is not None  # noqa: S101 as was asked
    around = looked_around(config, fine)
    judged = judged_box(squares(box, lattice.resolution // fine.resolution), config, fine)
    rows = []
    for strip in strips(judged):
        votes = Votes(strip.shape)
        for datatake in datatakes:
            votes.add(datatake.look(strip.pad(around), fine), config, fine)
        rows.append(np.packbits(votes.persistent(config.persistence), axis=1))
    return Persistent(box=judged, bits=np.concatenate(rows), observed=config.persistence.observe)
