"""How an import ended, in lines: nothing that was left out goes unsaid."""

from __future__ import annotations

from collections import Counter

from landslide_scale.importing.leaks import Leaks
from landslide_scale.importing.run import REPORT, ImportSummary

_NAMED = 3


def lines(summary: ImportSummary) -> list[str]:
    """What was taken, what was not and why, by reason, and what a split of it must heed."""
    taken, by_reason = summary.taken, Counter[tuple[str, str]]()
    first: dict[tuple[str, str], list[str]] = {}
    for name, facts in summary.patches.items():
        if facts["outcome"] != "taken":
            key = (facts["outcome"], facts["reason"])
            by_reason[key] += 1
            first.setdefault(key, []).append(name)
    pixels, landslide = (sum(facts[key] for facts in taken.values()) for key in ("pixels", "landslide_pixels"))
    return [
        *(f"{key[0]}: {count}, {key[1]} ({_few(first[key])})" for key, count in sorted(by_reason.items())),
        *([f"passed over: {len(summary.others)} other files ({_few(summary.others)})"] if summary.others else []),
        *_doubts(summary),
        *([] if summary.leaks is None else [_leak_line(summary.leaks)]),
        _inventory_line(summary),
        f"{len(taken)} of {len(summary.patches)} patches are chips in {summary.directory}; {REPORT} tells of each",
        f"{landslide:,} of {pixels:,} observed pixels are landslide",
    ]


def _doubts(summary: ImportSummary) -> list[str]:
    taken = summary.taken.values()
    estimated = sum(facts["estimated"] for facts in taken)
    unclear = sum(facts["offset"]["witness"] == "unclear" for facts in taken)
    said = [
        (estimated, "the day of the event is an estimate from images (date_confidence below 1)"),
        (unclear, "pixels do not say whether the offset was taken off; the publishers do"),
    ]
    return [f"of {count} chips {what}" for count, what in said if count]


def _leak_line(found: Leaks) -> str:
    named = f" ({_few(found.near)})" if found.near else ""
    absent = f"; {found.absent} patches of the split are not here" if found.absent else ""
    return (
        f"the published split leaks: {len(found.near)} of {found.scored} test patches lie within 1.9 km of one that is "
        f"learnt from{named}{absent}"
    )


def _inventory_line(summary: ImportSummary) -> str:
    counts = Counter(facts["inventory"] for facts in summary.taken.values())
    of_each = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return (
        f"inventories: {of_each}; {summary.crowded} chips have another within 1.9 km, so that only "
        "dataset.split: inventory holds ground out"
    )


def _few(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join([*names[:_NAMED], *(["..."] if len(names) > _NAMED else [])])
