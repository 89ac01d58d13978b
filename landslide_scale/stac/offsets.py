"""Whose word on the radiometric offset is followed for an Item, and what its other properties say against it.

The order: ``catalog.offset``, where it is told; else what is known of the profile's own collection; else, of one that
nothing is known of, ESA's rule by processing baseline. What is neither told nor known is not relied upon: the pixels of
such Items are asked. Nothing is chosen by an Item's own properties, but one that contradicts takes the Item out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from landslide_scale.errors import InvalidCatalogError
from landslide_scale.stac.radiometry import Decision, Evidence, against, decide, in_question, weighed
from landslide_scale.stac.settings import CatalogConfig

CLAIM = re.compile(r"(?:[A-Za-z0-9_.-]+:)?boa_offset_applied")
"""Properties known to say whether the offset was taken off: ``earthsearch:`` of Earth Search v1 and EarthDaily,
``sentinel:`` of Earth Search v0, and the same word of anybody else."""

_UNTOLD = "nobody says otherwise: catalog.offset is not told"

Item = Mapping[str, Any]


def decision(item: Item, config: CatalogConfig, baseline: tuple[int, int], evidence: Evidence | None) -> Decision:
    """What is to be added to an Item's numbers.

    Args:
        item: A scene's.
        config: Of its catalogue.
        baseline: Its processing baseline.
        evidence: What its pixels say; None where they were not asked.

    Raises:
        InvalidCatalogError: A property that is followed, or would contradict, is neither true nor false.
    """
    flag = config.offset_flag
    said = _said(item, flag) if flag else None
    if config.offset == "profile":
        return decide(baseline, flag=flag, flagged=bool(said), evidence=evidence)
    if config.offset == "removed":
        ruled = decide(baseline, flag="catalog.offset", flagged=True)
    else:
        ruled = decide(baseline, flag=flag, flagged=bool(said))
    if not in_question(baseline):
        return ruled
    if config.offset == f"flag:{flag}" and said is None:
        return replace(ruled, quarantine=f"no property {flag}, which catalog.offset says to follow")
    if config.offset is None and flag is None and not config.established:
        ruled = replace(ruled, rule=f"{ruled.rule} ({_UNTOLD})")
    for name in sorted(name for name in item["properties"] if CLAIM.fullmatch(name)):
        claim = _said(item, name)
        if claim is not None and claim == bool(ruled.offset):
            return against(ruled, "removed" if claim else "carried", f"{name} says", "see catalog.offset")
    return ruled if evidence is None else weighed(ruled, evidence)


def doubtful(config: CatalogConfig, baseline: tuple[int, int], evidence: Evidence | None) -> bool:
    """Whether an Item's pixels are to be asked, and were not yet."""
    return config.offset_in_doubt and in_question(baseline) and evidence is None


def _said(item: Item, name: str) -> bool | None:
    said = item["properties"].get(name)
    if said not in {None, True, False}:
        raise InvalidCatalogError(f"{name} {said!r}", expected="true or false", scene=item.get("id"))
    return None if said is None else bool(said)
