"""The network that predicted a map, as an Item of its own: which it is, what it takes and what it gives."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pystac import Asset, Item

from landslide_scale.products.assets import sha256_multihash
from landslide_scale.products.scanned import Scanned
from landslide_scale.scene import utc

NETWORK = "model.json"
"""Name of the Item, beside the Collection."""

_MLM = "https://stac-extensions.github.io/mlm/v1.5.2/schema.json"
_FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
_RASTER = "https://stac-extensions.github.io/raster/v1.1.0/schema.json"
"""One of the places where mlm looks bands up; those of STAC 1.1 itself are not allowed where it looks for them."""

_CLASSES = ("background", "landslide")
_TASKS = ["semantic-segmentation"]
_DIGITS = 12


def network(of: Scanned) -> Item | None:
    """The Item of the network (mlm, version 1.5.2); None of a scan that did not write down what it was.

    A checkpoint is no product: its asset has no place, but the name that its SHA-256 gives it (RFC 6920).
    """
    known: Mapping[str, Any] | None = of.facts.get("network")
    if known is None:
        return None
    sha256, side = str(of.said["checkpoint_sha256"]), int(known["patch"])
    name = f"{known['name']} {sha256[:_DIGITS]}"
    made = Item(
        id=f"model-{sha256[:_DIGITS]}",
        geometry=None,
        bbox=None,
        datetime=utc(of.facts["begun"]),
        properties={
            "title": name,
            "description": "The network that predicted the map, as its scan used it.",
            "mlm:name": name,
            "mlm:architecture": known["name"],
            "mlm:framework": "PyTorch",
            "mlm:tasks": _TASKS,
            "mlm:input": [_input(known["bands"], side)],
            "mlm:output": [_output(side)],
            "mlm:hyperparameters": {"threshold": of.checkpoint_threshold},
            **_version(of.facts["versions"]),
        },
        stac_extensions=[_MLM, _FILE, _RASTER],
    )
    digest = base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode().rstrip("=")
    said = {
        "mlm:artifact_type": "safetensors.torch.save_file",
        "file:checksum": sha256_multihash(sha256),
        "raster:bands": [{"name": band, "data_type": "float32"} for band in known["bands"]],
    }
    address, roles = f"ni:///sha-256;{digest}", ["mlm:model", "mlm:weights"]
    made.add_asset("checkpoint", Asset(address, title="checkpoint, by its hash", roles=roles, extra_fields=said))
    return made


def _input(bands: list[str], side: int) -> dict[str, Any]:
    """Of the network; no data is 0 there."""
    shape = {"shape": [-1, len(bands), side, side], "dim_order": ["batch", "bands", "height", "width"]}
    return {"name": "composite of scenes", "bands": bands, "input": {**shape, "data_type": "float32"}}


def _output(side: int) -> dict[str, Any]:
    shape = {"shape": [-1, 1, side, side], "dim_order": ["batch", "channel", "height", "width"]}
    return {
        "name": "probability of landslide",
        "description": "from the checkpoint's threshold on, a pixel is landslide",
        "tasks": _TASKS,
        "result": {**shape, "data_type": "float32"},
        "classification:classes": [
            {"value": value, "name": name, "description": name} for value, name in enumerate(_CLASSES)
        ],
    }


def _version(versions: Mapping[str, Any]) -> dict[str, str]:
    return {"mlm:framework_version": str(versions["torch"])} if "torch" in versions else {}
