"""What every data set looks like from outside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from landslide_scale.errors import InvalidDatasetError
from landslide_scale.label_values import IGNORE, counting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from landslide_scale.provenance import ImageFacts
    from landslide_scale.spec import Radiometry

LABELS = (0, 1, IGNORE)
"""Background, landslide, ignored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One labelled image.

    Attributes:
        image: float32 (C, H, W) in the units of the data set's radiometry; NaN is no data.
        label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.
        pixel_m2: Area of a pixel in m2, after any resizing; None where nobody knows.
        inventory: Name of the mapping that the label is from; None where nobody says.
        stored: The same at the size in which it is stored, where it was resized.

    Whoever changes one changes a copy: data sets may give the same arrays again.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]
    pixel_m2: float | None = None
    inventory: str | None = None
    stored: Sample | None = None

    @property
    def truth(self) -> NDArray[np.uint8]:
        """The label of the pixels that count, (H, W); 255 on all others."""
        return counting(self.label, self.image)

    @property
    def as_stored(self) -> Sample:
        """It before any resizing."""
        return self.stored or self


@dataclass(frozen=True, kw_only=True)
class Found:
    """What opening one image showed.

    Attributes:
        height, width: In pixels, after any resizing.
        landslide: Pixels labelled landslide that count.
        counted: Pixels that count, as :func:`landslide_scale.label_values.counting` has it.
        pixel_m2: Area of a pixel in m2; None where nobody knows.
        inventory: Name of the mapping that its label is from; None where nobody says.
    """

    height: int
    width: int
    landslide: int
    counted: int
    pixel_m2: float | None = None
    inventory: str | None = None


class Dataset(Protocol):
    """Labelled images, by name."""

    @property
    def names(self) -> tuple[str, ...]:
        """Sorted, unique, the same on every machine."""
        ...

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands of the images, in order."""
        ...

    @property
    def radiometry(self) -> Radiometry:
        """Units of the images."""
        ...

    @property
    def facts(self) -> ImageFacts:
        """What else is known of the images, as stored; what resizing makes of their resolution, `Found` says."""
        ...

    def place(self, name: str) -> str:
        """Name of the ground that an image shows: several images may show the same."""
        ...

    def read(self, name: str) -> Sample:
        """Open one image and its label, and check both; InvalidDatasetError names the file at fault."""
        ...


def inspect(
    dataset: Dataset, *, threads: int = 4, each: Callable[[str, Sample], None] = lambda _name, _sample: None
) -> Mapping[str, Found]:
    """Open every image and mask once, so that nothing is found to be broken hours into a training.

    Args:
        dataset: The images.
        threads: That open them.
        each: Given every image as it is open, from those threads.

    Raises:
        InvalidDatasetError: Naming the first file, in order of names, that cannot be used.
    """

    def look(name: str) -> Found:
        sample = dataset.read(name)
        each(name, sample)
        height, width = sample.label.shape
        truth = sample.truth
        landslide, ignored = (int((truth == value).sum()) for value in (1, IGNORE))
        counted = height * width - ignored
        return Found(
            height=height,
            width=width,
            landslide=landslide,
            counted=counted,
            pixel_m2=sample.pixel_m2,
            inventory=sample.inventory,
        )

    with ThreadPoolExecutor(threads) as pool:
        return dict(zip(dataset.names, pool.map(look, dataset.names), strict=True))


def need_names(names: tuple[str, ...], *, expected: str, file: str) -> tuple[str, ...]:
    """The names, if there is any.

    Raises:
        InvalidDatasetError: There is none.
    """
    if not names:
        raise InvalidDatasetError("no images", expected=expected, file=file)
    return names
