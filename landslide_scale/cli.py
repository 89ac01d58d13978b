"""The command `landslide-scale`: parse, call, print."""

from __future__ import annotations

import sys
from importlib.metadata import version
from types import ModuleType
from typing import Annotated, Literal

import typer

from landslide_scale.runtime.console import run_guarded

COMMAND = "landslide-scale"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)

ConfigFile = Annotated[str, typer.Option("--config", help="YAML file; `landslide-scale init` begins one.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run that the output holds.")]

importing = typer.Typer(no_args_is_help=True, help="Labelled images that others published, made into training chips.")
app.add_typer(importing, name="import")

Kind = Annotated[Literal["scan", "chips", "finetune", "benchmark", "rapid"], typer.Argument(help="What is configured.")]
Append = Annotated[bool, typer.Option("--append", help="Add the configuration's later windows to a complete scan.")]
RunFolder = Annotated[str, typer.Argument(metavar="RUN_DIR", help="Folder or URL of a scan: output.run.")]


def _print_version(wanted: bool) -> None:  # noqa: FBT001 typer's
    if wanted:
        typer.echo(f"{COMMAND} {version(COMMAND)}")
        raise typer.Exit


@app.callback()
def everything(
    *,
    version_wanted: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Landslide probability over whole regions, from Sentinel-2 on a Ray cluster."""


@app.command()
def plan(
    config: ConfigFile,
    bands: Annotated[
        str, typer.Option(metavar="NAMES", help="Plan for a checkpoint of these bands, as red,green,blue,slope.")
    ] = "",
) -> None:
    """Dry run of any configuration: scenes, labels, images, weights; nothing is written; a scan needs no checkpoint."""
    named = tuple(name.strip() for name in bands.split(",") if name.strip())
    sys.exit(run_guarded(lambda: _commands().plan(config, named)))


@app.command()
def scan(
    config: ConfigFile,
    base: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Take over what an earlier scan made of the same scenes; as output.base."),
    ] = None,
    *,
    resume: Resume = False,
    append: Append = False,
) -> None:
    """Scan a region: catalogue to landslide-probability cube."""
    if resume and append:
        raise typer.BadParameter("--resume and --append: a run is gone on with, or given further windows")
    sys.exit(
        run_guarded(
            lambda: (
                _commands().append(config, base=base) if append else _commands().scan(config, resume=resume, base=base)
            ),
            kept="finished units are",
        )
    )


@app.command()
def verify(
    run: RunFolder,
    products: Annotated[
        str | None, typer.Option(metavar="URL", help="Where export put them, if not into RUN_DIR/products.")
    ] = None,
) -> None:
    """Hash a cube against its ledger, and its products; broken units are redone by the next scan --resume."""
    sys.exit(run_guarded(lambda: _commands().verify(run, products)))


@app.command()
def export(  # noqa: PLR0917 options, each by its name
    run: RunFolder,
    to: Annotated[
        str | None, typer.Option(metavar="URL", help="Folder or URL for the products; by default RUN_DIR/products.")
    ] = None,
    only: Annotated[str, typer.Option(metavar="KINDS", help="Some of cog,vector,stac,report; by default all.")] = "",
    threshold: Annotated[
        float | None, typer.Option(help="Probability from which a pixel is landslide; by default the checkpoint's.")
    ] = None,
    min_area: Annotated[
        float | None, typer.Option(metavar="M2", help="Smaller polygons are left out, and counted.")
    ] = None,
    layer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Ground of your own, as roads=roads.gpkg; repeatable."),
    ] = None,
    change: Annotated[
        str | None,
        typer.Option(metavar="BEFORE,AFTER", help="Map what is new between two layers, as 0,1; polygons are of it."),
    ] = None,
    loss: Annotated[
        float | None, typer.Option(metavar="PCT", help="With --change: loss of vegetation that counts, as rdNDVI.")
    ] = None,
    least_slope: Annotated[
        float | None, typer.Option(metavar="DEG", help="With --change: candidates lie on slopes as steep.")
    ] = None,
    earlier: Annotated[
        str | None, typer.Option(metavar="URL", help="With --change: products of the version before, for first days.")
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Of the scan: says where an elevation model of your own may be read from."),
    ] = None,
    *,
    finished: Annotated[bool, typer.Option("--finished", help="With --change: the event has ended.")] = False,
) -> None:
    """Make rasters, polygons, a catalogue and a report of a scan; the same command goes on where one was stopped."""
    sys.exit(
        run_guarded(
            lambda: _commands().export(
                run,
                to,
                only=only,
                threshold=threshold,
                min_area=min_area,
                layers=layer or [],
                change=_commands().change_told(change, loss, least_slope, earlier, finished=finished),
                config=config,
            ),
            kept="finished products are",
            by="the same command",
        )
    )


@app.command()
def rapid(  # noqa: PLR0917 options, each by its name
    config: ConfigFile,
    event: Annotated[str, typer.Option(metavar="ID", help="One event, one cycle; or whose verdicts.")] = "",
    replay: Annotated[str, typer.Option(metavar="ID", help="An old event as it would have unfolded.")] = "",
    until: Annotated[str, typer.Option(metavar="T", help="With --replay: the last instant, UTC.")] = "",
    latency: Annotated[
        float, typer.Option(metavar="HOURS", help="With --replay: from a scene's sensing to its Item.")
    ] = 0.0,
    verdicts: Annotated[
        str, typer.Option(metavar="FILE", help="With --event: a copy of landslides.gpkg with verdicts filled in.")
    ] = "",
    confirm: Annotated[
        int | None, typer.Option(metavar="VERSION", help="With --event and --by: an analyst stands for a version.")
    ] = None,
    by: Annotated[str, typer.Option(metavar="NAME", help="With --confirm: who.")] = "",
    *,
    once: Annotated[bool, typer.Option("--once", help="One cycle over the feed; what a scheduler calls.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Cycles until stopped.")] = False,
    status: Annotated[bool, typer.Option("--status", help="Every event: state, ground, version, next pass.")] = False,
) -> None:
    """From an earthquake to a landslide map, and a better one with every pass of a satellite."""

    def run() -> int:
        commands = _commands()
        asked = commands.RapidAsked(
            once=once,
            watch=watch,
            status=status,
            event=event,
            replay=replay,
            until=until,
            latency_h=latency,
            verdicts=verdicts,
            confirm=confirm,
            by=by,
        )
        code: int = commands.rapid(config, asked)
        return code

    sys.exit(run_guarded(run, kept="published versions are", by="the same command"))


@app.command()
def status(
    run: RunFolder,
    map_file: Annotated[str | None, typer.Option("--map", help="Also draw a map of coverage: .png or .html.")] = None,
) -> None:
    """The ledger of a scan as one table: units, ground, errors, seconds; of a folder of chips what became of them."""
    sys.exit(run_guarded(lambda: _commands().status(run, map_file)))


@app.command()
def chips(config: ConfigFile, *, resume: Resume = False) -> None:
    """Label polygons and a catalogue to training chips; exit code 3 when some failed."""
    sys.exit(run_guarded(lambda: _commands().chips(config, resume=resume), kept="finished chips are"))


@importing.command()
def sen12landslides(
    source: Annotated[str, typer.Argument(metavar="DIR", help="Folder of the unpacked files REGION_s2_N.nc.")],
    out: Annotated[str, typer.Option(metavar="CHIPS", help="Folder or URL for the chips: empty or absent.")],
    days: Annotated[int, typer.Option(help="Frames of so many days after an event are taken.")] = 90,
    low_quality: Annotated[
        str | None, typer.Option(metavar="FILE", help="Leave these out: the authors' low_quality_patches.txt.")
    ] = None,
    splits: Annotated[
        str | None, typer.Option(metavar="FILE", help="Count the leaks of this published splits.json.")
    ] = None,
    *,
    resume: Resume = False,
) -> None:
    """Sen12Landslides as published (NetCDF) to chips; every file is taken, or said why not."""
    sys.exit(
        run_guarded(
            lambda: _commands().import_sen12landslides(
                source, out, days=days, low_quality=low_quality, splits=splits, resume=resume
            ),
            kept="finished chips are",
        )
    )


@app.command()
def finetune(config: ConfigFile, *, resume: Resume = False) -> None:
    """Fine-tune LandslideNet on labelled images."""
    sys.exit(run_guarded(lambda: _commands().finetune(config, resume=resume), kept="finished epochs are"))


@app.command()
def evaluate(
    config: ConfigFile,
    checkpoint: Annotated[str | None, typer.Option(help="Another checkpoint than the run's own.")] = None,
    *,
    every: Annotated[
        bool, typer.Option("--all", help="Score every image, of another place for example, whatever it has seen.")
    ] = False,
) -> None:
    """Score a checkpoint on the images that its training kept from it."""
    sys.exit(run_guarded(lambda: _commands().evaluate(config, checkpoint, every=every)))


@app.command()
def benchmark(config: ConfigFile, *, resume: Resume = False) -> None:
    """Train models alike on labelled images, and write the paper's tables and pictures."""
    sys.exit(
        run_guarded(lambda: _commands().benchmark(config, resume=resume), kept="finished trainings and epochs are")
    )


@app.command()
def init(
    kind: Kind,
    region: Annotated[
        str | None, typer.Option(metavar="FILE", help="Polygons to put in as its region: GeoJSON, GeoPackage, ...")
    ] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="A new file; by default it is printed.")] = None,
) -> None:
    """A configuration to begin with: every key with its default, unit and meaning."""
    sys.exit(run_guarded(lambda: _commands().init(kind, region, out)))


@app.command()
def schema(kind: Kind) -> None:
    """The JSON schema of a configuration, for editors."""
    sys.exit(run_guarded(lambda: _commands().schema(kind)))


@app.command()
def doctor(
    s3: Annotated[str | None, typer.Option(metavar="URL", help="Also list this folder, as s3://bucket/folder.")] = None,
    catalog: Annotated[
        str | None, typer.Option(metavar="PROFILE|URL", help="Also search this catalogue, as earth-search-c1.")
    ] = None,
    ray: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Also join this Ray cluster.")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """What this machine and installation are fit for: one screen for a report of a fault, without secrets."""
    # Not by way of the commands: they import every library, and one that is broken is to be named here.
    from landslide_scale.doctor import examination  # noqa: PLC0415

    asked = examination.Asked(storage=s3, catalogue=catalog, cluster=ray)
    sys.exit(run_guarded(lambda: examination.report_json(asked) if as_json else examination.report(asked)))


models = typer.Typer(no_args_is_help=True, help="Checkpoints that have names: `model.checkpoint: NAME`.")
app.add_typer(models, name="models")
Name = Annotated[str, typer.Argument(metavar="NAME", help="As `models list` says.")]


@models.command("list")
def list_models() -> None:
    """The checkpoints that have names, and where they are listed."""
    sys.exit(run_guarded(lambda: _commands().models_list()))


@models.command("show")
def show_model(name: Name) -> None:
    """All that is known of a checkpoint: bands, images it learnt from, licence, scores."""
    sys.exit(run_guarded(lambda: _commands().models_show(name)))


@models.command("fetch")
def fetch_model(name: Name) -> None:
    """Have a checkpoint's file on this machine, checked by SHA-256, and print where."""
    sys.exit(run_guarded(lambda: _commands().models_fetch(name)))


@models.command("add")
def add_model(
    checkpoint: Annotated[str, typer.Argument(metavar="CHECKPOINT", help="Path or URL of the file.")],
    name: Annotated[str, typer.Option(help="Letters, digits, - and _.")],
    data: Annotated[str, typer.Option(help="What it learnt from, in words.")],
    licence: Annotated[str, typer.Option(help="Of the file, in words.")],
    held_out: Annotated[
        list[str] | None, typer.Option(metavar="REGION=F1", help="Landslide F1 on ground it had not seen; repeatable.")
    ] = None,
) -> None:
    """Give a checkpoint a name in your registry; what it takes is read from its card."""
    sys.exit(run_guarded(lambda: _commands().models_add(checkpoint, name, data, licence, held_out or [])))


@models.command("remove")
def remove_model(name: Name) -> None:
    """Take a name out of your registry; the checkpoint's file stays."""
    sys.exit(run_guarded(lambda: _commands().models_remove(name)))


@app.command()
def demo(
    directory: Annotated[str, typer.Option("--dir", help="Where the made world and the results go.")] = "demo",
    seed: Annotated[int, typer.Option(help="Of the made world.")] = 7,
    model: Annotated[
        Literal["unet", "landslidenet"],
        typer.Option(help="What is trained; from random weights, LandslideNet takes 12 minutes to learn."),
    ] = "unet",
) -> None:
    """Make a small world, fine-tune on its west, scan its east, score; offline, on two cores."""
    sys.exit(run_guarded(lambda: _commands().demo(directory, seed, model)))


@app.command("rapid-demo")
def rapid_demo(
    directory: Annotated[str, typer.Option("--dir", help="Where the made world and the results go.")] = "rapid-demo",
    seed: Annotated[int, typer.Option(help="Of the made world.")] = 7,
    model: Annotated[
        Literal["unet", "landslidenet", "none"],
        typer.Option(help="What maps; none: candidates of vegetation loss, in a minute or two less."),
    ] = "unet",
    *,
    small: Annotated[bool, typer.Option("--small", help="On little ground, for a test.")] = False,
) -> None:
    """The life of a made earthquake as `rapid` follows it: versions under clouds, verdicts, scores; offline."""
    sys.exit(run_guarded(lambda: _commands().rapid_demo(directory, seed, model, small=small)))


def _commands() -> ModuleType:
    """Imported late: torch and Ray take seconds, and --help should not."""
    from landslide_scale import commands  # noqa: PLC0415

    return commands


def main() -> None:
    """Entry point; shells complete the same name that ``python -m`` is given."""
    app(prog_name=COMMAND)
