"""What the chips of an import have in common, as their index says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from landslide_scale.bands import CLEAR_CLASSES
from landslide_scale.datasets.chips import VERSION
from landslide_scale.importing.chip import METHOD
from landslide_scale.importing.patch import BANDS, METRES, SIDE

SOURCE = {
    "name": "Sen12Landslides",
    "doi": "10.1038/s41597-025-06167-2",
    "licence": "CC BY 4.0, by its authors' word: name them wherever chips or what is made of them go",
}


def chips_index(inventories: Mapping[str, str], chips: Mapping[str, str]) -> dict[str, Any]:
    """The index as JSON.

    Args:
        inventories: Of each chip, by its name.
        chips: SHA-256 of the file of each, likewise.
    """
    return {
        "version": VERSION,
        "bands": list(BANDS),
        "radiometry": "boa",
        "resolution": METRES,
        "size": SIDE,
        "composite": {"method": METHOD, "clear": [int(one) for one in CLEAR_CLASSES], "dilate_m": 0.0, "mask": []},
        "windows": 1,
        "fair_share": False,  # patches were picked for the landslides in them
        "source": SOURCE,
        "inventories": dict(inventories),
        "chips": dict(chips),
    }
