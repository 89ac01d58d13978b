"""Where attacks are tried: an allowed folder and host, and forbidden ones that would work if they were reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from helpers.scenes import cog, item
from helpers.webserver import Answer, Asked, Site, site

from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.imagery.observe import observe
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.stac.items import scenes
from landslide_scale.stac.settings import CatalogConfig

WEST, NORTH, SIDE = 500_000, 5_100_000, 32
LATTICE = Lattice(zone=Zone.utm(33, southern=False), resolution=10, block=64)
BOX = PixelBox(row_start=-NORTH // 10, row_stop=-NORTH // 10 + SIDE, col_start=WEST // 10, col_stop=WEST // 10 + SIDE)


@dataclass(kw_only=True)
class World:
    """Where an attack is tried.

    Attributes:
        root: The allowed folder; ``red.tif`` and ``scl.tif`` in it are good.
        secret: A good file outside.
        front: An allowed host, 127.0.0.1; it answers what `served` says.
        canary: A host that is not allowed, 127.0.0.2, where every address is a good file.
    """

    root: Path
    secret: Path
    front: Site
    canary: Site
    served: dict[str, Answer | Callable[[Asked], Answer]]

    @property
    def config(self) -> CatalogConfig:
        return CatalogConfig(profile="plain", allowed_hosts=("127.0.0.1:*",), allowed_roots=(str(self.root),))

    @property
    def good(self) -> bytes:
        return self.secret.read_bytes()

    def item(self, href: str) -> dict[str, Any]:
        return item("S2A_attack", assets={"red": href, "scl": str(self.root / "scl.tif")})

    def read(self, href: str) -> None:
        """What a scan does with a catalogue's address."""
        found = scenes([self.item(href)], self.config, ("red",))
        observe(found, LATTICE, BOX, ("red",), CompositeConfig(dilate_m=0))

    def serve(self, path: str, answer: Answer | Callable[[Asked], Answer]) -> str:
        self.served[path] = answer
        return f"{self.front.address}{path}"


@contextmanager
def attacked(folder: Path) -> Iterator[World]:
    """A world in which, at the end, nobody has asked the canary."""
    where = {"west": WEST, "north": NORTH}
    good = np.full((SIDE, SIDE), 3000, np.uint16)
    secret = Path(cog(folder / "outside" / "secret.tif", good, **where))
    root = folder / "root"
    cog(root / "red.tif", good, **where)
    cog(root / "scl.tif", np.full((SIDE, SIDE), 4, np.uint8), **where)
    content = secret.read_bytes()
    served: dict[str, Answer | Callable[[Asked], Answer]] = {}

    def answer(asked: Asked) -> Answer:
        found = served.get(asked.path, Answer(status=404))
        return found(asked) if callable(found) else found

    with (
        site(answer) as front,
        site(lambda _: Answer(content=content), host="127.0.0.2") as canary,
    ):
        yield World(root=root, secret=secret, front=front, canary=canary, served=served)
        assert canary.asked == []
