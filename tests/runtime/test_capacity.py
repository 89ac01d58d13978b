from __future__ import annotations

import pytest

from landslide_scale.errors import InvalidConfigError
from landslide_scale.runtime.capacity import Need, check_there
from landslide_scale.scan.settings import ScanCompute
from landslide_scale.strictyaml import parse

HAVE = {"CPU": 2.0, "memory": 4e9}


@pytest.mark.parametrize(
    ("compute", "reader_bytes", "key", "said"),
    [
        ({"gpus_per_predictor": 1}, 1e9, "compute.gpus_per_predictor", "1 GPU for a predictor; this machine has 0"),
        ({"gpus_per_predictor": 0.5}, 1e9, "compute.gpus_per_predictor", "0.5 GPUs"),
        ({"cpus_per_predictor": 8}, 1e9, "compute.cpus_per_predictor", "8 CPU cores for a predictor; .* has 2"),
        ({"cpus_per_reader": 3}, 1e9, "compute.cpus_per_reader", "3 CPU cores for a reader"),
        ({"predictors": 2}, 1e9, "compute.predictors", "3 CPU cores for 2 predictors, a reader and a writer"),
        # Units were predicted and never written: Ray Data gave the last step no CPU, for as long as others had all.
        (
            {"cpus_per_predictor": 1.5},
            1e9,
            "compute.predictors",
            "2.5 CPU cores for 1 predictor, a reader and a writer",
        ),
        ({}, 5e9, "grid.block", "5.0 GB of memory for a reader of such blocks; this machine has 4.0"),
    ],
)
def test_what_a_machine_lacks_is_refused_by_its_key_with_what_there_is(
    compute: dict[str, object], reader_bytes: float, key: str, said: str
):
    with pytest.raises(InvalidConfigError, match=said) as caught:
        check_there(parse(ScanCompute, compute).needs(reader_bytes), HAVE)
    assert caught.value.where["key"] == key
    assert "never grows" in str(caught.value)


def test_a_scan_without_a_network_takes_a_reader_and_a_writer():
    with pytest.raises(InvalidConfigError, match="3 CPU cores for a reader and a writer; this machine has 2"):
        check_there(parse(ScanCompute, {"cpus_per_reader": 1.5}).needs(1e9, predicted=False), HAVE)


@pytest.mark.parametrize(
    "compute",
    [{}, {"cpus_per_predictor": 1.5, "cpus_per_reader": 0.25}, {"predictors": 2, "cpus_per_predictor": 0.5}],
)
def test_what_is_there_is_asked_for(compute: dict[str, object]):
    check_there(parse(ScanCompute, compute).needs(4e9), HAVE)


def test_more_gpus_together_than_there_are_are_refused():
    needs = parse(ScanCompute, {"gpus_per_predictor": 0.5, "predictors": 3, "cpus_per_predictor": 0.1}).needs(1e9)
    with pytest.raises(InvalidConfigError, match=r"1\.5 GPUs for 3 predictors; this machine has 1"):
        check_there(needs, HAVE | {"GPU": 1.0})


def test_an_amount_is_said_with_its_unit():
    assert Need(kind="memory", amount=1.5e9, key="k", who="w").said == "1.5 GB of memory"
    assert Need(kind="CPU", amount=0.5, key="k", who="w").said == "0.5 CPU cores"
