"""By which order an analyst looks at landslides."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from landslide_scale.products.landslide import CONFIDENCES

BLOCKING = ("roads", "rivers")
"""Layers of a user: who touches one may block it, and comes first."""

RULE = (
    "1 is to be looked at first: what touches roads or rivers before what does not, then the larger in pixels, then "
    "the surer by confidence, then by id and window"
)

RANKED_BY = ("touches", "pixels", "confidence", "id", "window")
"""Columns that :func:`ranks` reads."""


def ranks(table: pa.Table) -> pa.Array:
    """Each landslide's rank by `RULE`, from 1, int32.

    Args:
        table: The columns `RANKED_BY`; confidences are of `CONFIDENCES`.
    """
    touched = [set(touches.split(",")) for touches in table["touches"].to_pylist()]
    keys = pa.table(
        {
            "blocking": pa.array([not names.isdisjoint(BLOCKING) for names in touched], pa.bool_()),
            "pixels": table["pixels"],
            "sure": pc.index_in(table["confidence"], pa.array(CONFIDENCES)),
            "id": table["id"],
            "window": table["window"],
        }
    )
    down, up = ("blocking", "pixels", "sure"), ("id", "window")
    by = [*((name, "descending") for name in down), *((name, "ascending") for name in up)]
    order = pc.sort_indices(keys, sort_keys=by).to_numpy()
    found = np.empty(len(order), np.int32)
    found[order] = np.arange(1, len(order) + 1)
    return pa.array(found)
