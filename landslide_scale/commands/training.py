"""From labels to a judged network: chips, published images to chips, training, scores, the paper's tables."""

from __future__ import annotations

from landslide_scale.commands.arguments import given, load
from landslide_scale.importing.run import import_patches
from landslide_scale.importing.settings import ImportSettings
from landslide_scale.importing.summary import lines as import_lines
from landslide_scale.inspection.chips import lost_lines
from landslide_scale.judging.assess import Part, evaluate_checkpoint
from landslide_scale.labels.chips import ChipsSummary, make_chips
from landslide_scale.labels.engine import on_ray
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.metrics import ByPlace
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.paper.study import run_benchmark
from landslide_scale.paths import input_place, output_place
from landslide_scale.registry.located import located
from landslide_scale.registry.settings import checkpoint_place
from landslide_scale.reports.progress import CountProgress
from landslide_scale.reports.scores import interval_line, map_lines, rival_lines, score_lines
from landslide_scale.runtime.console import say
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import session
from landslide_scale.training.engine import finetune as run_finetune
from landslide_scale.training.run import CHECKPOINT
from landslide_scale.training.settings import FinetuneConfig, finetune_job


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
        source=given(source, input_place, "DIR"),
        directory=given(out, output_place, "--out"),
        days=days,
        low_quality=None if low_quality is None else given(low_quality, input_place, "--low-quality"),
        splits=None if splits is None else given(splits, input_place, "--splits"),
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
    place = f"{job.output}/{CHECKPOINT}" if checkpoint is None else given(checkpoint, checkpoint_place, "--checkpoint")
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


def benchmark(path: str, *, resume: bool) -> int:
    """Train and judge every model, and print the tables."""
    summary = run_benchmark(load(BenchmarkConfig, path), resume=resume, progress=say)
    for table in summary.tables:
        say(table.markdown())
    say(f"run: {summary.run}")
    return 0
