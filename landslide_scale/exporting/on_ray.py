"""Products made by tasks of a Ray cluster, one for each, wherever there is room. Wiring, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import ray
from ray.exceptions import RayError

from landslide_scale.errors import BrokenRunError
from landslide_scale.exporting.engine import Each, Ended, Work
from landslide_scale.exporting.product import Product
from landslide_scale.products.manifest import Made
from landslide_scale.runtime.nodes import check_on_every_node
from landslide_scale.runtime.session import last_line, of_ours, session
from landslide_scale.storage.absence import WRITER_S, patient

CPUS = 1
"""Of a task: what makes a product does one thing at a time."""


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
    task = ray.remote(num_cpus=CPUS)(_patiently)
    waiting = {task.remote(work, product): product for product in products}
    try:
        while waiting:
            ended = ray.wait(list(waiting), num_returns=1)[0][0]
            made = ray.get(ended)
            yield waiting.pop(ended), made
    except RayError as error:
        raise of_ours(error) or BrokenRunError(last_line(error)) from error
    finally:
        _stop(list(waiting))


def _patiently(work: Work, product: Product) -> Made:
    with patient(WRITER_S):
        return work(product)


def _stop(tasks: Sequence[ray.ObjectRef[Made]]) -> None:
    """End tasks that nobody waits for any more, before another may have the folder."""
    for task in tasks:
        ray.cancel(task, force=True)
    if tasks:
        ray.wait(list(tasks), num_returns=len(tasks), timeout=WRITER_S)
