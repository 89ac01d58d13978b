from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from landslide_scale.metrics import Confusion
from landslide_scale.paper.tables import PROTOCOLS, Spread, score_tables, size_table, write_tables
from landslide_scale.paper.trials import Judged, TrialResult


def result(model: str = "UNet", seed: int = 0, tp: int = 60, **changes: object) -> TrialResult:
    confusion = Confusion(tp=tp, fp=20, fn=100 - tp, tn=900)
    found = TrialResult(
        dataset="bijie",
        model=model,
        seed=seed,
        architecture="unet",
        kind="bijie",
        weights="random weights",
        trainable=14_300_000,
        total=14_300_000,
        best=3,
        judged={name: Judged(images=7, confusion=confusion) for name in PROTOCOLS},
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def test_a_spread_is_the_mean_and_the_sample_deviation_in_percent():
    assert str(Spread.of([0.7, 0.8])) == "75.00 ± 7.07"
    assert str(Spread.of([0.7])) == "70.00"
    assert str(Spread.of([0.7, math.nan])) == "undefined"


def test_a_table_has_a_row_for_each_model_and_says_how_it_was_judged():
    results = [result("UNet", 0, 60), result("UNet", 1, 70), result("Wide UNet", 0, 80), result("Wide UNet", 1, 80)]
    tables = score_tables(results)
    assert [table.name for table in tables] == ["bijie-paper", "bijie-strict", "bijie-strict-all"]
    assert [row[0] for row in tables[0].rows] == ["UNet", "Wide UNet"]
    record = tables[0].records()[0]
    f1 = [2 * tp / (2 * tp + 20 + 100 - tp) for tp in (60, 70)]
    assert record["landslide F1"] == pytest.approx(50 * sum(f1), abs=1e-4)
    assert record["landslide F1 deviation"] == pytest.approx(100 * abs(f1[0] - f1[1]) / math.sqrt(2), abs=1e-4)
    for table, protocol in zip(tables, PROTOCOLS, strict=True):
        assert PROTOCOLS[protocol] in table.notes
        assert any("random" in note for note in table.notes)


def test_only_the_papers_protocol_stands_beside_the_papers_figures():
    paper, strict, _ = score_tables([result()])
    assert paper.records()[0]["paper F1"] == 85.28
    assert any("fits no confusion matrix" in note for note in paper.notes)
    assert not any(column.startswith("paper") for column in strict.columns)


def test_a_data_set_that_the_paper_lacks_has_a_table_of_its_own():
    (table, *_) = score_tables([result(kind="pairs", dataset="hokkaido")])
    assert table.title.startswith("Data set hokkaido")
    assert not any(column.startswith("paper") for column in table.columns)


def test_a_model_from_published_weights_is_named_by_their_file():
    (table, *_) = score_tables([result(weights="sam_vit_l_0b3195.pth"), result("B")])
    assert [row[1] for row in table.rows] == ["sam_vit_l_0b3195.pth", "random weights"]
    assert not any("No pretrained weights" in note for note in table.notes)


def test_the_size_table_means_over_data_sets_within_a_seed_before_it_means_over_seeds():
    results = [
        replace(result(seed=seed, tp=tp), dataset=dataset)
        for dataset, seed, tp in (("a", 0, 60), ("b", 0, 80), ("a", 1, 70), ("b", 1, 70))
    ]
    (record,) = size_table(results).records()
    f1 = {tp: Confusion(tp=tp, fp=20, fn=100 - tp, tn=900).macro.f1 for tp in (60, 70, 80)}
    seeds = (f1[60] + f1[80]) / 2, f1[70]
    assert record["mF1 %"] == pytest.approx(50 * sum(seeds), abs=1e-4)
    assert (record["trainable M"], record["paper mF1 %"]) == ("14.30", 81.03)


def test_the_three_formats_hold_the_same_figures():
    written: dict[str, bytes] = {}
    table = score_tables([result("UNet", 0), result("UNet", 1, 70)])[0]
    assert write_tables([table], written.__setitem__) == list(written)
    rows = list(csv.DictReader(io.StringIO(written["tables/bijie-paper.csv"].decode())))
    (record,) = json.loads(written["tables/bijie-paper.json"])["rows"]
    assert {key: str(value) for key, value in record.items()} == rows[0]
    mean, deviation = record["macro F1"], record["macro F1 deviation"]
    assert f"| {mean:.2f} ± {deviation:.2f} |" in written["tables/bijie-paper.md"].decode()


def test_what_the_paper_has_no_score_for_stands_in_a_table_of_its_own():
    def strict(seed: int, skill: float) -> TrialResult:
        found = result(seed=seed)
        judged = {name: replace(one, beyond={"Brier skill": skill}) for name, one in found.judged.items()}
        return replace(found, judged=judged | {"paper": found.judged["paper"]})

    tables = {table.name: table for table in score_tables([strict(0, -0.2), strict(1, 0.4)])}
    assert set(tables) == {f"bijie-{protocol}" for protocol in PROTOCOLS} | {
        "bijie-strict-beyond",
        "bijie-strict-all-beyond",
    }
    (record,) = tables["bijie-strict-beyond"].records()
    assert record["Brier skill"] == pytest.approx(10)
    assert record["Brier skill deviation"] == pytest.approx(100 * 0.6 / math.sqrt(2), abs=1e-4)


def test_an_undefined_score_is_null_for_programs():
    nothing = Judged(images=1, confusion=Confusion(tn=10))
    (table, *_) = score_tables([result(judged={"paper": nothing})])
    assert table.records()[0]["landslide F1"] is None
    assert json.loads(table.json())["rows"][0]["landslide F1"] is None
    assert "undefined" in table.markdown()


def test_a_result_survives_json():
    plain = result().judged["strict"]
    found = result(judged={"strict": replace(plain, beyond={"object F1": 0.5})})
    assert TrialResult.from_plain(json.loads(json.dumps(found.to_plain()))) == found


def test_an_undefined_score_survives_json_as_null():
    judged = {"strict": Judged(images=1, confusion=Confusion(tn=1), beyond={"object F1": math.nan})}
    text = json.dumps(result(judged=judged).to_plain(), allow_nan=False)
    assert math.isnan(TrialResult.from_plain(json.loads(text)).judged["strict"].beyond["object F1"])
