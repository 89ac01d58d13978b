"""The checkpoints that come with this package: none yet."""

from __future__ import annotations

from landslide_scale.registry.settings import Entry

PACKAGED: tuple[Entry, ...] = ()

WHY_NONE = (
    "none comes with this package: the weights for landslides that others publish are pickles, which can run code, or "
    "of another radiometry than a scan's surface reflectance; and none was trained here on real ground"
)
