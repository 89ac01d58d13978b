"""Products appear whole or not at all, and are made anew exactly where they would be others."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.disks import small_files
from helpers.exporting import FORKS, exported, guarded, in_a_process, plan, scan_in
from helpers.s3 import local

from landslide_scale.errors import BrokenRunError, InvalidConfigError, RunConflictError
from landslide_scale.exporting import engine
from landslide_scale.exporting.engine import Ended, Progress, Work, carry_out, levels
from landslide_scale.exporting.product import Product, single
from landslide_scale.exporting.run import source_of
from landslide_scale.exporting.summary import ExportProgress
from landslide_scale.exporting.verify import verify_products
from landslide_scale.products import names
from landslide_scale.products.manifest import Manifest, Source
from landslide_scale.products.names import MAKING
from landslide_scale.products.scanned import scanned
from landslide_scale.runtime.progress import gone_over
from landslide_scale.storage.absence import WRITER_S, patient
from landslide_scale.storage.files import file_sha256, put_whole
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import holder

SEEDS = [pytest.param(seed, marks=() if seed < 2 else pytest.mark.slow) for seed in range(25)]
PROBABILITY = "cog/EPSG_32633/20230701_20230801/probability.tif"
REASON = "cog/EPSG_32633/20230701_20230801/reason.tif"
ALL = [PROBABILITY, REASON, names.POLYGONS, names.CATALOGUE, names.GEOPACKAGE, names.REPORT]
PUT = put_whole
SOURCE = Source(made_by="made", cube_sha256="0", units=4)


@dataclass(frozen=True, kw_only=True)
class Before:
    """What there is before an export, by name, and after it, and how many steps it takes."""

    there: dict[str, bytes]
    after: dict[str, bytes]
    steps: int


def products(run: RunDirectory) -> dict[str, bytes]:
    return local(Path(run.at(names.FOLDER)))


def writes(text: str, name: str = "a.txt", kind: str = "cog", **more: object) -> Product:
    return Product(name=name, kind=kind, make=single(name, lambda path: path.write_text(text) and None), **more)  # type: ignore[arg-type]


def silent(_: object) -> None:
    """No progress."""


def test_all_are_made_recorded_and_kept_when_made_again(run: RunDirectory):
    inodes = {path: path.stat().st_ino for path in Path(run.at(names.FOLDER)).rglob("*")}
    said = json.loads(Path(run.at(names.FOLDER), names.MANIFEST).read_bytes())
    entry = said["products"][PROBABILITY]
    assert entry["files"].keys() == {PROBABILITY, PROBABILITY.replace(".tif", ".qml")}
    assert entry["files"][PROBABILITY]["bytes"] == 32 * 32
    assert entry["origin"]["cube_sha256"] == scanned(run).cube_sha256
    assert entry["origin"]["made_by"].startswith("landslide-scale ")
    assert said["products"][names.POLYGONS]["origin"]["settings"] == {"threshold": 0.5}
    assert list(said["products"][names.GEOPACKAGE]["origin"]["inputs"]) == [names.POLYGONS]
    outcome = exported(run)
    assert (outcome.made, sorted(outcome.kept)) == ((), sorted(ALL))
    assert {path: path.stat().st_ino for path in Path(run.at(names.FOLDER)).rglob("*")} == inodes


def test_another_threshold_makes_anew_what_depends_on_it_and_nothing_else(run: RunDirectory):
    outcome = exported(run, threshold=0.9)
    assert outcome.made == (names.POLYGONS, names.GEOPACKAGE, names.REPORT, names.CATALOGUE)
    assert products(run)[f"/{names.REPORT}"].endswith(products(run)[f"/{names.POLYGONS}"])


def test_inputs_that_come_out_the_same_leave_what_is_made_from_them_alone(run: RunDirectory):
    outcome = exported(run, threshold=0.5001)  # no pixel lies between
    assert outcome.made == (names.POLYGONS,)


def test_a_changed_cube_makes_all_anew_and_what_is_no_longer_made_is_removed(run: RunDirectory, tmp_path: Path):
    other = scan_in(tmp_path / "other", salt=1)
    shutil.copytree(run.at(names.FOLDER), other.at(names.FOLDER))
    outcome = exported(other)
    assert sorted(outcome.made) == sorted(ALL)
    exported(undisturbed := scan_in(tmp_path / "again", salt=1))
    assert products(other) == products(undisturbed)


def test_a_file_that_is_gone_or_of_another_size_is_made_anew(run: RunDirectory):
    before = products(run)
    Path(run.at(names.FOLDER), REASON).unlink()
    Path(run.at(names.FOLDER), names.REPORT).write_bytes(b"cut")
    assert set(exported(run).made) == {REASON, names.REPORT}
    assert products(run) == before


def test_another_version_makes_all_anew(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("landslide_scale.exporting.run.version", lambda _: "999")
    assert sorted(exported(run).made) == sorted(ALL)


@pytest.fixture(scope="module", params=[None, 0.8], ids=["nothing", "another threshold"])
def before(request: pytest.FixtureRequest, whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Before:
    """What there is before an export, what there is after one that nobody disturbs, and how many steps that takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    target, log = folder / "products", folder / "steps.log"
    if request.param is not None:
        exported(RunDirectory(str(whole)), RunDirectory(str(target)), threshold=request.param)
    there = local(target)
    taken = in_a_process(str(whole), str(target), log, None)
    return Before(there=there, after=local(target), steps=len(taken))


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_any_step_and_run_again_it_leaves_the_same_bytes(
    before: Before, whole: Path, tmp_path: Path, seed: int
):
    generator = random.Random(seed)  # noqa: S311 a choice of tests
    target, log = tmp_path / "products", tmp_path / "steps.log"
    for name, content in before.there.items():
        path = Path(f"{target}{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for number in range(1 + seed // 3 % 3):
        in_a_process(str(whole), str(target), log, generator.randrange(before.steps >> number))
        stated = Manifest.read(RunDirectory(str(target))).entries.values()
        for file, known in ((file, known) for one in stated if not one.is_void for file, known in one.files.items()):
            assert file_sha256(target / file) == known.sha256
    in_a_process(str(whole), str(target), log, None)
    assert local(target) == before.after
    assert {path.name for path in target.iterdir()} == {name.split("/")[1] for name in before.after}


def test_a_stopped_export_leaves_nothing_half_made_and_lets_others_in(run: RunDirectory):
    def stopped(work: Work, of: Sequence[Product]) -> Ended:
        for product in of:
            if product.name == names.POLYGONS:
                raise KeyboardInterrupt
            yield product, work(product)

    target = RunDirectory(run.at("elsewhere"))
    with pytest.raises(KeyboardInterrupt):
        exported(run, target, each=stopped)
    assert set(target.sizes("")) <= {names.MANIFEST, *Manifest.read(target).files}
    assert not Path(target.url, MAKING).exists()
    outcome = exported(run, target)
    assert set(outcome.kept) == set(Manifest.read(target).entries) - set(outcome.made)
    assert local(Path(target.url)) == products(run)


def test_stopped_between_a_file_and_its_record_nothing_is_said_of_the_file(run: RunDirectory):
    def stopped(work: Work, of: Sequence[Product]) -> Ended:
        for product in of:
            work(product)
            raise KeyboardInterrupt
        yield from ()

    before, target = products(run), RunDirectory(run.at(names.FOLDER))
    with pytest.raises(KeyboardInterrupt):
        exported(run, threshold=0.9, each=stopped)
    assert products(run)[f"/{names.POLYGONS}"] != before[f"/{names.POLYGONS}"]
    assert len(products(run)[f"/{names.POLYGONS}"]) == len(before[f"/{names.POLYGONS}"])
    assert Manifest.read(target).entries[names.POLYGONS].is_void
    assert exported(run).made == (names.POLYGONS,)
    assert products(run) == before


def test_whoever_makes_products_is_stopped_before_others_may_have_the_folder(tmp_path: Path):
    target, seen = RunDirectory(str(tmp_path / "products")), list[bool]()

    def watched(work: Work, of: Sequence[Product]) -> Ended:
        try:
            for product in of:
                yield product, work(product)
        finally:
            seen.append(holder(target) is not None)

    def stop(progress: Progress) -> None:
        if progress.done == 1:
            raise KeyboardInterrupt

    both = [writes("a"), writes("b", "b.txt")]
    with pytest.raises(KeyboardInterrupt):
        carry_out(both, SOURCE, target, kinds=["cog"], progress=stop, each=watched)
    assert seen == [True]
    assert holder(target) is None


def lose(target: RunDirectory) -> None:
    """Another export takes the folder, and puts a file there."""
    for path in Path(target.url).glob("lease-*"):
        path.unlink()
    for name in ("lease-of-another.json", "b.txt"):
        Path(target.url, name).write_text("of another")


@pytest.mark.parametrize("before", ["the first file", "the second file"])
def test_a_task_that_hung_puts_nothing_into_the_folder_that_another_export_has(tmp_path: Path, before: str):
    """As one on Ray: it knows of its driver's lease by the name alone."""
    target, put = RunDirectory(str(tmp_path / "products")), list[str]()

    def hung(folder: Path) -> str:
        for name in ("a.txt", "b.txt"):
            (folder / name).write_text("of the one that hung")
        if before == "the first file":
            lose(target)
        return ""

    def putting(url: str, path: Path) -> None:
        PUT(url, path)
        put.append(path.name)
        lose(target)

    def elsewhere(work: Work, of: Sequence[Product]) -> Ended:
        with pytest.MonkeyPatch.context() as patch, patient(WRITER_S):
            patch.setattr(engine, "put_whole", putting)
            yield from ((product, work(product)) for product in of)

    product = Product(name="a.txt", kind="cog", make=hung)
    with pytest.raises(BrokenRunError, match="has lost its lease"):
        carry_out([product], SOURCE, target, kinds=["cog"], progress=silent, each=elsewhere)
    assert put == ([] if before == "the first file" else ["a.txt"])
    assert target.read("b.txt") == b"of another"


def test_ctrl_c_ends_a_process_as_shells_count_and_the_same_call_goes_on(run: RunDirectory, tmp_path: Path):
    target = tmp_path / "products"
    process = FORKS.Process(target=guarded, args=(run.url, str(target)))
    process.start()
    end = time.monotonic() + 120
    while not (target / REASON).exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(300)
    assert process.exitcode == 128 + signal.SIGINT
    assert set(local(target)) <= set(products(run))
    exported(run, RunDirectory(str(target)))
    assert local(target) == products(run)


def test_what_a_product_leaves_when_it_fails_is_removed_and_the_error_is_one_line(tmp_path: Path):
    def fails(path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    target = RunDirectory(str(tmp_path / "products"))
    broken = Product(name="b.txt", kind="cog", make=single("b.txt", fails))
    with pytest.raises(BrokenRunError, match="no room is left") as caught:
        carry_out([writes("whole"), broken], SOURCE, target, kinds=["cog"], progress=silent)
    assert "\n" not in str(caught.value)
    assert "export again" in str(caught.value)
    assert "--resume" not in str(caught.value)
    assert local(Path(target.url)).keys() == {"/a.txt", f"/{names.MANIFEST}"}


def test_with_room_again_the_same_call_finishes(run: RunDirectory):
    before = products(run)
    shutil.rmtree(run.at(names.FOLDER))
    with small_files(900), pytest.raises(BrokenRunError, match="no room is left"):
        exported(run)
    assert set(products(run)) <= set(before)
    exported(run)
    assert products(run) == before


def test_a_second_export_is_refused_while_one_is_at_work(run: RunDirectory):
    with held(RunDirectory(run.at(names.FOLDER))), pytest.raises(RunConflictError, match="one export at a time"):
        exported(run)


def test_kinds_are_chosen_and_one_that_needs_another_is_refused_without_it(run: RunDirectory):
    fresh = RunDirectory(run.at("fresh"))
    with pytest.raises(InvalidConfigError, match=rf"made from {names.POLYGONS}.*expected vector,report"):
        exported(run, fresh, kinds=["report"])
    assert not Path(fresh.url).exists()
    assert set(exported(run, fresh, kinds=["cog", "vector"]).made) == {
        PROBABILITY,
        REASON,
        names.POLYGONS,
        names.GEOPACKAGE,
    }
    assert exported(run, fresh, kinds=["report"]).made == (names.REPORT,)
    with pytest.raises(InvalidConfigError, match="as it would be made now"):
        exported(run, fresh, kinds=["report"], threshold=0.9)
    assert exported(run, fresh, kinds=["stac"]).made == (names.CATALOGUE,)
    assert local(Path(fresh.url)) == products(run)


def test_a_catalogue_takes_what_is_there_of_the_same_cube(run: RunDirectory, tmp_path: Path):
    fresh = RunDirectory(run.at("fresh"))
    exported(run, fresh, kinds=["cog", "stac"])
    assert set(json.loads(fresh.read(names.CATALOGUE))) == {
        name for name in Manifest.read(fresh).files if name.startswith("cog/")
    }
    other = scan_in(tmp_path / "other", salt=1)
    exported(other, fresh, kinds=["stac"])
    assert json.loads(fresh.read(names.CATALOGUE)) == {}


def test_products_that_a_plan_no_longer_has_are_removed_of_the_kinds_that_are_made(tmp_path: Path):
    target = RunDirectory(str(tmp_path / "products"))
    both = [writes("a"), writes("b", "b.txt", "vector"), writes("c", "c.txt")]
    carry_out(both, SOURCE, target, kinds=names.KINDS, progress=silent)
    outcome = carry_out(both[:1], SOURCE, target, kinds=["cog"], progress=silent)
    assert outcome.removed == ("c.txt",)
    assert local(Path(target.url)).keys() == {"/a.txt", "/b.txt", f"/{names.MANIFEST}"}


def test_a_product_that_there_is_none_of_is_said_and_the_others_are_made(tmp_path: Path):
    target = RunDirectory(str(tmp_path / "products"))
    too_large = Product(name="b.txt", kind="vector", make=lambda _: "b.txt: too large for a page")
    outcome = carry_out([too_large, writes("a")], SOURCE, target, kinds=names.KINDS, progress=silent)
    assert outcome.left_out == {"b.txt": "b.txt: too large for a page"}
    assert outcome.files.keys() == {"a.txt"}
    again = carry_out([too_large, writes("a")], SOURCE, target, kinds=names.KINDS, progress=silent)
    assert again.made == ()
    assert again.left_out == outcome.left_out


def test_units_that_failed_are_counted_with_each_product_and_named(tmp_path: Path):
    run = scan_in(tmp_path / "run", failed=1)
    exported(run)
    manifest = Manifest.read(RunDirectory(run.at(names.FOLDER)))
    assert manifest.missing == scanned(run).missing
    assert len(manifest.missing) == 1
    assert {(one.units, one.units_missing) for one in manifest.entries.values()} == {(4, 1)}


def test_progress_names_the_product_and_tells_the_time_left_by_pixels(tmp_path: Path):
    def slowly(path: Path) -> None:
        time.sleep(0.1)
        path.write_text("b")

    said: list[Progress] = []
    first = Product(name="b.txt", kind="cog", make=single("b.txt", slowly), pixels=10)
    target = RunDirectory(str(tmp_path / "products"))
    carry_out([first, writes("c", "c.txt", pixels=100)], SOURCE, target, kinds=["cog"], progress=said.append)
    assert [(one.done, one.total, one.current) for one in said] == [(0, 2, "b.txt"), (1, 2, "c.txt"), (2, 2, "")]
    left = [one.left_s for one in said]
    assert left[0] is None
    assert left[1] is not None
    assert left[1] >= 1
    assert left[2] == 0


def test_progress_tells_the_pixels_gone_over_within_a_product_and_never_goes_back(tmp_path: Path):
    def telling(path: Path) -> None:
        for _ in range(4):
            gone_over(20)  # and of the last 20 nothing
        path.write_text("b")

    said: list[Progress] = []
    first = Product(name="b.txt", kind="cog", make=single("b.txt", telling), pixels=100)
    target = RunDirectory(str(tmp_path / "products"))
    carry_out([first, writes("c", "c.txt", pixels=100)], SOURCE, target, kinds=["cog"], progress=said.append)
    assert [(one.done, one.share) for one in said] == [
        (0, 0), (0, 0.1), (0, 0.2), (0, 0.3), (0, 0.4), (1, 0.5), (2, 1),
    ]  # fmt: skip
    assert said[0].left_s is None
    assert all(one.left_s is not None and one.left_s > 0 for one in said[1:-1])
    assert said[-1].left_s == 0
    gone_over(20)  # nobody listens any more
    assert len(said) == 7


def test_a_person_is_told_of_work_within_a_product_and_of_the_end_once():
    told = io.StringIO()
    show = ExportProgress(told)
    show(Progress(done=1, total=2, current="b.tif", share=0.5, left_s=61))
    assert told.getvalue() == "1/2 products, 50% of the pixels, 0:01:01 left, b.tif\n"
    show(Progress(done=1, total=2, current="b.tif", share=1.0, left_s=0))
    assert told.getvalue().count("\n") == 1  # it is too soon, and not the end
    show(Progress(done=2, total=2, current="", share=1.0, left_s=0))
    assert told.getvalue().endswith("\n2/2 products\n")


def test_products_that_read_each_other_are_of_different_levels(whole: Path):
    run = RunDirectory(str(whole))
    found = levels(plan(scanned(run), RunDirectory(run.at(names.FOLDER))))
    assert [[product.name for product in level] for level in found] == [
        [PROBABILITY, REASON, names.POLYGONS],
        [names.GEOPACKAGE, names.REPORT],
        [names.CATALOGUE],
    ]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"format": 2}', b'{"format": 1, "products": {"a": {}}, "missing": []}']
)
def test_a_manifest_of_something_else_is_refused_in_one_line(run: RunDirectory, content: bytes):
    run.write(f"{names.FOLDER}/{names.MANIFEST}", content)
    with pytest.raises(RunConflictError, match="of something else") as caught:
        exported(run)
    assert "\n" not in str(caught.value)


def test_a_manifest_that_names_files_outside_its_folder_is_refused(run: RunDirectory):
    said = run.read_json(f"{names.FOLDER}/{names.MANIFEST}")
    said["products"][REASON]["files"] = {"../units.parquet": {"bytes": 1, "sha256": ""}}
    run.write_json(f"{names.FOLDER}/{names.MANIFEST}", said)
    with pytest.raises(RunConflictError, match=r"units\.parquet"):
        exported(run)
    assert run.exists("units.parquet")


def test_what_an_undisturbed_export_left_is_whole(run: RunDirectory):
    verdict = verify_products(RunDirectory(run.at(names.FOLDER)), source_of(scanned(run)).cube_sha256, lambda *_: None)
    assert verdict is not None
    assert verdict.whole
