"""Where checkpoints are listed: in this package, and in a registry of the user's own."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from landslide_scale.errors import InvalidCheckpointError, InvalidConfigError, LandslideScaleError
from landslide_scale.paths import expanded, is_relative
from landslide_scale.redaction import redacted
from landslide_scale.registry.packaged import PACKAGED
from landslide_scale.registry.settings import Entry, Registry, check_names, is_name
from landslide_scale.storage.files import local_path, read_range
from landslide_scale.strictyaml import read

VARIABLE = "LANDSLIDE_SCALE_REGISTRY"
FILE = "checkpoints.yaml"


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An entry where it was found.

    Attributes:
        entry: What is said.
        registry: Path or URL of the file that says it; empty where this package does.
    """

    entry: Entry
    registry: str

    @property
    def url(self) -> str:
        """Path or URL of the checkpoint's file; a relative one is from the registry's folder.

        Raises:
            InvalidConfigError: A registry on the network names a local file, or its own is no path.
        """
        url = self.entry.url
        if local_path(self.registry) is None:
            return self._beside_a_url(url)
        try:
            path = expanded(url)
        except InvalidConfigError as error:
            raise error.at(checkpoint=self.entry.name, file=self.registry) from None
        return str(Path(self.registry).absolute().parent / path) if is_relative(path) else path

    def _beside_a_url(self, url: str) -> str:
        """Nothing of this machine is put into an address that comes from another."""
        there = urlsplit(self.registry)
        joined = urljoin(there._replace(scheme="https").geturl(), url)  # which joins for no scheme of a store
        found = url if "://" in url else urlsplit(joined)._replace(scheme=there.scheme).geturl()
        if url.startswith("/") or local_path(found) is not None:
            raise InvalidConfigError(
                f"url {url} in a registry on the network",
                expected="a URL, or a path from the registry's folder",
                checkpoint=self.entry.name,
                file=redacted(self.registry),
            )
        return found


def user_registry() -> str:
    """Path or URL of the user's own: what LANDSLIDE_SCALE_REGISTRY says, else in the configuration folder.

    Raises:
        InvalidConfigError: The variable is no path, or nothing says where the folder is.
    """
    told = os.environ.get(VARIABLE, "")
    try:
        return expanded(told) if told else str(_configuration_folder() / FILE)
    except InvalidConfigError as error:
        raise error.at(key=VARIABLE) from None


def _configuration_folder() -> Path:
    told = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    try:  # a relative one is to be ignored (XDG Base Directory Specification)
        return (told if told.is_absolute() else Path.home() / ".config") / "landslide_scale"
    except RuntimeError as error:
        raise InvalidConfigError(
            f"no configuration folder ({error})", expected=f"{VARIABLE}, XDG_CONFIG_HOME or HOME to be set"
        ) from None


def content_of(registry: str) -> str:
    """The text of a registry; empty where it is the one of the configuration folder, and not there.

    Raises:
        InvalidCheckpointError: It cannot be read.
        StorageAwayError: It cannot be read now.
    """
    path = local_path(registry)
    if path is not None and not os.environ.get(VARIABLE) and not path.exists():
        return ""
    try:
        return read_range(registry, 0, None).decode()
    except UnicodeDecodeError:
        raise InvalidConfigError("no text in UTF-8", expected="YAML", file=redacted(registry)) from None
    except LandslideScaleError as error:
        raise error.at(key=VARIABLE if os.environ.get(VARIABLE) else None) from None


def entries_of(text: str, registry: str) -> tuple[Listed, ...]:
    """What a registry of this text lists.

    Raises:
        InvalidConfigError: It is no registry.
    """
    blank = all(line.lstrip().startswith("#") or not line.strip() for line in text.splitlines())
    found = Registry() if blank else read(Registry, text, source=redacted(registry))
    return tuple(Listed(entry=entry, registry=registry) for entry in found.checkpoints)


def listed() -> tuple[Listed, ...]:
    """Every checkpoint that has a name, those of this package first.

    Raises:
        InvalidInputError: The user's registry cannot be read, or names one twice.
        StorageAwayError: It cannot be read now.
    """
    own = user_registry()
    found = (*(Listed(entry=entry, registry="") for entry in PACKAGED), *entries_of(content_of(own), own))
    check_names(one.entry.name for one in found)
    return found


def named(name: str) -> Listed:
    """The entry of a name.

    Raises:
        InvalidCheckpointError: There is none.
        InvalidInputError: As for :func:`listed`.
        StorageAwayError: As for :func:`listed`.
    """
    known = {one.entry.name: one for one in listed()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, 1) or sorted(known)
    in_the_way = Path(name).exists()
    file = f"For the file of this name write ./{name}." if in_the_way else "A file is written with a slash or a dot."
    if not is_name(name):
        file = "A path is no name: a file is used as it is, where a checkpoint is asked for."
    raise InvalidCheckpointError(
        "no checkpoint of this name",
        expected=f"one of {redacted(user_registry())}, such as {', '.join(near)}" if near else "a name that is listed",
        cure=f"`landslide-scale models list` lists them, `models add` makes one. {file}",
        checkpoint=name,
    )
