"""The one tree of errors, named for what a handler would do with them.

Every error says what was found, what was expected, the cure, and where (scene, band, block, key, file, ...), and
survives pickling with all four, because it crosses processes.

* ``InvalidInputError``   the user changes something and runs again; nothing was written (exit code 2).
* ``TryAgainError``       the same call may succeed later: it is retried, then recorded.
* ``PermanentReadError``  the same call will fail again: it is recorded, and a scan goes on without that scene.
* ``IncompleteRunError``  the run ended, some units did not: ``--resume`` retries just those (exit code 3).
* ``BrokenRunError``      the run cannot go on and a resume may (exit code 1).
* ``StorageAwayError``    one of these: storage did not come back in time; where a unit waited for it, that unit failed.
* ``AwayError``           a service that the run needs does not answer now; nothing was written (exit code 1).
"""

from __future__ import annotations

from typing import ClassVar, Self

from landslide_scale.redaction import sayable


class LandslideScaleError(Exception):
    """Base of every error this package raises on purpose.

    Whatever it is given, secrets in addresses, control characters and endless texts do not come out of it.

    Args:
        found: What was found, as a clause ("the mask is 10 x 12 px").
        expected: What was expected instead ("10 x 10 px, the size of its image").
        cure: What the reader can do about it; empty where `expected` already says it.
        where: Named places: ``scene=``, ``band=``, ``block=``, ``key=``, ``file=``, ...
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, found: str, *, expected: str = "", cure: str = "", **where: object) -> None:
        self.found, self.expected, self.cure = sayable(found), sayable(expected), sayable(cure)
        super().__init__(self.found)
        self.where = {name: sayable(str(value)) for name, value in where.items() if value is not None}

    def __str__(self) -> str:
        place = ", ".join(f"{name} {value}" for name, value in self.where.items())
        text = f"{place}: {self.found}" if place else self.found
        if self.expected:  # what was found may be another error, which ends as a sentence
            text = f"{text.removesuffix('.')}; expected {self.expected}"
        return f"{text.removesuffix('.')}. {self.cure}" if self.cure else text

    def at(self, **where: object) -> Self:
        """The same error with more said about where it happened; what is already known is kept."""
        added = {name: value for name, value in where.items() if value is not None}
        return type(self)(self.found, expected=self.expected, cure=self.cure, **(added | self.where))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.found, self.expected, self.cure, self.where))


def _rebuild(
    kind: type[LandslideScaleError], found: str, expected: str, cure: str, where: dict[str, str]
) -> LandslideScaleError:
    return kind(found, expected=expected, cure=cure, **where)


class InvalidInputError(LandslideScaleError):
    """Something the user gave is wrong; nothing has been written."""

    exit_code = 2


class InvalidConfigError(InvalidInputError):
    """A configuration key, or a combination of them."""


class InvalidRegionError(InvalidInputError):
    """The region file or bounding box."""


class InvalidDatasetError(InvalidInputError):
    """A training image, mask, or their pairing."""


class InvalidCheckpointError(InvalidInputError):
    """A checkpoint, or the base weights it was trained on."""


class InvalidCatalogError(InvalidInputError):
    """What the catalogue answered cannot serve this run (no scene, no such band, a forbidden address)."""


class InvalidFeedError(InvalidInputError):
    """What a feed of events answered, or a file that it names, is not what it should be (no such event, no grid)."""


class EventGoneError(InvalidFeedError):
    """An event that its service knows by none of its ids any more."""


class RunConflictError(InvalidInputError):
    """The output already holds a run with other settings."""


class ReadError(LandslideScaleError):
    """A scene could not be read."""


class TryAgainError(ReadError):
    """A read that may succeed when tried again (network, timeout, 5xx)."""


class PermanentReadError(ReadError):
    """A read that will fail again (missing file, corrupt file, wrong shape)."""


class AwayError(LandslideScaleError):
    """A service that a run needs is away or busy: the same command may work later; nothing has been written."""


class CatalogAwayError(AwayError):
    """A catalogue does not answer, after all attempts."""


class FeedAwayError(AwayError):
    """A feed of events, or a file that it names, does not answer, after all attempts."""


class ClusterAwayError(AwayError):
    """The Ray cluster cannot be joined or started, or does not have what the run needs."""


class IncompleteRunError(LandslideScaleError):
    """The run finished, but some of its units are failed."""

    exit_code = 3


class BrokenRunError(LandslideScaleError):
    """The run cannot go on: no progress, a full disk, a lost cluster."""


class StorageAwayError(BrokenRunError):
    """Storage that did not do what was asked, but may later: busy, not to be reached, an error of its own."""
