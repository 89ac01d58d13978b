"""What the ledger of a folder of chips says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from landslide_scale.cube.ledger import Ledger
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.storage.signs import holder

NAMED_FAILURES = 5
NAMED_LOSSES = 10
_LOST = "lost_landslide_pixels"


def chips_status(run: RunDirectory) -> list[str]:
    """Chips by what became of them, with what is stored and the reasons of those that failed; of a run at work too.

    Raises:
        InvalidInputError: It holds no run.
    """
    records = list(Ledger(run).records().values())
    states, worker = Counter(record.state for record in records), holder(run)
    stored = [one for record in records if record.state == "written" for one in record.stored.values()]
    lost = {f"{record.unit}.npz": one.get(_LOST, 0) for record in records for one in record.stored.values()}
    landslides = sum(one["landslide_pixels"] for one in stored)
    at_work = f", at work: {worker}" if worker else ""
    failed = [record for record in records if not record.done]
    more = [f"and {len(failed) - NAMED_FAILURES} more"] if len(failed) > NAMED_FAILURES else []
    return [
        f"run: {run}",
        f"state: {run.claimed()['state']}{at_work}",
        (
            f"{len(records)} chips ended: {states['written']} kept, {states['empty']} show too little ground to be "
            f"kept, {states['failed']} failed, {states['broken']} to be made anew"
        ),
        (
            f"{landslides:,} of {sum(one['pixels'] for one in stored):,} labelled "
            f"pixels are landslide; {sum(one['bytes'] for one in stored) / 1e6:,.1f} MB stored"
        ),
        *lost_lines({name: pixels for name, pixels in lost.items() if pixels}, landslides),
        *(f"{record.unit}: {record.error}" for record in failed[:NAMED_FAILURES]),
        *more,
    ]


def lost_lines(lost: Mapping[str, int], kept: int) -> list[str]:
    """What is said of landslide pixels that no label shows, and in which files they would be.

    Args:
        lost: How many, by file, where there are any.
        kept: How many the labels show.
    """
    if not lost:
        return []
    total = sum(lost.values())
    most = sorted(lost.items(), key=lambda one: (-one[1], one[0]))
    named = [f"{name} {pixels:,}" for name, pixels in most[:NAMED_LOSSES]]
    more = [f"and {len(most) - NAMED_LOSSES} more"] if len(most) > NAMED_LOSSES else []
    why = "for they were not observed or their chip is not kept"
    return [f"{total:,} of {total + kept:,} landslide pixels of the region are lost, {why}: {', '.join(named + more)}"]
