"""Look at what a scan left: its ledger, and whether it is whole."""

from __future__ import annotations

from pathlib import PurePath

from landslide_scale.commands.arguments import INCOMPLETE, RUN_DIR, given
from landslide_scale.errors import InvalidConfigError
from landslide_scale.exporting.run import target_of
from landslide_scale.exporting.summary import products_report
from landslide_scale.exporting.verify import stated_cube, verify_products
from landslide_scale.inspection.chips import chips_status
from landslide_scale.inspection.coverage import MAPS
from landslide_scale.inspection.status import lines
from landslide_scale.inspection.status import status as run_status
from landslide_scale.paths import expanded, output_place
from landslide_scale.reports.progress import CountProgress
from landslide_scale.reports.scans import verify_report
from landslide_scale.runtime.console import say
from landslide_scale.scan.verify import verify as verify_run
from landslide_scale.storage.files import write_whole
from landslide_scale.storage.rundir import RunDirectory


def verify(url: str, products: str | None) -> int:
    """Hash a cube against its ledger, and its products against theirs; exit code 3 where something is not whole."""
    run = RunDirectory(given(url, expanded, RUN_DIR))
    place = target_of(run, None if products is None else given(products, expanded, "--products"))
    stated = stated_cube(run)  # before units that are found broken are marked: products are judged by what was said
    verdict = verify_run(run, progress=CountProgress("units hashed"))
    say(verify_report(verdict))
    of_products = verify_products(place, stated, progress=CountProgress("files hashed"))
    if of_products is not None:
        say(products_report(of_products))
    return 0 if verdict.whole and (of_products is None or of_products.whole) else INCOMPLETE


def status(url: str, map_file: str | None) -> int:
    """Print the ledger as a table, and draw it where a file is given."""
    map_file = None if map_file is None else given(map_file, output_place, "--map")
    draw = None if map_file is None else MAPS.get(PurePath(map_file).suffix.lower())
    if map_file is not None and draw is None:
        raise InvalidConfigError(map_file, expected=f"a name that ends in {' or '.join(MAPS)}", key="--map")
    run = RunDirectory(given(url, expanded, RUN_DIR))
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
