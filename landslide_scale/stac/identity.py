"""Which acquisition an Item is of, and which processing of it: whatever words its catalogue has for them.

Each fact comes from the first source that states it: the properties that catalogues have for it, in the order below,
and then the names that ESA gave, which hold it too: of the product, the datatake, the datastrip or the granule
(Sentinel-2 Products Specification Document, naming conventions). Names are looked for in the properties that catalogues
keep them in, in the Item's id, and last in its assets' addresses where those name one product. A property of the s2 or
grid extension that is there in another form is refused, whatever a name says; what no source states is not guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from landslide_scale.errors import InvalidCatalogError

Item = Mapping[str, Any]

_TILE = r"(?P<tile>\d\d[C-X][A-Z]{2})"
_PRODUCT = re.compile(
    r"(?P<satellite>S2[A-D])_MSIL2A_(?P<take>\d{8}T\d{6})(?:_N(?P<major>\d\d)(?P<minor>\d\d))?"
    rf"_R(?P<orbit>\d{{3}})_T{_TILE}_(?P<generated>\d{{8}}T\d{{6}})"
)
"""S2A_MSIL2A_20230818T100031_N0509_R122_T33TWM_20230818T143300; Planetary Computer's leaves the baseline out."""

_GRANULE = re.compile(
    r"(?P<satellite>S2[A-D])_OPER_MSI_L2A_TL_\w{4}_(?P<generated>\d{8}T\d{6})_A(?P<absolute>\d{6})"
    rf"_T{_TILE}(?:_N(?P<major>\d\d)\.(?P<minor>\d\d))?"
)
"""S2A_OPER_MSI_L2A_TL_2APS_20240108T121951_A044635_T34VEL_N05.10, its end left out at times."""

_DATATAKE = re.compile(r"G(?P<satellite>S2[A-D])_(?P<take>\d{8}T\d{6})_\d{6}_N(?P<major>\d\d)\.(?P<minor>\d\d)")
_DATASTRIP = re.compile(
    r"(?P<satellite>S2[A-D])_OPER_MSI_L2A_DS_\w{4}_(?P<generated>\d{8}T\d{6})_S(?P<strip>\d{8}T\d{6})"
    r"(?:_N(?P<major>\d\d)\.(?P<minor>\d\d))?"
)
_NAMES = (_PRODUCT, _DATATAKE, _DATASTRIP, _GRANULE)

_BASELINES = (
    "s2:processing_baseline", "processing:version", "sentinel:processing_baseline", "sentinel2:processing_baseline",
)  # fmt: skip
_DATATAKES = ("s2:datatake_id", "eopf:datatake_id")
_DATASTRIPS = ("s2:datastrip_id", "eopf:datastrip_id")
_NAMED = (
    "s2:product_uri", "sentinel:product_id", *_DATATAKES, *_DATASTRIPS, "s2:tile_id", "s2:granule_id", "sentinel2:id",
    "title",
)  # fmt: skip
"""Properties that hold a name."""

_TILES = ("grid:code", "s2:mgrs_tile")
_SQUARES = tuple(
    tuple(f"{prefix}:{part}" for part in ("utm_zone", "latitude_band", "grid_square"))
    for prefix in ("mgrs", "sentinel")
)


def baseline(item: Item) -> tuple[int, int]:
    """Processing baseline as (major, minor).

    Raises:
        InvalidCatalogError: Nothing states it.
    """
    stated = {key: item["properties"][key] for key in _BASELINES if item["properties"].get(key)}
    for key, text in stated.items():
        if match := re.fullmatch(r"(\d\d)\.(\d\d)", str(text)):
            return int(match[1]), int(match[2])
        if key == _BASELINES[0]:  # the others have other meanings too: processing:version is of any software
            break
    else:
        for name in _names(item, "major"):
            return int(name["major"]), int(name["minor"])
    raise _unstated(
        item,
        f"processing baseline {next(iter(stated.values()), None)!r}",
        "s2:processing_baseline such as 05.09, or a product's name that holds N0509",
    )


def datatake(item: Item) -> str:
    """Without the baseline at its end, so that a reprocessing is the same datatake.

    Where only the granule is named, it is satellite and absolute orbit: in one orbit a pixel is seen once.

    Raises:
        InvalidCatalogError: Nothing states it.
    """
    for key in _DATATAKES:
        if stated := item["properties"].get(key):
            return re.sub(r"_N\d\d\.\d\d$", "", stated)
    for name in _names(item, "take"):
        return f"G{name['satellite']}_{name['take']}"
    for name in _names(item, "absolute"):
        return f"G{name['satellite']}_A{name['absolute']}"
    raise _unstated(
        item,
        "no datatake",
        "s2:datatake_id, or a product's name such as S2A_MSIL2A_20230818T100031_N0509_R122_T33TWM_20230818T143300",
    )


def datastrip(item: Item) -> str:
    """Sensing start of the datastrip, or the whole identifier where it does not say; empty where there is none."""
    stated = next((str(item["properties"][key]) for key in _DATASTRIPS if item["properties"].get(key)), "")
    if match := re.search(r"_S(\d{8}T\d{6})_", stated):
        return match[1]
    return stated or next((str(name["strip"]) for name in _names(item, "strip")), "")


def tile(item: Item) -> str:
    """MGRS tile, as ``33TWM``.

    Raises:
        InvalidCatalogError: Nothing states it.
    """
    properties = item["properties"]
    codes = [str(properties[key]) for key in _TILES if properties.get(key)]
    squares = ["".join(str(properties[part]) for part in parts) for parts in _SQUARES if {*parts} <= properties.keys()]
    for code in codes[:1] or (*squares, *(name["tile"] for name in _names(item, "tile"))):
        if match := re.search(r"(\d{1,2})([C-X])([A-Z]{2})$", code):
            return f"{int(match[1]):02d}{match[2]}{match[3]}"
    raise _unstated(
        item,
        f"grid code {next(iter(codes), '')!r}",
        "grid:code such as MGRS-33TWM, or a product's name that holds T33TWM",
    )


def generated(item: Item) -> str:
    """When the product was made, as an ISO instant; of an Item that nowhere says so, when it was recorded or sensed."""
    properties = item["properties"]
    # Items that name datatake or product as the s2 extension does were always taken by `created` next: runs that
    # were begun with them go on to see the same processing of two.
    speaks_s2 = properties.get("s2:datatake_id") or properties.get("s2:product_uri")
    keys = ("s2:generation_time", "created") if speaks_s2 else ("s2:generation_time", "processing:datetime")
    stated = [properties[key] for key in keys if properties.get(key)]
    named = (name["generated"] for name in _names(item, "generated"))
    return str(next(iter(stated), None) or next(named, None) or properties.get("created") or properties["datetime"])


def satellite(item: Item) -> str | None:
    """``S2A`` to ``S2D``; None where nothing states it."""
    match = re.fullmatch(r"(?:sentinel-?|s)(2[a-d])", str(item["properties"].get("platform")), re.IGNORECASE)
    if match is not None:
        return f"S{match[1].upper()}"
    return next((str(name["satellite"]) for name in _names(item, "satellite")), None)


def relative_orbit(item: Item) -> int | None:
    """1 to 143; None where nothing states it."""
    stated = item["properties"].get("sat:relative_orbit")
    if stated is not None:
        return int(stated)
    return next((int(name["orbit"]) for name in _names(item, "orbit")), None)


def _names(item: Item, part: str) -> Iterator[re.Match[str]]:
    """Names in an Item that hold a part, in the order in which they are believed."""
    kinds = [kind for kind in _NAMES if part in kind.groupindex]
    for text in _texts(item):
        for kind in kinds:
            if (match := kind.search(text)) and match[part]:
                yield match
    addresses = [str(asset.get("href")) for asset in item["assets"].values()]
    products = {match[0]: match for address in addresses if (match := _PRODUCT.search(address))}
    if len(products) == 1 and _PRODUCT in kinds:
        yield from (match for match in products.values() if match[part])


def _texts(item: Item) -> Iterator[str]:
    properties = item["properties"]
    yield from (properties[key] for key in _NAMED if isinstance(properties.get(key), str))
    yield str(item.get("id"))


def _unstated(item: Item, found: str, expected: str) -> InvalidCatalogError:
    return InvalidCatalogError(found, expected=expected, scene=item.get("id"))
