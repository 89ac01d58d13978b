"""Mean and deviation of each band over some images."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from landslide_scale.errors import InvalidDatasetError
from landslide_scale.label_values import IGNORE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from landslide_scale.datasets.sample import Dataset, Sample
    from landslide_scale.spec import InputSpec


def measured(dataset: Dataset, names: Sequence[str], inputs: InputSpec, *, threads: int = 4) -> InputSpec:
    """Replace the mean and deviation of each band by those of the pixels that count.

    Taken over all pixels of all images together, on values clamped and scaled as `inputs` says, in float64 and in the
    order of `names`, so that every machine finds the same.

    Args:
        dataset: Where the images are read.
        names: Of the images to measure: the training part, never the scored one.
        inputs: Clamping and gain.
        threads: That read images.

    Raises:
        InvalidDatasetError: There is no such pixel, or a band has one value everywhere.
    """
    with ThreadPoolExecutor(threads) as pool:
        sums = list(pool.map(lambda name: _sums(dataset.read(name), inputs), names))
    total = np.sum(sums, axis=0)
    count = total[0, 0]
    if not count:
        raise InvalidDatasetError("no labelled pixel in the training part", expected="some, for train.statistics: data")
    mean = total[1] / count
    std = np.sqrt(np.maximum(total[2] / count - mean**2, 0))
    for band, deviation in zip(dataset.bands, std, strict=True):
        if not deviation > 0:
            raise InvalidDatasetError(
                f"band {band} has one value in the whole training part",
                expected="values that differ, for train.statistics: data",
                cure="Leave the band out of model.bands.",
            )
    return replace(inputs, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


def measured_terrain(dataset: Dataset, names: Sequence[str], inputs: InputSpec) -> InputSpec:
    """As :func:`measured` for elevation and slope alone, which have no published statistics.

    Raises:
        InvalidDatasetError: As for :func:`measured`.
    """
    if not inputs.terrain:
        return inputs
    found = measured(dataset, names, inputs)
    mean, std = list(inputs.mean), list(inputs.std)
    for band in inputs.terrain:
        mean[band], std[band] = found.mean[band], found.std[band]
    return replace(inputs, mean=tuple(mean), std=tuple(std))


def _sums(sample: Sample, inputs: InputSpec) -> NDArray[np.float64]:
    """(3, C): count of pixels, sum and sum of squares of their scaled values."""
    counted = sample.truth != IGNORE
    low, high, gain = (np.reshape(limit, (-1, 1)) for limit in inputs.limits())
    values = np.clip(sample.image[:, counted].astype(np.float64), low, high) * gain
    return np.stack((np.full(len(values), values.shape[1]), values.sum(axis=1), (values**2).sum(axis=1)))
