from __future__ import annotations

import copy
import pickle
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from landslide_scale.errors import InvalidConfigError
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.scene import Window, utc
from landslide_scale.spec import ConvName, ConvNetSpec, LandslideNetSpec, TuningSpec
from landslide_scale.stac.providers import PROFILES
from landslide_scale.strictyaml import _Loader, load, parse, read
from landslide_scale.training.settings import FinetuneConfig

SCAN = """
region: {bbox: [14.0, 46.0, 15.0, 47.0]}
windows:
  - {start: 2023-08-01, end: 2023-09-01}
model: {checkpoint: model.safetensors}
output: {run: runs/august}
"""


def scan_content() -> dict[str, Any]:
    return {
        "region": {"bbox": [14.0, 46.0, 15.0, 47.0]},
        "windows": [{"start": "2023-08-01", "end": "2023-09-01"}],
        "model": {"checkpoint": "model.safetensors"},
        "output": {"run": "runs/august"},
    }


def changed(path: str, value: object) -> dict[str, Any]:
    content = scan_content()
    *sections, key = path.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
    place[key] = value
    return content


def refusal(content: object, kind: type[ScanConfig | ChipsConfig | FinetuneConfig] = ScanConfig) -> str:
    with pytest.raises(InvalidConfigError) as caught:
        parse(kind, content)
    return str(caught.value)


def file_with(folder: Path, text: str | bytes) -> Path:
    path = folder / "scan.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_dates_as_people_write_them_are_midnight_utc(tmp_path: Path):
    config = load(ScanConfig, file_with(tmp_path, SCAN))
    assert config.windows == (Window(start=datetime(2023, 8, 1, tzinfo=UTC), end=datetime(2023, 9, 1, tzinfo=UTC)),)


@pytest.mark.parametrize("written", ["2023-08-01T02:00:00+02:00", "2023-08-01T00:00:00Z", "'2023-08-01'", "2023-08-01"])
def test_instants_with_a_zone_mean_the_same_instant(tmp_path: Path, written: str):
    config = load(ScanConfig, file_with(tmp_path, SCAN.replace("start: 2023-08-01", f"start: {written}")))
    assert config.windows[0].start == datetime(2023, 8, 1, tzinfo=UTC)


def test_a_byte_order_mark_is_no_key(tmp_path: Path):
    assert load(ScanConfig, file_with(tmp_path, b"\xef\xbb\xbf" + SCAN.encode())).output.run == "runs/august"


@pytest.mark.parametrize("key", ["clouds", "grid.blok", "model.chekpoint", "windows", "compute.gpus", "region.bbx"])
def test_an_unknown_key_is_refused_by_name(key: str):
    content = changed(key, [{"start": "2023-08-01", "stop": "2023-09-01"}] if key == "windows" else 1)
    assert key in refusal(content)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("grid.resolution", "10", '"10"'),
        ("grid.resolution", 10.5, "10.5"),
        ("grid.resolution", True, "true"),
        ("grid.resolution", 0, "expected: at least 1"),
        ("catalog.max_cloud_cover", 101, "expected: at most 100"),
        ("catalog.profile", "landsat", "earth-search-c1"),
        ("catalog.offset", "taken_off", "flag:PROPERTY"),
        ("catalog.offset", "flag:", "in_numbers, removed"),
        ("catalog.offset", ["removed"], "flag:PROPERTY"),
        ("catalog.offset", -1000, "in_numbers"),
        ("composite.processings", "all", "ordered"),
        ("composite.method", "mean", "least_cloudy"),
        ("composite.dilate_m", float("nan"), "finite"),
        ("compute.cpus_per_predictor", float("inf"), "finite"),
        ("model.checkpoint", 3, "expected: text"),
        ("predict.batch", [8], "[8]"),
        ("region.file", 3, "expected: text"),
        ("output.sharded", "yes", '"yes"'),
        ("output", "runs/august", '"runs/august"'),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_what_was_found_and_what_was_expected(key: str, value: object, said: str):
    text = refusal(changed(key, value))
    assert f"key {key}" in text
    assert said in text
    assert "expected" in text


@pytest.mark.parametrize("clear", [[], [0, 4], [4, 12], [-1]])
def test_classes_that_cannot_be_clear_are_refused(clear: list[int]):
    assert "composite.clear" in refusal(changed("composite.clear", clear))


@pytest.mark.parametrize("bbox", [[14, 46, 15], [14, 46, 15, 47, 48], [14, "46", 15, 47], [None] * 4])
def test_a_box_of_other_than_four_numbers_is_refused(bbox: list[object]):
    assert "key region.bbox" in refusal(changed("region.bbox", bbox))


def test_every_problem_is_named_at_once():
    content = changed("grid.resolution", "10") | {"clouds": 3}
    del content["output"]
    text = refusal(content)
    assert all(key in text for key in ("key grid.resolution", "key clouds: unknown", "key output: missing"))


@pytest.mark.parametrize(
    ("windows", "said"),
    [
        ([{"start": "2023-09-01", "end": "2023-08-01"}], "is not before end"),
        ([{"start": "2023-09-01", "end": "2023-09-01"}], "is not before end"),
        ([{"start": "2023-09-01"}], "{start: DATE, end: DATE}"),
        ([{"start": "2023-09-01", "end": "soon"}], "ISO date"),
        ([{"start": 20230801, "end": 20230901}], "ISO date"),
        ([{"start": None, "end": "2023-09-01"}], "ISO date"),
        (["2023-08"], "{start: DATE, end: DATE}"),
        ([], "windows"),
        ([{"start": "2021-07-01", "end": "2022-07-01", "years": 2}], "reaches the next year's; expected a season"),
        ([{"start": "2021-07-01", "end": "2023-09-01", "years": 3}], "reaches the next year's; expected a season"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": 0}], "expected 1 to 50"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": -1}], "expected 1 to 50"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": 5000}], "expected 1 to 50"),
        ([{"start": "9998-07-01", "end": "9998-09-01", "years": 3}], "expected 1 to 50"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": "3"}], "expected a whole number"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": 2.0}], "expected a whole number"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": True}], "expected a whole number"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": None}], "expected a whole number"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "years": [2021, 2023]}], "expected a whole number"),
        ([{"start": "2021-07-01", "years": 3}], "{start: DATE, end: DATE, years: N}"),
        ([{"start": "2021-07-01", "end": "2021-09-01", "year": 3}], "{start: DATE, end: DATE, years: N}"),
    ],
)
def test_a_bad_window_is_refused_by_name(windows: list[object], said: str):
    text = refusal(changed("windows", windows))
    assert "windows" in text
    assert said in text


def test_a_season_is_recorded_with_its_years_and_a_window_of_one_year_as_before_there_were_any():
    dates = {"start": "2021-07-01", "end": "2021-09-01"}
    whole = {"start": "2021-07-01T00:00:00Z", "end": "2021-09-01T00:00:00Z"}
    for years, recorded in (({}, whole), ({"years": 1}, whole), ({"years": 3}, whole | {"years": 3})):
        config = parse(ScanConfig, changed("windows", [dates | years]))
        assert config.settings()["windows"] == [recorded]
        assert (Window.recorded(recorded),) == config.windows


@given(start=st.datetimes(), end=st.datetimes())
def test_a_window_is_made_exactly_where_the_start_is_before_the_end(start: datetime, end: datetime):
    start, end = start.replace(tzinfo=UTC), end.replace(tzinfo=UTC)
    if start < end:
        window = Window(start=start, end=end)
        assert window.holds(start)
        assert not window.holds(end)
    else:
        with pytest.raises(InvalidConfigError, match="not before"):
            Window(start=start, end=end)


def test_an_instant_without_zone_is_refused():
    naive = datetime(2023, 8, 1, tzinfo=UTC).replace(tzinfo=None)
    with pytest.raises(InvalidConfigError, match="time zone"):
        Window(start=naive, end=datetime(2023, 9, 1, tzinfo=UTC))


def test_an_instant_without_offset_is_taken_as_utc():
    assert utc("2023-08-01T12:00:00") == utc("2023-08-01T14:00:00+02:00") == datetime(2023, 8, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("region", [{}, {"bbox": [1, 2, 3, 4], "file": "x.geojson"}])
def test_a_region_is_exactly_one_of_bbox_and_file(region: dict[str, object]):
    assert "region" in refusal(changed("region", region))


def test_a_chunk_that_does_not_divide_the_block_is_refused():
    assert "grid.chunk" in refusal(changed("grid", {"block": 100, "chunk": 48}))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: !!python/object/apply:os.getcwd []", "YAML without tags"),
        ("region: [1, 2", "YAML"),
        ("- a list", "a mapping of sections"),
        ("", "a mapping of sections"),
        ("windows: 2023-02-30", "YAML"),
        ("? 2023-08-01\n: 1", "text"),
        ("1: 2", "text"),
        ("a: &a [*a]", "plain YAML values"),
        ("a: !!set {b, c}", "keys that are text|plain YAML values"),
        (b"\xff\xfe\x00", "readable YAML file"),
        (b"a: \x07", "YAML"),
    ],
)
def test_a_file_that_is_no_plain_yaml_mapping_is_refused_by_name(tmp_path: Path, text: str | bytes, said: str):
    path = file_with(tmp_path, text)
    with pytest.raises(InvalidConfigError, match=said) as caught:
        load(ScanConfig, path)
    assert caught.value.where["file"] == str(path)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2e-4", 0.0002),
        ("1E3", 1000.0),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("+1.", 1.0),
        ("0o10", 8),
        ("0x1F", 31),
        ("+7", 7),
        ("0", 0),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("Null", None),
        ("=", "="),
        ("NaN", "NaN"),
        ("inf", "inf"),
        ("0b2", "0b2"),
        ("a_1", "a_1"),
        ("y", "y"),
        ("Norway", "Norway"),
        ("1.2.3", "1.2.3"),
        ("2023-08-01", "2023-08-01"),
        ("2023-08-01 10:00:00", "2023-08-01 10:00:00"),
        ("2023-8-1", "2023-08-01"),
        ("'010'", "010"),
        ('"yes"', "yes"),
        ("'12:30'", "12:30"),
    ],
)
def test_plain_values_are_what_yaml_1_2_says(written: str, meant: object):
    found = yaml.load(f"a: {written}", Loader=_Loader)["a"]  # noqa: S506 a SafeLoader
    assert (type(found), found) == (type(meant), meant)


@pytest.mark.parametrize(
    ("written", "cure"),
    [
        ("010", 'without 0 .*, or "010" in quotes'),
        ("-007", "without 0"),
        ("08", "without 0"),
        ("1_000", "without _"),
        ("1_000.5", "without _"),
        ("0x_ff", "without _"),
        ("0b11", "decimal"),
        ("12:30", '"12:30" in quotes'),
        ("1:30:00.5", '"1:30:00.5" in quotes'),
        ("yes", "true or false"),
        ("No", "true or false"),
        ("ON", "true or false"),
        ("off", "true or false"),
    ],
)
def test_what_yaml_1_1_reads_otherwise_is_refused_with_the_ways_to_write_it(tmp_path: Path, written: str, cure: str):
    path = file_with(tmp_path, SCAN + f"predict: {{batch: {written}}}\n")
    with pytest.raises(InvalidConfigError, match=f"line 7: {written}, which YAML .*{cure}"):
        load(ScanConfig, path)


@pytest.mark.parametrize("written", [".inf", "-.INF", ".nan", "1e400"])
def test_a_number_that_is_none_or_endless_is_refused_by_its_key(tmp_path: Path, written: str):
    text = f"dataset: {{kind: bijie, path: /x}}\noutput: {{run: /x}}\ntrain: {{learning_rate: {written}}}\n"
    with pytest.raises(InvalidConfigError, match=r"key train.learning_rate: .*finite"):
        load(FinetuneConfig, file_with(tmp_path, text))


CONFIGS = Path(__file__).parents[1] / "configs"
PUBLIC = sorted((CONFIGS / "public").glob("*.yaml"))


@pytest.mark.parametrize("path", [*sorted(CONFIGS.glob("*.yaml")), *PUBLIC], ids=lambda p: p.stem)
def test_a_committed_configuration_is_accepted_whole(path: Path, monkeypatch: pytest.MonkeyPatch):
    kinds: dict[str, Any] = {"scan": ScanConfig, "chips": ChipsConfig, "finetune": FinetuneConfig, "rapid": RapidConfig}
    kind = kinds[path.stem.partition("_")[0]]
    monkeypatch.delenv("LANDSLIDE_SCALE_RUNS", raising=False)
    assert str(load(kind, path)) != ""
    monkeypatch.setenv("LANDSLIDE_SCALE_RUNS", "s3://bucket/landslides")
    config = load(kind, path)
    output = config.directory if isinstance(config, ChipsConfig) else config.output.run
    assert output.startswith("s3://bucket/landslides/")


@pytest.mark.parametrize("path", [path for path in PUBLIC if path.stem.startswith("chips")], ids=lambda p: p.stem)
def test_chips_of_a_public_inventory_are_asked_of_a_catalogue_that_has_their_dates(path: Path):
    config = load(ChipsConfig, path)
    years = {year for window in config.windows for year in range(window.start.year, window.end.year + 1)}
    assert not years & set(PROFILES[config.catalog.profile].lacks)
    # A window begins after the event: the one of the condition, or Noto's.
    event = re.search(r"\d{4}-\d{2}-\d{2}", config.labels.where or "2024-01-01")
    assert event is not None
    assert min(window.start for window in config.windows) > utc(event[0])


def test_a_key_given_twice_is_refused(tmp_path: Path):
    path = file_with(tmp_path, SCAN + "grid: {resolution: 10, resolution: 20}\n")
    with pytest.raises(InvalidConfigError, match=r"resolution.*twice"):
        load(ScanConfig, path)


def test_a_section_may_be_merged_into_another_that_overrides_it(tmp_path: Path):
    path = file_with(tmp_path, SCAN + "grid: {<<: {block: 96, chunk: 16}, block: 64}\n")
    grid = load(ScanConfig, path).grid
    assert (grid.block, grid.chunk) == (64, 16)


@pytest.mark.parametrize("name", ["absent.yaml", "."])
def test_a_file_that_cannot_be_read_is_refused_and_its_path_said_once(tmp_path: Path, name: str):
    with pytest.raises(InvalidConfigError, match="readable YAML file") as caught:
        load(ScanConfig, tmp_path / name)
    assert str(caught.value).count(str(tmp_path)) == 1


@pytest.mark.parametrize("url", ["earth-search.aws.element84.com/v1", "/catalogue", "htps://host/v1", "http://"])
def test_an_address_of_a_catalogue_that_is_none_is_refused_by_its_key(url: str):
    text = refusal(changed("catalog.url", url))
    assert "key catalog.url" in text
    assert "by http(s), as https://" in text


def test_labels_are_a_file_and_no_box():
    content = scan_content() | {"labels": {"bbox": [14.1, 46.1, 14.2, 46.2]}, "directory": "chips"}
    del content["model"], content["output"]
    text = refusal(content, ChipsConfig)
    assert "key labels.file: missing" in text
    assert "key labels.bbox: unknown" in text


def finetune_content(**sections: object) -> dict[str, Any]:
    return {"dataset": {"kind": "bijie", "path": "data/bijie"}, "output": {"run": "runs/fine"}} | sections


def test_the_specs_of_model_and_training_are_read_as_sections():
    config = parse(
        FinetuneConfig,
        finetune_content(model={"sam": "vit_t", "tuning": {"width": 8}, "bands": ["nir"]}, train={"epochs": 3}),
    )
    assert (config.train.calibration, config.dataset.split) == (None, "seeded")
    assert (config.model.sam, config.model.tuning.width, config.model.bands) == ("vit_t", 8, ("nir",))
    assert (config.train.epochs, config.train.batch) == (3, 8)


def test_a_model_is_told_by_its_name_and_is_landslidenet_without_one():
    tuning = {"structure": "mixed", "place": "inside", "blocks": [0, 3]}
    named, plain = (
        parse(FinetuneConfig, finetune_content(model=extra | {"tuning": tuning})).model
        for extra in ({"name": "landslidenet"}, {})
    )
    assert named == plain == LandslideNetSpec(tuning=TuningSpec(structure="mixed", place="inside", blocks=(0, 3)))
    for name in get_args(ConvName):
        found = parse(FinetuneConfig, finetune_content(model={"name": name, "encoder": "resnet18", "bands": ["nir"]}))
        assert found.model == ConvNetSpec(name=name, encoder="resnet18", bands=("nir",))


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        (
            {"model": {"name": "segnet"}},
            'key model: found {"name": "segnet"}; expected: a section whose name is one of',
        ),
        (
            {"model": {"name": ["unet"]}},
            "a section whose name is one of landslidenet, unet, deeplabv3plus, pspnet, ccnet",
        ),
        ({"model": "unet"}, 'key model: found "unet"; expected: a section'),
        ({"model": {"name": "unet", "sam": "vit_b"}}, "key model.sam: unknown"),
        ({"model": {"encoder": "resnet18"}}, "key model.encoder: unknown"),
        ({"model": {"name": "unet", "depth": 2}}, "model.depth: depth 2; expected 3 to 5"),
        ({"model": {"name": "unet", "upsample": 0}}, "model.upsample"),
        ({"model": {"tuning": {"place": "beside"}}}, "key model.tuning.place"),
        ({"model": {"tuning": {"place": "parallel", "skip": False}}}, "model.tuning.skip"),
        ({"model": {"tuning": {"widht": 8}}}, "key model.tuning.widht: unknown"),
        ({"train": {"epoch": 3}}, "key train.epoch: unknown"),
        ({"train": {"calibration": "isotonic"}}, "key train.calibration"),
        ({"train": {"recolour": -0.1}}, "train.recolour: -0.1; expected 0 to 5"),
        ({"train": {"average": 1.0}}, "train.average: 1.0; expected at least 0 and below 1"),
        ({"dataset": {"kind": "pairs", "path": "x", "split": "official"}}, "dataset.split"),
        ({"dataset": {"kind": "landslide4sense", "path": "x", "split": "random"}}, "key dataset.split"),
        ({"train": {"epochs": "3"}}, "key train.epochs"),
        ({"train": {"epochs": 0}}, "train.epochs"),
        ({"train": {"holdout": 1.5}}, "train.holdout"),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate"),
        ({"model": {"upsample": 9}}, "model.upsample"),
        ({"model": {"sam": "vit_x"}}, "key model.sam"),
        ({"model": {"bands": ["red", "red"]}}, "model.bands"),
        ({"base_weights": {"url": "sam.pth", "sha256": "ABC"}}, "key base_weights.sha256"),
    ],
)
def test_a_wrong_spec_is_refused_by_key(sections: dict[str, object], said: str):
    assert said in refusal(finetune_content(**sections), FinetuneConfig)


def test_chips_of_an_unknown_band_are_refused():
    content = {key: value for key, value in scan_content().items() if key in {"region", "windows"}}
    content |= {"labels": {"file": "labels.gpkg"}, "directory": "chips", "bands": ["red", "infrared"]}
    assert "infrared" in refusal(content, ChipsConfig)


def test_settings_leave_out_where_things_are_and_where_they_are_computed():
    moved = scan_content()
    moved["output"]["run"] = "s3://elsewhere/august"
    moved["model"] |= {"checkpoint": "/other/model.safetensors", "base_weights": "/other/sam.pth"}
    moved["catalog"] = {"url": "https://mirror", "allowed_hosts": ["mirror"], "allowed_roots": ["/other"]}
    moved["compute"] = {"predictors": 8}
    assert parse(ScanConfig, moved).settings() == parse(ScanConfig, scan_content()).settings()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("grid.resolution", 20),
        ("composite.method", "latest"),
        ("composite.dilate_m", 50.0),
        ("catalog.profile", "plain"),
        ("catalog.max_cloud_cover", 50.0),
        ("catalog.offset", "removed"),
        ("composite.processings", "newest"),
        ("predict.halo", 8),
        ("predict.precision", "float32"),
        ("output.sharded", False),
        ("region.bbox", [14.0, 46.0, 15.0, 47.5]),
        ("windows", [{"start": "2023-08-01", "end": "2023-09-02"}]),
    ],
)
def test_settings_hold_what_the_result_depends_on(key: str, value: object):
    settings = parse(ScanConfig, scan_content()).settings()
    other = parse(ScanConfig, changed(key, value)).settings()
    assert other != settings


def test_a_configuration_crosses_processes_and_cannot_be_changed():
    config = parse(ScanConfig, scan_content())
    assert pickle.loads(pickle.dumps(config)) == config  # noqa: S301 our own bytes
    assert copy.deepcopy(config) == config
    with pytest.raises(ValueError, match="frozen"):
        config.grid.block = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("composite", "named"),
    [
        ({"clear": [3, 4, 8, 9], "dilate_m": 50.0}, "dilate_m"),
        ({"grow": [], "dilate_m": 50.0}, "dilate_m"),
        ({"grow": [8, 9], "dilate_m": 0.0}, "grow"),
        ({"clear": [3, 4], "grow": [3, 8]}, "grow"),
    ],
)
def test_growing_that_can_do_nothing_is_refused(composite: dict[str, object], named: str):
    said = refusal(scan_content() | {"composite": composite}, ScanConfig)
    assert f"composite.{named}" in said


def test_growing_that_is_not_asked_for_is_not_refused():
    for stated in ({"clear": [3, 4, 8, 9]}, {"clear": [3, 4, 8, 9], "dilate_m": 0.0}, {"grow": []}):
        assert not parse(ScanConfig, scan_content() | {"composite": stated}).composite.grown


def test_a_run_begun_when_clear_classes_were_grown_too_goes_on_growing_them():
    new = parse(ScanConfig, scan_content() | {"composite": {"clear": [3, 4]}})
    assert new.composite.grown == (8, 9)
    begun = new.as_begun({"composite": {"clear": [3, 4], "dilate_m": 100.0}})
    assert begun.composite.grown == (3, 8, 9)
    assert "grow" not in begun.settings()["composite"]


def test_a_run_goes_on_under_the_rules_it_was_begun_under(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(
        "landslide_scale.scan.settings.BEFORE", {("composite", "min_clear"): 7, ("dem", "asset"): "old"}
    )
    plain, stated = scan_content(), scan_content() | {"composite": {"min_clear": 1}}
    new, known = parse(ScanConfig, plain), {"composite": {"method": "median"}}
    assert new.settings()["composite"]["min_clear"] == 1
    begun = new.as_begun(known)
    assert begun.composite.min_clear == 7
    assert "min_clear" not in begun.settings()["composite"]
    assert begun.as_begun(begun.settings()) == begun
    assert parse(ScanConfig, stated).as_begun(known).composite.min_clear == 1
    assert new.as_begun({"composite": {"min_clear": 1}}) == new
    assert new.as_begun({"composite": "of something else"}) == new


def test_half_a_character_is_refused_whole():
    with pytest.raises(InvalidConfigError, match="file x"):
        parse(ScanConfig, {"\ud800": None}, source="x")


@pytest.mark.parametrize("text", ['output:\n  run: "a\\ud800"\n', 'output: 1\n"a\\udfff": 2\n'], ids=["value", "key"])
def test_half_a_character_is_refused_with_its_line(text: str):
    said = r"line 2: half a character in .a\\ud[8f][0f][0f].; expected text of whole characters"
    with pytest.raises(InvalidConfigError, match=said):
        read(ScanConfig, text, source="x")
