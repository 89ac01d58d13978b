"""Landslides with the ids and the verdicts of the version before, as they are written."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import shapely

from landslide_scale.errors import InvalidInputError
from landslide_scale.products import names
from landslide_scale.products.heritage import Heritage, Judgement, Known, Verdict, inherited, layer_of
from landslide_scale.products.landslide import GEOMETRY
from landslide_scale.products.manifest import Manifest
from landslide_scale.products.vectors.columns import SCHEMA
from landslide_scale.products.vectors.geoparquet import Revise, parts
from landslide_scale.storage.rundir import RunDirectory

_ASKED = ["id", "window", "area_m2", "merged", *asdict(Verdict())]


@dataclass(frozen=True, kw_only=True)
class Inheriting:
    """What landslides inherit from.

    Attributes:
        heritage: As it was asked for.
        target: Where the products of the version before are.
        sha256: Of its landslides.
    """

    heritage: Heritage
    target: RunDirectory
    sha256: str

    @classmethod
    def of(cls, heritage: Heritage) -> Inheriting:
        """As asked for.

        Raises:
            InvalidInputError: There are no landslides there.
        """
        target = RunDirectory(heritage.earlier)
        known = Manifest.read(target).files.get(names.POLYGONS)
        if known is None:
            raise InvalidInputError(
                f"no {names.POLYGONS} in its {names.MANIFEST}", expected="products of the version before", folder=target
            )
        return cls(heritage=heritage, target=target, sha256=known.sha256)

    @property
    def told(self) -> Mapping[str, Any]:
        """All that what is inherited depends on, as JSON has it."""
        said = json.dumps([asdict(one) for one in self.heritage.judgements], sort_keys=True)
        judged = hashlib.sha256(said.encode()).hexdigest()
        return {"polygons": self.sha256, "judgements": judged, **asdict(self.heritage.rules)}

    @property
    def words(self) -> str:
        """By which rule landslides are known again."""
        rules = self.heritage.rules
        return (
            "a landslide has the id and the verdict of that of the version before with which it shares the most "
            f"ground, at least {rules.agreement:.0%} of the smaller; one that has grown by more than {rules.grown:.0%} "
            "since it was judged is unreviewed again"
        )

    def revision(self, earlier: Path) -> Revise:
        """What gives landslides what they inherit.

        Args:
            earlier: GeoParquet of those of the version before.
        """

        def revise(path: Path) -> Iterator[pa.RecordBatch]:
            before, now = _by_layer(earlier), _by_layer(path)
            ready = {layer: iter(self._of_layer(layer, before.get(layer, []), some)) for layer, some in now.items()}
            for part in parts(path):
                yield _with(part, [next(ready[layer_of(window)]) for window in part["window"].to_pylist()])

        return revise

    def _of_layer(self, layer: str, earlier: list[Known], now: list[Known]) -> list[Known]:
        judgements: dict[str, Judgement] = {one.id: one for one in self.heritage.judgements if one.layer == layer}
        return inherited(earlier, now, judgements, self.heritage.rules)


def _by_layer(path: Path) -> dict[str, list[Known]]:
    """The landslides of a file by their layer, in their order; of each what is asked here alone is held."""
    found: dict[str, list[Known]] = defaultdict(list)
    for part in parts(path):
        shapes = shapely.from_wkb(part[GEOMETRY])
        for row, shape in zip(part.select(_ASKED).to_pylist(), shapes, strict=True):
            found[layer_of(row["window"])].append(
                Known(
                    id=row["id"],
                    geometry=shape,
                    area_m2=row["area_m2"],
                    merged=tuple(name for name in row["merged"].split(",") if name),
                    said=Verdict(**{name: row[name] for name in asdict(Verdict())}),
                )
            )
    return dict(found)


def _with(part: pa.RecordBatch, known: list[Known]) -> pa.RecordBatch:
    """Rows with the ids, the merged ones and the verdicts of these."""
    columns = [{"id": one.id, "merged": ",".join(one.merged), **asdict(one.said)} for one in known]
    for name in columns[0] if columns else ():
        place = SCHEMA.get_field_index(name)
        part = part.set_column(place, SCHEMA.field(place), pa.array([one[name] for one in columns], pa.string()))
    return part
