"""How many landslides of which size: the law of real inventories."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from landslide_scale.errors import InvalidInputError

RHO = 1.40
A_M2 = 1.28e3
S_M2 = -1.32e2
"""Three-parameter inverse gamma of landslide areas, Malamud, Turcotte, Guzzetti and Reichenbach (2004), "Landslide
inventories and their statistical properties", Earth Surface Processes and Landforms 29, equation 3 and its fit to
three inventories: rho = 1.40, a = 1.28e-3 km2, s = -1.32e-4 km2."""

SMALLEST_M2 = 3_000.0
LARGEST_M2 = 120_000.0
"""Areas are drawn from the law between these: 30 Sentinel-2 pixels, and what one made hillside holds."""

_DRAWS_PER_KEPT = 50
"""Most landslides of the law are smaller than the smallest kept."""


def draw_areas(rng: np.random.Generator, total_m2: float) -> NDArray[np.float64]:
    """Areas in m2 from the truncated law, largest first, as many as fit into `total_m2` in the order drawn.

    If G is gamma distributed with shape `RHO`, `A_M2` / G + `S_M2` has the density of equation 3.

    Raises:
        InvalidInputError: `total_m2` does not hold the smallest landslide.
    """
    if total_m2 < SMALLEST_M2:
        raise InvalidInputError(f"{total_m2:g} m2 of landslides", expected=f"at least {SMALLEST_M2:g} m2")
    draws = A_M2 / rng.gamma(RHO, size=round(_DRAWS_PER_KEPT * total_m2 / SMALLEST_M2)) + S_M2
    kept = draws[(draws >= SMALLEST_M2) & (draws <= LARGEST_M2)]
    areas = kept[np.cumsum(kept) <= total_m2]
    return np.sort(areas)[::-1]
