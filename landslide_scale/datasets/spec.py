"""Where labelled images lie and what their values mean, as one frozen value that imports with nothing but Python."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from landslide_scale.errors import InvalidConfigError
from landslide_scale.spec import SMALLEST_SIDE, Radiometry

DataKind = Literal["bijie", "landslide4sense", "pairs", "chips"]


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """Where labelled images lie and how their masks are read.

    Attributes:
        kind: ``bijie``: the Bijie landslide data set as published. ``landslide4sense``: a folder of Landslide4Sense as
            published, with ``img`` and ``mask`` inside. ``pairs``: plain folders ``image`` and ``mask``. ``chips``:
            what ``landslide-scale chips`` writes.
        path: Folder, or its URL.
        split: ``seeded`` parts the images by ``train.split_seed``, as the paper. ``official``, of ``landslide4sense``,
            takes the published parts in `path`: ``TrainData`` is learnt from, ``ValidData`` chosen by, ``TestData``
            scored. ``inventory``, of imported ``chips``, parts whole inventories instead of images: neighbours that
            show one event are all learnt from or all scored.
        hold_out: With `split` ``inventory``: names of those that are scored; by default `train.split_seed` draws them.
        groups: What lies in one part. ``ground``: all that shows one ground, which is every window of a place, images
            that share pixels, and neighbouring chips with a landslide that lies in both. ``images``: each image by
            itself, as it was before; then what is scored may show ground that was learnt from. None is ``ground``; a
            run begun before goes on by images.
        block_m: Of ``chips``: those in one square of so many metres lie in one part, instead of those with one
            landslide: for ground so full of landslides that these join everything. What then lies in two parts is said.
        group_column: A column of ``groups.csv`` in `path` (the images are in its column ``name``): images that it says
            the same of lie in one part, instead of chips with one landslide.
        group_pattern: A regular expression that is found in the name of every image: likewise those of which its first
            group, or all of it, is the same.
        contested: Of ``bijie`` and ``pairs``: what pixels are that are background in one image and landslide in another
            which shows the same pixels: ``background``, as that image's mask says, or ``ignored``, in training and in
            scores. Masks of Bijie draw one landslide per image.
        resolution: Metres per pixel of ``pairs``, for scores by landslide size; other kinds know their own.
        resize: Side in pixels every image of ``bijie`` or ``pairs`` is resized to: images antialiased, masks by
            nearest. None keeps their sizes.
        non_landslide: With ``bijie``, take the non-landslide images too, as all background.
        channels: Names of the bands in the images of ``pairs``, in the files' order; a model takes any of them, by
            name. None: 8-bit images of red, green and blue.
        radiometry: With `channels`: what the images' values are once scaled.
        scale, offset: With `channels`: from stored values to these, ``stored * scale + offset``, as GDAL and STAC
            have it. Sentinel-2 L2A from processing baseline 04.00 on has 0.0001 and -0.1 for ``boa``.
        background, landslide, ignore: Mask values of ``pairs`` and what they mean; no value may mean two things. Masks
            of other kinds have one meaning only and leave these alone.
    """

    kind: DataKind
    path: str
    split: Literal["seeded", "official", "inventory"] = "seeded"
    hold_out: tuple[str, ...] = ()
    groups: Literal["ground", "images"] | None = None
    block_m: float | None = None
    group_column: str | None = None
    group_pattern: str | None = None
    contested: Literal["background", "ignored"] = "background"
    resolution: float | None = None
    resize: int | None = None
    non_landslide: bool = False
    channels: tuple[str, ...] | None = None
    radiometry: Radiometry | None = None
    scale: float | None = None
    offset: float = 0.0
    background: tuple[int, ...] = (0,)
    landslide: tuple[int, ...] = (255,)
    ignore: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.resize is not None and (self.resize < SMALLEST_SIDE or self.kind not in {"bijie", "pairs"}):
            raise InvalidConfigError(
                f"resize {self.resize} for {self.kind}",
                expected=f"{SMALLEST_SIDE} or more, for bijie or pairs",
                key="dataset.resize",
            )
        if self.non_landslide and self.kind != "bijie":
            raise InvalidConfigError(
                f"non_landslide for {self.kind}",
                expected="bijie, which has a folder of them",
                key="dataset.non_landslide",
            )
        if self.split == "official" and self.kind != "landslide4sense":
            raise InvalidConfigError(
                f"split official for {self.kind}",
                expected="landslide4sense, which is published in parts",
                key="dataset.split",
            )
        if self.split == "inventory" and self.kind != "chips":
            raise InvalidConfigError(
                f"split inventory for {self.kind}",
                expected="chips that `landslide-scale import` made",
                key="dataset.split",
            )
        if self.hold_out and self.split != "inventory":
            raise InvalidConfigError(
                f"{list(self.hold_out)} with split {self.split}",
                expected="split: inventory beside it",
                key="dataset.hold_out",
            )
        if self.resolution is not None and not (self.kind == "pairs" and 0 < self.resolution < math.inf):
            raise InvalidConfigError(
                f"resolution {self.resolution} for {self.kind}",
                expected="metres per pixel, above 0, for pairs",
                key="dataset.resolution",
            )
        self._check_groups()
        self._check_channels()
        self._check_mask_values()

    @property
    def settings(self) -> dict[str, Any]:
        """What a run records of it: keys added later are left out where unset, so that runs begun before go on."""
        values = asdict(self)
        later = [*(("channels", "radiometry", "scale", "offset") if self.channels is None else ())]
        later += [] if self.hold_out else ["hold_out"]
        later += ["groups"] if self.groups == "images" else []
        later += ["contested"] if self.contested == "background" else []
        later += [key for key in ("block_m", "group_column", "group_pattern") if values[key] is None]
        values["groups"] = self.groups or "ground"
        return {key: value for key, value in values.items() if key not in later}

    @property
    def own_groups(self) -> str | None:
        """The key by which the data set says itself what lies together, instead of its landslides."""
        keys = ("block_m", "group_column", "group_pattern")
        return next((key for key in keys if getattr(self, key) is not None), None)

    def _check_groups(self) -> None:
        if self.contested == "ignored" and self.kind not in {"bijie", "pairs"}:
            raise InvalidConfigError(
                f"contested ignored for {self.kind}", expected="bijie or pairs", key="dataset.contested"
            )
        told = {key: getattr(self, key) for key in ("block_m", "group_column", "group_pattern")}
        for key, value in told.items():
            if value is not None and (self.groups == "images" or self.split != "seeded"):
                raise InvalidConfigError(
                    f"{value} with groups {self.groups} and split {self.split}",
                    expected="groups: ground and split: seeded, which heed it",
                    key=f"dataset.{key}",
                )
        if self.block_m is not None and not (self.kind == "chips" and 0 < self.block_m < math.inf):
            raise InvalidConfigError(
                f"{self.block_m} for {self.kind}", expected="metres, above 0, for chips", key="dataset.block_m"
            )
        if self.group_pattern is not None:
            try:
                re.compile(self.group_pattern)
            except re.error as error:
                raise InvalidConfigError(
                    f"{self.group_pattern!r} ({error})", expected="a regular expression", key="dataset.group_pattern"
                ) from None

    def _check_channels(self) -> None:
        units = {"radiometry": self.radiometry, "scale": self.scale}
        if self.channels is None:
            if given := [key for key, value in (units | {"offset": self.offset or None}).items() if value is not None]:
                raise InvalidConfigError(
                    f"{given[0]} without channels",
                    expected="the names of the images' bands beside it",
                    key="dataset.channels",
                )
            return
        if self.kind != "pairs":
            raise InvalidConfigError(
                f"channels for {self.kind}", expected="pairs; other kinds know their own", key="dataset.channels"
            )
        if not self.channels or len(set(self.channels)) != len(self.channels):
            raise InvalidConfigError(
                f"channels {list(self.channels)}", expected="at least one band, each once", key="dataset.channels"
            )
        if lacking := [key for key, value in units.items() if value is None]:
            raise InvalidConfigError(
                f"channels without {lacking[0]}",
                expected="what their values are: radiometry (boa, toa, rgb8, l4s) and scale",
                cure="Reflectance as floats is boa with scale 1, Sentinel-2 digital numbers boa with scale 0.0001.",
                key=f"dataset.{lacking[0]}",
            )
        if not (0 < (self.scale or 0) < math.inf and math.isfinite(self.offset)):
            raise InvalidConfigError(
                f"scale {self.scale}, offset {self.offset}",
                expected="a scale above 0 and finite numbers",
                key="dataset.scale",
            )

    def _check_mask_values(self) -> None:
        values = (*self.background, *self.landslide, *self.ignore)
        if len(set(values)) != len(values) or not self.landslide or not self.background:
            raise InvalidConfigError(
                f"background {self.background}, landslide {self.landslide}, ignore {self.ignore}",
                expected="at least one value for background and landslide, and one meaning for each value",
                key="dataset",
            )
