"""What a benchmark says of its networks before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from landslide_scale.paper.foreseen import paper_line
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.trials import trials
from landslide_scale.strictyaml import load
from landslide_scale.training.foreseen import network_lines

CONFIG = Path(__file__).parents[2] / "configs" / "benchmark" / "paper.yaml"


def test_the_plan_of_the_papers_networks_says_four_counts_beside_the_papers(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LANDSLIDE_SCALE_DATA", "/data")
    jobs = {trial.job.model.name: trial.job for trial in trials(load(BenchmarkConfig, CONFIG))}
    said = {name: (network_lines(job)[-1], paper_line(name)) for name, job in jobs.items() if job.base_url is None}
    assert said == {
        "ccnet": ("ccnet: 71.27 M of 71.27 M parameters are trained", "the paper's ccnet: 71.27 M of 71.27 M"),
        "deeplabv3plus": (
            "deeplabv3plus: 40.35 M of 40.35 M parameters are trained",
            "the paper's deeplabv3plus: 40.35 M of 40.35 M",
        ),
        "unet": (
            "unet: 73.79 M of 73.79 M parameters are trained",
            "the paper's unet: 75.36 M of 75.36 M, of a design that is not known; this one is a guess",
        ),
        "pspnet": ("pspnet: 46.58 M of 46.58 M parameters are trained", "the paper's pspnet: 46.58 M of 46.58 M"),
    }
