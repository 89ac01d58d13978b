"""Products made by tasks of a Ray cluster, one for each, wherever there is room. Wiring, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import RayError

from landslide_scale.errors import BrokenRunError
from landslide_scale.exporting.engine import Each, Ended, Work
from landslide_scale.exporting.product import Product
from landslide_scale.products.manifest import Made
from landslide_scale.runtime.nodes import beside_the_driver, check_on_every_node
from landslide_scale.runtime.progress import gone_over, listening
from landslide_scale.runtime.session import last_line, of_ours, session
from landslide_scale.storage.absence import WRITER_S, patient

CPUS = 1
"""Of a task: what makes a product does one thing at a time."""

ASKED_S = 5.0
"""How often tasks are asked how far they are."""


@contextmanager
def on_ray(address: str | None, place: str) -> Iterator[Each]:
    """What has products made on a cluster, and is connected to it for as long as the block takes.

    Args:
        address: Of the cluster; None for the job's.
        place: Where the products go, as it was given; every node must see it.

    Raises:
        InvalidConfigError: A node does not see it.
        ClusterAwayError: The cluster cannot be joined now.
    """
    with session(address):
        check_on_every_node(place, key="--to")
        yield _by_tasks


def _by_tasks(work: Work, products: Sequence[Product]) -> Ended:
    """Products in the order they end; a task whose node is lost is begun again.

    Raises:
        BrokenRunError: A task failed in a way that is not its product's own.
    """
    if not products:
        return
    task = ray.remote(num_cpus=CPUS)(_patiently)
    # A task that is lost and begun again tells of its pixels again: this is for a person to see, and for nothing else.
    kept = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "scheduling_strategy": beside_the_driver()}
    told: Any = ray.remote(_Told).options(**kept).remote()
    waiting = {task.remote(work, product, told): product for product in products}
    asked = told.taken.remote()
    try:
        while waiting:
            ended, _ = ray.wait(list(waiting), num_returns=1, timeout=ASKED_S)
            if ray.wait([asked], timeout=0)[0]:  # nothing waits for it
                gone_over(ray.get(asked))
                asked = told.taken.remote()
            for one in ended:
                made = ray.get(one)
                yield waiting.pop(one), made
    except RayError as error:
        raise of_ours(error) or BrokenRunError(last_line(error)) from error
    finally:
        _stop(list(waiting))


class _Told:
    """An actor: pixels that tasks went over and that nobody has asked for yet."""

    def __init__(self) -> None:
        self._pixels = 0

    def over(self, pixels: int) -> None:
        """Add some."""
        self._pixels += pixels

    def taken(self) -> int:
        """All of them; from then on there are none."""
        found, self._pixels = self._pixels, 0
        return found


def _patiently(work: Work, product: Product, told: Any) -> Made:  # noqa: ANN401 an actor's handle
    with patient(WRITER_S), listening(told.over.remote):
        return work(product)


def _stop(tasks: Sequence[ray.ObjectRef[Made]]) -> None:
    """End tasks that nobody waits for any more, before another may have the folder."""
    for task in tasks:
        ray.cancel(task, force=True)
    if tasks:
        ray.wait(list(tasks), num_returns=len(tasks), timeout=WRITER_S)
