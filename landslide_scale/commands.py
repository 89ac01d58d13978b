"""What each command does: one function each for the command line, which the jobs call too; returns the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path, PurePath
from typing import TypeVar

from landslide_scale.configuring.kinds import KINDS as KINDS_BELOW
from landslide_scale.configuring.kinds import Kind, begun, kind_of
from landslide_scale.configuring.kinds import schema as schema_of
from landslide_scale.demo.rapid_recipe import RapidModelName
from landslide_scale.demo.recipe import ModelName
from landslide_scale.demo.world import World
from landslide_scale.errors import InvalidConfigError
from landslide_scale.exporting.engine import in_order
from landslide_scale.exporting.on_ray import on_ray as export_on_ray
from landslide_scale.exporting.run import export as run_export
from landslide_scale.exporting.run import export_compared, target_of
from landslide_scale.exporting.settings import ExportSettings, layers_told
from landslide_scale.exporting.summary import ExportProgress, export_report, products_report
from landslide_scale.exporting.verify import stated_cube, verify_products
from landslide_scale.importing.run import import_patches
from landslide_scale.importing.settings import ImportSettings
from landslide_scale.importing.summary import lines as import_lines
from landslide_scale.inspection.chips import chips_status, lost_lines
from landslide_scale.inspection.coverage import MAPS
from landslide_scale.inspection.status import lines
from landslide_scale.inspection.status import status as run_status
from landslide_scale.judging.assess import Part, evaluate_checkpoint
from landslide_scale.labels.chips import ChipsSummary, make_chips
from landslide_scale.labels.engine import on_ray
from landslide_scale.labels.foreseen import foresee as foresee_chips
from landslide_scale.labels.foreseen import plan_lines as chips_lines
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.metrics import ByPlace
from landslide_scale.model.checkpoint import identified
from landslide_scale.paper.foreseen import foresee as foresee_benchmark
from landslide_scale.paper.foreseen import plan_lines as benchmark_lines
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.study import run_benchmark
from landslide_scale.paths import expanded, for_workers, in_submitted_job, input_place, output_place
from landslide_scale.products import names
from landslide_scale.products.change.settings import LEAST_SLOPE_DEG, LOSS, Change
from landslide_scale.products.change.settings import change_told as layers_compared
from landslide_scale.products.outlines.wanted import LEAST_AREA_M2
from landslide_scale.rapid.face import RapidAsked
from landslide_scale.rapid.face import run as run_rapid
from landslide_scale.rapid.foreseen import expected
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.watching import now_utc, once
from landslide_scale.redaction import redacted
from landslide_scale.registry.adding import Told, add, entry_of, remove, scores_told
from landslide_scale.registry.entries import listed, named, user_registry
from landslide_scale.registry.located import Located, located
from landslide_scale.registry.report import list_lines, show_lines
from landslide_scale.registry.settings import checkpoint_place
from landslide_scale.reports import (
    CountProgress,
    ScanProgress,
    interval_line,
    map_lines,
    plan_lines,
    rival_lines,
    scan_report,
    score_lines,
    verify_report,
)
from landslide_scale.runtime.console import say
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import session
from landslide_scale.scan.pipeline.engine import append as append_windows
from landslide_scale.scan.pipeline.engine import scan as run_scan
from landslide_scale.scan.prepared import foresee, prepare
from landslide_scale.scan.settings import CheckpointConfig, ScanConfig
from landslide_scale.scan.verify import verify as verify_run
from landslide_scale.storage.files import write_whole
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.strictyaml import Section, keys_of
from landslide_scale.strictyaml import load as load_file
from landslide_scale.training.engine import finetune as run_finetune
from landslide_scale.training.foreseen import foresee as foresee_training
from landslide_scale.training.foreseen import plan_lines as training_lines
from landslide_scale.training.run import CHECKPOINT
from landslide_scale.training.settings import FinetuneConfig, finetune_job

INCOMPLETE = 3
RUN_DIR = "RUN_DIR"

C = TypeVar("C", bound=Section)

KINDS: Mapping[str, Kind] = {
    **KINDS_BELOW,
    "rapid": Kind(
        model=RapidConfig,
        example={"model": "none", "dem": {"profile": "earth-search"}, "output": {"run": "runs/rapid"}},
        then=("rapid --once", "rapid --status"),
    ),
}
"""All that there are configurations of; rapid mapping's stands here, since it is made of all that is below."""


def load(kind: type[C], path: str) -> C:
    """The configuration in a file."""
    return load_file(kind, _given(path, input_place, "--config"))


def _given(text: str, rule: Callable[[str], str], key: str) -> str:
    """An argument that is a path, by the rule for all of them."""
    try:
        return rule(text)
    except InvalidConfigError as error:
        raise error.at(key=key) from None


def plan(path: str, bands: tuple[str, ...] = ()) -> int:
    """Print what a command would do with a configuration; a scan with a checkpoint of `bands`, where some are named."""
    file = _given(path, input_place, "--config")
    try:
        kind = kind_of(keys_of(file), KINDS)
    except InvalidConfigError as error:
        raise error.at(file=file) from None
    if bands and kind != "scan":
        raise InvalidConfigError(f"bands for {kind}", expected="a configuration of scan", key="--bands")
    say("\n".join(_scan_lines(path, bands) if kind == "scan" else _PLANNED[kind](path)))
    return 0


def _scan_lines(path: str, bands: tuple[str, ...]) -> list[str]:
    wanted = load(ScanConfig, path)
    if not isinstance(wanted.model, CheckpointConfig):
        if bands:
            raise InvalidConfigError("bands, and model none", expected="output.keep, which says them", key="--bands")
        return plan_lines(prepare(wanted))
    without = bool(bands) or wanted.model.checkpoint is None
    return plan_lines(foresee(wanted, bands) if without else prepare(wanted))


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
    text = begun(kind, None if region is None else _given(region, input_place, "--region"), KINDS)
    if out is None:
        say(text.rstrip("\n"))
        return 0
    out = _given(out, output_place, "--out")
    if Path(out).exists():
        raise InvalidConfigError(f"{out} is there already", expected="a new file", key="--out")
    write_whole(out, text.encode())
    say(f"{out}: put yours where it says `required`")
    return 0


def schema(kind: str) -> int:
    """Print the JSON schema of a configuration."""
    say(json.dumps(schema_of(kind, KINDS), indent=2, ensure_ascii=False))
    return 0


def scan(path: str, *, resume: bool, base: str | None = None) -> int:
    """Run a scan; exit code 3 where units failed."""
    wanted = _scan_config(path, base)
    summary = run_scan(wanted, resume=resume, progress=ScanProgress())
    say(scan_report(summary))
    return 0 if summary.complete else INCOMPLETE


def append(path: str, *, base: str | None = None) -> int:
    """Add windows to a complete scan; exit code 3 where units failed."""
    wanted = _scan_config(path, base)
    summary = append_windows(wanted, progress=ScanProgress())
    say(scan_report(summary))
    return 0 if summary.complete else INCOMPLETE


def _scan_config(path: str, base: str | None) -> ScanConfig:
    """The configuration in a file; what is taken over, from where the command line says so."""
    wanted = load(ScanConfig, path)
    if base is None:
        return wanted
    return wanted.model_copy(
        update={"output": wanted.output.model_copy(update={"base": _given(base, input_place, "--base")})}
    )


def verify(url: str, products: str | None) -> int:
    """Hash a cube against its ledger, and its products against theirs; exit code 3 where something is not whole."""
    run = RunDirectory(_given(url, expanded, RUN_DIR))
    place = target_of(run, None if products is None else _given(products, expanded, "--products"))
    stated = stated_cube(run)  # before units that are found broken are marked: products are judged by what was said
    verdict = verify_run(run, progress=CountProgress("units hashed"))
    say(verify_report(verdict))
    of_products = verify_products(place, stated, progress=CountProgress("files hashed"))
    if of_products is not None:
        say(products_report(of_products))
    return 0 if verdict.whole and (of_products is None or of_products.whole) else INCOMPLETE


def change_told(
    layers: str | None, loss: float | None, least_slope: float | None, earlier: str | None, *, finished: bool
) -> Change | None:
    """Which layers an export compares, and how."""
    if layers is None:
        if finished or any(one is not None for one in (loss, least_slope, earlier)):
            raise InvalidConfigError("an option of --change alone", expected="--change BEFORE,AFTER", key="--change")
        return None
    before, after = layers_compared(layers)
    return Change(
        before=before,
        after=after,
        loss=LOSS if loss is None else loss,
        least_slope_deg=LEAST_SLOPE_DEG if least_slope is None else least_slope,
        finished=finished,
        earlier=None if earlier is None else _given(earlier, expanded, "--earlier"),
    )


def export(
    url: str,
    to: str | None,
    *,
    only: str,
    threshold: float | None,
    min_area: float | None,
    layers: Sequence[str],
    change: Change | None = None,
    config: str | None = None,
) -> int:
    """Make the products of a scan; exit code 3 where units of it are missing."""
    told = {name: _given(file, input_place, "--layer") for name, file in layers_told(layers).items()}
    place = None if to is None else _given(to, output_place, "--to")
    settings = ExportSettings(
        to=place,
        only=tuple(name.strip() for name in only.split(",")) if only else names.KINDS,
        threshold=threshold,
        min_area_m2=LEAST_AREA_M2 if min_area is None else min_area,
        layers=told,
        change=change,
        dem=None if config is None else load(ScanConfig, config).dem,
    )
    run = RunDirectory(_given(url, expanded if to else output_place, RUN_DIR))
    # A job is begun where there is a cluster; for anything else one would have to be started.
    engine = export_on_ray(None, place or run.at(names.FOLDER)) if in_submitted_job() else nullcontext(in_order)
    with engine as each:
        summary = run_export(run, settings, progress=ExportProgress(), each=each)
    say(export_report(summary))
    return 0 if summary.complete else INCOMPLETE


def rapid(path: str, asked: RapidAsked) -> int:
    """Follow events and map them; exit code 1 where something of it has to be tried again."""
    return run_rapid(load(RapidConfig, path), asked, Workers(scan=run_scan, export=export_compared))


def status(url: str, map_file: str | None) -> int:
    """Print the ledger as a table, and draw it where a file is given."""
    map_file = None if map_file is None else _given(map_file, output_place, "--map")
    draw = None if map_file is None else MAPS.get(PurePath(map_file).suffix.lower())
    if map_file is not None and draw is None:
        raise InvalidConfigError(map_file, expected=f"a name that ends in {' or '.join(MAPS)}", key="--map")
    run = RunDirectory(_given(url, expanded, RUN_DIR))
    if run.exists("run.json") and run.claimed()["kind"] == "chips":
        if map_file is not None:
            raise InvalidConfigError("a map of chips", expected="the folder of a scan", key="--map")
        say("\n".join(chips_status(run)))
        return 0
    found, laid, records = run_status(run)
    said = lines(found)
    say("\n".join(said))
    if map_file is not None and draw is not None:
        write_whole(map_file, draw(laid, records, said))
        say(f"map: {map_file}")
    return 0


def chips(path: str, *, resume: bool) -> int:
    """Make chips, or what is left of them."""
    wanted = load(ChipsConfig, path)
    made = make_chips(wanted, on_ray(wanted.compute, wanted.directory), resume=resume, progress=say)
    for line in made.quarantined:
        say(f"made without scene {line}")
    ring = f", {made.ignored_pixels:,} more are ignored around them" if made.ignored_pixels else ""
    say(
        f"{made.kept} of {made.planned} chips kept in {made.directory}: {made.landslide_pixels:,} of {made.pixels:,} "
        f"observed pixels are landslide{ring}"
    )
    for line in (*lost_lines(made.lost, made.landslide_pixels), *_not_kept(made)):
        say(line)
    return 0


def _not_kept(made: ChipsSummary) -> list[str]:
    half = "less than half of the region's ground was observed (clouds, no data)"
    return [
        *([f"not kept: {made.outside} chips outside the region"] if made.outside else []),
        *([f"not kept: {made.unobserved} chips in which {half}"] if made.unobserved else []),
    ]


def import_sen12landslides(
    source: str, out: str, *, days: int, low_quality: str | None, splits: str | None, resume: bool
) -> int:
    """Make chips of Sen12Landslides as published, and say what became of its files."""
    settings = ImportSettings(
        source=_given(source, input_place, "DIR"),
        directory=_given(out, output_place, "--out"),
        days=days,
        low_quality=None if low_quality is None else _given(low_quality, input_place, "--low-quality"),
        splits=None if splits is None else _given(splits, input_place, "--splits"),
    )
    summary = import_patches(settings, resume=resume, progress=CountProgress("patches read"))
    say("\n".join(import_lines(summary)))
    return 0


def finetune(path: str, *, resume: bool) -> int:
    """Fine-tune, and print counts and scores."""
    wanted = load(FinetuneConfig, path)
    with session(wanted.compute.address):
        check_on_every_node(wanted.output.run, key="output.run")
        result = run_finetune(finetune_job(wanted), resume=resume, progress=say)
    scored = {"official": "TestData", "inventory": "the inventories held out"}.get(
        wanted.dataset.split, "the images held out"
    )
    say(f"best epoch {result.best} of {len(result.epochs)}; on {scored}:")
    say(score_lines(result.holdout))
    if result.places is not None:
        say(interval_line(ByPlace.of([result.places])))
    say(f"checkpoint: {result.checkpoint}")
    return 0


def evaluate(path: str, checkpoint: str | None, *, every: bool = False) -> int:
    """Score a checkpoint on what was kept from it, or on every image."""
    wanted = load(FinetuneConfig, path)
    job = finetune_job(wanted)
    place = f"{job.output}/{CHECKPOINT}" if checkpoint is None else _given(checkpoint, checkpoint_place, "--checkpoint")
    base = wanted.base_weights.url if wanted.base_weights else None
    part: Part = "all" if every else "holdout"
    found = evaluate_checkpoint(located(place).here(), job.data, job.train, part=part, base_url=base)
    say("\n".join(found.lines))
    say(score_lines(found.confusion))
    say(interval_line(found.places))
    say(rival_lines(found.rivals))
    for line in found.notes:
        say(line)
    say(map_lines(found.maps))
    return 0


def models_list() -> int:
    """Print the checkpoints that have names."""
    say("\n".join(list_lines(listed(), user_registry())))
    return 0


def models_show(name: str) -> int:
    """Print what is known of a checkpoint."""
    say("\n".join(show_lines(named(name))))
    return 0


def models_fetch(name: str) -> int:
    """Have a checkpoint's file on this machine, and print where."""
    say(Located.of(named(name)).here())
    return 0


def models_add(url: str, name: str, data: str, licence: str, held_out: Sequence[str]) -> int:
    """Give a checkpoint a name, by its card."""
    told = Told(name=name, data=data, licence=licence, held_out=scores_told(held_out))
    url = for_workers(_given(url, input_place, "CHECKPOINT"))
    found = identified(url)
    entry = entry_of(
        told,
        url,
        sha256=found.sha256,
        size=found.size,
        bands=found.card.model.bands,
        radiometry=found.card.inputs.radiometry,
        trained_on=found.card.trained_on,
    )
    say(f"{entry.name} is listed in {redacted(add(entry))}")
    return 0


def models_remove(name: str) -> int:
    """Take a name out of the user's registry."""
    say(f"{name} is no more listed in {redacted(remove(name))}")
    return 0


def benchmark(path: str, *, resume: bool) -> int:
    """Train and judge every model, and print the tables."""
    summary = run_benchmark(load(BenchmarkConfig, path), resume=resume, progress=say)
    for table in summary.tables:
        say(table.markdown())
    say(f"run: {summary.run}")
    return 0


def demo(directory: str, seed: int, model: ModelName = "unet") -> int:
    """Run the demo."""
    from landslide_scale.demo.run import run_demo  # noqa: PLC0415 scikit-learn, which no other command waits for

    def products(run: RunDirectory, advance: Callable[[float, str], None]) -> None:
        run_export(
            run, ExportSettings(), progress=lambda far: advance(far.done / far.total, far.current or "all are made")
        )

    place = Path(_given(directory, output_place, "--dir"))
    run_demo(place, seed=seed, progress=say, export=products, model=model)
    return 0


def rapid_demo(directory: str, seed: int, model: RapidModelName = "unet", *, small: bool) -> int:
    """Live through a made event, as `rapid` follows one."""
    from landslide_scale.demo.rapid_life import LEARNED, SMALL, live  # noqa: PLC0415 scikit-learn, as above
    from landslide_scale.demo.run import trained_in  # noqa: PLC0415

    place = Path(_given(directory, output_place, "--dir"))

    def cycle(file: str, now: datetime) -> str:
        workers = Workers(scan=run_scan, export=export_compared)
        (known,) = once(load(RapidConfig, file), workers, clock=lambda: now).events
        return known.state

    network: Callable[[World], Path] | None = None
    if model != "none":
        network = partial(trained_in, place / LEARNED, model=model, progress=say)
    with session(None):
        live(
            place,
            seed=seed,
            progress=say,
            cycle=cycle,
            checkpoint=network,
            frame=SMALL if small else None,
        )
    return 0
