"""A work unit's middle step: a process that holds the model and turns observed blocks into probabilities."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from landslide_scale.bands import Reason
from landslide_scale.grid import PatchLattice, PixelBox
from landslide_scale.model.core.precision import computing, format_on
from landslide_scale.provenance import NumberFormat
from landslide_scale.scan.model import precision_of
from landslide_scale.scan.patches.canvas import Tile
from landslide_scale.scan.patches.predict import BlockPredictor
from landslide_scale.scan.plan import WorkUnit
from landslide_scale.scan.settings import PredictConfig
from landslide_scale.scan.work import Row
from landslide_scale.spec import REFLECTANCE, REFLECTANCE_WHITE

Agreed = Callable[[NumberFormat], NumberFormat]
"""From the format that this machine would choose to the one that its run computes in."""


def of_this_machine(own: NumberFormat) -> NumberFormat:
    """The format of whoever predicts alone."""
    return own


class Predictor:
    """Holds the model in one process and predicts rows.

    Args:
        load: How the checkpoint becomes a network and its card. It is no part of the task, which readers and writers
            get too: whoever unpickles it imports torch.
        patches: Where the network's squares lie.
        settings: How it passes over a block.
        device: As torch names it.
        threads: Of torch.
        agreed: What all predictors of the run compute in, where the precision is left to the hardware.
    """

    def __init__(
        self,
        load: Callable[[], tuple[Any, Any]],
        *,
        patches: PatchLattice,
        settings: PredictConfig,
        device: str,
        threads: int,
        agreed: Agreed = of_this_machine,
    ) -> None:
        net, self.card = load()
        self.patches = patches
        asked = precision_of(settings, self.card)
        precision = agreed(format_on(asked, device)) if asked == "auto" else asked
        self.predictor = BlockPredictor(
            net,
            self.card,
            lattice=patches,
            batch=settings.batch,
            precision=precision,
            device=device,
            threads=threads,
        )
        self.computed = json.dumps(computing(precision, device))

    def __call__(self, row: Row) -> Row:
        """The row with ``values`` replaced by ``probability`` (B, B) float32, NaN where not observed.

        ``computed`` says as JSON on what.
        """
        begun = time.perf_counter()
        unit = WorkUnit.from_json(str(row["unit"]))
        core = unit.box.around(row["reason"] == Reason.OBSERVED)
        predicted = None if core is None else self.predictor.predict(self._tile(core, row["values"]))
        kept = {name: value for name, value in row.items() if name != "values"}
        seconds = time.perf_counter() - begun
        probability = _place(unit.box, core, predicted)
        return kept | {"probability": probability, "predict_seconds": seconds, "computed": self.computed}

    def _tile(self, core: PixelBox, values: NDArray[np.float32]) -> Tile:
        outer = self.patches.covering(core)
        return Tile(
            values=shown(np.asarray(values), self.card.inputs.radiometry),
            row=outer.row_start,
            col=outer.col_start,
            core=(core.row_start, core.row_stop, core.col_start, core.col_stop),
        )


def shown(reflectance: NDArray[np.float32], radiometry: str) -> NDArray[np.float32]:
    """Reflectance in the units a checkpoint was trained on; to 0 to 255 the way SAM is shown reflectance."""
    return reflectance if radiometry in REFLECTANCE else reflectance * np.float32(255 / REFLECTANCE_WHITE)


def _place(box: PixelBox, core: PixelBox | None, predicted: NDArray[np.float32] | None) -> NDArray[np.float32]:
    out = np.full(box.shape, np.nan, np.float32)
    if core is not None and predicted is not None:
        out[core.within(box)] = predicted
    return out
