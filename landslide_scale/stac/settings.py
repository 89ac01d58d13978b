"""Where and when pixels are from: windows of time, collections, and what their assets may point to."""

from __future__ import annotations

import re
from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    WrapSerializer,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from landslide_scale.bands import TERRAIN_BANDS
from landslide_scale.errors import InvalidConfigError
from landslide_scale.scene import Window, utc
from landslide_scale.stac.providers import DEM_PROFILES, PROFILES, DemName, DemProfile, Profile, ProfileName, Provider
from landslide_scale.strictyaml import InputPath, Section

AssetWord = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_]{0,63}$",
        description="1 to 64 lower-case letters, digits and _, the first a letter",
    ),
]
"""A band, or what a rule of ``composite.mask`` asks; a band's misspelt name would be neither, and is refused there."""

Interpolation = Literal["cubic", "bilinear"]
"""How elevations are found between the pixels of their model."""

HostName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9])?(:\*)?$",
        description="a host's name or number, as example.com or example.com:8443: no https:// and no folder",
    ),
]
BucketName = Annotated[
    str,
    Field(
        pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$",
        max_length=63,
        description="a bucket's name alone, as my-bucket: no s3:// and no folder",
    ),
]
BucketAddress = Annotated[
    str,
    Field(
        pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$",
        description="the address it is read by, as https://my-bucket.s3.eu-central-1.amazonaws.com",
    ),
]
ApiAddress = Annotated[
    str,
    Field(
        pattern=r"^https?://[^/?#\s]+",
        description="an address by http(s), as https://earth-search.aws.element84.com/v1",
    ),
]
TileName = Annotated[str, Field(pattern=r"^\d\d[C-X][A-Z]{2}$", description="a tile's name, as 33TWM")]
SignerAddress = Annotated[
    str,
    Field(
        pattern=r"^https?://[^/?#@\s]+/[^?#\s]*$",
        description="an address with a folder, as https://example.com/token/{account}/{container}",
    ),
]


def _window(value: object) -> object:
    """Dates as people write them (``2023-08-01`` is midnight UTC) to aware instants; a window as it is."""
    if isinstance(value, Window):
        return value
    if not isinstance(value, dict) or not {"start", "end"} <= set(value) <= {"start", "end", "years"}:
        raise InvalidConfigError(
            f"{value!r}",
            expected="{start: DATE, end: DATE}, or {start: DATE, end: DATE, years: N} for the same days of N years",
            key="windows",
        )
    years = value.get("years", 1)
    if type(years) is not int:
        raise InvalidConfigError(f"years {years!r}", expected="a whole number", key="windows")
    try:
        return Window(start=utc(value["start"]), end=utc(value["end"]), years=years)
    except (TypeError, ValueError) as error:  # datetime's own: not a text, not a date
        raise InvalidConfigError(str(error), expected="an ISO date or instant, as 2024-10-01", key="windows") from error


def _recorded(window: Window, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
    """As :meth:`Window.recorded` reads it; what a run of windows of one year records is what it was."""
    return {key: value for key, value in whole(window).items() if key != "years" or window.years > 1}


WindowField = Annotated[Window, BeforeValidator(_window), WrapSerializer(_recorded)]
"""A window as a configuration gives it."""


_OFFSET = "in_numbers|removed|profile|flag:[A-Za-z0-9_.:+-]{1,255}"


def _offset(value: object) -> object:
    if value is not None and not re.fullmatch(_OFFSET, str(value)):
        raise PydanticCustomError("offset", "in_numbers, removed, or flag:PROPERTY of the Items that says which")
    return value


OffsetWord = Annotated[
    str | None,
    BeforeValidator(_offset),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": f"^({_OFFSET})$"}, {"type": "null"}]}),
]
"""Who says whether the numbers of assets still carry the radiometric offset."""


class SourceConfig(Section):
    """A collection of a STAC API, or Items in files, and which addresses their assets may point to.

    Attributes:
        url: STAC API root; by default the profile's.
        items: Path or fsspec URL of Items to search instead of an API: a file (one Item, an ItemCollection, one Item a
            line, stac-geoparquet), a folder of such files at any depth, or a pattern with ``*``.
        collection: Overrides the profile's collection.
        allowed_hosts: Hosts that assets may be read from, beside the profile's own; a name or a number, with its port
            where that is not 80 or 443 (``host:8443``, or ``host:*`` for all). Only these may be in a private network.
        allowed_roots: Local folders that assets may be read from.
        buckets: S3 buckets that Items name by ``s3://``, and the http(s) address each is read by, without signing: of
            the bucket itself, or of a folder of an endpoint of one's own. Its host counts as named by the user.
        signer: Where addresses are signed just before they are read, with ``{account}`` (first label of the host) and
            ``{container}`` (first folder); by default the profile's.
    """

    section: ClassVar[str]
    """Its key in a configuration."""
    asset_key: ClassVar[str]
    """The key that names assets."""
    item: ClassVar[str]
    """What an Item of it is called in messages."""
    as_cogs: ClassVar[str]
    """What to do where an asset is no GeoTIFF."""

    url: ApiAddress | None = None
    items: InputPath | None = None
    collection: str | None = None
    allowed_hosts: tuple[HostName, ...] = ()
    allowed_roots: tuple[InputPath, ...] = ()
    buckets: dict[BucketName, BucketAddress] = Field(default_factory=dict)
    signer: SignerAddress | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.items is not None and self.url is not None:
            raise InvalidConfigError(
                "both items and url", expected="Items in files, or an API", key=f"{self.section}.items"
            )
        return self

    @property
    @abstractmethod
    def provider(self) -> Provider:
        """What is known of the provider that the profile names."""


class SceneFilter(Section):
    """What scenes must be to be used, by their Items' properties; one that does not say so is not used.

    Attributes:
        relative_orbits: Of these, 1 to 143: one viewing direction.
        platforms: Of these satellites.
        tiles: Of these MGRS tiles, as ``33TWM``.
        min_sun_elevation: Degrees above the horizon, at least; a low sun casts long shadows.
        max_nodata: Percent of the tile without data, at most.
    """

    relative_orbits: tuple[Annotated[int, Field(ge=1, le=143)], ...] | None = Field(default=None, min_length=1)
    platforms: tuple[Literal["S2A", "S2B", "S2C", "S2D"], ...] | None = Field(default=None, min_length=1)
    tiles: tuple[TileName, ...] | None = Field(default=None, min_length=1)
    min_sun_elevation: float | None = Field(default=None, ge=0, le=90)
    max_nodata: float | None = Field(default=None, ge=0, le=100)

    @model_serializer(mode="wrap")
    def _stated(self, whole: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What a run records does not change with conditions that come later."""
        return {key: value for key, value in whole(self).items() if value is not None}

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any(value is not None for value in dict(self).values()):
            raise InvalidConfigError(
                "no condition", expected=f"one of {', '.join(type(self).model_fields)}", key="catalog.filter"
            )
        return self


class CatalogConfig(SourceConfig):
    """Which catalogue the scenes are from.

    Attributes:
        profile: Asset names and the rule for the radiometric offset.
        assets: Asset names by band (and ``scl``, ``cloud``, ``snow``) where they differ from the profile's, and those
            of masks of one's own, by the name that a rule of ``composite.mask`` calls them by.
        max_cloud_cover: Percent; scenes above are not used, those that do not say are.
        filter: What else scenes must be.
        offset: Of baseline 04.00 and later, ``in_numbers``: the radiometric offset is still to be taken off.
            ``removed``: it was. ``flag:PROPERTY``: a property of each Item says whether it was; an Item without it is
            not used. By default what is known of the profile's own collection, and of any other the baseline's rule,
            which pixels are asked about. ``profile``: the profile's rule whatever else an Item says and unasked, as in
            runs begun before there was a choice.
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
    as_cogs: ClassVar[str] = (
        "Take a profile whose catalogue has the same scenes as COGs (earth-search-c1, earth-search-v1 or "
        "planetary-computer), or name the asset that is a GeoTIFF under catalog.assets."
    )

    profile: ProfileName = "earth-search-c1"
    assets: dict[AssetWord, str] = Field(default_factory=dict)
    max_cloud_cover: float = Field(default=100.0, ge=0, le=100)
    offset: OffsetWord = None
    filter: SceneFilter | None = None
    exclude: tuple[str, ...] = ()
    max_bad: float = Field(default=0.5, ge=0, le=1)
    require: Literal["any", "all"] = "any"

    @property
    def provider(self) -> Profile:
        """What is known of the provider that the profile names."""
        return PROFILES[self.profile]

    @property
    def asset_names(self) -> dict[str, str]:
        """Asset names by band, and by what else a mask may ask."""
        return {**PROFILES[self.profile].assets, **self.assets}

    @property
    def established(self) -> bool:
        """Whether this is the very collection that the profile's rule for the offset is known of."""
        known = self.provider
        at_home = self.url is None or self.url.rstrip("/") == str(known.url).rstrip("/")
        return bool(known.url) and at_home and not self.items and self.collection in {None, known.collection}

    @property
    def offset_flag(self) -> str | None:
        """The property of Items that is followed, if any."""
        if self.offset in {None, "profile"}:
            return self.provider.offset_flag
        return self.offset.removeprefix("flag:") if self.offset and self.offset.startswith("flag:") else None

    @property
    def offset_in_doubt(self) -> bool:
        """Whether pixels are asked: flags are wrong at times, and so may a rule be that was made for another place."""
        if self.offset == "profile":
            return self.provider.doubtful
        if self.offset is not None:
            return self.offset_flag is not None
        return self.provider.doubtful or not self.established


class DemConfig(SourceConfig):
    """Where the bands ``elevation`` (metres) and ``slope`` (degrees) are from: a collection of elevation models.

    Attributes:
        profile: Where the collection is; Copernicus GLO-30 unless `collection` says otherwise.
        asset: Overrides the profile's name of the asset that holds elevations in metres.
        interpolation: ``cubic``, so that a slope does not jump where the model's pixels meet; ``bilinear`` as in runs,
            chips and so checkpoints made before there was a choice.
    """

    section: ClassVar[str] = "dem"
    asset_key: ClassVar[str] = "dem.asset"
    item: ClassVar[str] = "dem"
    as_cogs: ClassVar[str] = "Name the asset that is a GeoTIFF under dem.asset."

    profile: DemName = "earth-search"
    asset: str | None = None
    interpolation: Interpolation = "cubic"

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
