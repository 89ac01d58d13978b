"""A benchmark before its first training: all its images and weights, each looked at once."""

from __future__ import annotations

from dataclasses import dataclass

from landslide_scale.model.presets import GUESSED
from landslide_scale.paper.published import SIZES
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.trials import trials
from landslide_scale.training.foreseen import data_lines, network_lines
from landslide_scale.training.job import Prepared


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """A benchmark that can be begun.

    Attributes:
        trainings: How many there are.
        networks: Of each model its weights and counts, beside those of the paper, by label.
        data: Of each data set its images and parts at the first seed, by name.
    """

    trainings: int
    networks: dict[str, tuple[str, ...]]
    data: dict[str, list[str]]


def foresee(config: BenchmarkConfig) -> Foreseen:
    """Open all data and look for all weights.

    Raises:
        InvalidInputError: Something is not there or does not fit.
        StorageAwayError: Weights cannot be reached now.
    """
    wanted = trials(config)
    first = [trial for trial in wanted if trial.seed == wanted[0].seed]
    models = {trial.model: trial.job for trial in first}
    networks = {label: (*network_lines(job), paper_line(job.model.name)) for label, job in models.items()}
    data: dict[str, list[str]] = {}
    for trial in {(trial.dataset, trial.job.model.bands): trial for trial in first}.values():
        data.setdefault(trial.dataset, []).extend(data_lines(trial.job, Prepared.of(trial.job)))
    return Foreseen(trainings=len(wanted), networks=networks, data=data)


def paper_line(name: str) -> str:
    """What the paper's table 3 says of the network of a ``model.name``, and whether it is known which that is."""
    printed = SIZES[name]
    said = f"the paper's {name}: {printed.trainable:.2f} M of {printed.total:.2f} M"
    return f"{said}, of a design that is not known; this one is a guess" if name in GUESSED else said


def plan_lines(found: Foreseen) -> list[str]:
    """What the benchmark would do."""
    named = [*found.data.items(), *found.networks.items()]
    told = [f"{name}: {line}" for name, lines in named for line in lines]
    return [*told, f"{found.trainings} trainings: every model on every data set, with each seed"]
