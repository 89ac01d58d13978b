"""A folder of Sen12Landslides to a folder of chips: every file is taken or has its reason, and the index comes last."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from landslide_scale.cube.ledger import LEDGER, Ledger
from landslide_scale.cube.record import Record
from landslide_scale.datasets.chips import INDEX
from landslide_scale.errors import IncompleteRunError, InvalidDatasetError
from landslide_scale.importing.index import chips_index
from landslide_scale.importing.leaks import Corner, Leaks, leaks, near, read_names, read_split
from landslide_scale.importing.outcome import outcome_of
from landslide_scale.importing.patch import NAME
from landslide_scale.importing.settings import ImportSettings
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

REPORT = "import.json"
"""What became of every file, beside the chips."""

_FACTS = "patch"
"""What a record says of a file, under this name."""

Progress = Callable[[int, int], None]
"""Given the files done and all of them."""


@dataclass(frozen=True, kw_only=True)
class ImportSummary:
    """What an import came to.

    Attributes:
        directory: Where the chips are.
        patches: What became of each file, by the name of its patch: ``outcome``, ``reason``, ``detail`` and what was
            read of it.
        others: Files that are no patches of Sentinel-2, passed over.
        crowded: Chips with another within 1.9 km.
        leaks: Of the published split that was named.
    """

    directory: str
    patches: Mapping[str, Mapping[str, Any]]
    others: tuple[str, ...]
    crowded: int
    leaks: Leaks | None

    @property
    def taken(self) -> dict[str, Mapping[str, Any]]:
        """The patches of which there are chips."""
        return {name: facts for name, facts in self.patches.items() if facts["outcome"] == "taken"}


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What there is to import."""

    files: Mapping[str, Path]
    others: tuple[str, ...]
    low_quality: frozenset[str]
    split: Mapping[str, frozenset[str]] | None


def import_patches(settings: ImportSettings, *, resume: bool, progress: Progress = lambda *_: None) -> ImportSummary:
    """Make a chip of every patch that can be one, and say of every other why it is none.

    Args:
        settings: What to import, and where to.
        resume: Go on with the import that the folder holds.
        progress: Told how far it is.

    Raises:
        InvalidDatasetError: There are no such files, or a list is none; nothing was written.
        RunConflictError: The folder holds something else; nothing was written.
        IncompleteRunError: No patch could be taken; the folder says why, and has no chips.
    """
    source = _source(settings)
    directory = RunDirectory(settings.directory)
    directory.check_free()
    with held(directory) as lease:
        directory.claim("import", _recorded(settings, source), resume=resume)
        directory.remove_partial_files(LEDGER)
        ledger = Ledger(directory, directory.enter(lease.token))
        records = _standing(ledger.records(), directory.sizes(""))
        ledger.mend()
        if len(records) < len(source.files):
            directory.delete_all([INDEX])
        progress(len(records), len(source.files))
        for name, path in source.files.items():
            if name not in records:
                lease.check()
                records[name] = _imported(name, path, settings, source, directory)
                ledger.add(records[name])
                progress(len(records), len(source.files))
        lease.check()
        ledger.compact()
        return _completed(directory, source, {name: dict(records[name].stored[_FACTS]) for name in source.files})


def _source(settings: ImportSettings) -> _Source:
    root = Path(settings.source)
    if not root.is_dir():
        raise InvalidDatasetError("no such folder", expected="a folder of unpacked patches", file=root)
    found = sorted(path for path in root.rglob("*.nc") if path.is_file())
    named = [path for path in found if NAME.fullmatch(path.stem)]
    if not named:
        packed = sum(path.is_file() for path in root.rglob("*.tar.gz"))
        raise InvalidDatasetError(
            f"no REGION_s2_N.nc among {len(found)} .nc and {packed} .tar.gz files",
            expected="patches of Sentinel-2",
            cure="Unpack the archives first: tar -xzf s2_part01.tar.gz." if packed else "",
            file=root,
        )
    files: dict[str, Path] = {}
    for path in named:
        other = files.setdefault(path.stem, path)
        if other != path:
            raise InvalidDatasetError(
                f"{other.relative_to(root)} and {path.relative_to(root)}",
                expected="each patch once",
                cure="Name the folder of the harmonised data alone.",
                file=root,
            )
    return _Source(
        files=dict(sorted(files.items())),
        others=tuple(str(path.relative_to(root)) for path in found if not NAME.fullmatch(path.stem)),
        low_quality=frozenset() if settings.low_quality is None else read_names(settings.low_quality),
        split=None if settings.splits is None else read_split(settings.splits),
    )


def _recorded(settings: ImportSettings, source: _Source) -> dict[str, Any]:
    """What the chips depend on, files by name and size."""
    sizes = [[name, path.stat().st_size] for name, path in source.files.items()]
    return {
        "days": settings.days,
        "files_sha256": hashlib.sha256(json.dumps(sizes).encode()).hexdigest(),
        "low_quality_sha256": hashlib.sha256(json.dumps(sorted(source.low_quality)).encode()).hexdigest(),
    }


def _standing(records: Mapping[str, Record], sizes: Mapping[str, int]) -> dict[str, Record]:
    """Records whose chip is there as it was written, or that have none."""
    return {
        name: record
        for name, record in records.items()
        if record.state == "empty" or sizes.get(f"{name}.npz") == record.stored[_FACTS]["bytes"]
    }


def _imported(name: str, path: Path, settings: ImportSettings, source: _Source, directory: RunDirectory) -> Record:
    """What became of one file, its chip written where it has one."""
    found = outcome_of(path, _inventory(name), days=settings.days, low_quality=source.low_quality)
    if found.chip is None:
        return Record(unit=name, state="empty", stored={_FACTS: found.facts})
    content = io.BytesIO()
    np.savez_compressed(content, image=found.chip.image, label=found.chip.label)
    directory.write(f"{name}.npz", content.getvalue())
    written = {"bytes": len(content.getvalue()), "sha256": hashlib.sha256(content.getvalue()).hexdigest()}
    return Record(unit=name, state="written", stored={_FACTS: found.facts | written})


def _inventory(name: str) -> str:
    """Whose mapping a patch is from, by its name: the published splits call two of them alike."""
    return name.rpartition("_s2_")[0]


def _completed(directory: RunDirectory, source: _Source, patches: Mapping[str, dict[str, Any]]) -> ImportSummary:
    """Reports first, the index last."""
    corners: dict[str, Corner] = {
        name: (facts["crs"], facts["bounds"][0], facts["bounds"][3])
        for name, facts in patches.items()
        if "crs" in facts
    }
    taken = [name for name, facts in patches.items() if facts["outcome"] == "taken"]
    summary = ImportSummary(
        directory=str(directory),
        patches=patches,
        others=source.others,
        crowded=len(near(taken, taken, corners)),
        leaks=None if source.split is None else leaks(source.split, corners),
    )
    directory.write_json(REPORT, _report(summary))
    if not taken:
        directory.note(state="incomplete")
        raise IncompleteRunError(
            f"none of {len(patches)} patches was taken ({_commonest(patches)})",
            cure=f"{REPORT} says of each why.",
            directory=directory,
        )
    inventories, hashes = ({name: patches[name][key] for name in taken} for key in ("inventory", "sha256"))
    directory.write_json(INDEX, chips_index(inventories, hashes))
    directory.note(state="complete", kept=len(taken), planned=len(patches))
    return summary


def _commonest(patches: Mapping[str, Mapping[str, Any]]) -> str:
    reasons: Sequence[str] = [str(facts.get("reason", "")) for facts in patches.values()]
    return f"most often: {max(set(reasons), key=reasons.count)}"


def _report(summary: ImportSummary) -> dict[str, Any]:
    return {
        "patches": summary.patches,
        "others": list(summary.others),
        "near": {"chips": summary.crowded, "split": None if summary.leaks is None else asdict(summary.leaks)},
    }
