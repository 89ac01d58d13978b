"""What chips are about: landslides that were drawn, the ground on which all of them were, and what is said of both."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from landslide_scale.region.drawn import Drawn, around, draw
from landslide_scale.region.polygons import load
from landslide_scale.region.settings import LabelledRegionConfig, LabelsConfig


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelledGround:
    """Labels and their region.

    Attributes:
        labels: How they are read.
        region: Where they are complete.
        drawn: The polygons.
    """

    labels: LabelsConfig
    region: LabelledRegionConfig
    drawn: Drawn

    @classmethod
    def of(cls, labels: LabelsConfig, region: LabelledRegionConfig) -> LabelledGround:
        """Read the labels.

        Raises:
            InvalidRegionError: They cannot be read, or are no valid polygons.
        """
        return cls(labels=labels, region=region, drawn=draw(labels))

    @cached_property
    def landslides(self) -> BaseGeometry:
        """The union of the labels, degrees."""
        return shapely.union_all(self.drawn.polygons.to_numpy())

    @cached_property
    def ground(self) -> BaseGeometry:
        """The region, degrees.

        Raises:
            InvalidRegionError: It cannot be read.
        """
        metres = self.region.around_labels
        return load(self.region) if metres is None else around(self.landslides, metres)

    @property
    def settings(self) -> dict[str, Any]:
        """What chips depend on of it beside their region, files by content; as recorded before there were rings."""
        digest = hashlib.sha256(shapely.to_wkb(shapely.normalize(self.landslides))).hexdigest()
        ring = {"ignore_ring_m": self.labels.ignore_ring_m} if self.labels.ignore_ring_m else {}
        return {"labels_sha256": digest} | ring

    @property
    def fair_share(self) -> bool:
        """Whether landslides are as frequent among the labelled pixels as on the region's ground, or on any.

        A ring takes background out alone, and what lies around landslides holds more of them than other ground.
        """
        return self.region.around_labels is None and not self.labels.ignore_ring_m

    def said(self, ignored_pixels: int) -> dict[str, Any]:
        """What the index says of it, with what the ring took out of all chips."""
        asked = {"where": self.labels.where, "around_labels_m": self.region.around_labels}
        ring = {"ignore_ring_m": self.labels.ignore_ring_m, "ignored_pixels": ignored_pixels}
        return self.drawn.counts | {key: value for key, value in asked.items() if value is not None} | ring
