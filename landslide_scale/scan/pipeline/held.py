"""The actor that holds what is in flight, for as long as a run lasts: a process that imports next to nothing."""

from __future__ import annotations

import ray
from ray._raylet import GcsClientOptions, GlobalStateAccessor  # type: ignore[attr-defined]
from ray.core.generated.common_pb2 import WorkerExitType  # type: ignore[attr-defined]
from ray.core.generated.gcs_pb2 import WorkerTableData  # type: ignore[attr-defined]

from landslide_scale.scan.pipeline.inflight import Ending, InFlight, Process

ENDINGS = {
    "SYSTEM_ERROR": "killed by a signal, by a fault in a library or because memory ran out",
    "NODE_OUT_OF_MEMORY": "ended by Ray, because its node ran out of memory",
    "USER_ERROR": "ended by an error",
    "INTENDED_USER_EXIT": "ended by itself",
}
"""What Ray calls a process's end at its work, and what it is. The one that is left out is Ray's ending it in order."""


class Endings:
    """How processes of a cluster ended, as its head keeps it. Ray shows this nowhere but where it keeps it itself."""

    def __init__(self) -> None:
        address = ray.get_runtime_context().gcs_address
        options = GcsClientOptions.create(
            address, None, allow_cluster_id_nil=True, fetch_cluster_id_if_nil=False
        )  # as Ray's own state API does
        self._state = GlobalStateAccessor(options)
        self._state.connect()

    def __call__(self, process: Process) -> Ending | None:
        """None while the process has not ended, as far as the head knows."""
        if process.node not in {node["NodeID"] for node in ray.nodes() if node["Alive"]}:  # type: ignore[no-untyped-call]
            return Ending(how="lost with its node", crashed=False)
        kept = self._state.get_worker_info(ray.WorkerID(bytes.fromhex(process.worker)))
        worker = WorkerTableData.FromString(kept) if kept is not None else None
        if worker is None or worker.is_alive:
            return None
        name = WorkerExitType.Name(worker.exit_type)
        going = process.node in self._state.get_draining_nodes() or "SIGTERM" in worker.exit_detail
        return Ending(how=ENDINGS.get(name, name), crashed=name in ENDINGS and not going)


class Held(InFlight):
    """What is in flight, with what the cluster knows of processes that have ended."""

    def __init__(self) -> None:
        super().__init__(Endings())
