"""What every data set looks like from outside, and what one is described by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from landslide_scale.errors import InvalidConfigError, InvalidDatasetError
from landslide_scale.losses import IGNORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from landslide_scale.spec import Radiometry

Kind = Literal["bijie", "pairs", "chips"]

LABELS = (0, 1, IGNORE)
"""Background, landslide, ignored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One labelled image.

    Attributes:
        image: float32 (C, H, W) in the units of the data set's radiometry; NaN is no data.
        label: uint8 (H, W); 0 background, 1 landslide, 255 ignored.

    Whoever changes one changes a copy: data sets may give the same arrays again.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What opening one image showed.

    Attributes:
        height, width: In pixels, after any resizing.
        landslide: Pixels labelled landslide.
        counted: Pixels not ignored.
    """

    height: int
    width: int
    landslide: int
    counted: int


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Where labelled images lie and how their masks are read.

    Attributes:
        kind: ``bijie``: the Bijie landslide data set as published. ``pairs``: plain folders ``image`` and ``mask``.
            ``chips``: what ``landslide-scale chips`` writes.
        path: Folder, or its URL.
        resize: Side in pixels every image of ``bijie`` or ``pairs`` is resized to: images antialiased, masks by
            nearest. None keeps their sizes.
        non_landslide: With ``bijie``, take the non-landslide images too, as all background.
        background, landslide, ignore: Mask values of ``pairs`` and what they mean; no value may mean two things. Masks
            of other kinds have one meaning only and leave these alone.
    """

    kind: Kind
    path: str
    resize: int | None = None
    non_landslide: bool = False
    background: tuple[int, ...] = (0,)
    landslide: tuple[int, ...] = (255,)
    ignore: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.resize is not None and (self.resize < 1 or self.kind == "chips"):
            raise InvalidConfigError(
                f"resize {self.resize} for {self.kind}", expected="1 or more, for bijie or pairs", key="data.resize"
            )
        if self.non_landslide and self.kind != "bijie":
            raise InvalidConfigError(
                f"non_landslide for {self.kind}", expected="bijie, which has a folder of them", key="data.non_landslide"
            )
        self._check_mask_values()

    def _check_mask_values(self) -> None:
        values = (*self.background, *self.landslide, *self.ignore)
        if len(set(values)) != len(values) or not self.landslide or not self.background:
            raise InvalidConfigError(
                f"background {self.background}, landslide {self.landslide}, ignore {self.ignore}",
                expected="at least one value for background and landslide, and one meaning for each value",
                key="data",
            )


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

    def read(self, name: str) -> Sample:
        """Open one image and its label, and check both; InvalidDatasetError names the file at fault."""
        ...


def inspect(dataset: Dataset, *, threads: int = 4) -> Mapping[str, Found]:
    """Open every image and mask once, so that nothing is found to be broken hours into a training.

    Raises:
        InvalidDatasetError: Naming the first file, in order of names, that cannot be used.
    """

    def look(name: str) -> Found:
        sample = dataset.read(name)
        height, width = sample.label.shape
        landslide, ignored = (int((sample.label == value).sum()) for value in (1, IGNORE))
        return Found(height=height, width=width, landslide=landslide, counted=height * width - ignored)

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
