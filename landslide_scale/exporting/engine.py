"""Products one after the other: what is there as it would be made is kept, and all else is made anew."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from landslide_scale.errors import BrokenRunError, InvalidConfigError, RunConflictError
from landslide_scale.exporting.bench import bench
from landslide_scale.exporting.product import Product
from landslide_scale.exporting.shelf import Shelf
from landslide_scale.products.manifest import Files, Made, Source, Stored
from landslide_scale.runtime.progress import listening
from landslide_scale.storage.absence import guarded
from landslide_scale.storage.files import file_sha256, put_whole, storing
from landslide_scale.storage.lease import Lease, check_lease, held
from landslide_scale.storage.rundir import RunDirectory

Work = Callable[[Product], Made]
"""Makes a product and puts its files in their place."""

Ended = Generator[tuple[Product, Made], None, None]
Each = Callable[[Work, Sequence[Product]], Ended]
"""Has products made that do not read each other; gives each when it has ended. Once it is closed, none is at work."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an export is.

    Attributes:
        done, total: Products.
        current: The one that is being made; empty when all are.
        share: Of the pixels that are read for what is to be made, those that were gone over, 0 to 1.
        left_s: Seconds to go, by what these took; None before there are some.
    """

    done: int
    total: int
    current: str
    share: float
    left_s: float | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of products, by name.

    Attributes:
        made: Made by this export.
        kept: There as they would have been made.
        removed: Made by an earlier plan or version, and no longer to be made.
        left_out: Why there is none of this scan.
        lacking: What could not be put into one that is there.
        files: All that are there now, with size and hash.
    """

    made: tuple[str, ...]
    kept: tuple[str, ...]
    removed: tuple[str, ...]
    left_out: Mapping[str, str]
    lacking: Mapping[str, str]
    files: Files


def in_order(work: Work, products: Sequence[Product]) -> Ended:
    """One product after the other, in this process."""
    for product in products:
        yield product, work(product)


def carry_out(
    plan: Sequence[Product],
    source: Source,
    target: RunDirectory,
    *,
    kinds: Sequence[str],
    progress: Callable[[Progress], None],
    each: Each = in_order,
) -> Outcome:
    """Have products as they would be made now.

    Args:
        plan: All that can be made of the run, each after those that it reads.
        source: What they are made of.
        target: Where they go.
        kinds: Those of these kinds are made.
        progress: Called before and after each product, and while some are made.
        each: What has products made.

    Raises:
        InvalidConfigError: A product reads one of a kind that is not to be made, and that is not there; nothing was
            written.
        InvalidInputError: What is there of a product must not be replaced; no product was made.
        RunConflictError: Another export is at work there, or the folder holds something else.
        BrokenRunError: It cannot go on; another call does, with what is finished.
    """
    wanted = [product for product in plan if product.kind in kinds]
    _check_needs(wanted, plan, Shelf(target, source))
    with _told_of_exports(), _ours(target) as lease, bench(target) as folder:
        target.remove_partial_files()  # of manifests and leases that a killed export was writing
        shelf, work = Shelf(target, source), partial(_made, target=target, folder=folder, lease=lease.name)
        for product in _replaced(wanted, shelf):
            product.may_replace()
        removed = _removed(shelf, wanted, kinds)
        pace, new = _Pace(wanted, progress), list[str]()
        for level in levels(wanted):
            due = [product for product in level if not shelf.holds(product)]
            pace.skip([product for product in level if product not in due])
            shelf.void(due)
            left = [product.name for product in due]
            pace.begin(left)
            with listening(pace.over), closing(each(work, due)) as ended:
                for product, made in ended:
                    lease.check()
                    shelf.record(product, made)
                    left.remove(product.name)
                    new.append(product.name)
                    pace.end(product, left)
    return Outcome(
        made=tuple(new),
        kept=tuple(product.name for product in wanted if product.name not in new),
        removed=removed,
        left_out={name: one.left_out for name, one in shelf.manifest.entries.items() if one.left_out},
        lacking={name: one.lacking for name, one in shelf.manifest.entries.items() if one.lacking},
        files=shelf.manifest.files,
    )


def levels(products: Sequence[Product]) -> list[list[Product]]:
    """Products by how many others must come before them, one after the other: those of one list read none of it.

    Args:
        products: Each after those that it reads.
    """
    depth: dict[str, int] = {}
    found: list[list[Product]] = []
    for product in products:
        before = [depth[name] for name in (*product.needs, *product.takes) if name in depth]
        depth[product.name] = 1 + max(before, default=-1)
        if depth[product.name] == len(found):
            found.append([])
        found[depth[product.name]].append(product)
    return found


def _check_needs(wanted: Sequence[Product], plan: Sequence[Product], shelf: Shelf) -> None:
    known, chosen = {product.name: product for product in plan}, {product.name for product in wanted}
    for product in wanted:
        for need in product.needs:
            if need not in chosen and not shelf.holds(known[need]):
                raise InvalidConfigError(
                    f"{product.kind}, which is made from {need}, and that is not there as it would be made now",
                    expected=f"{known[need].kind},{product.kind}",
                    key="--only",
                )


def _replaced(wanted: Sequence[Product], shelf: Shelf) -> list[Product]:
    """Those that are not there as they would be made, and those that read one of these."""
    found: dict[str, Product] = {}
    for product in wanted:
        if not shelf.holds(product) or any(name in found for name in (*product.needs, *product.takes)):
            found[product.name] = product
    return list(found.values())


def _removed(shelf: Shelf, wanted: Sequence[Product], kinds: Sequence[str]) -> tuple[str, ...]:
    """Take away what was made of these kinds and is no longer to be."""
    known = {name for name, entry in shelf.manifest.entries.items() if entry.kind in kinds}
    gone = tuple(sorted(known - {product.name for product in wanted}))
    for name in gone:
        shelf.remove(name)
    return gone


def _made(product: Product, *, target: RunDirectory, folder: Path, lease: str) -> Made:
    """Make a product and put its files in their place, each as long as the export has the folder, by its `lease`."""
    with storing(str(folder)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # on another machine than the one that began
        own = Path(mkdtemp(dir=folder))
        said = product.make(own)
        paths = {str(path.relative_to(own)): path for path in sorted(own.rglob("*")) if path.is_file()}
        files = {name: Stored(bytes=path.stat().st_size, sha256=file_sha256(path)) for name, path in paths.items()}
    assert files or said, f"{product.name}: no file"  # noqa: S101 our own invariant
    with guarded(partial(check_lease, target, lease)):  # a task that hung may come back to another export's folder
        for name, path in paths.items():
            put_whole(target.at(name), path)
    shutil.rmtree(own, ignore_errors=True)
    return Made(files=files, lacking=said) if files else Made(files=files, left_out=said)


@contextmanager
def _ours(target: RunDirectory) -> Iterator[Lease]:
    """The folder of the products for ourselves."""
    with ExitStack() as stack:
        try:
            lease = stack.enter_context(held(target))
        except RunConflictError as error:
            raise RunConflictError(
                error.found,
                expected="one export at a time",
                cure="Wait for its end, or choose another place by --to.",
                products=target,
            ) from None
        yield lease


@contextmanager
def _told_of_exports() -> Iterator[None]:
    """An export has no ``--resume``: the same command goes on."""
    try:
        yield
    except BrokenRunError as error:
        raise type(error)(
            error.found,
            expected=error.expected,
            cure="See to it and export again: products that were finished are kept.",
            **error.where,
        ) from error


class _Pace:
    """Says how far it is, and how long it will take.

    Args:
        products: All of them.
        report: Called with what is said.
    """

    def __init__(self, products: Sequence[Product], report: Callable[[Progress], None]) -> None:
        self._total, self._report = len(products), report
        self._left = sum(map(_weight, products))
        self._done, self._worked, self._began = 0, 0, time.monotonic()
        self._current, self._over = "", 0

    def skip(self, products: Sequence[Product]) -> None:
        """Of products that take no time."""
        self._done += len(products)
        self._left -= sum(map(_weight, products))

    def begin(self, coming: Sequence[str]) -> None:
        """Say what is made first of some."""
        self._current = coming[0] if coming else ""
        self._say()

    def over(self, pixels: int) -> None:
        """Say that what is at work has gone over more pixels."""
        self._over = min(self._over + pixels, self._left)
        self._say()

    def end(self, product: Product, coming: Sequence[str]) -> None:
        """Say that a product was made, and what comes."""
        self._done += 1
        self._left -= _weight(product)
        self._worked += _weight(product)
        self._over = max(self._over - _weight(product), 0)
        self.begin(coming)

    def _say(self) -> None:
        worked, passed = self._worked + self._over, time.monotonic() - self._began
        self._report(
            Progress(
                done=self._done,
                total=self._total,
                current=self._current,
                share=worked / max(self._worked + self._left, 1),
                left_s=passed * (self._left - self._over) / worked if worked else None,
            )
        )


def _weight(product: Product) -> int:
    return max(product.pixels, 1)
