"""Everything that is looked at, in the order it is said."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from landslide_scale.doctor.finding import Finding, lines
from landslide_scale.doctor.libraries import libraries
from landslide_scale.doctor.machine import machine
from landslide_scale.doctor.variables import variables
from landslide_scale.runtime.console import say

UNREACHED = 1


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Places that are to be reached, where they are named.

    Attributes:
        storage: URL of a folder, as ``s3://bucket/folder``.
        catalogue: Name of a profile, or the address of a STAC API.
        cluster: Address of a Ray cluster.
    """

    storage: str | None = None
    catalogue: str | None = None
    cluster: str | None = None


def examine(asked: Asked) -> Iterator[Finding]:
    """Package, machine, libraries, variables, and the places asked for."""
    given = dict(os.environ)  # before libraries set variables of their own
    yield from libraries()
    yield from machine()
    yield from variables(given)
    yield from _places(asked)


def _places(asked: Asked) -> Iterator[Finding]:
    if asked.storage is not None or asked.catalogue is not None:
        from landslide_scale.doctor import reach  # noqa: PLC0415 said above where a library of it is broken

        yield from [] if asked.storage is None else [reach.storage(asked.storage)]
        yield from [] if asked.catalogue is None else [reach.catalogue(asked.catalogue)]
    if asked.cluster is not None:
        from landslide_scale.doctor.cluster import cluster  # noqa: PLC0415 as above

        yield cluster(asked.cluster)


def report(asked: Asked) -> int:
    """Say what was found, each as it is; exit code 1 where something that was asked for was not reached."""
    reached = True
    for finding in examine(asked):
        say("\n".join(lines([finding])))
        reached = reached and finding.reached
    return 0 if reached else UNREACHED


def report_json(asked: Asked) -> int:
    """The same for machines, at once."""
    found = list(examine(asked))
    say(json.dumps([finding.content for finding in found], indent=1, ensure_ascii=False))
    return 0 if all(finding.reached for finding in found) else UNREACHED
