"""The model of a scan: its file read once, and checked against what a scan shows it."""

from __future__ import annotations

from dataclasses import dataclass

from landslide_scale.bands import BAND_NAMES, TERRAIN_BANDS, scene_bands
from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError
from landslide_scale.grid import PatchLattice
from landslide_scale.model.checkpoint import ModelCard, identified
from landslide_scale.scan.settings import CheckpointConfig, PredictConfig

NETWORK_SIDE = 448
"""Side in pixels of what the encoder sees by default: 28 of SAM's tokens, two windows of 14 without padding; a multiple
of 32 too, for the convolutional networks."""


@dataclass(frozen=True, kw_only=True)
class ScanModel:
    """A checkpoint that fits a scan.

    Attributes:
        card: The checkpoint's.
        sha256: Of the checkpoint file.
        patches: Where the network's squares lie.
        caveat: What every output must say of this pairing of model and data; empty where there is nothing.
    """

    card: ModelCard
    sha256: str
    patches: PatchLattice
    caveat: str

    @property
    def bands(self) -> tuple[str, ...]:
        """Channels of the network."""
        return self.card.model.bands


def fitting_model(checkpoint: CheckpointConfig, predict: PredictConfig) -> ScanModel:
    """The model that a scan is to use.

    Raises:
        InvalidCheckpointError: It is no checkpoint, or does not fit what a scan shows it.
        InvalidConfigError: The network cannot see patches of the side asked for.
    """
    card, sha256 = identified(checkpoint.checkpoint)
    caveat = _caveat(checkpoint, card)
    patches = PatchLattice(patch=_patch_side(predict.patch, card), halo=predict.halo)
    return ScanModel(card=card, sha256=sha256, patches=patches, caveat=caveat)


def _patch_side(asked: int | None, card: ModelCard) -> int:
    """Side of a patch in native pixels."""
    side = asked or NETWORK_SIDE // card.model.upsample
    if side * card.model.upsample % card.model.multiple:
        raise InvalidConfigError(
            f"{side} px enlarged by {card.model.upsample} to {side * card.model.upsample} px",
            expected=f"a multiple of {card.model.multiple} once enlarged",
            key="predict.patch",
        )
    return side


def _caveat(config: CheckpointConfig, card: ModelCard) -> str:
    """Sentinel-2 L2A is surface reflectance; another radiometry is refused unless told to go on."""
    known = (*BAND_NAMES, *TERRAIN_BANDS)
    unknown = [band for band in card.model.bands if band not in known]
    if unknown:
        raise InvalidCheckpointError(f"bands {unknown}", expected=f"of {', '.join(known)}", file=config.checkpoint)
    trained = card.inputs.radiometry
    if trained == "boa":
        return ""
    if scene_bands(card.model.bands) != card.model.bands:
        raise InvalidCheckpointError(
            f"bands {list(card.model.bands)} trained on radiometry {trained}",
            expected="elevation in metres and slope in degrees, as in chips of this package",
            file=config.checkpoint,
        )
    if config.accept_radiometry != trained:
        raise InvalidCheckpointError(
            f"trained on radiometry {trained}",
            expected="boa, the surface reflectance that a scan reads",
            cure=f"To go on all the same set model.accept_radiometry: {trained}; every output will say so.",
            file=config.checkpoint,
        )
    return f"The model was trained on {trained} imagery, not on surface reflectance: this is not a landslide map."
