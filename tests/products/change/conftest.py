from __future__ import annotations

from dataclasses import replace

import pytest
from helpers.changes import BOX, LATTICE, TWO, pair, two_layers, without_network

from landslide_scale.products.scanned import Scanned


@pytest.fixture(scope="package")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    before, after = pair()
    return two_layers(tmp_path_factory.mktemp("learned") / "run", (LATTICE, BOX), (before.layer(), after.layer()))


@pytest.fixture(scope="package")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """The same without a network."""
    before, after = (without_network(one.layer()) for one in pair())
    how = replace(TWO, learned=False)
    return two_layers(tmp_path_factory.mktemp("alone") / "run", (LATTICE, BOX), (before, after), how)
