"""What a person types and sees of rapid mapping."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from landslide_scale.errors import InvalidConfigError
from landslide_scale.rapid.known import TROUBLE, Followed, every, folder_of
from landslide_scale.rapid.mapping import Workers
from landslide_scale.rapid.publication import verdicts
from landslide_scale.rapid.settings import RapidConfig
from landslide_scale.rapid.telling import event_lines, status_lines
from landslide_scale.rapid.watching import Attended, now_utc, once, one_event, replay, watch
from landslide_scale.runtime.console import say
from landslide_scale.scene import utc
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RunDirectory

UNATTENDED = 1
"""Exit code where the feed could not be read, or the one event that was asked for could not be attended to: the same
command may later. What an event among others is at does not end a scheduled cycle in failure: the next one goes on."""


@dataclass(frozen=True, kw_only=True)
class RapidAsked:
    """Which face of rapid mapping is asked for: exactly one of the first five, or verdicts on an event.

    Attributes:
        once, watch, status: Whether.
        event: Id of one event; whose cycle it is, or, with one of `verdicts` and `confirm`, whose verdicts.
        replay: Id of an old one.
        until, latency_h: Of the replay.
        verdicts: A copy of a version's landslides, filled in.
        confirm: Number of a version that an analyst stands for.
        by: Who.
    """

    once: bool = False
    watch: bool = False
    status: bool = False
    event: str = ""
    replay: str = ""
    until: str = ""
    latency_h: float = 0.0
    verdicts: str = ""
    confirm: int | None = None
    by: str = ""

    def __post_init__(self) -> None:
        """Refuse what does not go together.

        Raises:
            InvalidConfigError: Naming the options.
        """
        faces = [
            name
            for name, asked in (
                ("--once", self.once),
                ("--watch", self.watch),
                ("--status", self.status),
                ("--event", self.event),
                ("--replay", self.replay),
            )
            if asked
        ]
        if len(faces) != 1:
            raise InvalidConfigError(
                " and ".join(faces) or "nothing",
                expected="one of --once, --watch, --status, --event ID, --replay ID --until T",
                key="rapid",
            )
        if bool(self.replay) != bool(self.until):
            raise InvalidConfigError("one of --replay and --until", expected="both or neither", key="rapid")
        if (self.verdicts or self.confirm is not None) and not self.event:
            raise InvalidConfigError("verdicts of no event", expected="--event ID", key="rapid")
        if bool(self.by) != (self.confirm is not None):
            raise InvalidConfigError("one of --confirm and --by", expected="both or neither", key="rapid")


def run(config: RapidConfig, asked: RapidAsked, workers: Workers) -> int:
    """Do what is asked; returns the exit code."""
    if asked.status:
        return tell_status(config)
    if asked.verdicts:
        return bring_verdicts(config, asked.event, asked.verdicts)
    if asked.confirm is not None:
        return confirm_version(config, asked.event, asked.confirm, asked.by)
    if asked.replay:
        return run_replay(config, workers, asked.replay, asked.until, asked.latency_h)
    if asked.event:
        return run_event(config, workers, asked.event)
    return run_watch(config, workers) if asked.watch else run_once(config, workers)


def tell_status(config: RapidConfig) -> int:
    """Say what is known of every event."""
    for line in status_lines(RunDirectory(config.output.run)):
        say(line)
    return 0


def run_once(config: RapidConfig, workers: Workers) -> int:
    """One cycle."""
    found = once(config, workers)
    _tell(config, found)
    return UNATTENDED if found.feed else 0


def run_watch(config: RapidConfig, workers: Workers) -> int:
    """Cycles until it is stopped."""
    watch(config, workers, report=partial(_tell, config))
    return 0


def run_event(config: RapidConfig, workers: Workers, name: str) -> int:
    """One cycle of one event."""
    found = one_event(config, workers, name)
    _tell(config, found)
    return UNATTENDED if any(known.state in TROUBLE for known in found.events) else 0


def run_replay(config: RapidConfig, workers: Workers, name: str, until: str, latency_h: float) -> int:
    """An old event as it would have unfolded."""
    try:
        instant = utc(until)
    except ValueError:
        raise InvalidConfigError(until, expected="an instant in UTC, as 2018-10-01T00:00:00Z", key="--until") from None
    last: Followed | None = None
    for at, known in replay(config, workers, name, instant, latency=timedelta(hours=latency_h)):
        say(f"{at:%Y-%m-%d %H:%M} UTC: {_short(config, known)}")
        last = known
    if last is not None:
        for line in event_lines(_folder(config, last.event.id), last):
            say(line)
    return UNATTENDED if last is not None and last.state in TROUBLE else 0


def bring_verdicts(config: RapidConfig, name: str, file: str) -> int:
    """Keep what an analyst has filled in; the next cycle applies it."""
    folder = _folder(config, name)
    with held(RunDirectory(folder.at(verdicts.VERDICTS))):  # not the run's: a watch may be at work there
        brought = verdicts.bring_in(folder, file, now_utc())
    said = f"{len(brought.judgements)} verdicts kept" if brought.judgements else "nothing new in it"
    left = f"; {brought.left_out} landslides of the version are not in the file" if brought.left_out else ""
    say(f"{said}{left}; the next cycle publishes them")
    return 0


def confirm_version(config: RapidConfig, name: str, number: int, by: str) -> int:
    """Keep that an analyst stands for a version; the next cycle says so."""
    folder = _folder(config, name)
    with held(RunDirectory(folder.at(verdicts.VERDICTS))):
        verdicts.confirm(folder, number, by, now_utc())
    say(f"version {number} of {name} is confirmed by {by}; the next cycle publishes that")
    return 0


def _folder(config: RapidConfig, name: str) -> RunDirectory:
    root = RunDirectory(config.output.run)
    for folder, known in every(root):
        if name in known.event.ids and known.state != "merged":
            return folder_of(root, folder.url.rsplit("/", 1)[-1])
    raise InvalidConfigError(f"no event {name} is followed", expected="one that --status lists", key="--event")


def _tell(config: RapidConfig, found: Attended) -> None:
    stamp = now_utc()
    if found.feed:
        say(f"{stamp:%Y-%m-%d %H:%M:%S} UTC: the feed could not be read: {found.feed}")
    for known in found.events:
        if not known.over or known.state == "ended":
            say(f"{stamp:%Y-%m-%d %H:%M:%S} UTC: {_short(config, known)}")
    if not found.events:
        say(f"{stamp:%Y-%m-%d %H:%M:%S} UTC: no event is followed ({found.declined} of the feed declined)")


def _short(config: RapidConfig, known: Followed) -> str:
    """An event in one line."""
    lines = [line.strip() for line in event_lines(_folder_by(config, known), known)]
    version = next(line for line in lines if line.startswith(("version", "no version")))
    return f"{known.event.id}: {known.state}{f' ({known.why})' if known.why else ''}; {version}"


def _folder_by(config: RapidConfig, known: Followed) -> RunDirectory:
    root = RunDirectory(config.output.run)
    names = [folder for folder, one in every(root) if one.event.is_same(known.event)]
    return names[0] if names else folder_of(root, known.event.id)
