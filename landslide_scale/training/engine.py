"""Fine-tuning on Ray Train: the wiring and nothing but the wiring."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import ray.train
import torch
from ray.train.torch import TorchConfig, TorchTrainer, get_device
from ray.util.placement_group import placement_group, remove_placement_group

from landslide_scale.errors import BrokenRunError, LandslideScaleError
from landslide_scale.model import counts_line
from landslide_scale.redaction import redacted
from landslide_scale.runtime.capacity import counted
from landslide_scale.runtime.heartbeat import EVERY_S
from landslide_scale.runtime.session import check_machine
from landslide_scale.storage.absence import PATIENCE_S, patient
from landslide_scale.storage.lease import held
from landslide_scale.storage.rundir import RUN, RunDirectory
from landslide_scale.training.begun import as_begun
from landslide_scale.training.fitting import TrainState, fit, score
from landslide_scale.training.job import FinetuneJob, Prepared
from landslide_scale.training.places import PlaceCounts, area_ratio
from landslide_scale.training.run import FinetuneResult, TrainRun
from landslide_scale.training.statefiles import STATE, STATES, fallback, load_state, state_storage

if TYPE_CHECKING:
    from collections.abc import Callable

    from landslide_scale.model import Network
    from landslide_scale.storage.lease import Lease

AT_ONCE_S = 5.0
"""Within which a cluster that has room gives it; it is no waiting yet."""

_START_ATTEMPTS = 30
"""Waits of a minute for the workers' machines, which an autoscaler may have to start; Ray's own default is forever."""

_SPIN = {"GOMP_SPINCOUNT": "300000"}
"""How long a worker's OpenMP threads spin before they sleep: OpenMP's own default, which a session turns off for the
processes that share cores. A training worker has its cores to itself and hands out a thousand small loops per step;
without spinning, an epoch of the demo took 16.5 s instead of 10.4 s."""


def finetune(job: FinetuneJob, *, resume: bool = False, progress: Callable[[str], None] = print) -> FinetuneResult:
    """Fine-tune on the Ray cluster this process is connected to.

    A worker that dies is replaced and all go on from the last epoch, `job.max_failures` times at most. `resume` goes
    on with a run that stopped, to the result it would have had; a complete one just gives its result.

    Args:
        job: What to do.
        resume: Go on with the run in `job.output`, if there is one.
        progress: Given a line with the counts of parameters, and one per epoch from a thread of its own.

    Raises:
        InvalidInputError: Data, weights or settings cannot be used (nothing was written), or the output holds
            another run.
        BrokenRunError: The workers failed too often.
    """
    check_machine(*job.needs)
    folder = RunDirectory(job.output)
    if not folder.exists(RUN):
        ready = _ready(job)
        with held(folder) as lease:
            if not folder.exists(RUN):
                return _finish(*ready, lease, resume=resume, progress=progress)
    # What another driver may change is read once it cannot any more.
    with held(folder) as lease:
        with patient(PATIENCE_S, guard=lease.check):
            ready = _ready(job)
        return _finish(*ready, lease, resume=resume, progress=progress)


def _ready(job: FinetuneJob) -> tuple[FinetuneJob, Prepared, Network]:
    """What can be found wrong with a job before anything is written."""
    job = as_begun(job)
    prepared = Prepared.of(job)
    job = prepared.settled(job)
    return job, prepared, job.build()


def _finish(
    job: FinetuneJob, prepared: Prepared, net: Network, lease: Lease, *, resume: bool, progress: Callable[[str], None]
) -> FinetuneResult:
    run = TrainRun(job, prepared.trained_on, prepared.image_parts)
    run.begin(prepared, net, resume=resume, session=lease.token)
    if (done := run.result()) is not None:
        return done
    progress(counts_line(net))
    _wait_for_workers(job, progress)
    with run.followed(progress):
        _fit_on_workers(job, prepared, lease.name)
    lease.check()
    if (done := run.result()) is None:
        raise BrokenRunError("the workers ended without a result", cure="Go on by --resume.", run=run.folder)
    return done


class _Trainer(TorchTrainer):
    """A trainer that Ctrl-C interrupts like anything else; Ray's would end this process at once, without a word."""

    def _register_sigint_handler(self, controller: object) -> None:
        pass


def _fit_on_workers(job: FinetuneJob, prepared: Prepared, lease: str) -> None:
    state = fallback(RunDirectory(job.output))
    trainer = _Trainer(
        _worker,
        train_loop_config={"job": job, "prepared": prepared, "lease": lease, "state": state},
        scaling_config=ray.train.ScalingConfig(
            num_workers=job.workers, use_gpu=job.gpu, resources_per_worker=_resources(job)
        ),
        run_config=ray.train.RunConfig(
            name=STATES,
            **state_storage(job.output),
            failure_config=_failures(job),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=1),
            worker_runtime_env={"env_vars": _SPIN},  # type: ignore[call-arg]
        ),
        torch_config=TorchConfig(backend="nccl" if job.gpu else "gloo", timeout_s=job.collective_timeout_s),
    )
    try:
        trainer.fit()
    except ray.train.TrainingFailedError as error:
        raise _cause(error, job) from error


def _failures(job: FinetuneJob) -> ray.train.FailureConfig:
    # To a type checker Ray shows the class of Train v1.
    return ray.train.FailureConfig(
        max_failures=job.max_failures,
        controller_failure_limit=_START_ATTEMPTS,  # type: ignore[call-arg]
    )


def _resources(job: FinetuneJob) -> dict[str, float]:
    return {"CPU": float(job.cpus_per_worker)} | ({"GPU": 1.0} if job.gpu else {})


def _wait_for_workers(job: FinetuneJob, progress: Callable[[str], None]) -> None:
    """Wait until all workers have a place at once, and say for what as long as it takes.

    A place is asked for, so that a cluster that can grow does; it is given back for Ray Train to take.

    Raises:
        BrokenRunError: There was none within ``job.wait_s``.
    """
    begun = time.monotonic()
    places = placement_group([_resources(job)] * job.workers)
    try:
        if places.wait(AT_ONCE_S):
            return
        while (left := job.wait_s - (time.monotonic() - begun)) > 0:
            progress(_waiting(job))
            if places.wait(min(EVERY_S, left)):
                return
    finally:
        remove_placement_group(places)
    raise BrokenRunError(
        f"{_waiting(job)}; {job.wait_s:g} s have gone by",
        expected="a place for every worker",
        cure="Let the cluster grow, ask for less (compute.workers, cpus_per_worker, gpu) or wait for longer "
        "(compute.wait_s), and go on by --resume.",
        run=redacted(job.output),
    )


def _waiting(job: FinetuneJob) -> str:
    """What is waited for, and what of it the cluster has in all and free now."""
    have: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    kinds = _resources(job)
    wanted = " and ".join(f"{each * job.workers:g} {kind}" for kind, each in kinds.items())
    there = " and ".join(f"{have.get(kind, 0):g} {kind} ({free.get(kind, 0):g} free)" for kind in kinds)
    return f"waiting for {wanted} for {counted(job.workers, 'worker')}; the cluster has {there}"


def _cause(error: ray.train.TrainingFailedError, job: FinetuneJob) -> LandslideScaleError:
    """Our own error out of a worker where there is one; anything else is a broken run."""
    failures: dict[int, Exception] = getattr(error, "worker_failures", {})
    for failure in failures.values():
        inner = getattr(failure, "_base_exc", failure)
        if isinstance(inner, LandslideScaleError):
            return inner
    # A worker that died comes first: what the others met, a broken connection, only follows from it.
    ranks = sorted(failures, key=lambda rank: (not _died(failures[rank]), rank))
    said = [f"worker {rank} {_ending(failures[rank])}" for rank in ranks] or [str(error)]
    return BrokenRunError(
        f"training stopped after {job.max_failures} restarts of its workers: {'; '.join(said)}",
        cure="Go on by --resume.",
        run=redacted(job.output),
    )


def _died(failure: Exception) -> bool:
    return hasattr(failure, "health_check_failure")


def _ending(failure: Exception) -> str:
    """How a worker ended, on one line: the last of its traceback, or that its process died."""
    if _died(failure):
        return "died (killed, out of memory, or its machine was lost)"
    return str(failure).strip().rpartition("\n")[2]


def _worker(config: dict[str, Any]) -> None:
    """One DDP process, from the last reported epoch to the score."""
    job: FinetuneJob = config["job"]
    torch.set_num_threads(job.cpus_per_worker)
    prepared: Prepared = config["prepared"]
    run = TrainRun(job, prepared.trained_on, prepared.image_parts, lease=config["lease"])
    parts, first = prepared.parts(job), _is_first()
    net = job.build().to(get_device())

    def after_epoch(state: TrainState) -> None:
        if first:
            run.after_epoch(net, state)
        _report(state, first=first)

    state = fit(
        net,
        parts,
        job.train,
        state=_reported(run.folder, config["state"]),
        after_epoch=after_epoch,
        threads=job.cpus_per_worker,
    )
    counts = PlaceCounts(prepared.held_out(job, prepared.dataset), state.best_epoch.calibration, get_device())
    judged = score(net, state, parts, job.train, threads=job.cpus_per_worker, seen=counts)
    places = counts.by_place(prepared.groups)
    area = area_ratio(net, state.best_epoch.calibration, prepared, job, threads=job.cpus_per_worker)
    if first:
        run.complete(net, state, judged, area=area, places=places)


def _is_first() -> bool:
    return bool(ray.train.get_context().get_world_rank() == 0)


def _report(state: TrainState, *, first: bool) -> None:
    """Every rank reports every epoch, a barrier; the first hands in the state of all."""
    metrics = {"epoch": state.epochs[-1].epoch, "loss": state.epochs[-1].loss}
    if not first:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state.to_plain(), Path(folder, STATE))
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _reported(folder: RunDirectory, instead: str) -> TrainState | None:
    """The state after the last epoch that all ranks reported, in this run or before it was stopped.

    Args:
        folder: Of the run.
        instead: Name of the state that is taken where Ray Train knows none; may be empty.
    """
    kept = ray.train.get_checkpoint()
    if kept is None:
        return TrainState.from_plain(load_state(folder, instead)) if instead else None
    with kept.as_directory() as place:
        return TrainState.from_plain(torch.load(Path(place, STATE), map_location="cpu", weights_only=True))
