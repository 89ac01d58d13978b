"""Images kept in memory once read, as far as a budget goes."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from landslide_scale.datasets.sample import Dataset, Sample
    from landslide_scale.provenance import ImageFacts
    from landslide_scale.spec import Radiometry

BUDGET = 2_000_000_000
"""Bytes of decoded images that one process keeps."""


class Kept:
    """A data set whose images are read and decoded once.

    A training cuts many small squares out of each image; decoding the whole image for each of them took a sixth of the
    demo's training on two cores. The first images that fit are kept and none is thrown out: every epoch visits all of
    them in another order, so any choice serves as well.

    Args:
        dataset: Where images are read.
        budget: Bytes to keep at most.
    """

    def __init__(self, dataset: Dataset, *, budget: int = BUDGET) -> None:
        self._dataset, self._left = dataset, budget
        self._samples: dict[str, Sample] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> tuple[str, ...]:
        """As the data set's."""
        return self._dataset.names

    @property
    def bands(self) -> tuple[str, ...]:
        """As the data set's."""
        return self._dataset.bands

    @property
    def radiometry(self) -> Radiometry:
        """As the data set's."""
        return self._dataset.radiometry

    @property
    def facts(self) -> ImageFacts:
        """As the data set's."""
        return self._dataset.facts

    def place(self, name: str) -> str:
        """As the data set's."""
        return self._dataset.place(name)

    def read(self, name: str) -> Sample:
        """One image and its label, not to be written to; errors as the data set's."""
        found = self._samples.get(name)
        if found is None:
            found = replace(self._dataset.read(name), stored=None)
            self._keep(name, found)
        return found

    def _keep(self, name: str, sample: Sample) -> None:
        size = sample.image.nbytes + sample.label.nbytes
        with self._lock:
            if name in self._samples or size > self._left:
                return
            for array in (sample.image, sample.label):
                array.setflags(write=False)
            self._samples[name] = sample
            self._left -= size
