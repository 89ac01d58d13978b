"""Views that show the landslides under the names and types by which published inventories have them.

What a scan does not know (fatalities, volume) is NULL there, never a guess. What it cannot know of the event, an
analyst writes once into the table `event`, and all views have it.
"""

from __future__ import annotations

from dataclasses import dataclass

DAY = "DATE"


@dataclass(frozen=True, kw_only=True)
class View:
    """One view over the layer `landslides`, called `l`, a point inside `p`, its first scene `s`, and the event `e`.

    Attributes:
        name: As the inventory names its layer.
        description: Which inventory, and what to know of it.
        columns: Name, SQL type, and what it is, in order.
    """

    name: str
    description: str
    columns: tuple[tuple[str, str, str], ...]

    @property
    def sql(self) -> str:
        """Statement that makes it. A view's column has its CAST's type; days have a table's, for SQLite has none."""
        typed = [
            f"{what} AS {name}" if kind == DAY else f"CAST({what} AS {kind}) AS {name}"
            for name, kind, what in self.columns
        ]
        return (
            f"CREATE VIEW {self.name} AS SELECT l.fid AS OGC_FID, l.geom AS geom, {', '.join(typed)} "  # noqa: S608 ours
            "FROM landslides l JOIN landslide_points p ON p.fid = l.fid "
            "LEFT JOIN event e ON e.fid = 1 "
            "LEFT JOIN source s ON s.scene_id = substr(l.scene_ids || ',', 1, instr(l.scene_ids || ',', ',') - 1)"
        )


_INVENTORY = "'landslide-scale run ' || l.run_id"
_COMMENT = "'preliminary, not field-validated; confidence ' || l.confidence || ', ' || l.status"
_KIND = "CASE WHEN l.change = 'candidate' THEN 'Landslide candidate' ELSE 'Landslide' END"

USGS_CONFIDENCE = "CASE WHEN l.status = 'rejected' THEN NULL WHEN l.status = 'confirmed' THEN 5 "
USGS_CONFIDENCE += "WHEN l.confidence = 'high' THEN 3 WHEN l.confidence = 'medium' THEN 2 ELSE 1 END"
"""USGS's steps: 8 high confidence in extent or nature, 5 confident, 3 likely, 2 probable, 1 possible."""

VIEWS = (
    View(
        name="ground_failure_polygons",
        description="As USGS's ground-failure database (doi 10.5066/F7H70DB4) names its columns; area in m2, geodesic",
        columns=(
            ("event_name", "TEXT", "e.name"),
            ("event_date", DAY, "e.date"),
            ("epicentral_country", "TEXT", "e.country"),
            ("type", "TEXT", _KIND),
            ("area", "REAL", "l.area_m2"),
            ("description", "TEXT", "l.verdict"),
            ("volume", "REAL", "NULL"),
            ("event_link", "TEXT", "e.link"),
            ("source_link", "TEXT", "NULL"),
            ("inventory_name", "TEXT", _INVENTORY),
            ("comments", "TEXT", _COMMENT),
        ),
    ),
    View(
        name="us_ls_v3_poly",
        description="As USGS's inventory of the United States, version 3 (February 2025), names its columns; "
        "Confidence: 1 low, 2 medium, 3 high, 5 confirmed by an analyst, none where rejected",
        columns=(
            ("USGS_ID", "TEXT", "l.id"),
            ("Date_Min", DAY, "l.date_min"),
            ("Date_Max", DAY, "l.date_max"),
            ("Confidence", "INTEGER", USGS_CONFIDENCE),
            ("LS_Type", "TEXT", "NULL"),
            ("Inventory", "TEXT", _INVENTORY),
            ("Inv_URL", "TEXT", "NULL"),
            ("Fatalities", "INTEGER", "NULL"),
            ("Lat_N", "REAL", "p.latitude"),
            ("Lon_W", "REAL", "p.longitude"),
        ),
    ),
    View(
        name="observedEventA",
        description="As Copernicus EMS rapid mapping (JRC121741, 2020) has it; area in ha; dmg_src_id: the first scene",
        columns=(
            ("event_type", "TEXT", "'6-Mass Movement'"),
            ("obj_desc", "TEXT", _KIND),
            ("det_method", "TEXT", "'Automatic extraction'"),
            ("notation", "TEXT", _COMMENT),
            ("dmg_src_id", "INTEGER", "s.src_id"),
            ("area", "REAL", "l.area_m2 / 10000.0"),
        ),
    ),
    View(
        name="coolr_events",
        description="As NASA's COOLR names the columns of its event polygons; days before and after are of images",
        columns=(
            ("ev_id", "INTEGER", "l.fid"),
            ("ev_date", DAY, "e.date"),
            ("ev_title", "TEXT", "coalesce(e.name || ', ', '') || lower(" + _KIND + ") || ' ' || l.id"),
            ("ls_trig", "TEXT", "coalesce(e.trigger, 'unknown')"),
            ("ctry_name", "TEXT", "e.country"),
            ("method", "TEXT", "'automatic'"),
            ("img_type", "TEXT", "'Sentinel-2'"),
            ("sat_date_b", DAY, "l.date_min"),
            ("sat_date_a", DAY, "l.date_max"),
        ),
    ),
)
