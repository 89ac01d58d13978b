"""Registries of checkpoints for the tests: what they say, and the commands that read them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Type = Callable[..., tuple[int, str]]
"""Types words after `landslide-scale`; gives the exit code and all that was said."""


def entry(checkpoint: Path, url: str, **changes: object) -> dict[str, Any]:
    """What a registry has to say of a checkpoint."""
    content = checkpoint.read_bytes()
    return {
        "name": "noto",
        "url": url,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "bands": ["red"],
        "radiometry": "boa",
        "data": "nothing: random weights",
        "licence": "Apache-2.0",
    } | changes


def text_of(*entries: dict[str, Any]) -> str:
    """A registry's file: JSON is YAML."""
    return json.dumps({"checkpoints": entries})
