"""A checkpoint, given by name, path or URL, as a value that every node of a cluster can make a file of."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from landslide_scale.errors import LandslideScaleError
from landslide_scale.registry.entries import Listed, named
from landslide_scale.registry.settings import Entry, is_name
from landslide_scale.storage.cache import local_copy

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where a checkpoint is.

    Attributes:
        url: Path or URL.
        entry: What the registry says of it; None where it was not given by its name.
    """

    url: str
    entry: Entry | None = None

    @classmethod
    def of(cls, found: Listed) -> Located:
        """One that has a name."""
        return cls(url=found.url, entry=found.entry)

    def here(self) -> str:
        """Path or URL to read it by; of a name the path of a checked file, which a machine fetches once and says so.

        Raises:
            InvalidCheckpointError: There is no such file, or it is not what the registry says.
            StorageAwayError: It cannot be fetched now.
            BrokenRunError: There is no room for a copy.
        """
        if self.entry is None:
            return self.url
        try:
            return str(local_copy(self.url, self.entry.sha256, size=self.entry.bytes))
        except LandslideScaleError as error:
            raise error.at(checkpoint=self.entry.name) from error


def located(checkpoint: str) -> Located:
    """Where a checkpoint is that is given by its name, a path or a URL.

    Raises:
        InvalidInputError: Nothing has this name, or the registry is none.
        StorageAwayError: The registry cannot be read now.
    """
    if not is_name(checkpoint):
        return Located(url=checkpoint)
    found = named(checkpoint)
    if Path(checkpoint).exists():
        log.warning("checkpoint %s is the one of the registry; the file of this name is ./%s", checkpoint, checkpoint)
    return Located.of(found)
