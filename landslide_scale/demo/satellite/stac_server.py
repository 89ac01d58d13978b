"""Any list of Items, served by a real STAC API server (`rustac serve`) on a free port of loopback."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from landslide_scale.errors import BrokenRunError, InvalidInputError

_POLL_S = 0.05
_STOP_S = 5.0


@contextlib.contextmanager
def serve(
    items: Sequence[Mapping[str, Any]], collections: Sequence[Mapping[str, Any]], *, within_s: float = 20.0
) -> Iterator[str]:
    """Serve Items until the block is left, whatever leaves it (Ctrl-C included).

    Search by ``POST /search`` (what pystac-client does) answers ids, collections, bbox, intersects and datetime and
    pages with ``limit``; the last page carries no ``next`` link. ``GET /search`` with a bbox is refused by rustac
    0.2.18. Asset hrefs come back exactly as they went in, so absolute paths and ``file://`` URLs both survive.

    Args:
        items: STAC Items as dicts; each names a collection that is served too.
        collections: STAC Collections as dicts.
        within_s: Seconds the server may take to answer for the first time.

    Yields:
        The address of the API's landing page, without a trailing slash.

    Raises:
        InvalidInputError: An Item names a collection that is not served.
        BrokenRunError: The server ended or did not answer in time; carries what it wrote to stderr.
    """
    _check_collections(items, collections)
    with tempfile.TemporaryDirectory(prefix="stac-") as folder:
        paths = _write_inputs(Path(folder), items, collections)
        address = f"127.0.0.1:{_free_port()}"
        log = Path(folder) / "stderr.txt"
        with log.open("wb") as stderr:
            process = subprocess.Popen(  # noqa: S603  (our own dependency, our own files)
                [_program(), "serve", "--addr", address, *paths], stdout=subprocess.DEVNULL, stderr=stderr
            )
            try:
                _wait(process, f"http://{address}", log, within_s)
                yield f"http://{address}"
            finally:
                _stop(process)


def _program() -> str:
    """The console script beside this interpreter, else the one on PATH."""
    here = sysconfig.get_path("scripts")
    found = shutil.which("rustac", path=here) or shutil.which("rustac")
    if found is None:
        raise BrokenRunError("no rustac command", expected=f"one in {here} or on PATH", cure="Install rustac.")
    return found


def _check_collections(items: Sequence[Mapping[str, Any]], collections: Sequence[Mapping[str, Any]]) -> None:
    known = {collection["id"] for collection in collections}
    for item in items:
        if item.get("collection") not in known:
            raise InvalidInputError(
                f"collection {item.get('collection')!r} is not served",
                expected=f"one of {sorted(known)}",
                item=item.get("id"),
            )


def _write_inputs(
    folder: Path, items: Sequence[Mapping[str, Any]], collections: Sequence[Mapping[str, Any]]
) -> list[str]:
    """One file per collection and one for all Items, the way the server takes them."""
    paths = []
    for number, collection in enumerate(collections):
        # A collection's own links would send the server looking for files that lie elsewhere.
        paths.append(folder / f"collection-{number}.json")
        paths[-1].write_text(json.dumps({**collection, "links": []}), encoding="utf-8")
    if items:
        paths.append(folder / "items.json")
        features = [{**item, "links": []} for item in items]
        paths[-1].write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return [str(path) for path in paths]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], url: str, log: Path, within_s: float) -> None:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise _failed(f"the STAC server ended with status {process.returncode}", url, log)
        if _answers(url):
            return
        time.sleep(_POLL_S)
    raise _failed(f"the STAC server did not answer within {within_s:g} s", url, log)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/collections", timeout=2) as answer:  # noqa: S310  (http on loopback)
            return bool(answer.status == 200)  # noqa: PLR2004
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _failed(found: str, url: str, log: Path) -> BrokenRunError:
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-2000:] or "(nothing)"
    return BrokenRunError(found, cure=f"It wrote to stderr: {said}", server=url)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
