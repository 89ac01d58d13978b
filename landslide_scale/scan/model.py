"""The model of a scan: its file read once, and checked against what a scan shows it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from landslide_scale.bands import BAND_NAMES, TERRAIN_BANDS, scene_bands
from landslide_scale.cards.card import ModelCard
from landslide_scale.cards.file import Identified, check_base, identified
from landslide_scale.cards.pairing import judged_otherwise, made_otherwise, not_known, not_said
from landslide_scale.cube.arrays import STORED_AS, on_stored
from landslide_scale.cube.settings import GridConfig
from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError
from landslide_scale.grid import PatchLattice
from landslide_scale.imagery.settings import CompositeConfig
from landslide_scale.metrics import AreaRatio
from landslide_scale.provenance import ImageFacts, Judged, Precision, same_resolution
from landslide_scale.registry.instead import with_instead
from landslide_scale.registry.located import Located, located
from landslide_scale.registry.settings import Entry
from landslide_scale.scan.settings import NONE, UNSAID, CheckpointConfig, PredictConfig
from landslide_scale.spec import REFLECTANCE, Radiometry
from landslide_scale.stac.search import collection
from landslide_scale.stac.settings import DemConfig

NETWORK_SIDE = 448
"""Side in pixels of what the encoder sees where its checkpoint does not say how it was judged: 28 of SAM's tokens, two
windows of 14 without padding; a multiple of 32 too, for the convolutional networks."""

_NONE_YET = "`landslide-scale finetune` writes checkpoint.safetensors into its output.run;"


@dataclass(frozen=True, kw_only=True)
class ScanModel:
    """A checkpoint that fits a scan.

    Attributes:
        card: The checkpoint's.
        sha256: Of the checkpoint file.
        patches: Where the network's squares lie.
        precision: In which it computes; ``auto`` is as the hardware has it.
        caveat: What every output must say of this pairing of model and data; empty where there is nothing.
        unknown: What the checkpoint does not say and the pairing was therefore not judged by; empty where there is
            nothing.
    """

    card: ModelCard
    sha256: str
    patches: PatchLattice
    precision: Precision
    caveat: str
    unknown: str = ""

    @property
    def bands(self) -> tuple[str, ...]:
        """Channels of the network."""
        return self.card.model.bands

    @property
    def attributes(self) -> dict[str, Any]:
        """What a cube says of it, as it reads back from JSON; of what it was trained on only where that is known."""
        trained_on = json.loads(json.dumps(self.card.trained_on.known))
        said = {} if self.card.trained_on == ImageFacts() else {"trained_on": trained_on}
        return {
            "checkpoint_sha256": self.sha256,
            "threshold": on_stored(self.card.threshold),
            "checkpoint_threshold": self.card.threshold,
            "probability": STORED_AS,
            "caveat": self.caveat,
            "training": self.card.provenance,
        } | said

    @property
    def recorded(self) -> dict[str, Any]:
        """What the result depends on beside the configuration."""
        return {"checkpoint_sha256": self.sha256}

    @property
    def passing(self) -> dict[str, Any]:
        """How it passes over a block, as ``predict`` of a configuration.

        Of a checkpoint that does not say how it was judged nothing, so that runs begun before are known again.
        """
        if self.card.judged.patch is None:
            return {}
        return {"patch": self.patches.patch, "halo": self.patches.halo, "precision": self.precision}

    @property
    def area(self) -> AreaRatio | None:
        """What its expected landslide area can be trusted for; None where that is not known."""
        return self.card.area

    @property
    def fair_share(self) -> bool | None:
        """Whether that is from a fair sample of some ground; None where nobody knows."""
        return self.card.trained_on.fair_share

    @property
    def noted(self) -> dict[str, Any]:
        """What a run says of it."""
        card = self.card
        area = None if card.area is None else asdict(card.area)
        return {
            "caveat": self.caveat,
            "unknown": self.unknown,
            "trained_on": card.trained_on.known,
            "area": area,
            "judged": card.judged.known,
            "network": {
                "name": card.model.name,
                "bands": list(card.model.bands),
                "patch": self.patches.patch,
                "halo": self.patches.halo,
                "precision": self.precision,
            },
        }


@dataclass(frozen=True, kw_only=True)
class NoModel:
    """What a scan without a network has in place of one.

    Attributes:
        bands: What is read of scenes, and kept.
        patches: A block each, for nothing around it is looked at.
    """

    bands: tuple[str, ...]
    patches: PatchLattice

    caveat: ClassVar[str] = "No network has looked at this: it says what was seen, and holds no landslide probability."
    unknown: ClassVar[str] = ""
    area: ClassVar[None] = None
    fair_share: ClassVar[None] = None

    @property
    def attributes(self) -> dict[str, Any]:
        """What a cube says of it."""
        return {"title": "Sentinel-2 composites", "model": NONE, "caveat": self.caveat}

    @property
    def noted(self) -> dict[str, Any]:
        """What a run says of it."""
        return {"model": NONE, "caveat": self.caveat, "unknown": self.unknown, "trained_on": {}, "area": None}

    @property
    def recorded(self) -> dict[str, Any]:
        """What the result depends on beside the configuration."""
        return {}


def no_model(keep: tuple[str, ...], grid: GridConfig) -> NoModel:
    """What a scan without a network is to see.

    Args:
        keep: Bands of the composite that the cube keeps.
        grid: The lattice.

    Raises:
        InvalidConfigError: None is kept: nothing would be made.
    """
    if not keep:
        raise InvalidConfigError(
            "no bands, and model none",
            expected="at least one: a scan without a network is its composite",
            cure="Keep what is to be looked at, as output.keep: [red, green, blue, nir].",
            key="output.keep",
        )
    return NoModel(bands=keep, patches=PatchLattice(patch=grid.block, halo=0))


def observed_as(grid: GridConfig, composite: CompositeConfig, dem: DemConfig | None) -> ImageFacts:
    """What the images of a scan, or chips, of these settings are."""
    return ImageFacts(
        resolution=float(grid.resolution),
        method=composite.method,
        clear=composite.clear,
        dilate_m=composite.dilate_m,
        mask=composite.rules_told,
        dem=None if dem is None else collection(dem),
    )


def fitting_model(checkpoint: CheckpointConfig, predict: PredictConfig, shown: ImageFacts) -> ScanModel:
    """The model that a scan is to use.

    Args:
        checkpoint: Where it is, and what is accepted of it.
        predict: How it passes over a block.
        shown: What the scan's images are.

    Raises:
        InvalidCheckpointError: It is no checkpoint, or does not fit what a scan shows it.
        InvalidConfigError: There is none, or the network cannot see patches of the side asked for.
    """
    found = _identified(checkpoint_of(checkpoint))
    card = found.card
    check_base(card, checkpoint.base_weights)
    try:
        accepted = (_radiometry(checkpoint, card), _resolution(checkpoint, card, shown))
    except InvalidCheckpointError as error:
        raise with_instead(error, shown) from error
    patches = PatchLattice(patch=_patch_side(predict.patch, card), halo=_halo(predict.halo, card.judged))
    precision = precision_of(predict, card)
    caveats = (*accepted, made_otherwise(card.trained_on, shown), judged_otherwise(card.judged, patches, precision))
    return ScanModel(
        card=card,
        sha256=found.sha256,
        patches=patches,
        precision=precision,
        caveat=" ".join(caveat for caveat in caveats if caveat),
        unknown="; ".join(each for each in (not_known(card.trained_on), not_said(card.judged)) if each),
    )


def precision_of(predict: PredictConfig, card: ModelCard) -> Precision:
    """In which a network computes: as asked for, else as it was judged in, else as before cards said so."""
    found: Precision = predict.precision or card.judged.precision or UNSAID["precision"]
    return found


def _halo(asked: int | None, judged: Judged) -> int:
    """Likewise how far its squares reach over their neighbours."""
    known = [halo for halo in (asked, judged.halo) if halo is not None]
    return known[0] if known else int(UNSAID["halo"])


def checkpoint_of(config: CheckpointConfig) -> Located:
    """Where the checkpoint is.

    Raises:
        InvalidConfigError: There is none.
        InvalidInputError: It is a name that stands for none.
    """
    if config.checkpoint is None:
        raise InvalidConfigError(
            "no checkpoint",
            expected="the path or URL of one, or its name",
            cure=f"{_NONE_YET} `plan` of a scan does without.",
            key="model.checkpoint",
        )
    return located(config.checkpoint)


def _identified(checkpoint: Located) -> Identified:
    try:
        return _as_listed(identified(checkpoint.here()), checkpoint.entry)
    except InvalidCheckpointError as error:
        cure = error.cure or f"{_NONE_YET} `plan --bands red,green,blue` of a scan does without."
        raise InvalidCheckpointError(error.found, expected=error.expected, cure=cure, **error.where) from error


def _as_listed(found: Identified, entry: Entry | None) -> Identified:
    if entry is not None:
        entry.check(found.card.model.bands, found.card.inputs.radiometry, found.card.trained_on)
    return found


def _patch_side(asked: int | None, card: ModelCard) -> int:
    """Side of a patch in native pixels."""
    side = asked or card.judged.patch or NETWORK_SIDE // card.model.upsample
    if side * card.model.upsample % card.model.multiple:
        raise InvalidConfigError(
            f"{side} px enlarged by {card.model.upsample} to {side * card.model.upsample} px",
            expected=f"a multiple of {card.model.multiple} once enlarged",
            key="predict.patch",
        )
    return side


_MEANING: dict[Radiometry, str] = {
    "boa": "trained on radiometry boa",
    "toa": "trained on radiometry toa, reflectance at the top of the atmosphere (Level-1C, as Landslide4Sense): what "
    "the air adds differs by scene, so that no map from one to the other is right",
    "rgb8": "trained on radiometry rgb8",
    "l4s": "trained on radiometry l4s, values of Landslide4Sense as they are stored",
}


def _radiometry(config: CheckpointConfig, card: ModelCard) -> str:
    """Sentinel-2 L2A is surface reflectance; another radiometry is refused unless told to go on."""
    known = (*BAND_NAMES, *TERRAIN_BANDS)
    trained = card.inputs.radiometry
    unknown = [band for band in card.model.bands if band not in known]
    if unknown:
        why = "" if trained == "boa" else f", and {_MEANING[trained]}"
        raise InvalidCheckpointError(f"bands {unknown}{why}", expected=f"of {', '.join(known)}", file=config.checkpoint)
    if trained == "boa":
        return ""
    if trained not in REFLECTANCE and scene_bands(card.model.bands) != card.model.bands:
        raise InvalidCheckpointError(
            f"bands {list(card.model.bands)} trained on radiometry {trained}",
            expected="elevation in metres and slope in degrees, as in chips of this package",
            file=config.checkpoint,
        )
    if config.accept_radiometry != trained:
        raise InvalidCheckpointError(
            _MEANING[trained],
            expected="boa, the surface reflectance that a scan reads",
            cure=f"To go on all the same set model.accept_radiometry: {trained}; every output will say so.",
            file=config.checkpoint,
        )
    return f"The model was trained on {trained} imagery, not on surface reflectance: this is not a landslide map."


def _resolution(config: CheckpointConfig, card: ModelCard, shown: ImageFacts) -> str:
    """Pixels of another size are refused unless told to go on; of a size that nobody knows they are taken."""
    trained, metres = card.trained_on.resolution, shown.resolution
    if trained is None or metres is None or same_resolution(trained, metres):
        return ""
    if config.accept_resolution is None or not same_resolution(config.accept_resolution, trained):
        raise InvalidCheckpointError(
            f"trained on pixels of {trained:g} m",
            expected=f"{metres:g} m, the grid.resolution of the scan",
            cure=f"To go on all the same set model.accept_resolution: {trained:g}; every output will say so.",
            file=config.checkpoint,
        )
    return f"The model was trained on pixels of {trained:g} m and is shown pixels of {metres:g} m."
