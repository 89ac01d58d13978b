"""What is known of each provider: one explicit profile for each collection, so that nothing is guessed from an Item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from landslide_scale.bands import BAND_NAMES, PROBABILITIES

_AS_CALLED_HERE = (*BAND_NAMES, "scl")
_WITH_PROBABILITIES = {name: name for name in (*_AS_CALLED_HERE, *PROBABILITIES)}
_SHORT = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")


@dataclass(frozen=True, kw_only=True)
class Provider:
    """One collection of a STAC API.

    Attributes:
        url, collection: Where it is; without an address the user gives one.
        hosts: Where its assets live.
        signer: Where its assets are signed for reading, with ``{account}`` and ``{container}`` of an asset's address;
            None where they are open to all.
        buckets: Public S3 buckets that its Items name by ``s3://``, and the https address each is read by.
    """

    url: str | None
    collection: str
    hosts: tuple[str, ...] = ()
    signer: str | None = None
    buckets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Profile(Provider):
    """Sentinel-2 L2A at one provider.

    Attributes:
        offset_flag: Item property that says the offset is already in the pixels; None: it never is. Known of this
            `url` and `collection` alone; without a `url`, of none.
        doubtful: Whether that flag is known to be wrong at times, so that the pixels are asked even there.
        lacks, lacks_source: Years of which it is known to lack most scenes, and who says so.
        assets: Band name to asset name, the scene classes (``scl``) among them, and what else a mask may ask: Sen2Cor's
            probabilities, ``cloud`` and ``snow``.
    """

    offset_flag: str | None = None
    doubtful: bool = False
    lacks: tuple[int, ...] = ()
    lacks_source: str = ""
    assets: Mapping[str, str] = field(default_factory=lambda: {band: band for band in _AS_CALLED_HERE})


ProfileName = Literal["earth-search-c1", "earth-search-v1", "planetary-computer", "plain"]
"""What ``catalog.profile`` may say: each has its entry below."""

PROFILES: Mapping[ProfileName, Profile] = {
    # Everything in this collection was made or remade with an offset, which is never taken off.
    "earth-search-c1": Profile(
        url="https://earth-search.aws.element84.com/v1",
        collection="sentinel-2-c1-l2a",
        hosts=("e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com",),
        lacks=(2018, 2019, 2022),
        lacks_source="Element84/earth-search issues 29, 49 and 70",
        assets=_WITH_PROBABILITIES,
    ),
    # Its flag is wrong for some Items of 2022 to 2025 (Element84/earth-search issues 66 and 71), and its
    # raster:bands.offset says -0.1 either way.
    "earth-search-v1": Profile(
        url="https://earth-search.aws.element84.com/v1",
        collection="sentinel-2-l2a",
        hosts=("sentinel-cogs.s3.us-west-2.amazonaws.com",),
        offset_flag="earthsearch:boa_offset_applied",
        doubtful=True,
    ),
    # Pixels are as ESA made them (microsoft/PlanetaryComputer issue 134).
    "planetary-computer": Profile(
        url="https://planetarycomputer.microsoft.com/api/stac/v1",
        collection="sentinel-2-l2a",
        hosts=("sentinel2l2a01.blob.core.windows.net",),
        signer="https://planetarycomputer.microsoft.com/api/sas/v1/token/{account}/{container}",
        assets=dict(zip((*BAND_NAMES, "scl"), (*_SHORT, "SCL"), strict=True)),
    ),
    # Named as stactools does, which made most of the Items that there are beside the catalogues above.
    "plain": Profile(url=None, collection="sentinel-2-l2a", assets=_WITH_PROBABILITIES),
}


@dataclass(frozen=True, kw_only=True)
class DemProfile(Provider):
    """An elevation model at one provider.

    Attributes:
        asset: Its asset of elevations in metres.
    """

    asset: str = "data"


_COPERNICUS = {
    name: f"https://{name}.s3.eu-central-1.amazonaws.com" for name in ("copernicus-dem-30m", "copernicus-dem-90m")
}

DemName = Literal["earth-search", "planetary-computer", "plain"]
"""What ``dem.profile`` may say: each has its entry below."""

DEM_PROFILES: Mapping[DemName, DemProfile] = {
    "earth-search": DemProfile(
        url="https://earth-search.aws.element84.com/v1",
        collection="cop-dem-glo-30",
        hosts=tuple(
            host
            for name in _COPERNICUS
            for host in (f"{name}.s3.eu-central-1.amazonaws.com", f"{name}.s3.amazonaws.com")
        ),
        buckets=_COPERNICUS,
    ),
    "planetary-computer": DemProfile(
        url="https://planetarycomputer.microsoft.com/api/stac/v1",
        collection="cop-dem-glo-30",
        hosts=("elevationeuwest.blob.core.windows.net",),
        signer="https://planetarycomputer.microsoft.com/api/sas/v1/token/{account}/{container}",
    ),
    "plain": DemProfile(url=None, collection="cop-dem-glo-30"),
}
