"""What became of a work unit, in words and figures: what its record says, and how that is counted and read."""

from __future__ import annotations

import hashlib
import json
import marshal
import sys
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from landslide_scale.bands import Reason
from landslide_scale.cube.arrays import Layer

State = Literal["written", "empty", "failed", "broken"]
HISTOGRAM_BINS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One work unit as it ended.

    Attributes:
        unit: Its id.
        state: ``written``; ``empty``: no pixel was observed, so no probability is stored; ``failed``: nothing is;
            ``broken``: what an earlier record speaks of is no longer what is stored.
        attempts: How often it was tried, over all runs of one command and its resumptions.
        error: Class and message of the last failure.
        retry: Whether that failure may pass.
        unreadable: Scenes of which something cannot be read, for good, as far as that failure brought it to light: why,
            by id.
        scenes: Of each scene: id, offset and the rule behind it, whether it was resampled, and ``filled`` of an older
            processing that filled what a newer one has no data for; or why it was not used.
        dem: Ids of the tiles of the elevation model that reach it.
        files: By what the files that were read are known again (`reading/marks.py`): by scene and asset, and by tile of
            the elevation model. Empty of a unit that was made before they were kept.
        km2: Ground of the unit inside region and zone.
        clear_fraction: Share of that ground which was observed.
        persistent_km2: Ground that is not observed for being masked as cloud on every date with clear surroundings.
        landslide_km2: Probability times area, summed before the cube's 8 bits; None where nothing was predicted.
        histogram: Observed pixels by probability, 20 equal bins over [0, 1].
        sha256: Of the unit's arrays as written.
        stored: ``bytes`` and ``sha256`` of its objects, by variable that is not all fill.
        seconds: By stage: ``read``, of it ``wait`` between tries of a request, ``predict``, ``write``; or ``take``.
        computed: In which ``precision`` the network computed, and what else of the machine its numbers may depend on:
            ``device``, ``threads``, ``tf32``, ``attention``, versions. Empty where none did, or nobody kept it.
        taken_from: Run and unit whose objects these are copies of; empty where it was scanned.
        run: Id of the run that it is of; empty of one begun before runs had one.
        session: Id of the driver, among the ``sessions`` of run.json, for which it was written.
    """

    unit: str
    state: State
    attempts: int = 1
    error: str = ""
    retry: bool = False
    unreadable: dict[str, str] = field(default_factory=dict)
    scenes: tuple[dict[str, Any], ...] = ()
    dem: tuple[str, ...] = ()
    files: dict[str, dict[str, str]] = field(default_factory=dict)
    km2: float = 0.0
    clear_fraction: float = 0.0
    persistent_km2: float = 0.0
    landslide_km2: float | None = 0.0
    histogram: tuple[int, ...] = ()
    sha256: str = ""
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    computed: dict[str, Any] = field(default_factory=dict)
    taken_from: str = ""
    run: str = ""
    session: str = ""

    @property
    def done(self) -> bool:
        """Whether the unit needs no further work."""
        return self.state in {"written", "empty"}

    @property
    def lean(self) -> Record:
        """What a driver holds of it to the end: what the figures of a run, and further tries, are made from.

        Where its objects lie in which bytes, how its pixels are distributed and how long it took stay in the ledger.
        Its SHA-256 does not: by those of all units it is known whether ground that was seen is still as it was counted.
        """
        return replace(self, stored=_NOTHING, seconds=_NOTHING, histogram=())

    def to_json(self) -> str:
        """As text."""
        return json.dumps(self.said)

    @property
    def said(self) -> dict[str, Any]:
        """Its values by name; not copies of them, as :func:`dataclasses.asdict` makes, of every word of every scene."""
        return {name: getattr(self, name) for name in _NAMES}

    @classmethod
    def from_json(cls, text: str | bytes) -> Record:
        """The record that :meth:`to_json` wrote."""
        said = json.loads(text)
        content = {key: value for key, value in said.items() if key in _FIELDS}  # a later version may say more
        alike = {
            "scenes": _shared_scenes(_key(list(content.get("scenes", ())))),
            "dem": _shared_names(_key(list(content.get("dem", ())))),
            "files": _shared_files(_key(content.get("files", {}))),
            "computed": _shared_facts(_key(content.get("computed", {}))),
        }
        words = {key: sys.intern(content[key]) for key in ("state", "run", "session") if key in content}
        own = {"histogram": tuple(content.get("histogram", ())), "unreadable": content.get("unreadable") or _NOTHING}
        return cls(**content | alike | words | own)


_NAMES = tuple(one.name for one in fields(Record))
_FIELDS = frozenset(_NAMES)


_NOTHING: dict[str, Any] = {}


# A driver holds something of all records, and far fewer lists of scenes and the like: those of a tile are alike. They
# are known again by their bytes, and lists that differ, as along the rims of tiles, share what is said of each scene.


def _key(value: Any) -> bytes:  # noqa: ANN401 whatever JSON said
    """What JSON said, as bytes for this process alone: in a third of the time that its text takes."""
    return marshal.dumps(value, 2)  # before versions that tell apart by which objects are the same


def _said(key: bytes) -> Any:  # noqa: ANN401 whatever JSON said
    return marshal.loads(key)  # noqa: S302 of :func:`_key`


@lru_cache(maxsize=1024)
def _shared_word(word: str) -> str:
    """One that many say, as the rule behind an offset is; those that are said once pass through."""
    return word


@lru_cache(maxsize=2**13)
def _shared_facts(key: bytes) -> dict[str, Any]:
    """Facts by name: of a scene, of the files of one, of the machine that computed."""
    said: dict[str, Any] = _said(key)
    return {sys.intern(name): _shared_word(fact) if isinstance(fact, str) else fact for name, fact in said.items()}


@lru_cache(maxsize=4096)
def _shared_scenes(key: bytes) -> tuple[dict[str, Any], ...]:
    return tuple(_shared_facts(_key(scene)) for scene in _said(key))


@lru_cache(maxsize=4096)
def _shared_files(key: bytes) -> dict[str, dict[str, str]]:
    return {sys.intern(name): _shared_facts(_key(marks)) for name, marks in _said(key).items()}


@lru_cache(maxsize=4096)
def _shared_names(key: bytes) -> tuple[str, ...]:
    return tuple(map(sys.intern, _said(key)))


def describe(
    layer: Layer, probability: np.ndarray[Any, np.dtype[np.float32]] | None, pixel_km2: float
) -> dict[str, Any]:
    """The figures of a record from what was written and from the probabilities before their 8 bits, if any."""
    scanned = layer.reason != Reason.NOT_SCANNED
    observed = layer.reason == Reason.OBSERVED
    held = None if probability is None else probability[observed]
    return {
        "km2": float(scanned.sum() * pixel_km2),
        "clear_fraction": float(observed.sum() / max(scanned.sum(), 1)),
        "persistent_km2": float((layer.reason == Reason.PERSISTENT).sum() * pixel_km2),
        "landslide_km2": None if held is None else float(held.sum(dtype=np.float64) * pixel_km2),
        "histogram": () if held is None else tuple(map(int, np.histogram(held, HISTOGRAM_BINS, (0, 1))[0])),
        "sha256": content_hash(layer),
    }


def content_hash(layer: Layer) -> str:
    """SHA-256 over the arrays of a unit, in the order of the cube's variables."""
    digest = hashlib.sha256()
    for array in layer.arrays.values():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
