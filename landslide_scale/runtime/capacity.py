"""What a run asks of a cluster, and whether that is there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from landslide_scale.errors import InvalidConfigError

Kind = Literal["CPU", "GPU", "memory"]
_NAMES = {"CPU": "CPU core", "GPU": "GPU"}
_ROUNDING = 1e-6
_GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Need:
    """What must be free at one time.

    Attributes:
        kind: As Ray names it.
        amount: Of it; bytes of memory.
        key: Of the configuration, that asks for it.
        who: For what, as a clause.
    """

    kind: Kind
    amount: float
    key: str
    who: str

    @property
    def said(self) -> str:
        """The amount in words."""
        return said(self.kind, self.amount)


def check_there(needs: Iterable[Need], have: Mapping[str, float]) -> None:
    """Refuse what a machine does not have.

    Args:
        needs: What is asked of it.
        have: What it has, by the same names.

    Raises:
        InvalidConfigError: Naming the key, and what there is.
    """
    for need in needs:
        there = have.get(need.kind, 0.0)
        if need.amount > there + _ROUNDING:
            raise InvalidConfigError(
                f"{need.said} for {need.who}; this machine has {said(need.kind, there)}",
                expected="at most that: a local cluster never grows",
                cure="Ask for less, or name a cluster that has it (compute.address, or a submitted job).",
                key=need.key,
            )


def counted(count: int, what: str) -> str:
    """A number of things, each called `what`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def said(kind: Kind, amount: float) -> str:
    """An amount in words."""
    if kind == "memory":
        return f"{amount / _GB:.1f} GB of memory"
    return f"{amount:g} {_NAMES[kind]}{'' if amount == 1 else 's'}"
