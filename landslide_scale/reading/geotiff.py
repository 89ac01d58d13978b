"""An asset opened as a GeoTIFF and nothing else: its claims checked, its failures named, classed, and tried again."""

from __future__ import annotations

import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from landslide_scale.errors import PermanentReadError, ReadError, TryAgainError
from landslide_scale.grid import PixelBox
from landslide_scale.reading import marks
from landslide_scale.reading.attempts import ATTEMPTS, bounded, may_pass, name_of, retrying
from landslide_scale.reading.connections import connections
from landslide_scale.reading.network import confining_options, retry_after
from landslide_scale.reading.signing import forget, is_signed, signed
from landslide_scale.reading.threads import check_wanted
from landslide_scale.redaction import keep_log_clean, redacted
from landslide_scale.scene import Access

keep_log_clean("rasterio._env", "rasterio._io", "rasterio._base", "rasterio._err")
T = TypeVar("T")
C = TypeVar("C")

MAX_SIDE = 40_000
"""Pixels; a Sentinel-2 tile has 10 980. Larger claims are refused before anything is allocated."""

MAX_BLOCK = 4096 * 4096
"""Pixels of one compressed block, which is decoded as a whole however little of it is asked for."""

RESOLUTIONS = (5.0, 1000.0)
"""Metres, closed; Sentinel-2 has 10 to 60. Another claim would make a block of the lattice a huge number of pixels."""

_SCENE_KINDS = frozenset({"uint8", "uint16", "int16"})

COMPRESSIONS = (None, "deflate", "lzw", "packbits", "zstd")
"""Codecs whose output is bounded by the block that is allocated for it, and that can hold nothing but pixels."""


class _UnclearReadError(TryAgainError):
    """A remote file that could not be decoded: broken, or a request in between failed, which GDAL does not say."""


class _ForbiddenError(PermanentReadError):
    """The server refuses this signature, or any."""


GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # saves requests, and no file beside an asset adds to it
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_GEOREF_SOURCES": "INTERNAL",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32_768,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    # One connection for each read: in parallel GDAL 3.10 opens one for each range, and has no setting against it. What
    # is asked for then is rounded to chunks.
    "GDAL_HTTP_MULTIRANGE": "SERIAL",
    "CPL_VSIL_CURL_CHUNK_SIZE": 1024,
    # With more, GDAL 3.10 fetches ahead in a thread, and where one range fails the others hang until the low-speed
    # limit (two of three such reads did); with one it asks for all ranges at once just the same, and is as fast.
    "GDAL_NUM_THREADS": 1,
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    "GDAL_HTTP_TIMEOUT": 25,  # of one request; an attempt has several, and is bounded as a whole
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 10,
    "GDAL_HTTP_MAX_RETRY": 0,  # GDAL does not retry resets or stalls; the retry around the read does
    "VSI_CACHE": True,
    "AWS_NO_SIGN_REQUEST": "YES",
}

_spoilt: Counter[str] = Counter()
"""How often the reading of an address has failed in this process."""

_SPOILT = re.compile(r"(?<=the asset)#\d+\.tif")
_HTTP_STATUS = re.compile(r"HTTP response code: (\d{3})")
_BUSY = (429, 503)
_FORBIDDEN = (401, 403)
_REDIRECTS = range(300, 400)


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where the pixels of an open asset lie.

    Attributes:
        epsg: Its coordinate reference system.
        resolution: Side of a pixel in metres.
        west, north: Upper left corner in metres.
        rows, cols: Its size.
    """

    epsg: int
    resolution: float
    west: float
    north: float
    rows: int
    cols: int

    @property
    def box(self) -> PixelBox:
        """All its pixels."""
        return PixelBox(row_start=0, row_stop=self.rows, col_start=0, col_stop=self.cols)


def opened(href: str, access: Access) -> AbstractContextManager[tuple[Any, Source]]:
    """An asset of a scene opened as a GeoTIFF and nothing else, its claims checked."""
    return opened_as(_checked, href, access)


@contextmanager
def opened_as(
    checked: Callable[[Any, str], C], href: str, access: Access, *, directory: int = 1
) -> Iterator[tuple[Any, C]]:
    """An asset opened as a GeoTIFF and nothing else, with what `checked` makes of its claims.

    Args:
        checked: Takes the open file and its address; raises :class:`PermanentReadError` where a claim is refused.
        href: Its address.
        access: What the reading may touch.
        directory: Which of the images inside the file; the first is the main one.
    """
    if "://" not in href and Path(href).exists() and not Path(href).is_file():
        raise PermanentReadError("no file, but a pipe, a folder or a device", expected="a GeoTIFF", file=href)
    address = signed(href, access)
    with rasterio.Env(**GDAL_OPTIONS, **confining_options(href, access)):
        try:
            with _open(_unspoilt(address, href), directory) as dataset:
                _check_whole(dataset, href)
                claims = checked(dataset, href)
                if directory == 1:
                    marks.note(href, dataset)
                yield dataset, claims
        except (RasterioError, OSError) as error:
            found = _classified(error, address, access)
            if isinstance(found, _ForbiddenError):
                forget(href, access, address)
            # Without the chain, which would repeat the address with its signature.
            raise found from None


def opened_overview(
    href: str, access: Access, factor: int, factors: Sequence[int], main: Source
) -> NDArray[Any] | None:
    """Pixels of an overview inside a file, found by its place in it and checked as the main image; None without one.

    Args:
        href: The file's address.
        access: What the reading may touch.
        factor: How much coarser it is than the main image.
        factors: Of all overviews in the file, as GDAL counts them.
        main: Where the pixels of the main image lie.
    """
    shape = (-(-main.rows // factor), -(-main.cols // factor))
    # Overviews mostly stand behind the main image in their order; masks of all of these may stand between.
    first = 2 + list(factors).index(factor)
    for directory in (first, *(n for n in range(2, 2 * len(factors) + 3) if n != first)):
        with opened_as(lambda dataset, _: dataset.shape, href, access, directory=directory) as (dataset, found):
            if found == shape and (problem := storage_problem(dataset, _SCENE_KINDS)):
                raise _refused(f"an overview of {problem}", href)
            if found == shape and not _is_mask(dataset):
                return np.asarray(dataset.read(1))
    return None


def _check_whole(dataset: Any, href: str) -> None:  # noqa: ANN401 rasterio ships no types
    """Refuse what would have GDAL look into another file, of any kind and anywhere, before anything makes it look."""
    if dataset.tags(ns="OVERVIEWS"):
        raise PermanentReadError(
            "metadata that name its overviews in another file",
            expected="overviews inside the file, or none",
            file=redacted(href),
        )


def _unspoilt(address: str, href: str) -> str:
    """A name of the address under which GDAL remembers nothing of an attempt that failed.

    It keeps failures, and pieces of a body that broke off, for as long as the process lives, by the whole name. A
    fragment is part of that name and is never sent to a server (RFC 3986, 3.5).
    """
    if "://" not in address or not _spoilt[href]:
        return address
    return f"/vsicurl/{address.partition('#')[0]}#{_spoilt[href]}.tif"


def _open(name: str, directory: int) -> Any:  # noqa: ANN401 rasterio ships no types
    if directory == 1:
        return rasterio.open(name, driver="GTiff")
    of_gdal = f"/vsicurl/{name}" if "://" in name and not name.startswith("/vsi") else name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)  # as no overview is: it lies where its image does
        return rasterio.open(f"GTIFF_DIR:{directory}:{of_gdal}", driver="GTiff")


def _is_mask(dataset: Any) -> bool:  # noqa: ANN401 rasterio ships no types
    return bool(dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == "1")


def _checked(dataset: Any, href: str) -> Source:  # noqa: ANN401 rasterio ships no types
    problem = storage_problem(dataset, _SCENE_KINDS) or _place_problem(dataset)
    if problem:
        raise _refused(problem, href)
    a, _, west, _, _, north = tuple(dataset.transform)[:6]
    rows, cols = dataset.shape
    return Source(epsg=dataset.crs.to_epsg(), resolution=a, west=west, north=north, rows=rows, cols=cols)


def _refused(problem: str, href: str) -> PermanentReadError:
    return PermanentReadError(
        problem,
        expected=f"one north-up band of 8 or 16 bits, at most {MAX_SIDE} px of 5 to 1000 m, in blocks, losslessly "
        "compressed, with an EPSG code",
        file=redacted(href),
    )


def storage_problem(dataset: Any, kinds: frozenset[str]) -> str:  # noqa: ANN401 rasterio ships no types
    """What is wrong with how the pixels of an open file are stored; nothing where one band of `kinds` is readable."""
    if max(dataset.shape) > MAX_SIDE:
        return f"{dataset.shape[0]} x {dataset.shape[1]} pixels"
    if math.prod(dataset.block_shapes[0]) > MAX_BLOCK:
        return f"blocks of {dataset.block_shapes[0][0]} x {dataset.block_shapes[0][1]} pixels"
    if dataset.count != 1 or dataset.dtypes[0] not in kinds:
        return f"{dataset.count} band(s) of {dataset.dtypes[0]}"
    if _codec(dataset) not in COMPRESSIONS:
        return f"compression {_codec(dataset)}"
    return ""


def _place_problem(dataset: Any) -> str:  # noqa: ANN401 rasterio ships no types
    a, b, west, d, e, north = tuple(dataset.transform)[:6]
    if b or d or a <= 0 or a != -e or dataset.crs is None or dataset.crs.to_epsg() is None:
        return f"transform {tuple(dataset.transform)[:6]} and CRS {dataset.crs}"
    if not RESOLUTIONS[0] <= a <= RESOLUTIONS[1] or not math.isfinite(west + north):
        return f"pixels of {a} m at {west}, {north}"
    return ""


def _codec(dataset: Any) -> str | None:  # noqa: ANN401 rasterio ships no types
    compression = dataset.tags(ns="IMAGE_STRUCTURE").get("COMPRESSION")
    return compression.lower() if compression else None


def _classified(error: Exception, address: str, access: Access) -> ReadError:
    text = " ".join(str(part) for part in (error, error.__cause__) if part)
    text = _SPOILT.sub("", text.replace("/vsicurl/", "").replace(address, "the asset"))
    if "?" in address:
        text = text.replace(address[address.index("?") :], "")  # GDAL says the end of a name, where signatures are
    if (status := _HTTP_STATUS.search(text)) and int(status[1]) in _REDIRECTS:
        return PermanentReadError(
            f"a redirect that leads nowhere or to a host that is not allowed ({text})",
            expected=f"the asset itself, or a redirect to a host of {access.section}.allowed_hosts",
            file=redacted(address),
        )
    rest = retry_after(address) if status and int(status[1]) in _BUSY else None
    return _kind(text, address)(text, expected="a readable GeoTIFF", file=redacted(address), retry_after=rest)


def _kind(text: str, address: str) -> type[ReadError]:
    if "://" not in address:
        return PermanentReadError
    if status := _HTTP_STATUS.search(text):
        code = int(status[1])
        if code in _FORBIDDEN:
            return _ForbiddenError
        return TryAgainError if may_pass(code) else PermanentReadError
    return TryAgainError if "CURL error" in text else _UnclearReadError


def reading(href: str, access: Access, read: Callable[[], T]) -> T:
    """Run `read`: signed anew where its signature is refused, and again after a growing wait where that may help.

    No attempt at a remote asset, from the signature to the last pixel, takes longer than ``attempts.ATTEMPT_S``.

    Raises:
        ReadError: It failed for good, or (:class:`TryAgainError`) as often as it is tried.
    """
    check_wanted()
    try:
        return retrying(lambda: _attempt(href, access, read))
    except _UnclearReadError as error:
        raise _permanent(error) from None


def _attempt(href: str, access: Access, read: Callable[[], T]) -> T:
    if "://" not in href:
        return read()
    try:
        with connections.passed():
            check_wanted()  # it may have waited for long, and what it is a part of has failed meanwhile
            return bounded(lambda: _signed_anew(href, access, read))
    except ReadError as error:
        _spoilt[href] += 1
        raise error.at(**name_of(href), file=redacted(href)) from None


def _signed_anew(href: str, access: Access, read: Callable[[], T]) -> T:
    """Run `read`, and again with a new signature where the old one is refused, as often as anything is tried."""
    for _ in range(1, ATTEMPTS if is_signed(href, access) else 1):
        try:
            return read()
        except _ForbiddenError:
            continue
    try:
        return read()
    except _ForbiddenError as error:
        raise _permanent(error) from None


def _permanent(error: ReadError) -> PermanentReadError:
    return PermanentReadError(error.found, expected=error.expected, cure=error.cure, **error.where)
