"""A Collection for the run's products and its Items, as files that point to each other by where they lie."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import Any

from pystac import Collection, Extent, Item, Link, SpatialExtent, STACObject, TemporalExtent
from pystac.extensions.timestamps import TimestampsExtension
from pystac.extensions.version import ItemVersionExtension

from landslide_scale.products import names
from landslide_scale.products.assets import File, assets, extensions
from landslide_scale.products.catalogue.items import OURS, item, item_name
from landslide_scale.products.catalogue.network import NETWORK, network
from landslide_scale.products.plane import Plane
from landslide_scale.products.scanned import Scanned
from landslide_scale.scene import utc
from landslide_scale.stac.frozen import SCENES, load_items

_PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
_GLOBE = [-180.0, -90.0, 180.0, 90.0]
_DIGITS = 12
_LAST = {True: "predicted by a trained network", False: "compared by their vegetation; candidates, and no probability"}
_MADE = {
    True: "Landslides on Sentinel-2 images, as probability by pixel and as outlines.",
    False: "Candidates of vegetation loss on Sentinel-2 images; no network looked at them.",
}

CAUTION = "Preliminary, not field-validated."


def catalogue(
    of: Scanned,
    products: Mapping[str, File],
    published: datetime | None = None,
    planes: Sequence[Plane] = (),
) -> dict[str, bytes]:
    """The STAC catalogue (version 1.1.0) of a run's products: JSON by name below the folder of the products.

    A Collection there has the files that are of all zones and windows, and an Item beside the rasters of each zone and
    window has those; another Item is the network, where the scan wrote down what it was. All addresses of products are
    relative. Nothing depends on when or where it is written.

    Args:
        of: The scan.
        products: What was made of it, by name below the folder of the products.
        published: When all of it was made public, UTC; by default nothing is said of it.
        planes: Rasters that are made of the cube beside its own variables; those of two layers are in the folder of
            the layer after.

    Raises:
        BrokenRunError: The run's storage refuses to give the Items of its scenes.
        StorageAwayError: It was away for longer than one is patient.
    """
    addresses = _addresses(of)
    items = {
        item_name(lattice, of, layer): item(of, lattice, layer, addresses, products, planes)
        for lattice in of.extents
        for layer in range(len(of.windows))
    }
    by = network(of)
    for name, one in items.items():
        _say(one, of, published)
        _say_change(one, planes)
        if by is not None:
            one.add_link(_to_network(by, _up(name)))
    listed = items if by is None else {**items, NETWORK: by}
    for name, one in listed.items():
        _link(one, name, _id(of))
    whole = _collection(of, list(items.values()), _of_all(products))
    for name, one in listed.items():
        whole.add_link(Link("item", f"./{name}", media_type="application/geo+json", title=one.properties["title"]))
    known: dict[str, STACObject] = {names.CATALOGUE: whole, **listed}
    return {name: _json(one) for name, one in known.items()}


def run_id(of: Scanned) -> str:
    """The cube's hash, shortened."""
    return of.cube_sha256[:_DIGITS]


def _id(of: Scanned) -> str:
    return f"landslides-{run_id(of)}"


def _addresses(of: Scanned) -> dict[str, str]:
    """Where the Items of its scenes are on the web, as far as the catalogue said so."""
    frozen = load_items(of.run) if of.run.exists(SCENES) else []
    return {
        one["id"]: link["href"]
        for one in frozen
        for link in one["links"]
        if link["rel"] == "self" and link["href"].startswith(("http://", "https://"))
    }


def _of_all(products: Mapping[str, File]) -> dict[str, File]:
    """What is of no single zone and window, and not about the products."""
    own = {names.MANIFEST, names.CATALOGUE, NETWORK}
    return {name: file for name, file in products.items() if not name.startswith("cog/") and name not in own}


def _say(one: Item, of: Scanned, published: datetime | None) -> None:
    """What made it, and how far it can be trusted."""
    one.properties |= {
        "description": f"{CAUTION} {of.facts.get('caveat', '')}".strip(),
        "created": of.facts["begun"],
        **_network(of),
        f"{OURS}cube_sha256": of.cube_sha256,
        "processing:level": "L4",
        "processing:lineage": f"Sentinel-2 L2A scenes, cloud-masked and composited, {_LAST[of.learned]}",
        "processing:software": _software(of),
    }
    one.stac_extensions.append(_PROCESSING)
    ItemVersionExtension.ext(one, add_if_missing=True).apply(run_id(of), experimental=True)
    if published is not None:
        TimestampsExtension.ext(one, add_if_missing=True).apply(published=published)


def _network(of: Scanned) -> dict[str, Any]:
    if not of.learned:
        return {f"{OURS}model": "none"}
    return {f"{OURS}threshold": of.threshold, f"{OURS}model_sha256": of.said["checkpoint_sha256"]}


def _say_change(one: Item, planes: Sequence[Plane]) -> None:
    """What was asked of two layers, of the Item that has their rasters."""
    named = {f"{plane.name}.tif": plane for plane in planes}
    found = next((named[name] for name in one.assets if name in named), None)
    if found is not None:
        one.properties |= {f"{OURS}change_{key.lower()}": text for key, text in found.said.items()}


def _software(of: Scanned) -> dict[str, str]:
    """Versions that the scan was made with, and that of what made the products."""
    scan = {f"scan/{name}": str(known) for name, known in of.facts["versions"].items()}
    return {"landslide-scale": version("landslide-scale"), **scan}


def _link(one: Item, name: str, collection: str) -> None:
    one.collection_id = collection
    for relation in ("root", "parent", "collection"):
        one.add_link(Link(relation, _up(name) + names.CATALOGUE, media_type="application/json"))


def _to_network(by: Item, up: str) -> Link:
    name = by.properties["mlm:name"]
    link = Link("derived_from", up + NETWORK, media_type="application/geo+json", title=name)
    link.extra_fields["mlm:name"] = name
    return link


def _up(name: str) -> str:
    """From the folder of a file to that of the products."""
    return "../" * (len(PurePosixPath(name).parts) - 1) or "./"


def _collection(of: Scanned, items: list[Item], products: Mapping[str, File]) -> Collection:
    boxes = [one.bbox for one in items if one.bbox is not None]
    west, south, east, north = (tuple(zip(*boxes, strict=True))) if boxes else ([side] for side in _GLOBE)
    files = assets("", products)
    first, last = min(window.start for window in of.windows), max(window.until for window in of.windows)
    made = Collection(
        id=_id(of),
        title="Landslides",
        description=f"{CAUTION} {_MADE[of.learned]}",
        license="other",
        extent=Extent(SpatialExtent([[min(west), min(south), max(east), max(north)]]), TemporalExtent([[first, last]])),
        extra_fields={"created": utc(of.facts["begun"]).isoformat(), f"{OURS}units_missing": len(of.missing)},
        stac_extensions=extensions(files),
        assets=files,
    )
    made.links = [Link("root", f"./{names.CATALOGUE}", media_type="application/json")]
    return made


def _json(known: STACObject) -> bytes:
    content: dict[str, Any] = known.to_dict(include_self_link=False, transform_hrefs=False)
    return (json.dumps(content, indent=1, sort_keys=True) + "\n").encode()
