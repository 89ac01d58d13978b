from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace

import pytest

from landslide_scale.metrics import Confusion, Estimate
from landslide_scale.paper.sheets import Percent, Spread, Table, write_tables
from landslide_scale.paper.tables import PROTOCOLS, score_tables, size_table
from landslide_scale.paper.trials import Judged, TrialResult
from landslide_scale.parting.contested import Contested


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


def test_a_spread_is_the_mean_and_the_least_and_most_of_the_seeds_and_no_deviation():
    assert str(Spread.of([0.7, 0.8])) == "75.00 [70.00, 80.00]"
    assert str(Spread.of([0.7])) == "70.00"
    assert str(Spread.of([0.7, math.nan])) == "undefined"


def test_a_score_has_the_interval_that_is_known():
    assert str(Percent.of(Estimate(value=0.75, low=0.7, high=0.812))) == "75.00 (70.0 to 81.2)"
    assert str(Percent.of(Estimate(value=0.75, low=math.nan, high=math.nan))) == "75.00"
    assert str(Percent.of(Estimate(value=math.nan, low=math.nan, high=math.nan))) == "undefined"


def test_a_table_has_a_row_for_each_model_and_says_how_it_was_judged():
    results = [result("UNet", 0, 60), result("UNet", 1, 70), result("Wide UNet", 0, 80), result("Wide UNet", 1, 80)]
    tables = score_tables(results)
    assert [table.name for table in tables] == [f"bijie-{protocol}" for protocol in PROTOCOLS]
    assert [row[0] for row in tables[0].rows] == ["UNet", "Wide UNet"]
    record = tables[0].records()[0]
    f1 = [2 * tp / (2 * tp + 20 + 100 - tp) for tp in (60, 70)]
    assert record["landslide F1"] == pytest.approx(50 * sum(f1), abs=1e-4)
    seeds = [record[f"landslide F1 of seeds {which} seed"] for which in ("least", "most")]
    assert seeds == pytest.approx([100 * one for one in f1], abs=1e-4)
    assert record["landslide F1 low"] is None  # nobody says which pixels are of which place
    for table, protocol in zip(tables, PROTOCOLS, strict=True):
        assert PROTOCOLS[protocol] in table.notes
        assert any("random" in note for note in table.notes)


def test_only_the_papers_protocol_stands_beside_the_papers_figures():
    paper, strict, *_ = score_tables([result()])
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
    assert {key: "" if value is None else str(value) for key, value in record.items()} == rows[0]
    mean, least, most = (record[f"landslide F1 of seeds{which}"] for which in ("", " least seed", " most seed"))
    assert f"| {mean:.2f} [{least:.2f}, {most:.2f}] |" in written["tables/bijie-paper.md"].decode()


def test_a_column_of_intervals_may_begin_with_a_row_that_has_none():
    written: dict[str, bytes] = {}
    rows = (("UNet", None, 1), ("SegNet", Percent(value=2.0, low=1.0, high=3.0), 2))
    write_tables([Table(name="a", title="", columns=("Model", "over", "n"), rows=rows, notes=())], written.__setitem__)
    assert written["tables/a.csv"].decode().splitlines() == [
        "Model,over,over low,over high,n",
        "UNet,,,,1",
        "SegNet,2.0,1.0,3.0,2",
    ]


def test_what_the_paper_has_no_score_for_stands_in_a_table_of_its_own():
    def strict(seed: int, skill: float) -> TrialResult:
        found = result(seed=seed)
        judged = {name: replace(one, beyond={"Brier skill": skill}) for name, one in found.judged.items()}
        return replace(found, judged=judged | {"paper": found.judged["paper"]})

    tables = {table.name: table for table in score_tables([strict(0, -0.2), strict(1, 0.4)])}
    assert set(tables) == {f"bijie-{protocol}" for protocol in PROTOCOLS} | {
        f"bijie-{protocol}-beyond" for protocol in PROTOCOLS if protocol != "paper"
    }
    (record,) = tables["bijie-strict-beyond"].records()
    assert record["Brier skill"] == pytest.approx(10)
    assert (record["Brier skill least seed"], record["Brier skill most seed"]) == pytest.approx((-20, 40))


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


def judged_by_place(hits: float, places: int = 12) -> Judged:
    found = {
        f"p{n}": Confusion(tp=int((50 + n) * hits), fp=5, fn=50 + n - int((50 + n) * hits), tn=500)
        for n in range(places)
    }
    return Judged(images=places, confusion=sum(found.values(), Confusion()), places=found)


def by_place(model: str, seed: int, hits: float) -> TrialResult:
    rivals = {"constant map": {"paper": judged_by_place(0.3)}, "every pixel landslide": {"paper": judged_by_place(1.0)}}
    return result(model, seed, judged={"paper": judged_by_place(hits)}, rivals=rivals)


def test_every_score_has_an_interval_over_places_and_every_table_the_maps_that_look_at_nothing():
    results = [by_place(model, seed, hits + 0.05 * seed) for model, hits in (("A", 0.6), ("B", 0.7)) for seed in (0, 1)]
    table, differences = score_tables(results)
    assert [row[0] for row in table.rows] == ["A", "B", "constant map", "every pixel landslide"]
    for record in table.records():
        for score in ("macro F1", "landslide P", "landslide F1", "landslide IoU"):
            assert record[f"{score} low"] <= record[score] <= record[f"{score} high"]
    assert table.records()[3]["landslide R"] == 100
    assert "(95 % interval over places)" in table.title
    assert any("95 % of 1000 draws of the places" in note for note in table.notes)
    assert "±" not in table.markdown()
    assert differences.name == "bijie-paper-differences"
    over = {
        (row[0], column): cell
        for row in differences.rows
        for column, cell in zip(differences.columns, row, strict=True)
    }
    assert over["A", "over A"] is None
    cell = over["B", "over A"]
    assert isinstance(cell, Percent)
    assert 0 < cell.low < cell.value < cell.high
    scores = [record["landslide F1"] for record in table.records()]
    assert cell.value == pytest.approx(scores[1] - scores[0], abs=1e-3)
    assert cell.high - cell.low < table.records()[0]["landslide F1 high"] - table.records()[0]["landslide F1 low"]
    (sizes,) = [size_table(results)]
    assert [record["Model"] for record in sizes.records()][2:] == ["constant map", "every pixel landslide"]
    assert sizes.records()[2]["mF1 %"] < sizes.records()[0]["mF1 %"]


def test_what_is_contested_is_said_under_every_table():
    contested = Contested(pixels=171_624, landslide=3_824_103, pairs=38)
    results = [replace(by_place("A", 0, 0.6), contested=contested), replace(by_place("B", 0, 0.7), contested=contested)]
    for table in (*score_tables(results), size_table(results)):
        assert any("171,624 px, 4.5% of the set's landslide pixels" in note for note in table.notes), table.name
    unknown = score_tables([result()])[0]
    assert any("Whether images of bijie share pixels was not looked at" in note for note in unknown.notes)
    agreeing = score_tables([replace(by_place("A", 0, 0.6), contested=Contested())])[0]
    assert not any("share" in note and "bijie" in note for note in agreeing.notes)


def test_a_result_of_before_is_read_and_what_it_does_not_say_is_not_known():
    plain = json.loads(json.dumps(by_place("A", 0, 0.6).to_plain()))
    assert TrialResult.from_plain(plain) == by_place("A", 0, 0.6)
    for key in ("rivals", "contested"):
        del plain[key]
    for judged in plain["judged"].values():
        del judged["places"]
    old = TrialResult.from_plain(plain)
    (table,) = score_tables([old])
    assert table.records()[0]["landslide F1 low"] is None
    assert [row[0] for row in table.rows] == ["A"]
