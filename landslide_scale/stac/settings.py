"""Where and when pixels are from: windows of time, collections, and what their assets may point to."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from landslide_scale.bands import TERRAIN_BANDS
from landslide_scale.errors import InvalidConfigError
from landslide_scale.scene import Window, utc
from landslide_scale.stac.providers import DEM_PROFILES, PROFILES, DemName, DemProfile, Profile, ProfileName, Provider
from landslide_scale.strictyaml import Section

AssetBand = Literal[
    "coastal", "blue", "green", "red", "rededge1", "rededge2", "rededge3", "nir", "nir08", "nir09", "swir16", "swir22",
    "scl",
]  # fmt: skip
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9])?$")]
SignerAddress = Annotated[str, Field(pattern=r"^https?://[^/?#@\s]+/[^?#\s]*$")]


def _window(value: object) -> object:
    """Dates as people write them (``2023-08-01`` is midnight UTC) to aware instants."""
    if not isinstance(value, dict) or set(value) != {"start", "end"}:
        raise InvalidConfigError(f"{value!r}", expected="{start: DATE, end: DATE}", key="windows")
    try:
        return Window(**{key: utc(text) for key, text in value.items()})
    except (TypeError, ValueError) as error:  # datetime's own: not a text, not a date
        raise InvalidConfigError(str(error), expected="an ISO date or instant", key="windows") from error


WindowField = Annotated[Window, BeforeValidator(_window)]
"""A window as a configuration gives it."""


class SourceConfig(Section):
    """A collection of a STAC API, and which addresses its assets may point to.

    Attributes:
        url: STAC API root; by default the profile's.
        collection: Overrides the profile's collection.
        allowed_hosts: Hosts that assets may be read from, beside the profile's own; a name or a number, no port.
            Only these may be in a private network.
        allowed_roots: Local folders that assets may be read from.
        signer: Where addresses are signed just before they are read, with ``{account}`` (first label of the host) and
            ``{container}`` (first folder); by default the profile's.
    """

    section: ClassVar[str]
    """Its key in a configuration."""
    asset_key: ClassVar[str]
    """The key that names assets."""
    item: ClassVar[str]
    """What an Item of it is called in messages."""

    url: str | None = None
    collection: str | None = None
    allowed_hosts: tuple[HostName, ...] = ()
    allowed_roots: tuple[str, ...] = ()
    signer: SignerAddress | None = None

    @property
    @abstractmethod
    def provider(self) -> Provider:
        """What is known of the provider that the profile names."""


class CatalogConfig(SourceConfig):
    """Which catalogue the scenes are from.

    Attributes:
        profile: Asset names and the rule for the radiometric offset.
        assets: Asset names by band (and ``scl``) where they differ from the profile's.
        max_cloud_cover: Percent; scenes above are not used.
        exclude: Ids of scenes that are left out on purpose. A run that is gone on with may be given more of them: what
            was made with such a scene is then made anew without it. One that it was given once stays out of it.
        max_bad: Share of the scenes that may be set aside because their Item lacks something or their pixels cannot be
            read, 0 to 1. With more of them, something is wrong with the catalogue, the configuration or the host.
        require: ``any``: a window without a scene becomes an empty layer, as long as not all are. ``all``: it is
            refused.
    """

    section: ClassVar[str] = "catalog"
    asset_key: ClassVar[str] = "catalog.assets"
    item: ClassVar[str] = "scene"

    profile: ProfileName = "earth-search-c1"
    assets: dict[AssetBand, str] = Field(default_factory=dict)
    max_cloud_cover: float = Field(default=100.0, ge=0, le=100)
    exclude: tuple[str, ...] = ()
    max_bad: float = Field(default=0.5, ge=0, le=1)
    require: Literal["any", "all"] = "any"

    @property
    def provider(self) -> Profile:
        """What is known of the provider that the profile names."""
        return PROFILES[self.profile]


class DemConfig(SourceConfig):
    """Where the bands ``elevation`` (metres) and ``slope`` (degrees) are from: a collection of elevation models.

    Attributes:
        profile: Where the collection is; Copernicus GLO-30 unless `collection` says otherwise.
        asset: Overrides the profile's name of the asset that holds elevations in metres.
    """

    section: ClassVar[str] = "dem"
    asset_key: ClassVar[str] = "dem.asset"
    item: ClassVar[str] = "dem"

    profile: DemName = "earth-search"
    asset: str | None = None

    @property
    def provider(self) -> DemProfile:
        """What is known of the provider that the profile names."""
        return DEM_PROFILES[self.profile]


def check_terrain(bands: tuple[str, ...], dem: DemConfig | None) -> None:
    """Make sure that elevation and slope are asked for where, and only where, an elevation model is given.

    Raises:
        InvalidConfigError: One is there without the other, or there is no band of a scene beside them.
    """
    terrain = [band for band in bands if band in TERRAIN_BANDS]
    if terrain and dem is None:
        raise InvalidConfigError(
            f"no section dem, and bands {list(bands)}",
            expected=f"where {' and '.join(terrain)} are read from",
            key="dem",
            cure="Add `dem: {profile: earth-search}` for Copernicus GLO-30.",
        )
    if dem is not None and not terrain:
        raise InvalidConfigError(
            f"a section dem, and bands {list(bands)}",
            expected=f"a band {' or '.join(TERRAIN_BANDS)} among them",
            key="dem",
            cure="Leave dem out: nothing would be read from it.",
        )
    if len(terrain) == len(bands):
        raise InvalidConfigError(
            f"bands {list(bands)}",
            expected="at least one band of Sentinel-2: elevation alone does not see a landslide",
            key="bands",
        )
