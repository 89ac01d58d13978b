"""The folder of the products as its one writer sees it: what is current, and what is said of each as it is replaced."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from landslide_scale.exporting.product import Product, origin_of
from landslide_scale.products.manifest import Entry, Made, Manifest, Source
from landslide_scale.storage.rundir import RunDirectory


class Shelf:
    """Products, and the manifest of them, which is written whole with every change.

    What is said of a product is made void before its files are replaced, and said anew when all of them are there: so
    nothing is said of files that are others, whenever a process is killed.

    Args:
        target: The folder; nobody else writes there.
        source: What its products are to be made of.
    """

    def __init__(self, target: RunDirectory, source: Source) -> None:
        self._target, self._source = target, source
        self._sizes = target.sizes("")
        self.manifest = replace(Manifest.read(target), missing=source.missing)

    def holds(self, product: Product) -> bool:
        """Whether a product is there as it would be made now."""
        entry = self.manifest.entries.get(product.name)
        return entry is not None and entry.is_current(origin_of(product, self.manifest, self._source), self._sizes)

    def void(self, products: Sequence[Product]) -> None:
        """Say of products that their files are being replaced."""
        known = {product.name for product in products} & self.manifest.entries.keys()
        if known:
            self._keep(self.manifest.void(known))

    def record(self, product: Product, made: Made) -> None:
        """Say that a product was made; files of the one before it that it does not have are removed."""
        before = self.manifest.entries.get(product.name)
        entry = Entry(
            kind=product.kind,
            origin=origin_of(product, self.manifest, self._source),
            units=self._source.units,
            units_missing=len(self._source.missing),
            files=made.files,
            left_out=made.left_out,
            lacking=made.lacking,
        )
        self._keep(self.manifest.with_entry(product.name, entry), () if before is None else before.files)
        self._sizes.update({name: known.bytes for name, known in made.files.items()})

    def remove(self, name: str) -> None:
        """Remove a product."""
        self._keep(self.manifest.without(name), self.manifest.entries[name].files)

    def _keep(self, manifest: Manifest, replaced: Collection[str] = ()) -> None:
        """Write the manifest down, once files that it knows no longer are gone."""
        gone = sorted(set(replaced) - manifest.files.keys())
        self._target.delete_all(gone)
        manifest.keep(self._target)
        self.manifest = manifest
