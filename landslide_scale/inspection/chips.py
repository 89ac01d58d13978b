"""What the ledger of a folder of chips says."""

from __future__ import annotations

from collections import Counter

from landslide_scale.cube.ledger import Ledger
from landslide_scale.storage.lease import holder
from landslide_scale.storage.rundir import RunDirectory

NAMED_FAILURES = 5


def chips_status(run: RunDirectory) -> list[str]:
    """Chips by what became of them, with what is stored and the reasons of those that failed; of a run at work too.

    Raises:
        InvalidInputError: It holds no run.
    """
    records = list(Ledger(run).records().values())
    states, worker = Counter(record.state for record in records), holder(run)
    stored = [one for record in records if record.state == "written" for one in record.stored.values()]
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
            f"{sum(one['landslide_pixels'] for one in stored):,} of {sum(one['pixels'] for one in stored):,} labelled "
            f"pixels are landslide; {sum(one['bytes'] for one in stored) / 1e6:,.1f} MB stored"
        ),
        *(f"{record.unit}: {record.error}" for record in failed[:NAMED_FAILURES]),
        *more,
    ]
