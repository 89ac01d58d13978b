"""Draws what `driver.py` measured at several numbers of units: memory, and time of plan, scan and resume."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from driver import MEASURED

mpl.use("Agg")
from matplotlib import pyplot as plt

STEPS = {"plan": "plan", "scan": "scan", "resume": "resume, all gone through"}
LIMIT_KB, LIMIT_MS = 1.0, 1.0
"""A unit: of the driver's memory, and of its time from end to end."""


def read(folders: list[Path]) -> dict[str, list[dict[str, Any]]]:
    """By step, what was measured, by number of units; of several measurements of one number the last."""
    found: dict[str, dict[float, dict[str, Any]]] = {step: {} for step in STEPS}
    for folder in folders:
        for line in (folder / MEASURED).read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            if one["step"] in found:
                found[one["step"]][one["units"]] = one
    return {step: [of_step[units] for units in sorted(of_step)] for step, of_step in found.items()}


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="what `driver.py --folder` left")
    parser.add_argument("--figure", type=Path, required=True, help="PNG to be written")
    asked = parser.parse_args()
    figure, (memory, time) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for step, rows in read(asked.folders).items():
        units = [row["units"] for row in rows]
        memory.loglog(units, [row["most"] / 2**20 for row in rows], "o-", label=STEPS[step])
        time.loglog(units, [1e3 * row["seconds"] / row["units"] for row in rows], "o-", label=STEPS[step])
    ends = memory.get_xlim()
    memory.loglog(ends, [LIMIT_KB * 1e3 * end / 2**20 for end in ends], "k:", label="1 kB a unit")
    time.axhline(LIMIT_MS, color="k", linestyle=":", label="1 ms a unit")
    memory.set(xlabel="units", ylabel="MiB at most, beyond imports", title="memory of the driver")
    time.set(xlabel="units", ylabel="ms of CPU a unit", title="time of the driver")
    memory.legend()
    figure.savefig(asked.figure, dpi=110)


if __name__ == "__main__":
    main()
