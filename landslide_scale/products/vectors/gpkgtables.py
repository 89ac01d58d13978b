"""What GDAL does not write into a GeoPackage: domains of columns, styles that QGIS finds, views of other schemas.

OGC 12-128r17, GeoPackage 1.3: section F.9 for the schema extension; views as GDAL registers spatial ones.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from landslide_scale.products.landslide import GEOMETRY
from landslide_scale.products.vectors.columns import DOMAINS, EPSG, GEOMETRY_TYPE, MEANINGS
from landslide_scale.products.vectors.styles import Style
from landslide_scale.products.vectors.views import VIEWS

GEOMETRY_COLUMN = "geom"
"""As GDAL calls it in a GeoPackage."""

_SCHEMA_EXTENSION = "http://www.geopackage.org/spec121/#extension_schema"

_DATA_COLUMNS = """CREATE TABLE gpkg_data_columns (
  table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT, title TEXT, description TEXT, mime_type TEXT,
  constraint_name TEXT, CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name),
  CONSTRAINT gdc_tn UNIQUE (table_name, name))"""

_CONSTRAINTS = """CREATE TABLE gpkg_data_column_constraints (
  constraint_name TEXT NOT NULL, constraint_type TEXT NOT NULL, value TEXT, min NUMERIC, min_is_inclusive BOOLEAN,
  max NUMERIC, max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value))"""

_STYLES = """CREATE TABLE layer_styles (
  id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL, f_table_catalog TEXT(256), f_table_schema TEXT(256),
  f_table_name TEXT(256), f_geometry_column TEXT(256), styleName TEXT(30), styleQML TEXT, styleSLD TEXT,
  useAsDefault BOOLEAN, description TEXT, owner TEXT(30), ui TEXT(30),
  update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')))"""
"""As QGIS makes it, and looks for it."""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A GeoPackage for changes, which are kept where the block ends well; what they free is given back."""
    with closing(sqlite3.connect(path)) as base:
        with base:
            yield base
        base.execute("VACUUM")


def add_domains(base: sqlite3.Connection) -> None:
    """Say what the columns of `landslides` mean, and what may stand in those that have a domain."""
    base.execute(_DATA_COLUMNS)
    base.execute(_CONSTRAINTS)
    for table in ("gpkg_data_columns", "gpkg_data_column_constraints"):
        base.execute(
            "INSERT INTO gpkg_extensions VALUES (?, NULL, 'gpkg_schema', ?, 'read-write')", (table, _SCHEMA_EXTENSION)
        )
    base.executemany(
        "INSERT INTO gpkg_data_columns (table_name, column_name, description, constraint_name) "
        "VALUES ('landslides', ?, ?, ?)",
        [(name, text, name if name in DOMAINS else None) for name, text in MEANINGS.items() if name != GEOMETRY],
    )
    base.executemany(
        "INSERT INTO gpkg_data_column_constraints (constraint_name, constraint_type, value, description) "
        "VALUES (?, 'enum', ?, ?)",
        [(name, value, value or "none") for name, values in DOMAINS.items() for value in values],
    )


def add_styles(base: sqlite3.Connection, styles: Mapping[str, Style], moment: str) -> None:
    """Each layer's own style, as the one that QGIS opens it with."""
    base.execute(_STYLES)
    base.executemany(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, styleName, "
        "styleQML, styleSLD, useAsDefault, description, owner, ui, update_time) "
        "VALUES ('', '', ?, ?, ?, ?, '', 1, '', '', NULL, ?)",
        [(layer, GEOMETRY_COLUMN, layer, style.qml(), moment) for layer, style in styles.items()],
    )
    base.execute(
        "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', 'how layers look in QGIS', ?, 0)",
        (moment,),
    )


def add_views(base: sqlite3.Connection, moment: str) -> None:
    """The landslides once more under each name of `views.VIEWS`."""
    base.execute("CREATE UNIQUE INDEX source_scene_id ON source (scene_id)")
    for view in VIEWS:
        base.execute(view.sql)
        base.execute(
            "INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, min_x, min_y, "
            "max_x, max_y, srs_id) SELECT ?, 'features', ?, ?, ?, min_x, min_y, max_x, max_y, srs_id "
            "FROM gpkg_contents WHERE table_name = 'landslides'",
            (view.name, view.name, view.description, moment),
        )
        base.execute(
            "INSERT INTO gpkg_geometry_columns VALUES (?, ?, ?, ?, 0, 0)",
            (view.name, GEOMETRY_COLUMN, GEOMETRY_TYPE.upper(), EPSG),
        )
