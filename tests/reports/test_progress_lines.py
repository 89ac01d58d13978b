"""What is said of a scan that goes on."""

from __future__ import annotations

import io

from landslide_scale.reports.progress import ScanProgress
from landslide_scale.scan.rounds import Progress


def test_the_line_of_progress_has_tries_and_waits_where_there_are_any():
    said = io.StringIO()
    show = ScanProgress(said)
    show(Progress(done=3, total=3, km2=6, seconds=60, before=0))
    show(Progress(done=3, total=3, km2=6, seconds=60, before=0, again=2, waited=1200.4))
    assert said.getvalue().splitlines() == [
        "3/3 units, 6 km2, 3.0 units/min, 0:00:00 left",
        "3/3 units, 6 km2, 3.0 units/min, 0:00:00 left; tries made again: 2; 1,200 s waited for servers",
    ]
