"""Labelled images to train on: four layouts behind one protocol, all opened and checked before training begins.

Imports only the vocabulary. Begin with `sample.py`, the protocol, and then with the layout you are after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from landslide_scale.datasets.bijie import open_bijie
from landslide_scale.datasets.chips import open_chips
from landslide_scale.datasets.files import Files, LocalFiles, RemoteFiles, files_at
from landslide_scale.datasets.images import Channels
from landslide_scale.datasets.kept import Kept
from landslide_scale.datasets.landslide4sense import open_landslide4sense, open_official
from landslide_scale.datasets.pairs import open_pairs
from landslide_scale.datasets.patches import EvaluationPatches, Patches, TrainingPatches
from landslide_scale.datasets.sample import Dataset, Found, Sample, inspect
from landslide_scale.datasets.statistics import measured, measured_terrain
from landslide_scale.errors import InvalidDatasetError
from landslide_scale.label_values import IGNORE

if TYPE_CHECKING:
    from landslide_scale.datasets.spec import DataSpec
    from landslide_scale.spec import InputSpec, ModelSpec, Radiometry

__all__ = [
    "Dataset",
    "EvaluationPatches",
    "Files",
    "Found",
    "Kept",
    "LocalFiles",
    "Patches",
    "RemoteFiles",
    "Sample",
    "TrainingPatches",
    "files_at",
    "inspect",
    "measured",
    "measured_terrain",
    "open_dataset",
]


def open_dataset(data: DataSpec, model: ModelSpec, inputs: InputSpec, *, files: Files | None = None) -> Dataset:
    """Open a data set for a model; its images are not read yet (see `inspect`).

    Args:
        data: What to open.
        model: Its bands are what `read` gives, in its order.
        inputs: Its radiometry must be the data set's.
        files: Where to read; by default what is at `data.path`.

    Raises:
        InvalidDatasetError: Missing folders or files, or images of other bands or radiometry than the model's.
    """
    files = files_at(data.path) if files is None else files
    dataset = _open(data, model, files, inputs.radiometry)
    for what, found, expected in (
        ("bands", dataset.bands, model.bands),
        ("radiometry", dataset.radiometry, inputs.radiometry),
    ):
        if found != expected:
            raise InvalidDatasetError(f"{what} {found}", expected=f"{expected}, the model's", file=data.path)
    return dataset


def _open(data: DataSpec, model: ModelSpec, files: Files, radiometry: Radiometry) -> Dataset:
    if data.kind == "chips":
        return open_chips(files, bands=model.bands)
    if data.kind == "bijie":
        return open_bijie(files, bands=model.bands, non_landslide=data.non_landslide, resize=data.resize)
    if data.kind == "landslide4sense":
        opened = open_official if data.split == "official" else open_landslide4sense
        return opened(files, bands=model.bands, as_stored=radiometry == "l4s")
    values = ((data.background, 0), (data.landslide, 1), (data.ignore, IGNORE))
    meaning = {value: label for group, label in values for value in group}
    return open_pairs(
        files,
        meaning=meaning,
        bands=model.bands,
        channels=_channels(data),
        resolution=data.resolution,
        resize=data.resize,
    )


def _channels(data: DataSpec) -> Channels | None:
    if data.channels is None or data.radiometry is None or data.scale is None:
        return None
    return Channels(names=data.channels, radiometry=data.radiometry, scale=data.scale, offset=data.offset)
