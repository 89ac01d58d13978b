"""A folder of made patches to a set of chips: every file is accounted for, and what a training opens is whole."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.sen12 import SIDE, Made
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from landslide_scale.cli import app
from landslide_scale.datasets import inspect, open_dataset
from landslide_scale.datasets.chips import read_index
from landslide_scale.datasets.files import LocalFiles
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import IncompleteRunError, InvalidConfigError, InvalidDatasetError, RunConflictError
from landslide_scale.importing.leaks import NEAR_M, near
from landslide_scale.importing.patch import BANDS
from landslide_scale.importing.run import import_patches
from landslide_scale.importing.settings import ImportSettings
from landslide_scale.importing.summary import lines
from landslide_scale.parting import partition
from landslide_scale.provenance import ImageFacts
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.strictyaml import load
from landslide_scale.training.job import Prepared
from landslide_scale.training.settings import FinetuneConfig, RunConfig, finetune_job

UNANNOTATED = {"annotated": "False"} | dict.fromkeys(
    ("ann_id", "ann_bbox", "event_date", "date_confidence", "pre_post_dates"), ""
)
CELL = 1280.0
CONFIGS = Path(__file__).parents[2] / "configs"


def row_of(folder: Path, inventory: str, count: int, **changes: object) -> list[str]:
    """Patches that touch, from west to east."""
    names = [f"{inventory}_s2_{number}" for number in range(count)]
    for number, name in enumerate(names):
        made = Made(seed=number, left=755_200.0 + CELL * number, **changes)  # type: ignore[arg-type]
        made.write(folder / inventory / f"{name}.nc")
    return names


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two inventories, one of them with an underscore, and one of everything that is not taken."""
    folder = tmp_path_factory.mktemp("sen12")
    row_of(folder, "italy", 3)
    row_of(folder, "usa_alaska", 2)
    Made(attributes=UNANNOTATED).write(folder / "italy_s2_100.nc")
    Made(event="2023-01-01,2023-01-20").write(folder / "italy_s2_101.nc")
    Made().write(folder / "hokkaido_s2_7.nc")  # on the list
    (folder / "italy_s2_102.nc").write_bytes(Made().write(folder / "italy_s2_103.nc").read_bytes()[:90_000])
    Made(numbers=np.random.default_rng(0).integers(1100, 5000, (10, 8, SIDE, SIDE), np.int16)).write(
        folder / "italy_s2_103.nc"
    )
    (folder / "italy_s1asc_0.nc").write_bytes(b"radar")
    (folder / "README.md").write_text("no patch")
    (folder / "low.txt").write_text("hokkaido_7\nchina_12\n")
    return folder


def settings(published: Path, out: Path, **changes: object) -> ImportSettings:
    given = {"source": str(published), "directory": str(out), "low_quality": str(published / "low.txt")}
    return ImportSettings(**given | changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def chips(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "chips"
    import_patches(settings(published, out), resume=False)
    return out


def test_every_file_is_counted_and_named_with_its_reason(published: Path, tmp_path: Path):
    summary = import_patches(settings(published, tmp_path / "chips"), resume=False)
    assert sorted(summary.taken) == [*(f"italy_s2_{n}" for n in range(3)), "usa_alaska_s2_0", "usa_alaska_s2_1"]
    report = json.loads((tmp_path / "chips" / "import.json").read_text())
    outcomes = {name: (facts["outcome"], facts.get("reason", "")[:12]) for name, facts in report["patches"].items()}
    assert {name: said for name, said in outcomes.items() if said[0] != "taken"} == {
        "italy_s2_100": ("skipped", "not annotate"),
        "italy_s2_101": ("skipped", "several even"),
        "hokkaido_s2_7": ("skipped", "on the list "),
        "italy_s2_102": ("quarantined", "not as publi"),
        "italy_s2_103": ("quarantined", "its numbers "),
    }
    assert summary.others == ("italy_s1asc_0.nc",)
    assert {path.stem for path in (tmp_path / "chips").glob("*.npz")} == set(summary.taken)


def test_chips_open_as_any_others_and_say_how_they_were_made(chips: Path):
    files = LocalFiles(root=str(chips))
    index = read_index(files)
    assert (index.bands, index.radiometry, index.size) == (tuple(BANDS), "boa", 128)
    assert index.facts == ImageFacts(
        resolution=10.0,
        method="median, of fewer than three the first",
        clear=(4, 5, 6),
        dilate_m=0.0,
        mask=(),
        fair_share=False,
    )
    assert index.sha256 == {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in chips.glob("*.npz")}
    model = LandslideNetSpec(bands=("swir16", "nir", "red"))
    data = DataSpec(kind="chips", path=str(chips))
    dataset = open_dataset(data, model, InputSpec.for_bands("boa", model.bands))
    found = inspect(dataset)
    assert {name: image.inventory for name, image in found.items()} == {
        name: name.rpartition("_s2_")[0] for name in dataset.names
    }
    report = json.loads((chips / "import.json").read_text())["patches"]
    assert {name: (image.counted, image.landslide) for name, image in found.items()} == {
        name: (report[name]["pixels"], report[name]["landslide_pixels"]) for name in dataset.names
    }
    with np.load(chips / "italy_s2_1.npz") as stored:
        order = [list(BANDS).index(band) for band in model.bands]
        np.testing.assert_array_equal(dataset.read("italy_s2_1").image, stored["image"][order])


def test_the_published_configuration_learns_from_an_import_and_its_card_knows_how_the_images_were_made(
    chips: Path, tmp_path: Path
):
    config = load(FinetuneConfig, CONFIGS / "public" / "finetune_sen12landslides.yaml")
    here = DataSpec(kind="chips", path=str(chips))  # of two inventories, too few to hold one out
    job = finetune_job(config.model_copy(update={"dataset": here, "output": RunConfig(run=str(tmp_path / "run"))}))
    prepared = Prepared.of(job)
    assert prepared.dataset.bands == config.model.bands
    assert prepared.trained_on == read_index(LocalFiles(root=str(chips))).facts
    assert prepared.settled(job).train.calibration == "temperature"  # no fair share of any ground
    with pytest.raises(
        InvalidDatasetError, match=r"hold_out .* expected inventories with landslides: italy, usa_alaska"
    ):
        Prepared.of(replace(job, data=replace(config.dataset, path=str(chips))))


def test_a_published_split_is_told_which_of_its_test_patches_lie_beside_what_is_learnt_from(
    published: Path, tmp_path: Path
):
    rows = {
        "train": ["italy_s2_0"],
        "val": ["usa_alaska_s2_0", "nepal_s2_1"],
        "test": ["italy_s2_1", "italy_s2_2", "usa_alaska_s2_1", "italy_s2_101"],
    }
    content = {part: [{"s2": f"s2/{name}.nc", "id": "x"} for name in names] for part, names in rows.items()}
    (tmp_path / "splits.json").write_text(json.dumps(content))
    asked = settings(published, tmp_path / "chips", splits=str(tmp_path / "splits.json"))
    summary = import_patches(asked, resume=False)
    found = summary.leaks
    assert found is not None
    # italy_s2_2 is 2560 m from italy_s2_0, and italy_s2_101 is where italy_s2_0 is; one is not here.
    assert (found.scored, found.absent) == (4, 1)
    assert found.near == ("italy_s2_1", "italy_s2_101", "usa_alaska_s2_1")
    said = "the published split leaks: 3 of 4 test patches lie within 1.9 km of one that is learnt from (italy_s2_1, "
    assert [
        line
        for line in lines(summary)
        if line.startswith(said) and line.endswith("1 patches of the split are not here")
    ]


@given(st.data())
def test_near_is_what_all_pairs_say(data: st.DataObject):
    count = data.draw(st.integers(1, 12))
    cells = st.tuples(st.sampled_from(["EPSG:32632", "EPSG:32633"]), st.integers(0, 5), st.integers(0, 5))
    drawn = data.draw(st.lists(cells, min_size=count, max_size=count))
    corners = {f"a_s2_{n}": (crs, CELL * col, CELL * row) for n, (crs, col, row) in enumerate(drawn)}
    names = data.draw(st.sets(st.sampled_from(sorted(corners))))
    others = data.draw(st.sets(st.sampled_from(sorted(corners))))
    expected = {
        one
        for one in names
        for other in others - {one}
        if corners[one][0] == corners[other][0]
        and np.hypot(*(np.array(corners[one][1:]) - corners[other][1:])) <= NEAR_M
    }
    assert near(names, others, corners) == tuple(sorted(expected))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("splits", "[1]", "other JSON"),
        ("splits", "{", "cannot be read"),
        ("splits", '{"train": []}', "parts"),
        ("splits", '{"train": [{"id": 1}], "test": []}', "other JSON"),
        ("splits", '{"train": [{"s2": "a.nc"}], "test": []}', "a; expected a split as published"),
        ("low_quality", "", "nothing; expected ids"),
        ("low_quality", "italy_1\n<html>", "<html>"),
    ],
)
def test_a_list_of_something_else_is_refused_before_anything_is_written(
    name: str, content: str, said: str, published: Path, tmp_path: Path
):
    (tmp_path / "list").write_text(content)
    with pytest.raises(InvalidDatasetError, match=said):
        import_patches(settings(published, tmp_path / "chips", **{name: str(tmp_path / "list")}), resume=False)
    assert not (tmp_path / "chips").exists()


def test_a_folder_without_patches_is_refused_with_the_cure(tmp_path: Path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "s2_part01.tar.gz").write_bytes(b"")
    with pytest.raises(InvalidDatasetError, match=r"1 \.tar\.gz files.*tar -xzf"):
        import_patches(ImportSettings(source=str(tmp_path / "in"), directory=str(tmp_path / "out")), resume=False)
    for folder in ("data_raw", "data_harmonized"):
        Made().write(tmp_path / "in" / folder / "italy_s2_1.nc")
    with pytest.raises(InvalidDatasetError, match="each patch once"):
        import_patches(ImportSettings(source=str(tmp_path / "in"), directory=str(tmp_path / "out")), resume=False)
    assert not (tmp_path / "out").exists()
    with pytest.raises(InvalidConfigError, match="--days"):
        ImportSettings(source="in", directory="out", days=0)


def test_where_nothing_is_taken_there_are_no_chips_and_the_commonest_reason_is_said(tmp_path: Path):
    Made(attributes=UNANNOTATED).write(tmp_path / "in" / "italy_s2_1.nc")
    out = tmp_path / "out"
    with pytest.raises(IncompleteRunError, match=r"none of 1 patches was taken .*not annotated"):
        import_patches(ImportSettings(source=str(tmp_path / "in"), directory=str(out)), resume=False)
    assert not (out / "chips.json").exists()
    assert (out / "import.json").exists()


def test_another_folder_or_other_files_are_never_written_over(published: Path, chips: Path, tmp_path: Path):
    before = {path.name: path.read_bytes() for path in chips.glob("*.*")}
    with pytest.raises(RunConflictError, match="--resume"):
        import_patches(settings(published, chips), resume=False)
    with pytest.raises(RunConflictError, match="days"):
        import_patches(settings(published, chips, days=30), resume=True)
    import_patches(settings(published, chips), resume=True)
    assert {path.name: path.read_bytes() for path in chips.glob("*.*") if path.suffix == ".npz"} == {
        name: content for name, content in before.items() if name.endswith(".npz")
    }
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(RunConflictError, match=r"no run\.json, but mine\.txt"):
        import_patches(settings(published, tmp_path), resume=False)


def test_a_chip_that_is_gone_or_cut_off_is_made_again(published: Path, tmp_path: Path):
    out = tmp_path / "chips"
    import_patches(settings(published, out), resume=False)
    whole = (out / "italy_s2_0.npz").read_bytes()
    (out / "italy_s2_0.npz").write_bytes(whole[:1000])
    (out / "italy_s2_1.npz").unlink()
    import_patches(settings(published, out), resume=True)
    assert (out / "italy_s2_0.npz").read_bytes() == whole
    assert (out / "italy_s2_1.npz").exists()


def test_an_import_that_is_stopped_leaves_no_index_and_goes_on_to_the_same_bytes(published: Path, tmp_path: Path):
    out = tmp_path / "chips"
    script = (
        "import sys, os, signal\n"
        # Where the tests themselves run in the background, Ctrl-C is not heard.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from landslide_scale.importing import run\n"
        "from landslide_scale.importing.settings import ImportSettings\n"
        "from landslide_scale.runtime.console import run_guarded\n"
        "def stop(done, total):\n"
        f"    done == 4 and os.kill(os.getpid(), {int(signal.SIGINT)})\n"
        "wanted = ImportSettings(source=sys.argv[1], directory=sys.argv[2], low_quality=sys.argv[3])\n"
        "make = lambda: run.import_patches(wanted, resume=False, progress=stop) and 0\n"
        "sys.exit(run_guarded(make, kept='chips are'))\n"
    )
    given = [str(published), str(out), str(published / "low.txt")]
    done = subprocess.run([sys.executable, "-c", script, *given], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "stopped; chips are kept, and --resume goes on from there\n")
    assert not (out / "chips.json").exists()
    assert not list(out.rglob("*.partial"))
    summary = import_patches(settings(published, out), resume=True)
    straight = tmp_path / "straight"
    import_patches(settings(published, straight), resume=False)
    names = {path.name for path in straight.glob("*.npz")}
    assert {path.stem for path in straight.glob("*.npz")} == set(summary.taken)
    assert all((out / name).read_bytes() == (straight / name).read_bytes() for name in {*names, "chips.json"})


def test_whole_inventories_are_held_out_named_or_drawn(tmp_path: Path):
    for inventory in ("china", "hokkaido", "italy", "nepal"):
        row_of(tmp_path / "in", inventory, 2)
    import_patches(ImportSettings(source=str(tmp_path / "in"), directory=str(tmp_path / "chips")), resume=False)
    model = LandslideNetSpec()
    data = DataSpec(kind="chips", path=str(tmp_path / "chips"), split="inventory", hold_out=("nepal",))
    found = inspect(open_dataset(data, model, InputSpec.for_bands("boa", model.bands)))
    parts = partition(found, data, seed=1, holdout=0.3, validation=0.2)
    assert parts.holdout == ("nepal_s2_0", "nepal_s2_1")
    assert data.settings["hold_out"] == ("nepal",)
    assert "hold_out" not in DataSpec(kind="chips", path="x").settings  # as runs begun before recorded it
    drawn = partition(found, DataSpec(kind="chips", path="x", split="inventory"), seed=1, holdout=0.3, validation=0.2)
    for split in (parts, drawn):
        of = [{name.rpartition("_s2_")[0] for name in part} for part in (split.train, split.validation, split.holdout)]
        assert sum(map(len, of)) == len(set.union(*of)) == 4
        assert len(split.train) + len(split.validation) + len(split.holdout) == 8
    with pytest.raises(InvalidDatasetError, match=r"hold_out \['tibet'\]; expected .* china, hokkaido, italy, nepal"):
        partition(
            found,
            DataSpec(kind="chips", path="x", split="inventory", hold_out=("tibet",)),
            seed=1,
            holdout=0.3,
            validation=0.2,
        )


def test_the_command_prints_what_became_of_the_files(published: Path, tmp_path: Path):
    asked = ["import", "sen12landslides", str(published), "--out", str(tmp_path / "chips")]
    done = CliRunner().invoke(app, [*asked, "--low-quality", str(published / "low.txt")])
    assert done.exit_code == 0, done.output
    for said in (
        "skipped: 1, several events, which one mask does not tell apart (italy_s2_101)",
        "skipped: 1, on the list of low quality (hokkaido_s2_7)",
        "quarantined: 1, not as published (italy_s2_102)",
        "quarantined: 1, its numbers still carry the offset of -1000 (italy_s2_103)",
        "passed over: 1 other files (italy_s1asc_0.nc)",
        "inventories: italy 3, usa_alaska 2; 5 chips have another within 1.9 km",
        f"5 of 10 patches are chips in {tmp_path / 'chips'}",
    ):
        assert said in done.output
    again = CliRunner().invoke(app, asked)
    assert again.exit_code == 2
