"""Configurations: begin one, the schema for editors, and what would be done with one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from landslide_scale.commands.arguments import given, load
from landslide_scale.configuring.kinds import KINDS as KINDS_BELOW
from landslide_scale.configuring.kinds import Kind, begun, kind_of
from landslide_scale.configuring.kinds import schema as schema_of
from landslide_scale.costs.foreseen import cost_lines
from landslide_scale.costs.took import Took, of_run
from landslide_scale.errors import InvalidConfigError
from landslide_scale.labels.foreseen import foresee as foresee_chips
from landslide_scale.labels.foreseen import plan_lines as chips_lines
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.paper.foreseen import foresee as foresee_benchmark
from landslide_scale.paper.foreseen import plan_lines as benchmark_lines
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paths import expanded, input_place, output_place
from landslide_scale.rapid.foreseen import expected
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.watching import now_utc
from landslide_scale.reports.scans import plan_lines
from landslide_scale.runtime.console import say
from landslide_scale.scan.prepared import Foreseen, Prepared, foresee, prepare
from landslide_scale.scan.settings import NONE, CheckpointConfig, ScanConfig
from landslide_scale.storage.files import write_whole
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import keys_of
from landslide_scale.training.foreseen import foresee as foresee_training
from landslide_scale.training.foreseen import plan_lines as training_lines
from landslide_scale.training.settings import FinetuneConfig, finetune_job

KINDS: Mapping[str, Kind] = {
    **KINDS_BELOW,
    "rapid": Kind(
        model=RapidConfig,
        example={"model": "none", "dem": {"profile": "earth-search"}, "output": {"run": "runs/rapid"}},
        then=("rapid --once", "rapid --status"),
    ),
}
"""All that there are configurations of; rapid mapping's stands here, since it is made of all that is below."""


def plan(path: str, bands: tuple[str, ...] = (), like: str | None = None) -> int:
    """Print what a command would do with a configuration.

    Args:
        path: Of the configuration.
        bands: Of a checkpoint that a scan is planned for, where some are named.
        like: Folder of a scan that has ended, at whose rates hours and cost of a scan are said.
    """
    file = given(path, input_place, "--config")
    try:
        kind = kind_of(keys_of(file), KINDS)
    except InvalidConfigError as error:
        raise error.at(file=file) from None
    if bands and kind != "scan":
        raise InvalidConfigError(f"bands for {kind}", expected="a configuration of scan", key="--bands")
    if like is not None and kind != "scan":
        raise InvalidConfigError(f"rates for {kind}", expected="a configuration of scan", key="--like")
    say("\n".join(_scan_lines(path, bands, like) if kind == "scan" else _PLANNED[kind](path)))
    return 0


def _scan_lines(path: str, bands: tuple[str, ...], like: str | None) -> list[str]:
    wanted = load(ScanConfig, path)
    rates = None if like is None else of_run(RunDirectory(given(like, expanded, "--like")))
    found = _planned(wanted, bands)
    return [*plan_lines(found), *([] if rates is None else _cost_lines(found, rates))]


def _planned(wanted: ScanConfig, bands: tuple[str, ...]) -> Prepared | Foreseen:
    if not isinstance(wanted.model, CheckpointConfig):
        if bands:
            raise InvalidConfigError("bands, and model none", expected="output.keep, which says them", key="--bands")
        return prepare(wanted)
    return foresee(wanted, bands) if bands or wanted.model.checkpoint is None else prepare(wanted)


def _cost_lines(found: Prepared | Foreseen, rates: Took) -> list[str]:
    compute = found.config.compute
    return cost_lines(
        rates,
        found.survey.work(predicted=found.config.model != NONE),
        cpus_per_reader=compute.cpus_per_reader,
        predictor=(compute.cpus_per_predictor, compute.gpus_per_predictor),
        prices=compute.prices,
    )


def _rapid_lines(path: str) -> list[str]:
    """What the next cycle of rapid mapping would scan, by what is followed and given now; the feed is not asked."""
    told: list[str] = []
    for one in expected(load(RapidConfig, path), now_utc()):
        scan = [one.why] if one.scan is None else plan_lines(one.scan)
        told += [one.title, *(f"  {line}" for line in (*scan, *one.seconds_lines()))]
    return told or ["no event is followed or given: `landslide-scale rapid --once` reads the feed"]


_PLANNED: Mapping[str, Callable[[str], list[str]]] = {
    "chips": lambda path: chips_lines(foresee_chips(load(ChipsConfig, path))),
    "finetune": lambda path: training_lines(foresee_training(finetune_job(load(FinetuneConfig, path)))),
    "benchmark": lambda path: benchmark_lines(foresee_benchmark(load(BenchmarkConfig, path))),
    "rapid": _rapid_lines,
}
"""What would be done with a configuration of a kind, beside a scan's."""


def init(kind: str, region: str | None, out: str | None) -> int:
    """Write a configuration to begin with, or print it."""
    text = begun(kind, None if region is None else given(region, input_place, "--region"), KINDS)
    if out is None:
        say(text.rstrip("\n"))
        return 0
    out = given(out, output_place, "--out")
    if Path(out).exists():
        raise InvalidConfigError(f"{out} is there already", expected="a new file", key="--out")
    write_whole(out, text.encode())
    say(f"{out}: put yours where it says `required`")
    return 0


def schema(kind: str) -> int:
    """Print the JSON schema of a configuration."""
    say(json.dumps(schema_of(kind, KINDS), indent=2, ensure_ascii=False))
    return 0
