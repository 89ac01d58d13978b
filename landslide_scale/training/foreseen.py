"""A fine-tuning before anything is written: its images and how they are parted, its weights and its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from landslide_scale.errors import StorageAwayError
from landslide_scale.model import counts_line, shape
from landslide_scale.redaction import redacted
from landslide_scale.storage.cache import bytes_to_fetch
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.begun import as_begun
from landslide_scale.training.job import FinetuneJob, Prepared


@dataclass(frozen=True, kw_only=True, eq=False)
class Foreseen:
    """A fine-tuning that can be begun, or gone on with.

    Attributes:
        job: As asked for.
        prepared: Its images, every one opened.
        network: Its weights and its counts of parameters, in words.
        begun: State of the run that its folder holds; empty where there is none.
    """

    job: FinetuneJob
    prepared: Prepared
    network: tuple[str, ...]
    begun: str


def foresee(job: FinetuneJob) -> Foreseen:
    """Look for all that a fine-tuning takes, without the cluster: weights first, then images, then the network.

    Raises:
        InvalidInputError: Something that it takes is not there or does not fit.
        AwayError: Base weights cannot be reached now.
    """
    job, folder = as_begun(job), RunDirectory(job.output)
    network = network_lines(job)
    begun = str(folder.claimed()["state"]) if folder.exists("run.json") else ""
    return Foreseen(job=job, prepared=Prepared.of(job), network=network, begun=begun)


def network_lines(job: FinetuneJob) -> tuple[str, ...]:
    """What a network starts from, and how large it is.

    With weights that are on this machine it is built, so that they are known to fit; else it is counted alone.

    Raises:
        InvalidInputError: The weights are not there, or not this network's.
        StorageAwayError: They cannot be reached now.
    """
    counts = counts_line(shape(job.model, job.inputs, checkpoint_gradients=job.train.checkpoint_gradients))
    if job.base_url is None or job.base_sha256 is None:
        return "weights: random ones (no base_weights)", counts
    try:
        size = bytes_to_fetch(job.base_url, job.base_sha256)
    except StorageAwayError as error:
        cure = f"{error.cure} base_weights.url takes a path too."
        raise StorageAwayError(error.found, expected=error.expected, cure=cure, **error.where) from None
    if size == 0:
        return f"weights: {redacted(job.base_url)}, of the SHA-256 that is stated", counts_line(job.build())
    told = "of unknown size" if size is None else f"of {size / 1e6:,.0f} MB"
    return f"weights: {redacted(job.base_url)}, {told}, are there to be fetched; their content is checked then", counts


def plan_lines(found: Foreseen) -> list[str]:
    """What the training would do."""
    job, train = found.job, found.job.train
    begun = [f"{redacted(job.output)} holds a run that is {found.begun}: --resume goes on"] if found.begun else []
    return [
        *data_lines(job, found.prepared),
        *found.network,
        f"{train.epochs} epochs in batches of {train.batch}, squares of {train.patch} px",
        *begun,
    ]


def data_lines(job: FinetuneJob, prepared: Prepared) -> list[str]:
    """Images there are, and the part that each takes in the training."""
    images, split = prepared.found, prepared.split
    sizes = sorted({(image.height, image.width) for image in images.values()})
    shapes = [f"{height} x {width}" for height, width in (sizes[0], sizes[-1])]
    pixels = " to ".join(dict.fromkeys(shapes))
    parts = (("to train on", split.train), ("to choose by", split.validation), ("to score", split.holdout))
    return [
        f"{job.data.kind} at {redacted(job.data.path)}: {len(images)} images of {pixels} px",
        f"bands {', '.join(prepared.dataset.bands)}, {prepared.dataset.radiometry}",
        *(f"{len(names)} {what}, {_showing(prepared, names)} of them with landslides" for what, names in parts),
        *_ground_lines(prepared),
    ]


def _ground_lines(prepared: Prepared) -> list[str]:
    """What of the images lies together, and whether a ground is in several parts all the same."""
    images, places = len(prepared.groups), len(set(prepared.groups.values()))
    sharing = {name for overlap in prepared.looked.overlaps for name in (overlap.first, overlap.second)}
    pixels = f", {len(sharing)} images share pixels with another" if sharing else ""
    lines = [f"{images} images of {places} places{pixels}"] if images != places else []
    if prepared.looked.contested.pixels:
        lines.append(prepared.looked.contested.line)
    if prepared.divided:
        lines.append(
            f"images of {prepared.divided} places lie in several parts: what is scored there was learnt from or "
            "chosen by"
        )
    if prepared.divided_landslides:
        lines.append(f"of {prepared.divided_landslides} pairs of neighbouring chips a landslide lies in two parts")
    return lines


def _showing(prepared: Prepared, names: Sequence[str]) -> int:
    return sum(prepared.found[name].landslide > 0 for name in names)
