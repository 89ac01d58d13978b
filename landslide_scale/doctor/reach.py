"""Places outside this machine, asked the way a run asks them: object storage and catalogues."""

from __future__ import annotations

import time

import shapely
from fsspec.core import url_to_fs

from landslide_scale.doctor.finding import Finding
from landslide_scale.errors import InvalidInputError, LandslideScaleError
from landslide_scale.keys.advice import nearest
from landslide_scale.redaction import redacted, without_secrets
from landslide_scale.scene import Window, utc
from landslide_scale.stac.providers import PROFILES
from landslide_scale.stac.search import collection, search
from landslide_scale.stac.settings import CatalogConfig
from landslide_scale.storage.absence import failures
from landslide_scale.strictyaml import parse

IMPATIENT = {"connect_timeout": 5, "read_timeout": 15, "retries": {"max_attempts": 1}}
SEEN = shapely.box(14.5, 46.0, 14.6, 46.1)
"""Ground that every catalogue of Sentinel-2 has many scenes of."""

MONTH = Window(start=utc("2024-07-01"), end=utc("2024-08-01"))


def storage(url: str) -> Finding:
    """Whether a folder of an object store can be listed with what this process knows of keys; nothing is written."""
    what, shown = "storage", redacted(url)
    begun = time.monotonic()
    try:
        found = _listed(url)
    except _refusals() as error:
        said = without_secrets(f"{type(error).__name__}: {error}")
        return Finding(what=what, value=f"{shown}: {said[:300]}", cure=_cure(error), reached=False)
    return Finding(what=what, value=f"{shown}: {found} ({time.monotonic() - begun:.1f} s)")


def _refusals() -> tuple[type[Exception], ...]:
    """What is raised there, as far as its libraries are loaded by then."""
    return (*failures(), ValueError, ImportError)


def _listed(url: str) -> str:
    """What a folder holds; of one that is not there yet, whether its bucket is."""
    options = {"config_kwargs": IMPATIENT} if url.startswith(("s3://", "s3a://")) else {}
    filesystem, key = url_to_fs(url, **options)
    bucket = key.split("/", maxsplit=1)[0]
    try:
        return f"{len(filesystem.ls(key, detail=False))} names"
    except FileNotFoundError:
        if bucket == key.rstrip("/"):
            raise
    filesystem.ls(bucket, detail=False)
    return "nothing there yet, its bucket is"


def _cure(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "Make the bucket, or correct its name; another provider's is found by AWS_ENDPOINT_URL."
    if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
        return (
            "Give keys that may list it: AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the node's role."
        )
    return (
        "See that this machine reaches the address (proxy, firewall), and that AWS_ENDPOINT_URL and region are right."
    )


def catalogue(named: str) -> Finding:
    """Whether a catalogue answers a search, by its profile's name or its address."""
    what, shown = "catalogue", redacted(named)
    begun = time.monotonic()
    try:
        config = _config(named)
        found = search(config, SEEN, [MONTH])
    except InvalidInputError as error:
        return Finding(what=what, value=f"{shown}: {error}", cure=_catalogue_cure(named), reached=False)
    except LandslideScaleError as error:
        return Finding(what=what, value=f"{shown}: {error}", cure="Try again later.", reached=False)
    seconds = time.monotonic() - begun
    return Finding(
        what=what,
        value=f"{shown}: {len(found)} Items of {collection(config)} at 14.5 E 46.0 N in July 2024 ({seconds:.1f} s)",
    )


def _config(named: str) -> CatalogConfig:
    by_address = {"profile": "plain", "url": named} if "://" in named else {"profile": named}
    return parse(CatalogConfig, by_address, source="--catalog")


def _catalogue_cure(named: str) -> str:
    if "://" not in named and named not in PROFILES:
        near = nearest(named, [name for name, known in PROFILES.items() if known.url])
        return f"Did you mean {near}?" if near else f"Give an address, or one of {', '.join(PROFILES)}."
    return "See that this machine reaches the address (proxy, firewall), and that it is the root of a STAC API."
