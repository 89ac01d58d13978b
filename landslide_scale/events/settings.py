"""The section of a configuration that says which events are followed, and where they are asked for."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from landslide_scale.errors import InvalidConfigError
from landslide_scale.scene import Access
from landslide_scale.strictyaml import InputPath, Section

SECTION = "events"
USGS_WEEK = "https://earthquake.usgs.gov/earthquakes/feed/v1.0/summary/4.5_week.geojson"
USGS_DETAIL = "https://earthquake.usgs.gov/fdsnws/event/1/query?format=geojson&eventid={id}"

FeedAddress = Annotated[
    str,
    Field(
        pattern=r"^https?://[^/?#\s]+[^#\s]*$",
        description="an address by http(s), as https://earthquake.usgs.gov/fdsnws/event/1/query",
    ),
]
DetailAddress = Annotated[
    str,
    Field(
        pattern=r"^https?://[^/?#\s{}]+[^#\s{}]*\{id\}[^#\s{}]*$",
        description="an address by http(s) with {id} in it, as https://example.com/query?format=geojson&eventid={id}",
    ),
]
FeedHost = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9:]([A-Za-z0-9.:-]*[A-Za-z0-9])?$",
        description="a host's name or number alone, as example.com: no https://, port or folder",
    ),
]


class GateConfig(Section):
    """Which events are looked at. An event that a person gives passes all gates but the greatest area.

    Attributes:
        least_magnitude: Weaker ones are not followed; known earthquakes have made landslides in numbers from about 5.5.
        greatest_depth_km: Deeper ones are not followed.
        least_mmi: Shaking of the ground to be looked at, as Modified Mercalli intensity; 6 is where landslides begin to
            be many. An event whose shaking over land stays below it is not followed.
        least_land_km2: Of land shaken so; less is not followed.
        greatest_land_km2: Of land shaken so; with more, a person has to say what is to be looked at.
        wait_for_shakemap_h: Hours from the origin after which an event without a ShakeMap is looked at by its magnitude
            alone.
    """

    least_magnitude: float = Field(default=5.5, ge=0, le=10)
    greatest_depth_km: float = Field(default=70.0, gt=0, le=800)
    least_mmi: float = Field(default=6.0, ge=1, le=10)
    least_land_km2: float = Field(default=50.0, ge=0)
    greatest_land_km2: float = Field(default=100_000.0, gt=0)
    wait_for_shakemap_h: float = Field(default=3.0, ge=0, le=168)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least_land_km2 >= self.greatest_land_km2:
            raise InvalidConfigError(
                f"least_land_km2 {self.least_land_km2:g} and greatest_land_km2 {self.greatest_land_km2:g}",
                expected="the least below the greatest",
                key=f"{SECTION}.gates.least_land_km2",
            )
        return self


class EventsConfig(Section):
    """Which events are followed.

    Attributes:
        url: A summary feed (GeoJSON), or an FDSN event query; with what else is to be asked, as
            ``https://example.com/query?minlatitude=30``.
        service: ``feed``: all of it is read. ``fdsn``: asked for the last days, page by page.
        detail: Where one event's products are, with ``{id}``; used where a feed does not say so.
        allowed_hosts: Hosts that details and products may be read from, beside those of `url` and `detail`; only these
            and those may be in a private network.
        days_back: How old an event may be that is begun with; one that was begun is followed to its end.
        gates: Which events are looked at.
        land: A file of polygons (GeoJSON, GeoPackage, ...) that says what is land; by default a mask that comes with
            this package, in cells of 0.05 degrees (about 5 km).
    """

    url: FeedAddress = USGS_WEEK
    service: Literal["feed", "fdsn"] = "feed"
    detail: DetailAddress = USGS_DETAIL
    allowed_hosts: tuple[FeedHost, ...] = ()
    days_back: float = Field(default=7.0, gt=0, le=3650)
    gates: GateConfig = GateConfig()
    land: InputPath | None = None

    @property
    def access(self) -> Access:
        """Which hosts may be asked: those that the user named."""
        hosts = [urlsplit(self.url).hostname, urlsplit(self.detail).hostname, *self.allowed_hosts]
        named = tuple(dict.fromkeys(host.lower() for host in hosts if host))
        return Access(hosts=named, named=named, section=SECTION)
