"""An export of a run, from its folder to its products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version

from landslide_scale.errors import InvalidConfigError, InvalidInputError, RunConflictError
from landslide_scale.exporting.engine import Each, Outcome, Progress, carry_out, in_order
from landslide_scale.exporting.settings import ExportSettings
from landslide_scale.exporting.steps import steps
from landslide_scale.products import names
from landslide_scale.products.change.settings import Change
from landslide_scale.products.heritage import Heritage
from landslide_scale.products.manifest import Source
from landslide_scale.products.scanned import Scanned, scanned
from landslide_scale.scene import Window
from landslide_scale.stac.settings import DemConfig
from landslide_scale.storage.files import local_path
from landslide_scale.storage.rundir import RunDirectory, commit
from landslide_scale.storage.signs import holder

PACKAGE = "landslide-scale"


@dataclass(frozen=True, kw_only=True)
class ExportSummary:
    """How an export ended.

    Attributes:
        place: Where the products are.
        outcome: What became of them.
        units: Planned ones of the run.
        missing: Those that failed or were not come to: their ground is not in the products.
    """

    place: str
    outcome: Outcome
    units: int
    missing: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether the products hold every planned unit."""
        return not self.missing


def target_of(run: RunDirectory, to: str | None) -> RunDirectory:
    """The folder of a run's products.

    Args:
        run: Its folder.
        to: Another place for them.

    Raises:
        InvalidConfigError: It is the run's own folder, or one of those that a scan writes into.
    """
    if to is None:
        return RunDirectory(run.at(names.FOLDER))
    target = RunDirectory(to)
    inside = f"{target.url.rstrip('/')}/".removeprefix(f"{run.url.rstrip('/')}/")
    if not inside or inside.startswith(("cube.zarr/", "ledger/")):
        raise InvalidConfigError(str(target), expected="a folder that the scan does not write into", key="--to")
    return target


def export(
    run: RunDirectory,
    settings: ExportSettings,
    *,
    progress: Callable[[Progress], None],
    each: Each = in_order,
) -> ExportSummary:
    """Make the products of a scan, or those that are not there as they would be made.

    Args:
        run: Folder of the scan, which has ended; units may be missing.
        settings: What to make, and where.
        progress: Called before and after each product.
        each: What has products made.

    Raises:
        InvalidInputError: There is no cube with a ledger, a setting or a layer does not fit, a scan or another export
            is at work there, or what an analyst wrote would be lost; nothing was written.
        BrokenRunError: It cannot go on; the same call does, with what is finished.
    """
    target = target_of(run, settings.to)
    _check_address(target)
    of = scanned(run)
    _check_windows(of)
    working = holder(run)
    if working is not None:
        raise RunConflictError(f"a scan is at work here: {working}", expected="one that has ended", run=run)
    outcome = carry_out(
        steps(of, settings, target), source_of(of), target, kinds=settings.only, progress=progress, each=each
    )
    return ExportSummary(place=str(target), outcome=outcome, units=len(of.laid.places), missing=of.missing)


def _check_address(target: RunDirectory) -> None:
    path = local_path(target.url)
    if path is None:
        return
    if "!" in str(path):
        raise InvalidConfigError(
            f"{target}, with '!', by which pyogrio parts archives", expected="a path without", key="--to"
        )
    there = next((one for one in (path, *path.parents) if one.exists()), None)
    if there is not None and not there.is_dir():
        raise InvalidConfigError(
            f"{target}, and {there} is no folder", expected="a folder, or a path that is free to be one", key="--to"
        )


def _check_windows(of: Scanned) -> None:
    """Refuse what would be called alike: the raster of one window would replace the other's."""
    found: dict[str, Window] = {}
    for window in of.windows:
        other = found.setdefault(names.days(window), window)
        if other is not window:
            raise InvalidInputError(
                f"windows {other.instants} and {window.instants}, of the same days",
                expected="windows that begin or end on different days, by which products are told apart",
                cure="Scan the ground of one of them in a run of its own.",
                run=of.run,
            )


def export_compared(
    run: RunDirectory,
    *,
    to: str,
    change: Change,
    heritage: Heritage | None,
    dem: DemConfig | None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> ExportSummary:
    """Make the products of a scan two of whose layers are compared; arguments and errors as of :func:`export`."""
    settings = ExportSettings(to=to, change=change, heritage=heritage, dem=dem)
    return export(run, settings, progress=progress)


def source_of(of: Scanned) -> Source:
    """What all products of a scan are made of."""
    made_by = f"{PACKAGE} {version(PACKAGE)}"
    return Source(
        made_by=f"{made_by} ({known})" if (known := commit()) else made_by,
        cube_sha256=of.cube_sha256,
        units=len(of.laid.places),
        missing=of.missing,
    )
