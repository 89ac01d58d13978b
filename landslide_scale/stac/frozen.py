"""The Items of a run as stac-geoparquet: a resumed run uses the same scenes whatever the catalogue says by then.

Addresses are kept without user information and query, where signatures are; what was cut off is asked for again.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import rustac

from landslide_scale.errors import InvalidCatalogError, InvalidInputError
from landslide_scale.redaction import redacted, redacted_values
from landslide_scale.stac.holding.packed import Packing
from landslide_scale.stac.holding.table import read_table, write_table
from landslide_scale.stac.items import SHORTENED, Item
from landslide_scale.stac.search import search_ids
from landslide_scale.stac.settings import SourceConfig
from landslide_scale.storage.rundir import RunDirectory

SCENES = "scenes.parquet"
DEM = "dem.parquet"
_IMAGES = (".tif", ".tiff")


def freeze(run: RunDirectory, items: Iterable[Mapping[str, Any]], name: str = SCENES) -> None:
    """Write the Items into the run, as the file `name`."""
    run.write(name, frozen(items))


def check_freezable(items: Iterable[Mapping[str, Any]]) -> None:
    """Freeze Items and keep nothing: what cannot be frozen is said before a run has begun.

    Raises:
        InvalidCatalogError: They cannot be.
    """
    frozen(items)


def frozen(items: Iterable[Mapping[str, Any]]) -> bytes:
    """What a file of Items holds.

    Raises:
        InvalidCatalogError: They do not fit one table.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, SCENES)
        try:
            write_table(path, map(_shortened, items))
        except (rustac.RustacError, pa.ArrowException, ValueError, OverflowError, RecursionError) as error:
            raise InvalidCatalogError(
                f"Items that do not fit one table ({type(error).__name__}: {error})",
                expected="properties and assets that are alike in all of them",
                cure="Leave out by catalog.exclude what is unlike the others.",
            ) from None
        return path.read_bytes()


def load_items(run: RunDirectory, name: str = SCENES) -> list[Item]:
    """The Items an earlier run froze as the file `name`."""
    packing = Packing()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, name)
        path.write_bytes(run.read(name))
        try:
            return [packing.pack(item) for some in read_table(path) for item in some]
        except (rustac.RustacError, pa.ArrowException, ValueError, KeyError) as error:
            raise InvalidInputError(
                f"{name} is damaged ({type(error).__name__}: {error})",
                expected="the Items that the run was begun with",
                cure="Bring it back from a copy, or begin another run: a catalogue may have others by now.",
                run=run,
            ) from None


def with_addresses(kept: list[Item], config: SourceConfig) -> list[Item]:
    """Frozen Items as they are, their shortened addresses whole again: the catalogue is asked for them alone.

    Raises:
        InvalidCatalogError: It no longer has such an Item, or has its assets elsewhere.
    """
    shortened = {item["id"] for item in kept if item["properties"].get(SHORTENED)}
    if not shortened:
        return kept
    anew, packing = search_ids(config, sorted(shortened)), Packing()
    return [
        packing.pack({**item, "assets": _readdressed(item, anew.get(item["id"], {}), config)})
        if item["id"] in shortened
        else item
        for item in kept
    ]


def _shortened(item: Item) -> dict[str, Any]:
    kept: dict[str, Any] = redacted_values(dict(item))
    if any(asset["href"] != item["assets"][name]["href"] for name, asset in _images(kept)):
        kept["properties"][SHORTENED] = True
    return kept


def _images(item: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The assets that can be scenes: previews have queries too, and are never read."""
    return [(name, asset) for name, asset in item["assets"].items() if asset["href"].lower().endswith(_IMAGES)]


def _readdressed(item: Mapping[str, Any], now: Mapping[str, Any], config: SourceConfig) -> dict[str, Any]:
    found = dict(item["assets"])
    for name, asset in _images(item):
        href = str(now.get("assets", {}).get(name, {}).get("href"))
        if redacted(href) != asset["href"]:
            raise InvalidCatalogError(
                f"asset {name} is no longer in the catalogue, or elsewhere",
                expected=asset["href"],
                cure="Its signed address was not kept. Begin another run.",
                **{config.item: item["id"]},
            )
        found[name] = asset | {"href": href}
    return found
