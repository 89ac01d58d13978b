"""What a registry says of a checkpoint, and how a configuration names one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated

from pydantic import Field

from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError
from landslide_scale.paths import input_place
from landslide_scale.provenance import ImageFacts
from landslide_scale.spec import Radiometry
from landslide_scale.strictyaml import Section, place

NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
SHA256 = "^[0-9a-f]{64}$"


def is_name(text: str) -> bool:
    """Whether a checkpoint is given by its name: letters, digits, ``-`` and ``_``; a path has a slash or a dot."""
    return re.fullmatch(NAME, text) is not None


def checkpoint_place(text: str) -> str:
    """A name as it is; anything else as every path that is read.

    Raises:
        InvalidConfigError: It is neither.
    """
    return text if is_name(text) else input_place(text)


CheckpointPlace = Annotated[str, place(checkpoint_place)]
"""Name, path or URL of a checkpoint."""


class HeldOut(Section):
    """How a checkpoint did on ground that it had not seen.

    Attributes:
        region: The ground, and how it was kept apart.
        f1: F1 of the landslide class, 0 to 1.
    """

    region: str = Field(min_length=1)
    f1: float = Field(ge=0, le=1)


class Entry(Section):
    """One checkpoint.

    Attributes:
        name: Letters, digits, ``-`` and ``_``.
        url: Path or URL of the file; a relative one is looked for beside the registry.
        sha256: Of the file, as 64 hexadecimal digits in lower case.
        bytes: Size of the file.
        bands: Channels of the network, in their order.
        radiometry: Of the images that it learnt from.
        trained_on: What else those images were, as far as it is known.
        data: What it learnt from, in words.
        licence: Of the file, in words.
        held_out: Its scores on other ground.
    """

    name: str = Field(pattern=NAME, description="1 to 64 letters, digits, - and _, the first a letter or digit")
    url: str = Field(min_length=1)
    sha256: str = Field(pattern=SHA256, description="64 hexadecimal digits in lower case, as sha256sum says")
    bytes: int = Field(ge=1)
    bands: tuple[str, ...] = Field(min_length=1)
    radiometry: Radiometry
    trained_on: ImageFacts = ImageFacts()
    data: str = Field(min_length=1)
    licence: str = Field(min_length=1)
    held_out: tuple[HeldOut, ...] = ()

    def check(self, bands: tuple[str, ...], radiometry: Radiometry, trained_on: ImageFacts) -> None:
        """Compare with what the file's own card says, which is true.

        Raises:
            InvalidCheckpointError: They differ in what both say.
        """
        pairs = {"bands": (list(self.bands), list(bands)), "radiometry": (self.radiometry, radiometry)}
        own, card = asdict(self.trained_on), asdict(trained_on)
        pairs |= {f"trained_on.{key}": (own[key], card[key]) for key in own if None not in (own[key], card[key])}
        for key, (said, found) in pairs.items():
            if said != found:
                raise InvalidCheckpointError(
                    f"the registry says {key} {said}",
                    expected=f"{found}, as the file's own card says",
                    cure="Correct the registry's entry, or add the file anew.",
                    checkpoint=self.name,
                )


class Registry(Section):
    """A file of checkpoints.

    Attributes:
        checkpoints: In any order.
    """

    checkpoints: tuple[Entry, ...] = ()


def check_names(names: Iterable[str]) -> None:
    """Refuse what names two.

    Raises:
        InvalidConfigError: A name is given twice.
    """
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidConfigError(
            f"the name {', '.join(twice)} twice", expected="every name once", cure="Rename one.", key="checkpoints"
        )
