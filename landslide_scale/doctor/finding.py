"""One line of what was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from landslide_scale.redaction import sayable

_WIDTH = 20


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: The thing.
        value: What it is like.
        cure: What to do about it; empty where there is nothing to do.
        reached: False of something that was named to be reached, and was not.
    """

    what: str
    value: str
    cure: str = ""
    reached: bool = True

    @property
    def content(self) -> dict[str, Any]:
        """For machines."""
        return {"what": self.what, "value": sayable(self.value), "ok": not self.cure, "cure": sayable(self.cure)}


def lines(findings: Iterable[Finding]) -> list[str]:
    """For people: what, value, and whether it is well; below what is not, its cure."""
    said: list[str] = []
    for finding in findings:
        mark = "look" if finding.cure else "ok"
        said.append(f"{mark:<5} {finding.what:<{_WIDTH}} {sayable(finding.value)}")
        said += [f"{'':<5} {'':<{_WIDTH}} -> {sayable(finding.cure)}"] if finding.cure else []
    return said
