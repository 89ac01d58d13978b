"""A version as STAC Items of IFRC's Monty extension 1.3.0: the event, the shaking, the landslides, and our response.

Schema, rules and vocabulary: github.com/IFRCGo/monty-stac-extension, v1.3.0 (README, docs/model/response-taxonomy.md,
docs/model/taxonomy.md). Countries are not known from coordinates without a map of borders: they are those that the
configuration states, and an empty list otherwise, which the schema allows. The correlation identifier is of the
documented form; its block is written as the south-western corner of its cell of 0.2 degrees, for the numbers of blocks
are in a table of the Monty database, and it does not end in ``GCDB``, for that database has not given it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.products import names
from landslide_scale.products.assets import assets, extensions
from landslide_scale.products.manifest import Stored
from landslide_scale.rapid.publication.response import Producer, Stage, detail
from landslide_scale.rapid.publication.version import ITEMS, RESPONSE, Version, folder_of

MONTY = "https://ifrcgo.org/monty-stac-extension/v1.3.0/schema.json"
_PROCESSING = "https://stac-extensions.github.io/processing/v1.2.0/schema.json"
_VERSIONED = "https://stac-extensions.github.io/version/v1.2.0/schema.json"

LANDSLIDE = ("LS", "nat-geo-mmd-lan", "GH0300")
"""GLIDE, EM-DAT and UNDRR-ISC 2025: gravitational mass movement."""

SHAKING = ("EQ", "nat-geo-ear-gro", "GH0101")
"""The same of an earthquake's ground movement."""

EVENT, SHAKEMAP, HAZARD = f"{ITEMS}event.json", f"{ITEMS}shakemap.json", f"{ITEMS}hazard.json"
EARTHQUAKE = "earthquake"

_OURS = "landslide_scale:"
_GEOJSON = "application/geo+json"
_UNKNOWN_COUNTRY = "XXX"
_CELLS_PER_DEGREE = 5
_DEGREES = 1e-5
"""To which areas are written: a metre."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What Items say of the event itself.

    Attributes:
        id: Its preferred one, of its source.
        ids: All it was ever known by.
        title: Where it was.
        origin: Aware UTC instant.
        lon, lat: Degrees.
        kind: ``earthquake``, or what a person gave.
        magnitude: None is not known.
        url: Page of its source; empty of one given by hand.
        ground: Ground to be looked at, degrees, cut at the antimeridian.
        shakemap: Address of the ShakeMap that it is of, and that map's version; None without one.
        largest_intensity: Of the ShakeMap, MMI; None is not known.
    """

    id: str
    ids: tuple[str, ...]
    title: str
    origin: datetime
    lon: float
    lat: float
    kind: str
    ground: BaseGeometry
    magnitude: float | None = None
    url: str = ""
    shakemap: tuple[str, str] | None = None
    largest_intensity: float | None = None


def items(
    version: Version, subject: Subject, producer: Producer, stage: Stage, derived_from: Sequence[str] = ()
) -> dict[str, bytes]:
    """The Items of a version by name in its folder; all that they point to there is relative.

    ``response.json`` is the version; what lies below ``monty/`` is the event, its ShakeMap where there is one, and the
    landslides as a hazard where any were looked for.

    Args:
        version: With the files that its response has as assets.
        subject: The event.
        producer: Who publishes it.
        stage: How far the response is.
        derived_from: Addresses of the Items of scenes that it was made of.
    """
    made = {EVENT: _event(subject, producer)}
    if version.figures.landslide_km2 is not None:
        made[HAZARD] = _hazard(version, subject, producer)
    if subject.shakemap is not None:
        made[SHAKEMAP] = _shakemap(subject, producer, *subject.shakemap)
        if HAZARD in made:
            made[SHAKEMAP]["links"].append({"rel": "triggers-hazard", "href": "hazard.json", "type": _GEOJSON})
    made[RESPONSE] = _response(version, subject, producer, stage, derived_from=derived_from, others=sorted(made))
    return {name: (json.dumps(one, indent=1, sort_keys=True) + "\n").encode() for name, one in made.items()}


def correlation(subject: Subject, producer: Producer) -> str:
    """The identifier by which all Items of an event are found: instant, country, cell, hazard and episode."""
    country = producer.countries[0] if len(producer.countries) == 1 else _UNKNOWN_COUNTRY
    cell = f"{_corner(subject.lat, 'NS', 2)}{_corner(subject.lon, 'EW', 3)}"
    return f"{subject.origin.astimezone(UTC):%Y%m%dT%H%M%SZ}-{country}-{cell}-{_codes(subject)[-1]}-1"


def _corner(degrees: float, sides: str, digits: int) -> str:
    """Of the cell that a coordinate lies in, tenths of a degree and which side of zero."""
    tenths = math.floor(degrees * _CELLS_PER_DEGREE + 1e-9) * 2
    return f"{sides[tenths < 0]}{abs(tenths):0{digits + 1}d}"


def _codes(subject: Subject) -> tuple[str, ...]:
    return SHAKING if subject.kind == EARTHQUAKE else LANDSLIDE


def _event(subject: Subject, producer: Producer) -> dict[str, Any]:
    codes = [*SHAKING, *LANDSLIDE] if subject.kind == EARTHQUAKE else [*LANDSLIDE]
    made = _item(
        f"{subject.id}-event", shapely.Point(subject.lon, subject.lat), subject, producer, roles=["event", "source"]
    )
    made["properties"] |= {
        "title": subject.title,
        "keywords": [subject.kind, "landslide"],
        "monty:hazard_codes": codes,
        f"{_OURS}ids": list(subject.ids),
    }
    if subject.magnitude is not None:
        made["properties"][f"{_OURS}magnitude"] = subject.magnitude
    made["links"] = [*_pages(subject, "via"), _related("../response.json", "response")]
    return made


def _shakemap(subject: Subject, producer: Producer, address: str, number: str) -> dict[str, Any]:
    made = _item(f"{subject.id}-shakemap", subject.ground, subject, producer, roles=["hazard", "source"])
    made["properties"] |= {
        "title": f"ShakeMap, version {number}: {subject.title}",
        "description": "The geometry is the ground that is looked at for landslides.",
        "monty:hazard_codes": [*SHAKING],
        f"{_OURS}shakemap_version": number,
    }
    known = {"mmi": subject.largest_intensity, "magnitude": subject.magnitude}
    measured = next(((unit, value) for unit, value in known.items() if value is not None), None)
    if measured is not None:
        made["properties"]["monty:hazard_detail"] = {
            "severity_value": measured[1],
            "severity_unit": measured[0],
            "estimate_type": "primary",
        }
    made["links"] = [{"rel": "via", "href": address}, *_of_event("event.json")]
    return made


def _hazard(version: Version, subject: Subject, producer: Producer) -> dict[str, Any]:
    figures = version.figures
    made = _item(f"{subject.id}-landslides", subject.ground, subject, producer, roles=["hazard", "source"])
    made["properties"] |= {
        "title": f"{figures.mapped.capitalize()}: {subject.title}",
        "description": f"{_sentence(version.state)} Area of the {figures.landslides} {figures.mapped} that were "
        f"mapped on {figures.observed_km2:,.1f} of {figures.asked_km2:,.1f} km2.",
        "monty:hazard_codes": [*LANDSLIDE],
        "monty:hazard_detail": {
            "severity_value": figures.landslide_km2,
            "severity_unit": "km2",
            "severity_label": f"area of {figures.mapped}",
            "estimate_type": "primary",
        },
    }
    shaken = [{"rel": "triggered-by-hazard", "href": "shakemap.json", "type": _GEOJSON}] if subject.shakemap else []
    made["links"] = [*_of_event("event.json"), *shaken, _related("../response.json", "response")]
    return made


def _response(
    version: Version,
    subject: Subject,
    producer: Producer,
    stage: Stage,
    *,
    derived_from: Sequence[str],
    others: Sequence[str],
) -> dict[str, Any]:
    made = _item(f"{subject.id}-v{version.number:04d}", subject.ground, subject, producer, roles=["response", "source"])
    files: Mapping[str, Stored] = version.files
    known = assets("", {name: file for name, file in files.items() if name != names.MANIFEST})
    kinds = {EVENT: "event", SHAKEMAP: "hazard", HAZARD: "hazard"}
    made["stac_extensions"] += [_PROCESSING, _VERSIONED, *extensions(known)]
    made["assets"] = {name: asset.to_dict() for name, asset in known.items()}
    made["properties"] |= {
        "title": f"{version.figures.mapped.capitalize()}, version {version.number}: {subject.title}",
        "description": f"{_sentence(version.state)} {_seen(version)}",
        "created": version.published.isoformat(),
        "version": f"{version.release}.{version.version}",
        "experimental": not version.made_of.confirmed_by,
        "monty:hazard_codes": [*LANDSLIDE],
        "monty:response_detail": detail(version, producer, stage),
        "processing:level": "L4",
        **_own(version),
    }
    before = [] if not version.number else [f"../{folder_of(version.number - 1).rpartition('/')[2]}/{RESPONSE}"]
    inputs = ["collection.json"] if names.CATALOGUE in files else []
    made["links"] = [
        *({"rel": "prev", "href": href, "type": _GEOJSON} for href in before),
        *(_related(name, kinds[name]) for name in others),
        {"rel": "source-event", "href": EVENT, "type": _GEOJSON},
        *({"rel": "derived_from", "href": f"./{name}", "type": "application/json"} for name in inputs),
        *({"rel": "derived_from", "href": address, "type": _GEOJSON} for address in derived_from),
        *({"rel": "derived_from", "href": SHAKEMAP, "type": _GEOJSON} for name in others if name == SHAKEMAP),
        *_pages(subject, "via"),
    ]
    return made


def _item(
    name: str, ground: BaseGeometry, subject: Subject, producer: Producer, *, roles: Sequence[str]
) -> dict[str, Any]:
    """What all Items of an event have; their hazards are still to be said."""
    exact = ground if isinstance(ground, shapely.Point) else _exact(ground)
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [MONTY],
        "id": name,
        "geometry": shapely.geometry.mapping(exact),
        "bbox": _bbox(exact),
        "properties": {
            "datetime": subject.origin.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "roles": list(roles),
            "monty:country_codes": list(producer.countries),
            "monty:corr_id": correlation(subject, producer),
            "monty:src_event_id": subject.id,
        },
        "links": [],
        "assets": {},
    }


def _exact(ground: BaseGeometry) -> BaseGeometry:
    """Ground to a metre, right-handed; where nothing is left of it, as it is."""
    rounded = shapely.set_precision(ground, _DEGREES)
    return shapely.orient_polygons(ground if rounded.is_empty else rounded)


def _bbox(ground: BaseGeometry) -> list[float]:
    """West, south, east and north; of ground over the antimeridian west is the larger (RFC 7946, 5.2)."""
    parts = [part.bounds for part in shapely.get_parts(ground)]
    west, south, east, north = (float(side) for side in ground.bounds)
    if west == -180 and east == 180:  # noqa: PLR2004 where areas are cut
        west = min(part[0] for part in parts if part[0] >= 0)
        east = max(part[2] for part in parts if part[2] <= 0)
    return [west, south, east, north]


def _own(version: Version) -> dict[str, Any]:
    """Figures that no extension has words for."""
    known = {
        "number": version.number,
        "asked_km2": version.figures.asked_km2,
        "observed_km2": version.figures.observed_km2,
        "hidden_km2": version.figures.hidden_km2,
        "landslides": version.figures.landslides,
        "mapped": version.figures.mapped,
        "landslide_km2": version.figures.landslide_km2,
        "newly_observed_km2": None if version.difference is None else version.difference.newly_observed_km2,
        "cube_sha256": version.made_of.cube_sha256 or None,
    }
    return {f"{_OURS}{name}": value for name, value in known.items() if value is not None}


def _seen(version: Version) -> str:
    figures = version.figures
    if not figures.observed_km2:
        return f"None of {figures.asked_km2:,.1f} km2 was seen clear since the event."
    return f"{figures.observed_km2:,.1f} of {figures.asked_km2:,.1f} km2 were seen clear since the event."


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _pages(subject: Subject, relation: str) -> list[dict[str, Any]]:
    return [{"rel": relation, "href": subject.url, "type": "text/html"}] if subject.url else []


def _of_event(href: str) -> list[dict[str, Any]]:
    """Both words that the extension has for it: its documents ask for one, its examples have the other."""
    return [{"rel": "source-event", "href": href, "type": _GEOJSON}, _related(href, "event")]


def _related(href: str, role: str) -> dict[str, Any]:
    return {"rel": "related", "href": href, "type": _GEOJSON, "roles": [role]}
