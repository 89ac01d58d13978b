"""What is known of each provider of Sentinel-2 L2A: one explicit profile, so that nothing is guessed from an Item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from landslide_scale.bands import BAND_NAMES

_SHORT = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One provider.

    Attributes:
        url, collection: Where its Sentinel-2 L2A is; without an address the user gives one.
        hosts: Where its assets live.
        signer: Where its assets are signed for reading, with ``{account}`` and ``{container}`` of an asset's address;
            None where they are open to all.
        offset_flag: Item property that says the offset is already in the pixels; None: it never is.
        doubtful: Whether that flag is known to be wrong at times, so that the pixels are asked.
        assets: Band name to asset name, the cloud mask (``scl``) among them.
    """

    url: str | None
    collection: str
    hosts: tuple[str, ...] = ()
    signer: str | None = None
    offset_flag: str | None = None
    doubtful: bool = False
    assets: Mapping[str, str] = field(default_factory=lambda: {band: band for band in (*BAND_NAMES, "scl")})


PROFILES: Mapping[str, Profile] = {
    # Everything in this collection was made or remade with an offset, which is never taken off.
    "earth-search-c1": Profile(
        url="https://earth-search.aws.element84.com/v1",
        collection="sentinel-2-c1-l2a",
        hosts=("e84-earth-search-sentinel-data.s3.us-west-2.amazonaws.com",),
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
    "plain": Profile(url=None, collection="sentinel-2-l2a"),
}
