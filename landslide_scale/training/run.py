"""A fine-tuning as a folder: what it is asked to do, what it has done so far, and its score.

``RUN/checkpoint.safetensors`` is the best epoch so far, ``RUN/run.json`` settings, counts, epochs, each with its
session, and holdout scores, ``RUN/split.json`` the names of every part, with what lies together, which images share
pixels, and hashes of all.
``RUN/train`` is Ray Train's, with the state to resume from.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from landslide_scale.cards.card import ModelCard
from landslide_scale.errors import BrokenRunError, RunConflictError
from landslide_scale.metrics import AreaRatio, ByPlace, Confusion, HeldOut, nan_as_null
from landslide_scale.model import Network, parameter_counts
from landslide_scale.model.checkpoint import save
from landslide_scale.model.core.precision import format_on
from landslide_scale.parting.recorded import SPLIT, read_parts, read_split
from landslide_scale.provenance import ImageFacts, ImageParts, Judged
from landslide_scale.redaction import redacted
from landslide_scale.storage.absence import WRITER_S, patient
from landslide_scale.storage.lease import check_lease, session_of
from landslide_scale.storage.rundir import RunDirectory
from landslide_scale.training.begun import as_recorded
from landslide_scale.training.evaluating import Calibration, Evaluation
from landslide_scale.training.fitting import Epoch, TrainState

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from landslide_scale.training.job import FinetuneJob, Prepared

CHECKPOINT = "checkpoint.safetensors"
_POLL_S = 0.5
_LAST_S = 10.0
"""For the last look at what was recorded, should the storage not answer."""


@dataclass(frozen=True, kw_only=True)
class FinetuneResult:
    """What a finished fine-tuning came to.

    Attributes:
        checkpoint: URL of the best epoch's file.
        epochs: All of them.
        best: Number of the best, from 1.
        holdout: Pixels of the holdout at that epoch's threshold.
        places: The same by place; None of a run that was finished before they were kept.
    """

    checkpoint: str
    epochs: tuple[Epoch, ...]
    best: int
    holdout: Confusion
    places: Mapping[str, Confusion] | None = None


class TrainRun:
    """The folder of one fine-tuning.

    Args:
        job: Whose folder it is.
        trained_on: What its images are, for the card.
        parts: Which they are, likewise.
        lease: File in the folder that is there for as long as its driver may write; empty where there is none.
    """

    def __init__(
        self,
        job: FinetuneJob,
        trained_on: ImageFacts | None = None,
        parts: ImageParts | None = None,
        *,
        lease: str = "",
    ) -> None:
        self.job, self.trained_on, self.parts, self._lease = job, trained_on or ImageFacts(), parts, lease
        self.folder = RunDirectory(job.output)

    def begin(self, prepared: Prepared, net: Network, *, resume: bool, session: str = "") -> None:
        """Take the folder, or find the same run in it; `session` is its driver's.

        Raises:
            RunConflictError: Another run is there, or this one and `resume` is False, or its data has changed.
        """
        self.folder.check_free()  # before anything in it is taken for ours
        names = json.loads(json.dumps(asdict(prepared.split)))
        known = read_parts(self.folder) if self.folder.exists(SPLIT) else None
        # Before the settings, among which measured statistics differ wherever images do.
        if known is not None and _all(known) != _all(names):
            raise self._changed("other images")
        self.folder.claim("finetune", as_recorded(self.job.settings, self.folder), resume=resume)
        if known is None:
            self.folder.note(trained_on=self.trained_on.known, judged=self._passed.known)
            ground = {"groups": prepared.together, "overlaps": [asdict(one) for one in prepared.looked.overlaps]}
            found = {"contents": prepared.looked.contents, "contested": asdict(prepared.looked.contested)}
            self.folder.write_json(SPLIT, names | {"ground": ground} | found)  # what is a list is a part
        elif known != names:
            raise self._changed("other labels")
        if session:
            self.folder.enter(session)
        trainable, total = parameter_counts(net)
        self.folder.note(
            parameters={"trainable": trainable, "total": total},
            images={part: len(of_part) for part, of_part in names.items()},
            compute={"workers": self.job.workers, "gpu": self.job.gpu, "cpus_per_worker": self.job.cpus_per_worker},
        )

    def _changed(self, what: str) -> RunConflictError:
        return RunConflictError(
            f"the data set has {what} than when the run began",
            expected=f"the parts in {SPLIT}",
            cure="Bring the data back, or choose another output.run.",
            run=self.folder,
        )

    def after_epoch(self, net: Network, state: TrainState) -> None:
        """Record an epoch, and keep the network where it is the best so far.

        Raises:
            BrokenRunError: Another driver has the folder, or has completed the run.
        """
        with self._ours():
            if state.improved:
                self._save(net, state)
            self.folder.note(epochs=self._signed(state.epochs), best=state.best)

    def _signed(self, epochs: Sequence[Epoch]) -> list[dict[str, Any]]:
        """Epochs as they are recorded: the last is of this driver's session, of the others stays what is known."""
        sessions = [plain.get("session") for plain in self.folder.facts().get("epochs", [])[: len(epochs) - 1]]
        sessions += [None] * (len(epochs) - 1 - len(sessions)) + [session_of(self._lease)]
        return [
            nan_as_null(asdict(epoch)) | ({"session": session} if session else {})
            for epoch, session in zip(epochs, sessions, strict=True)
        ]

    @contextmanager
    def _ours(self) -> Iterator[None]:
        """Where the lease is looked at right before each request: a worker that hung may come back to another's run.

        Whether the run is complete is looked at once: whoever completes it has the lease.
        """
        with patient(WRITER_S, guard=partial(check_lease, self.folder, self._lease)):
            if self._lease and self.folder.facts()["state"] == "complete":
                raise BrokenRunError(
                    "the run is complete already",
                    cure="Another process has finished it: --resume says with what.",
                    run=self.folder,
                )
            yield

    def complete(
        self,
        net: Network,
        state: TrainState,
        judged: Evaluation,
        *,
        area: AreaRatio | None = None,
        places: Mapping[str, Confusion] | None = None,
    ) -> None:
        """Record the score of the best epoch, at which `net` is, and how far its areas are from those of validation.

        Args:
            net: The network.
            state: Of the training.
            judged: On the holdout.
            area: On the validation.
            places: What was judged, by place.

        Raises:
            BrokenRunError: Another driver has the folder, or has completed the run.
        """
        said = None if area is None else asdict(area)
        found = scores(judged.confusion) | ({} if places is None else {"places": _by_place(places)})
        with self._ours():
            sha256 = self._save(net, state, area, self._held_out(places))
            self.folder.note(state="complete", checkpoint_sha256=sha256, holdout=found, area=said)

    def _held_out(self, places: Mapping[str, Confusion] | None) -> HeldOut | None:
        if places is None or not self._notes_their_content():
            return None
        return HeldOut.of(ByPlace.of([places]), images=len(read_parts(self.folder)["holdout"]))

    def _save(
        self, net: Network, state: TrainState, area: AreaRatio | None = None, held_out: HeldOut | None = None
    ) -> str:
        best = state.best_epoch
        # A run begun before cards had room for them goes on to the file it would have come to.
        known, said = self._notes("trained_on"), self._notes("judged")
        parted = self._notes_their_content()
        precision = format_on(self.job.train.precision, str(next(net.parameters()).device))
        card = ModelCard(
            model=self.job.model,
            inputs=self.job.inputs,
            **asdict(best.calibration),
            area=area if known else None,
            trained_on=self.trained_on if known else ImageFacts(),
            parts=self.parts if parted else None,
            held_out=held_out,
            judged=replace(self._passed, precision=precision) if said else Judged(),
            base=self.job.base(),
            provenance={
                "data": self.job.data.kind,
                "epoch": str(best.epoch),
                "validation_f1": f"{best.validation_f1:.4f}",
                "seed": str(self.job.train.seed),
            },
        )
        return save(self.folder.at(CHECKPOINT), net, card)

    @property
    def _passed(self) -> Judged:
        """How the network passes over validation images: each pixel once, in squares as it is trained on."""
        return Judged(patch=self.job.train.patch, halo=0)

    def _notes(self, key: str) -> bool:
        return key in self.folder.facts()

    def _notes_their_content(self) -> bool:
        return self.folder.exists(SPLIT) and "contents" in read_split(self.folder)

    def result(self) -> FinetuneResult | None:
        """What the run came to; None while it is not complete.

        Raises:
            RunConflictError: It is complete, and its checkpoint is gone or another file.
        """
        facts = self.folder.facts()
        if facts["state"] != "complete":
            return None
        self._check_kept(facts.get("checkpoint_sha256"))
        return FinetuneResult(
            checkpoint=self.folder.at(CHECKPOINT),
            epochs=tuple(_epoch(plain) for plain in facts["epochs"]),
            best=facts["best"],
            holdout=Confusion(**facts["holdout"]["pixels"]),
            places=_places(facts["holdout"].get("places")),
        )

    def _check_kept(self, recorded: str | None) -> None:
        """Make sure that the checkpoint is the file that the run recorded; a run that did not record it is believed."""
        try:
            found = hashlib.sha256(self.folder.read(CHECKPOINT)).hexdigest()
        except FileNotFoundError:
            found = ""
        if found != recorded and not (found and recorded is None):
            raise RunConflictError(
                f"a checkpoint of SHA-256 {found}" if found else "no checkpoint",
                expected=f"SHA-256 {recorded}, which the run recorded when it was complete",
                cure="Bring that file back, or train again in another output.run.",
                file=redacted(self.folder.at(CHECKPOINT)),
            )

    @contextmanager
    def followed(self, progress: Callable[[str], None]) -> Iterator[None]:
        """Say each epoch that the run records meanwhile, from a thread of its own.

        The run's own record is read, because what workers print stays on their machines; epochs redone after a
        restart are not said twice.
        """
        ended = threading.Event()
        thread = threading.Thread(target=self._follow, args=(progress, ended, len(self._epochs())), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(_LAST_S)

    def _follow(self, progress: Callable[[str], None], ended: threading.Event, said: int) -> None:
        last = False
        while not last:
            last = ended.wait(_POLL_S)
            epochs = self._epochs()
            for plain in epochs[said:]:
                progress(_epoch(plain).line)
            said = max(said, len(epochs))

    def _epochs(self) -> list[dict[str, Any]]:
        try:
            epochs: list[dict[str, Any]] = self.folder.facts().get("epochs", [])
        except (OSError, BrokenRunError, RunConflictError):
            return []  # storage that is away, or a file that is gone or cut, for a moment: it is asked again
        return epochs


def _all(names: Mapping[str, list[str]]) -> list[str]:
    """The images of every part of a split; which part holds which follows from the settings."""
    return sorted(name for part in names.values() for name in part)


def scores(confusion: Confusion) -> dict[str, Any]:
    """Counts and both kinds of scores, as JSON; an undefined score is null."""
    plain: dict[str, Any] = nan_as_null(
        {"pixels": asdict(confusion), "landslide": asdict(confusion.landslide), "macro": asdict(confusion.macro)}
    )
    return plain


def _by_place(places: Mapping[str, Confusion]) -> dict[str, list[int]]:
    """Pixels of each place, as JSON: tp, fp, fn, tn."""
    return {place: [found.tp, found.fp, found.fn, found.tn] for place, found in places.items()}


def _places(plain: Mapping[str, list[int]] | None) -> dict[str, Confusion] | None:
    if plain is None:
        return None
    return {place: Confusion(tp=tp, fp=fp, fn=fn, tn=tn) for place, (tp, fp, fn, tn) in plain.items()}


def _epoch(plain: Mapping[str, Any]) -> Epoch:
    numbers: dict[str, Any] = {
        key: math.nan if value is None else value
        for key, value in plain.items()
        if key not in {"calibration", "session"}
    }
    return Epoch(**numbers, calibration=Calibration(**plain["calibration"]))
