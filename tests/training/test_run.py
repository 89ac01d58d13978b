from __future__ import annotations

import json
import math
import shutil
import time
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from fsspec.implementations.local import LocalFileSystem
from PIL import Image

from landslide_scale.cards.file import read_card
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import BrokenRunError, InvalidConfigError, RunConflictError
from landslide_scale.metrics import AreaRatio, Confusion, LogitHistogram, nan_as_null
from landslide_scale.model.checkpoint import restore
from landslide_scale.provenance import ImageFacts
from landslide_scale.spec import ConvNetSpec, InputSpec, LandslideNetSpec
from landslide_scale.storage import absence
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.begun import as_begun
from landslide_scale.training.evaluating import Calibration, Evaluation
from landslide_scale.training.fitting import Epoch, TrainState
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.run import TrainRun, scores
from landslide_scale.training.spec import TrainSpec
from landslide_scale.training.statefiles import fallback, load_state

MODEL = LandslideNetSpec(sam="vit_t", upsample=1)


def job_at(output: str, **changes: object) -> FinetuneJob:
    return FinetuneJob(
        data=DataSpec(kind="chips", path="chips"),
        model=MODEL,
        inputs=InputSpec.for_bands("boa", MODEL.bands),
        train=TrainSpec(epochs=2),
        output=output,
        **changes,  # type: ignore[arg-type]
    )


def epoch(number: int, f1: float) -> Epoch:
    calibration = Calibration(threshold=0.25, temperature=2.0, bias=-0.5, prevalence=0.125)
    return Epoch(
        epoch=number, loss=1.5, validation_loss=math.nan, validation_f1=f1, calibration=calibration, seconds=3.0
    )


def state_of(*f1: float, best: int = 1) -> TrainState:
    epochs = tuple(epoch(number, value) for number, value in enumerate(f1, 1))
    return TrainState(epochs=epochs, trained={}, optimizer={}, best=best, best_trained={})


def test_paths_are_absolute_because_workers_run_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    job = job_at("runs/one")
    assert (job.output, job.data.path) == (str(tmp_path / "runs/one"), str(tmp_path / "chips"))
    assert job_at("s3://bucket/run").output == "s3://bucket/run"


def test_settings_hold_no_secrets_and_no_machines():
    signed = "https://host/sam.pth?X-Signature=secret"
    job = job_at("run", base_url=signed, base_sha256="0" * 64)
    assert "secret" not in json.dumps(job.settings)
    assert job.settings == job_at("elsewhere", base_url=signed, base_sha256="0" * 64, workers=2, gpu=True).settings
    assert job.settings != job_at("run").settings
    assert json.loads(json.dumps(job.settings)) == job.settings


@pytest.mark.parametrize(("key", "other"), [("average", 0.9), ("recolour", 0.5), ("split_seed", 3), ("hidden", 0.5)])
def test_a_run_without_what_came_later_has_the_settings_of_runs_from_before(key: str, other: float):
    job = job_at("run")
    assert key not in job.settings["train"]
    changed = replace(job, train=TrainSpec(**vars(job.train) | {key: other}))
    assert changed.settings["train"][key] == other


def test_trainings_of_several_seeds_part_the_images_alike_where_the_split_has_a_seed_of_its_own():
    assert TrainSpec(seed=3).shares["seed"] == 3
    assert TrainSpec(seed=3, split_seed=0).shares == TrainSpec(seed=4, split_seed=0).shares == TrainSpec().shares


@pytest.mark.parametrize("key", ["seed", "split_seed"])
def test_a_negative_seed_is_refused_by_its_key(key: str):
    with pytest.raises(InvalidConfigError, match=rf"key train\.{key}: -1"):
        TrainSpec(**{key: -1})


def test_undefined_scores_are_null_in_json():
    found = scores(Confusion(tn=4))
    assert found["landslide"]["f1"] is None
    assert found["macro"]["iou"] is None
    assert found["pixels"] == {"tp": 0, "fp": 0, "fn": 0, "tn": 4}
    json.dumps(found, allow_nan=False)


def test_the_best_epoch_is_what_is_kept(tmp_path: Path):
    job = job_at(str(tmp_path))
    images = ImageFacts(resolution=10.0, fair_share=True)
    run, net = TrainRun(job, images), job.build()
    run.folder.claim("finetune", job.settings, resume=False)
    run.folder.note(trained_on={}, judged={})  # as `begin` does
    run.after_epoch(net, state_of(0.5))
    first = next(iter(net.trained_state().values())).clone()
    with torch.no_grad():
        next(iter(net.trained_state().values())).add_(1)
    run.after_epoch(net, state_of(0.5, math.nan))
    kept, card = restore(f"{tmp_path}/checkpoint.safetensors")
    assert torch.equal(next(iter(kept.trained_state().values())), first)
    assert (card.threshold, card.temperature, card.provenance["epoch"]) == (0.25, 2.0, "1")
    assert (card.bias, card.prevalence) == (-0.5, 0.125)
    assert (card.trained_on, card.area) == (images, None)
    assert (card.judged.patch, card.judged.halo) == (job.train.patch, 0)
    assert card.judged.precision in {"bf16", "float32"}
    assert run.result() is None
    json.dumps(run.folder.read_json("run.json"), allow_nan=False)

    judged = Evaluation(confusion=Confusion(tp=1, tn=2), histogram=LogitHistogram.empty(), loss=1.0)
    area = AreaRatio(low=0.5, mid=0.75, high=1.5, places=6)
    run.complete(kept, state_of(0.5, math.nan), judged, area=area)
    assert read_card(f"{tmp_path}/checkpoint.safetensors").area == area
    assert run.folder.read_json("run.json")["area"] == {"low": 0.5, "mid": 0.75, "high": 1.5, "places": 6}
    result = run.result()
    assert result is not None
    assert result.holdout == Confusion(tp=1, tn=2)
    assert result.best == 1
    assert math.isnan(result.epochs[1].validation_f1)
    assert result.epochs[0].calibration == epoch(1, 0.5).calibration


def completed(output: Path) -> TrainRun:
    job = job_at(str(output))
    run, net = TrainRun(job), job.build()
    run.folder.claim("finetune", job.settings, resume=False)
    run.after_epoch(net, state_of(0.5))
    run.complete(net, state_of(0.5), Evaluation(confusion=Confusion(tn=2), histogram=LogitHistogram.empty(), loss=1.0))
    assert run.result() is not None
    return run


@pytest.mark.parametrize("content", [b"of another training", None], ids=["another", "gone"])
def test_a_complete_run_whose_checkpoint_is_gone_or_another_file_is_no_result(tmp_path: Path, content: bytes | None):
    run, file = completed(tmp_path), tmp_path / "checkpoint.safetensors"
    file.unlink() if content is None else file.write_bytes(content)
    recorded = run.folder.read_json("run.json")["checkpoint_sha256"]
    with pytest.raises(RunConflictError, match=recorded) as refused:
        run.result()
    assert {"file": str(file)}.items() <= refused.value.where.items()


def test_a_complete_run_that_recorded_no_hash_is_believed_as_long_as_its_checkpoint_is_there(tmp_path: Path):
    run = completed(tmp_path)
    facts = run.folder.read_json("run.json")
    del facts["checkpoint_sha256"]
    run.folder.write_json("run.json", facts)
    assert run.result() is not None
    (tmp_path / "checkpoint.safetensors").unlink()
    with pytest.raises(RunConflictError, match="no checkpoint"):
        run.result()


def test_a_worker_that_hung_writes_nothing_into_a_folder_that_another_driver_has_or_into_a_complete_run(tmp_path: Path):
    job = job_at(str(tmp_path / "run"))
    run, net, folder = TrainRun(job, lease="lease-a.json"), job.build(), RunDirectory(str(tmp_path / "run"))
    folder.claim("finetune", job.settings, resume=False)
    folder.write("lease-a.json", b"{}")
    run.after_epoch(net, state_of(0.5))
    folder.delete("lease-a.json")
    folder.write("lease-b.json", b"{}")
    before = {name: folder.read(name) for name in folder.names("", "")}
    with pytest.raises(BrokenRunError, match="lost its lease"):
        run.after_epoch(net, state_of(0.5, 0.6, best=2))
    assert {name: folder.read(name) for name in folder.names("", "")} == before
    folder.write("lease-a.json", b"{}")
    folder.note(state="complete")
    before = {name: folder.read(name) for name in folder.names("", "")}
    judged = Evaluation(confusion=Confusion(tp=1, tn=2), histogram=LogitHistogram.empty(), loss=1.0)
    for write in (
        partial(run.after_epoch, net, state_of(0.5, 0.6, best=2)),
        partial(run.complete, net, state_of(0.5, 0.6, best=2), judged),
    ):
        with pytest.raises(BrokenRunError, match="complete already"):
            write()
    assert {name: folder.read(name) for name in folder.names("", "")} == before


def test_each_epoch_names_the_session_that_it_is_of_also_where_one_is_done_again(tmp_path: Path):
    job, folder = job_at(str(tmp_path)), RunDirectory(str(tmp_path))
    folder.claim("finetune", job.settings, resume=False)
    net = job.build()
    folder.note(epochs=[nan_as_null(asdict(epoch)) for epoch in state_of(0.5).epochs])  # of a version without sessions
    for session, scored in (
        ("aa", (0.5, 0.6)),
        ("aa", (0.5, 0.6, 0.7)),
        ("bb", (0.5, 0.6, 0.7)),
        ("", (0.5, 0.6, 0.7, 0.8)),
    ):
        run = TrainRun(job, lease=f"lease-{session}.json" if session else "")
        if session:
            folder.write(f"lease-{session}.json", b"{}")
        run.after_epoch(net, state_of(*scored, best=len(scored)))
    assert [epoch.get("session") for epoch in folder.facts()["epochs"]] == [None, "aa", "bb", None]
    folder.note(state="complete", holdout={"pixels": asdict(Confusion(tp=1))})
    done = run.result()
    assert done is not None
    assert [one.line for one in done.epochs] == [one.line for one in state_of(0.5, 0.6, 0.7, 0.8).epochs]  # NaN in them


def test_one_failed_request_for_the_lease_fails_no_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    job, folder = job_at(str(tmp_path)), RunDirectory(str(tmp_path))
    folder.claim("finetune", job.settings, resume=False)
    folder.write("lease-a.json", b"{}")
    run, net, left = TrainRun(job, lease="lease-a.json"), job.build(), [1]
    info = LocalFileSystem.info

    def failing(files: LocalFileSystem, path: str, **more: object) -> object:
        if str(path).endswith("lease-a.json") and left:
            left.pop()
            raise TimeoutError("503")
        return info(files, path, **more)

    monkeypatch.setattr(LocalFileSystem, "info", failing)
    monkeypatch.setattr(absence, "FIRST_WAIT_S", 0.001)
    run.after_epoch(net, state_of(0.5))
    assert left == []
    assert len(folder.facts()["epochs"]) == 1


@pytest.mark.parametrize("damage", ["list", "state"])
def test_a_damaged_list_of_states_or_state_gives_way_to_the_newest_whole_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
):
    folder = RunDirectory(str(tmp_path))
    assert fallback(folder) == ""
    states = [f"checkpoint_2026-01-0{number}_00-00-00.000000" for number in (1, 2, 3)]
    for number, name in enumerate(states):
        (tmp_path / "train" / name).mkdir(parents=True)
        torch.save({"epoch": number}, tmp_path / "train" / name / "state.pt")
    listed = json.dumps({"checkpoint_results": [{"checkpoint_dir_name": states[2], "metrics": {}}]}).encode()
    folder.write("train/checkpoint_manager_snapshot.json", listed if damage == "state" else listed[:20])
    cut = folder.read(f"train/{states[2]}/state.pt")[:-50]
    if damage == "state":
        assert fallback(folder) == ""
    folder.write(f"train/{states[2]}/state.pt", cut)
    assert fallback(folder) == states[1]
    assert load_state(folder, states[1]) == {"epoch": 1}
    assert "are damaged" in caplog.messages[0]
    assert not folder.exists("train/checkpoint_manager_snapshot.json")
    # Killed before its first epoch, it finds no list, and goes on from the same state.
    assert fallback(folder) == states[1]


def test_states_without_a_list_of_which_none_is_whole_are_begun_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = RunDirectory(str(tmp_path))
    folder.write("train/checkpoint_2026-01-01_00-00-00.000000/state.pt", b"cut")
    assert fallback(folder) == ""
    assert "it goes on from the start" in caplog.messages[0]


def test_each_recorded_epoch_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("landslide_scale.training.run._POLL_S", 0.02)
    job = job_at(str(tmp_path))
    run, net, lines = TrainRun(job), job.build(), list[str]()
    run.folder.claim("finetune", job.settings, resume=False)
    run.folder.note(epochs=[])
    with run.followed(lines.append):
        for count in (1, 2, 1, 2):  # as after a restart
            run.after_epoch(net, state_of(*[0.5] * count, best=9))
            time.sleep(0.2)
        run.after_epoch(net, state_of(0.5, 0.5, 0.625, best=9))
    assert [line[:7] for line in lines] == ["epoch 1", "epoch 2", "epoch 3"]
    assert lines[2] == "epoch 3: loss 1.5000, validation loss nan, validation F1 0.625, 3.0 s"


def test_epochs_are_said_though_what_is_recorded_was_gone_or_cut_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("landslide_scale.training.run._POLL_S", 0.02)
    job = job_at(str(tmp_path))
    run, net, lines = TrainRun(job), job.build(), list[str]()
    run.folder.claim("finetune", job.settings, resume=False)
    run.folder.note(epochs=[])
    with run.followed(lines.append):
        whole = run.folder.read("run.json")
        for content in (whole[:20], b"[]", None):
            run.folder.delete("run.json")
            if content is not None:
                run.folder.write("run.json", content)
            time.sleep(0.1)
        run.folder.write("run.json", whole)
        run.after_epoch(net, state_of(0.5))
    assert [line[:7] for line in lines] == ["epoch 1"]


def test_a_folder_whose_list_of_images_is_somebody_elses_is_refused(tmp_path: Path):
    write_chips(tmp_path / "chips")
    job = replace(job_at(str(tmp_path / "run")), data=DataSpec(kind="chips", path=str(tmp_path / "chips")))
    run, prepared = TrainRun(job), Prepared.of(job)
    run.folder.write("split.json", b"{}")
    with pytest.raises(RunConflictError, match=r"no run\.json, but split\.json"):
        run.begin(prepared, job.build(), resume=False)
    assert run.folder.names("", "") == ["split.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_list_of_images_that_is_damaged_is_named_with_a_cure(tmp_path: Path, content: bytes):
    write_chips(tmp_path / "chips")
    job = replace(job_at(str(tmp_path / "run")), data=DataSpec(kind="chips", path=str(tmp_path / "chips")))
    run, prepared = TrainRun(job), Prepared.of(job)
    run.begin(prepared, job.build(), resume=False)
    run.folder.write("split.json", content)
    with pytest.raises(RunConflictError, match=r"split\.json is damaged.*train again in another output\.run"):
        run.begin(prepared, job.build(), resume=True)


def write_chips(folder: Path, **said: object) -> None:
    folder.mkdir()
    index = {"version": 1, "bands": ["red", "green", "blue"], "radiometry": "boa", "resolution": 20.0, "size": 16}
    (folder / "chips.json").write_text(json.dumps(index | said))
    for number in range(6):
        label = (np.arange(256).reshape(16, 16) % 7 == number).astype(np.uint8)
        np.savez_compressed(folder / f"c{number}.npz", image=np.full((3, 16, 16), 0.1, np.float32), label=label)


def write_pictures(folder: Path) -> None:
    """Landslide images of two sizes, as Bijie is published."""
    for number in range(6):
        size = (40, 40) if number % 2 else (20, 20)
        for kind, mode in (("image", "RGB"), ("mask", "L")):
            (folder / "landslide" / kind).mkdir(parents=True, exist_ok=True)
            picture = Image.new(mode, size, 255 if kind == "mask" else (90, 90, 90))
            picture.save(folder / "landslide" / kind / f"{number}.png")


@pytest.mark.parametrize(("said", "method"), [({"fair_share": True}, "platt"), ({}, "temperature")])
def test_a_bias_is_the_default_where_the_images_are_known_to_be_a_fair_share(
    tmp_path: Path, said: dict[str, object], method: str
):
    write_chips(tmp_path / "chips", **said)
    asked = replace(job_at(str(tmp_path / "run")), data=DataSpec(kind="chips", path=str(tmp_path / "chips")))
    prepared = Prepared.of(asked)
    assert prepared.settled(asked).train.calibration == method
    assert prepared.trained_on == ImageFacts(resolution=20.0, fair_share=said.get("fair_share"))  # type: ignore[arg-type]
    stated = replace(asked, train=replace(asked.train, calibration="temperature"))
    assert prepared.settled(stated).train.calibration == "temperature"


def test_images_that_were_picked_get_no_bias_and_know_the_size_of_the_pixels_that_were_shown(tmp_path: Path):
    write_pictures(tmp_path / "bijie")
    data = DataSpec(kind="bijie", path=str(tmp_path / "bijie"))
    asked = replace(job_at(str(tmp_path / "run")), data=data, inputs=InputSpec.for_bands("rgb8", MODEL.bands))
    prepared = Prepared.of(asked)
    assert prepared.settled(asked).train.calibration == "temperature"
    assert prepared.trained_on == ImageFacts(resolution=0.8, fair_share=False)
    resized = Prepared.of(replace(asked, data=replace(data, resize=16)))
    shown = [0.8 * (40 if int(name[-1]) % 2 else 20) / 16 for name in resized.split.train]
    assert resized.trained_on.resolution == pytest.approx(np.median(shown), abs=1e-6)


def test_a_training_begun_before_goes_on_with_the_calibration_it_was_begun_with(tmp_path: Path):
    """One that records a temperature, and one from before there was a choice: neither knows of None."""
    write_chips(tmp_path / "chips", fair_share=True)
    for number, old in enumerate(({"calibration": "temperature"}, {})):
        output = tmp_path / f"run{number}"
        data = DataSpec(kind="chips", path=str(tmp_path / "chips"))
        asked = replace(job_at(str(output)), data=data)
        prepared = Prepared.of(asked)
        settings = prepared.settled(asked).settings
        assert settings["train"]["calibration"] == "platt"
        del settings["train"]["calibration"]
        settings["train"] |= old
        TrainRun(asked).folder.claim("finetune", settings, resume=False)
        job = prepared.settled(as_begun(asked))
        assert job.train.calibration == "temperature"
        TrainRun(job).begin(prepared, job.build(), resume=True)
        assert TrainRun(job).folder.read_json("run.json")["settings"] == settings
        stated = replace(asked, train=replace(asked.train, calibration="platt"))
        assert as_begun(stated).train.calibration == "platt"
        with pytest.raises(RunConflictError, match=r"train\.calibration"):
            TrainRun(stated).begin(prepared, job.build(), resume=True)


def test_a_training_begun_before_goes_on_with_its_parts_and_with_what_chose_its_epochs(tmp_path: Path):
    """Of chips of two windows, which parts by ground keep together: its own parts do not."""
    write_chips(tmp_path / "chips")
    for number in range(6):
        for window in range(2):
            shutil.copy(tmp_path / "chips" / f"c{number}.npz", tmp_path / "chips" / f"Z-t{window}-r{3 * number}-c0.npz")
        (tmp_path / "chips" / f"c{number}.npz").unlink()
    data = DataSpec(kind="chips", path=str(tmp_path / "chips"))
    asked = replace(job_at(str(tmp_path / "run")), data=data)
    now, by_images = Prepared.of(asked), Prepared.of(replace(asked, data=replace(data, groups="images")))
    assert now.divided == 0 < by_images.divided
    begun = replace(asked, data=replace(data, groups="images"), train=replace(asked.train, loss_over="patches"))
    settings = by_images.settled(begun).settings
    assert "groups" not in settings["data"]
    assert "loss_over" not in settings["train"]
    TrainRun(begun).folder.claim("finetune", settings, resume=False)
    names = json.loads(json.dumps(asdict(by_images.split)))
    TrainRun(begun).folder.write_json("split.json", names)
    job = as_begun(asked)
    assert (job.data.groups, job.train.loss_over) == ("images", "patches")
    prepared = Prepared.of(job)
    TrainRun(prepared.settled(job)).begin(prepared, job.build(), resume=True)
    assert TrainRun(job).folder.read_json("split.json") == names
    for key, stated in (
        ("data.groups", replace(asked, data=replace(data, groups="ground"))),
        ("train.loss_over", replace(asked, train=replace(asked.train, loss_over="pixels"))),
    ):
        with pytest.raises(RunConflictError, match=key.replace(".", r"\.")):
            TrainRun(as_begun(stated)).folder.match("finetune", prepared.settled(as_begun(stated)).settings)


def test_a_training_begun_now_records_that_its_parts_are_by_ground(tmp_path: Path):
    write_chips(tmp_path / "chips")
    data = DataSpec(kind="chips", path=str(tmp_path / "chips"))
    asked = replace(job_at(str(tmp_path / "run")), data=data)
    prepared = Prepared.of(asked)
    run = TrainRun(prepared.settled(asked), prepared.trained_on, prepared.image_parts)
    run.begin(prepared, asked.build(), resume=False)
    settings = run.folder.read_json("run.json")["settings"]
    assert (settings["data"]["groups"], settings["train"]["loss_over"]) == ("ground", "pixels")
    again = as_begun(asked)
    assert (again.data.groups, again.train.loss_over) == ("ground", "pixels")
    TrainRun(prepared.settled(again)).begin(prepared, asked.build(), resume=True)
    net = asked.build()
    run.after_epoch(net, state_of(0.5))
    assert read_card(f"{tmp_path}/run/checkpoint.safetensors").parts == prepared.image_parts
    kept = run.folder.read_json("split.json")
    assert {name for name, value in kept.items() if isinstance(value, list)} == {"train", "validation", "holdout"}
    assert set(kept["ground"]) == {"groups", "overlaps"}
    assert {"contents", "contested"} <= set(kept)


def test_a_training_of_landslide4sense_begun_before_goes_on_with_its_values_as_they_are_stored(tmp_path: Path):
    asked = replace(
        job_at(str(tmp_path / "run")),
        data=DataSpec(kind="landslide4sense", path=str(tmp_path)),
        inputs=InputSpec.for_bands("toa", MODEL.bands),
    )
    begun = replace(asked, inputs=InputSpec.for_bands("l4s", MODEL.bands))
    TrainRun(begun).folder.claim("finetune", begun.settings, resume=False)
    assert as_begun(asked).inputs == begun.inputs
    other = replace(asked, output=str(tmp_path / "other"))
    assert as_begun(other) == other
    TrainRun(other).folder.claim("finetune", other.settings, resume=False)
    assert as_begun(other).inputs == other.inputs


def of_today(job: FinetuneJob) -> FinetuneJob:
    """The job with what it leaves open said as it is by default."""
    train, data = replace(job.train, loss_over="pixels"), replace(job.data, groups="ground")
    return replace(job, train=train, data=data)


def test_a_training_begun_before_goes_on_with_the_decay_it_was_begun_with(tmp_path: Path):
    asked = of_today(job_at(str(tmp_path / "run")))
    begun = replace(asked, train=replace(asked.train, decay="all"))
    assert "decay" not in begun.settings["train"]
    TrainRun(begun).folder.claim("finetune", begun.settings, resume=False)
    assert as_begun(asked).train == begun.train
    other = replace(asked, output=str(tmp_path / "other"))
    assert other.settings["train"]["decay"] == "matrices"
    TrainRun(other).folder.claim("finetune", other.settings, resume=False)
    assert as_begun(other) == other
    stated = replace(begun, output=other.output)
    with pytest.raises(RunConflictError, match=r"train\.decay"):
        TrainRun(as_begun(stated)).folder.claim("finetune", stated.settings, resume=True)


def test_a_training_of_a_convolutional_network_begun_before_goes_on_with_its_first_design(tmp_path: Path):
    model = ConvNetSpec(name="pspnet", encoder="resnet18")
    asked = of_today(job_at(str(tmp_path / "run")))
    asked = replace(asked, model=model, inputs=InputSpec.for_bands("boa", model.bands))
    begun = replace(asked, model=replace(model, design="smp"))
    assert "design" not in begun.settings["model"]
    TrainRun(begun).folder.claim("finetune", begun.settings, resume=False)
    assert as_begun(asked).model == begun.model
    TrainRun(as_begun(asked)).folder.claim("finetune", as_begun(asked).settings, resume=True)
    other = replace(asked, output=str(tmp_path / "other"))
    TrainRun(other).folder.claim("finetune", other.settings, resume=False)
    assert as_begun(other) == other
    assert other.settings["model"]["design"] == "published"
    stated = replace(begun, output=other.output)
    assert as_begun(stated) == stated
    with pytest.raises(RunConflictError, match=r"model\.design"):
        TrainRun(stated).folder.claim("finetune", stated.settings, resume=True)


def test_a_training_begun_now_goes_on_with_its_bias(tmp_path: Path):
    write_chips(tmp_path / "chips", fair_share=True)
    data = DataSpec(kind="chips", path=str(tmp_path / "chips"))
    asked = replace(job_at(str(tmp_path / "run")), data=data)
    assert as_begun(asked) == asked
    prepared = Prepared.of(asked)
    job = prepared.settled(asked)
    TrainRun(job).begin(prepared, job.build(), resume=False)
    again = prepared.settled(as_begun(asked))
    assert again.settings == job.settings
    TrainRun(again).begin(prepared, job.build(), resume=True)


def test_a_training_begun_before_comes_to_the_file_it_would_have_come_to(tmp_path: Path):
    """Its folder notes nothing of its images, so that its card has no word of them; one begun now has."""
    write_chips(tmp_path / "chips", fair_share=True)
    found = {}
    for name in ("before", "now"):
        data = DataSpec(kind="chips", path=str(tmp_path / "chips"))
        asked = replace(job_at(str(tmp_path / name)), data=data)
        prepared = Prepared.of(asked)
        job = prepared.settled(asked)
        run, net = TrainRun(job, prepared.trained_on), job.build()
        run.begin(prepared, net, resume=False)
        if name == "before":
            facts = run.folder.read_json("run.json")
            assert facts.pop("trained_on")["resolution"] == 20.0
            assert facts.pop("judged") == {"patch": job.train.patch, "halo": 0}
            run.folder.write_json("run.json", facts)
            run.begin(prepared, net, resume=True)
        judged = Evaluation(confusion=Confusion(tp=1, tn=2), histogram=LogitHistogram.empty(), loss=1.0)
        area = AreaRatio(low=0.5, mid=0.75, high=1.5, places=6)
        run.after_epoch(net, state_of(0.5))
        run.complete(net, state_of(0.5), judged, area=area)
        found[name] = (tmp_path / name / "checkpoint.safetensors").read_bytes()
    assert b"trained_on" not in found["before"]
    assert b"judged" not in found["before"]
    assert b"judged" in found["now"]
    assert b'\\"area\\"' not in found["before"]
    assert b'\\"area\\"' in found["now"]
    card = read_card(str(tmp_path / "now" / "checkpoint.safetensors"))
    assert (card.trained_on.resolution, card.area) == (20.0, area)
