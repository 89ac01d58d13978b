"""Names of files as Copernicus EMS Rapid Mapping has them, for those who file products by these.

``EMSRnnn_AOInn_TYPE_PRODUCT_FEATUREg_rR_vV``, with ``MONITnn`` in the place of ``PRODUCT`` for a monitoring update: the
activation, the area of interest, the kind of product, what is in the file and how it is drawn, release and version
(emergency.copernicus.eu/mapping, Manual for Rapid Mapping products, *Naming conventions*).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from landslide_scale.products import names
from landslide_scale.rapid.publication.settings import EmsNamesConfig
from landslide_scale.storage.rundir import RunDirectory

FOLDER = "ems"
"""In a version's folder, where the copies lie."""

_FEATURES = {names.POLYGONS: "observedEventA", names.GEOJSON: "observedEventA"}
"""What is in a file; others hold all of a product, and have no feature in their name."""

_KINDS = {"eo-fep": "FEP", "eo-mon": "DEL", "eo-del": "DEL"}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a version is among those of its event.

    Attributes:
        response: Its type in the vocabulary of Monty.
        monitoring: Number of the monitoring update; None of what is none.
        release, version: As of the version.
    """

    response: str
    monitoring: int | None
    release: int
    version: int


def ems_names(kind: Kind, config: EmsNamesConfig) -> dict[str, str]:
    """The name of each file that is copied, by its name among the products; none of a version without observed ground.

    Args:
        kind: Of the version.
        config: Activation and area of interest.
    """
    if kind.response not in _KINDS:
        return {}
    product = "PRODUCT" if kind.monitoring is None else f"MONIT{kind.monitoring:02d}"
    begin = f"{config.activation}_AOI{config.area:02d}_{_KINDS[kind.response]}_{product}"
    end = f"r{kind.release}_v{kind.version}"
    found = {}
    for file in (names.GEOPACKAGE, names.POLYGONS, names.GEOJSON, names.REPORT):
        feature = f"_{_FEATURES[file]}" if file in _FEATURES else ""
        found[file] = f"{begin}{feature}_{end}{PurePosixPath(file).suffix}"
    return found


def copy(target: RunDirectory, wanted: Mapping[str, str]) -> None:
    """Copy the products that are there under other names, below :data:`FOLDER`.

    Args:
        target: Folder of the version.
        wanted: Names of the copies, by name among the products.
    """
    for file, name in wanted.items():
        if target.exists(file):
            target.write(f"{FOLDER}/{name}", target.read(file))
