"""Where an image's pixels lie in another that shows the same ground."""

from __future__ import annotations

from dataclasses import dataclass

Part = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """Another image of the same pixels.

    Attributes:
        name: Of the other.
        rows, cols: Pixel (y, x) of the one is pixel (y + rows, x + cols) of the other.
    """

    name: str
    rows: int
    cols: int


def shared(first: tuple[int, ...], second: tuple[int, ...], rows: int, cols: int) -> tuple[Part, Part]:
    """The rectangle that two images share, in rows and columns of each; empty where they do not meet.

    Args:
        first: Height and width of the one.
        second: Of the other.
        rows: Row of the first in which the second's first row lies.
        cols: Likewise its first column.
    """
    there, here = [], []
    for long, other, shift in zip(first, second, (rows, cols), strict=True):
        low = max(0, shift)
        high = max(min(long, other + shift), low)
        there.append(slice(low, high))
        here.append(slice(low - shift, high - shift))
    return (there[0], there[1]), (here[0], here[1])
