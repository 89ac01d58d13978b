"""How a training was begun that is gone on with: in a folder, before there was a key for what settings say now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from landslide_scale.cards.designs import with_design
from landslide_scale.spec import ConvNetSpec, InputSpec
from landslide_scale.storage.rundir import RunDirectory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from landslide_scale.training.job import FinetuneJob
    from landslide_scale.training.spec import CalibrationMethod, Decay, LossOver


def as_begun(job: FinetuneJob) -> FinetuneJob:
    """The job as the run in its folder was begun, in what it leaves open and in what has changed since.

    Runs that were begun before ``train.calibration`` could be left open took the temperature alone, on any images,
    those of Landslide4Sense its values as they are stored, and those of convolutional networks their first design.
    Those that were begun before parts were drawn by ground go on by images, and those before losses were means over
    pixels by patches. Before there was ``train.decay``, it was ``all``.

    Raises:
        RunConflictError: The folder holds something else.
    """
    folder = RunDirectory(job.output)
    if not folder.exists("run.json"):
        return job
    if job.train.calibration is None:
        job = replace(job, train=replace(job.train, calibration=begun_calibration(folder)))
    if job.train.loss_over is None:
        job = replace(job, train=replace(job.train, loss_over=begun_loss(_recorded(folder, "train"))))
    if job.data.groups is None:
        job = replace(job, data=replace(job.data, groups=begun_groups(_recorded(folder, "data"))))
    if job.data.kind == "landslide4sense" and _recorded(folder, "inputs").get("radiometry") == "l4s":
        job = replace(job, inputs=InputSpec.for_bands("l4s", job.model.bands))
    if begun_decay(folder) == "all":
        job = replace(job, train=replace(job.train, decay="all"))
    kept = _recorded(folder, "model")
    if isinstance(job.model, ConvNetSpec) and (begun := with_design(kept)) != kept:
        job = replace(job, model=replace(job.model, design=begun["design"]))
    return job


def begun_calibration(folder: RunDirectory) -> CalibrationMethod | None:
    """What the run in a folder records of ``train.calibration``; where it has no such key, the temperature."""
    method: CalibrationMethod | None = _recorded(folder, "train").get("calibration", "temperature")
    return method


def begun_loss(train: Mapping[str, Any]) -> LossOver:
    """What recorded settings of a training say of ``train.loss_over``: patches, where they have no such key."""
    return "pixels" if train.get("loss_over") == "pixels" else "patches"


def begun_groups(data: Mapping[str, Any]) -> Literal["ground", "images"]:
    """What recorded settings of a data set say of ``dataset.groups``: by images, where they have no such key."""
    return "ground" if data.get("groups") == "ground" else "images"


def begun_decay(folder: RunDirectory) -> Decay:
    """What the run in a folder records of ``train.decay``; where it has no such key, all."""
    decay: Decay = _recorded(folder, "train").get("decay", "all")
    return decay


def as_recorded(settings: dict[str, Any], folder: RunDirectory) -> dict[str, Any]:
    """A job's settings; without the key of a temperature that the run in the folder was begun without."""
    train = settings["train"]
    if (
        not folder.exists("run.json")
        or "calibration" in _recorded(folder, "train")
        or train["calibration"] != "temperature"
    ):
        return settings
    return settings | {"train": {key: value for key, value in train.items() if key != "calibration"}}


def _recorded(folder: RunDirectory, part: str) -> dict[str, Any]:
    """A part of what the run in a folder records of its settings; nothing of a run of another kind."""
    settings = folder.claimed()["settings"]
    found = settings.get(part) if isinstance(settings, dict) else None
    return found if isinstance(found, dict) else {}
