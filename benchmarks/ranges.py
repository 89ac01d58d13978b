"""The windows of a unit by async-tiff over obstore, and nothing done with them: the least that such a reader takes.

Run by ``reading.py --peer PYTHON`` in an environment that has both. No guard is there: no tries, no bound of a request,
no check that a file lies where it may, none that it is the one its catalogue speaks of.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import time

import numpy as np
from async_tiff import TIFF  # type: ignore[import-not-found]
from async_tiff.store import HTTPStore, LocalStore  # type: ignore[import-not-found]


async def window(store: object, path: str, rows: range, cols: range, gate: asyncio.Semaphore) -> int:
    """Read and decode the tiles over a window; how many pixels they have."""
    async with gate:
        tiff = await TIFF.open(path, store=store)
        ifd = tiff.ifd(0)
        side = ifd.tile_width
        places = [
            (col, row)
            for row in range(rows.start // side, -(-rows.stop // side))
            for col in range(cols.start // side, -(-cols.stop // side))
        ]
        tiles = await tiff.fetch_tiles(places, 0)
    decoded = await asyncio.gather(*(tile.decode() for tile in tiles))
    return sum(np.asarray(one).size for one in decoded)


async def read(root: str, datatakes: int, side: int, at_once: int) -> int:
    """Pixels of all windows of a unit."""
    store = HTTPStore.from_url(root, client_options={"allow_http": True}) if "://" in root else LocalStore(root)
    gate = asyncio.Semaphore(at_once)
    top, left, halo = 700, 900, 16
    todo = []
    for number in range(datatakes):
        for band, factor in (("B02", 1), ("B03", 1), ("B04", 1), ("scl", 2)):
            rows = range((top - halo) // factor, (top + side + halo) // factor)
            cols = range((left - halo) // factor, (left + side + halo) // factor)
            todo.append(window(store, f"{number}-{band}.tif", rows, cols, gate))
    return sum(await asyncio.gather(*todo))


def main() -> None:
    """Print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root")
    parser.add_argument("--datatakes", type=int)
    parser.add_argument("--side", type=int)
    parser.add_argument("--at-once", type=int, default=8)
    asked = parser.parse_args()
    cpu, begun = time.process_time(), time.perf_counter()
    pixels = asyncio.run(read(asked.root, asked.datatakes, asked.side, asked.at_once))
    took = {"s": time.perf_counter() - begun, "cpu": time.process_time() - cpu, "pixels": pixels}
    print(json.dumps(took | {"MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}), flush=True)
    os._exit(0)  # in the end of Python a thread of async-tiff 0.7 aborts it, now and then


if __name__ == "__main__":
    main()
