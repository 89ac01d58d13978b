"""Whatever may be written: no foreign exception, no signal, no request, and memory under a bound.

Every kind is tried as often as :data:`EXAMPLES` says, always the same ones.
"""

from __future__ import annotations

import json
import resource
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
import yaml
from helpers.hostile import BOX, LATTICE, NORTH, WEST
from helpers.scenes import cog, item
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_strange_cards import LANDSLIDENET, UNET

from landslide_scale.configuring.kinds import begun
from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError, InvalidInputError, ReadError
from landslide_scale.model.checkpoint import restore
from landslide_scale.reading.raster import read_numbers, read_sample
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.stac.form import formed
from landslide_scale.stac.frozen import check_freezable
from landslide_scale.stac.items import sorted_out
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.strictyaml import read

pytestmark = [pytest.mark.hostile, pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLES = 400
MOST_MORE = 600_000_000
"""Bytes by which the process may grow over all examples of a kind."""

FUZZED = settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))

ASSETS = {"red": "http://127.0.0.1/red.tif", "scl": "http://127.0.0.1/scl.tif"}


@contextmanager
def little_memory() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MORE


def wrapped(inner: object, depth: int, *, mapping: bool) -> object:
    for _ in range(depth):
        inner = {"a": inner} if mapping else [inner]
    return inner


NUMBERS = st.integers() | st.floats() | st.just(10**400) | st.sampled_from([2**63, -(2**63), 2**64, 1e308])
TEXTS = st.text() | st.sampled_from(["\ud800", "\0", "../x", "http://169.254.169.254/", "2023-01-01T00:00:00Z", ""])
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS
SHALLOW = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4))
ANY = SHALLOW | st.builds(wrapped, SHALLOW, st.integers(0, 500), mapping=st.booleans())
MEMBERS = st.sampled_from(
    ["id", "type", "stac_version", "geometry", "bbox", "links", "assets", "collection", "properties", "stac_extensions"]
)
PROPERTIES = st.sampled_from(
    [
        "id",
        "datetime",
        "created",
        "eo:cloud_cover",
        "proj:epsg",
        "proj:bbox",
        "proj:transform",
        "grid:code",
        "x",
        "links",
    ]
)


@given(st.lists(st.dictionaries(MEMBERS, ANY, max_size=2), max_size=3), st.dictionaries(PROPERTIES | TEXTS, ANY))
@FUZZED
def test_items_of_any_json(members: list[dict[str, Any]], properties: dict[str, Any]):
    found = [item(f"S2A_{number}", assets=ASSETS) | odd for number, odd in enumerate(members)]
    good = item("S2A_good", assets=ASSETS)
    found += [good, good | {"id": "S2A_odd", "properties": good["properties"] | properties}]
    config = CatalogConfig(profile="plain", allowed_hosts=("127.0.0.1",))
    with little_memory():
        known = sorted_out(formed(found), config, ("red",))
        assert all(scene.quarantine.isprintable() for scene in known.rejected)
        if known.items:
            with suppress(InvalidInputError):
                check_freezable(known.items)


CARD_KEYS = st.sampled_from(
    [*LANDSLIDENET, "threshold", "temperature", "bias", "area", "trained_on", "provenance", "x"]
)
MODEL_KEYS = st.sampled_from(["name", "sam", "bands", "upsample", "tuning", "encoder", "depth", "train_encoder", "x"])
SANE = st.sampled_from(["vit_t", "unet", "landslidenet", "resnet18", "tu-resnet18", "random:1", "/etc/passwd"])


@given(
    st.sampled_from([LANDSLIDENET, UNET]),
    st.dictionaries(CARD_KEYS, ANY | SANE, max_size=2),
    st.dictionaries(MODEL_KEYS, ANY | SANE, max_size=2),
)
@FUZZED
def test_cards_of_any_json(known: dict[str, Any], changes: dict[str, Any], model: dict[str, Any]):
    stored = known | {"model": known["model"] | model} | changes
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.safetensors")
        text = json.dumps(stored)
        safetensors.torch.save_file({"x": torch.zeros(1)}, path, metadata={"landslide_scale": text})
        with little_memory(), pytest.raises(InvalidCheckpointError):
            restore(str(path), cache=Path(folder, "cache"))


KNOWN = json.loads(json.dumps(yaml.safe_load(begun("scan")), default=str))


@given(st.dictionaries(st.sampled_from(sorted(KNOWN)) | TEXTS, ANY, max_size=3), TEXTS)
@FUZZED
def test_configurations_of_any_json_and_any_text(changes: dict[str, Any], text: str):
    with little_memory():
        for content in (json.dumps(KNOWN | changes), text, f"region: {text}", yaml.safe_dump(KNOWN) + text):
            with suppress(InvalidConfigError):
                read(ScanConfig, content, source="scan.yaml")


def good_file() -> bytes:
    """A GeoTIFF of 1100 pixels square with overviews."""
    with tempfile.TemporaryDirectory() as folder:
        values = np.arange(1100 * 1100, dtype=np.uint32).reshape(1100, 1100).astype(np.uint16)
        return Path(cog(Path(folder, "a.tif"), values, west=WEST, north=NORTH)).read_bytes()


GOOD = good_file()
HEADER = 4000
"""Bytes in which the directories of the file lie."""


@given(
    st.lists(st.tuples(st.integers(0, HEADER), st.integers(0, 255)), max_size=4),
    st.lists(st.tuples(st.integers(0, HEADER // 2), st.integers(0, 2**32 - 1)), max_size=2),
    st.integers(16, len(GOOD)),
)
@FUZZED
def test_headers_of_geotiffs(changed: list[tuple[int, int]], words: list[tuple[int, int]], length: int):
    content = bytearray(GOOD)
    for place, value in changed:
        content[place] = value
    for place, value in words:
        struct.pack_into("<I", content, 2 * place, value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.tif")
        path.write_bytes(content[: length if len(changed) == 4 else len(content)])
        with little_memory():
            for use in (lambda: read_sample(str(path)), lambda: read_numbers(str(path), LATTICE, BOX)):
                with suppress(ReadError):
                    use()
