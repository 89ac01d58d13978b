"""Pages of templates that come with the package."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2

_TEMPLATES = files("landslide_scale.rapid.publication") / "resources"


def page(name: str, said: Mapping[str, Any]) -> str:
    """A page of this package's templates, what is put in escaped."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string((_TEMPLATES / name).read_text("utf-8")).render(said)
