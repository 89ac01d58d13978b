"""The package and the libraries it stands on: which, whether they load, and whether they find their own data."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from landslide_scale.doctor.finding import Finding

PACKAGE = "landslide-scale"
SAID = ("numpy", "zarr", "xarray", "dask", "geopandas", "shapely", "pydantic", "pystac-client", "rustac", "s3fs")
"""Libraries of which the version is all there is to say."""

BROKEN = (ImportError, OSError, ValueError, AttributeError, RuntimeError)
"""What a library raises that is built against others than are there."""

_AGAIN = "Install the package anew in an environment of its own (`make install`)."
_UNUSED_GPU = (
    "There is an NVIDIA driver that torch cannot use: check `nvidia-smi`, CUDA_VISIBLE_DEVICES, and whether the driver "
    "is new enough for torch's CUDA."
)
_EPSG = 32633


def libraries() -> Iterator[Finding]:
    """The package, what it declares, and every library that brings more than Python."""
    yield _declared()
    looks: dict[str, Callable[[], Finding]] = {
        PACKAGE: _package,
        "torch": _torch,
        "ray": _ray,
        "rasterio": _rasterio,
        "pyproj": _pyproj,
        "pyogrio": _pyogrio,
    }
    for name, look in looks.items():
        try:
            yield look()
        except BROKEN as error:
            said = " ".join(str(error).split())
            yield Finding(what=name, value=f"does not load ({type(error).__name__}: {said[:200]})", cure=_AGAIN)
    yield Finding(what="further", value=", ".join(f"{name} {_version(name)}" for name in SAID))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _package() -> Finding:
    from landslide_scale.storage.rundir import commit  # noqa: PLC0415 it needs what may be broken

    made = commit()
    return Finding(what=PACKAGE, value=f"{_version(PACKAGE)}, {f'commit {made}' if made else 'installed, no checkout'}")


def _declared() -> Finding:
    """Whether everything is there that the package says it needs."""
    try:
        wanted = [re.split(r"[\s\[<>=!~;]", line)[0] for line in requires(PACKAGE) or () if "extra ==" not in line]
    except PackageNotFoundError:
        return Finding(what="dependencies", value="the package itself is not installed", cure=_AGAIN)
    lacking = [name for name in wanted if _version(name) == "not installed"]
    there = f"{len(wanted) - len(lacking)} of {len(wanted)} are there"
    if lacking:
        return Finding(what="dependencies", value=f"{there}, without {', '.join(lacking)}", cure=_AGAIN)
    return Finding(what="dependencies", value=there)


def _torch() -> Finding:
    import torch  # noqa: PLC0415 said where it is broken

    from landslide_scale.model.core.precision import native_bf16  # noqa: PLC0415 as torch

    said = [
        f"{torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}",
        f"bf16 {'native' if native_bf16('cpu') else 'not native'} on CPU",
    ]
    for number in range(torch.cuda.device_count()):
        native = "native" if native_bf16(f"cuda:{number}") else "not native"
        memory = torch.cuda.get_device_properties(number).total_memory / 1e9
        said.append(f"GPU {number} {torch.cuda.get_device_name(number)}, {memory:.0f} GB, bf16 {native}")
    if torch.cuda.is_available():
        return Finding(what="torch", value="; ".join([*said, f"CUDA {torch.version.cuda}"]))
    said.append(f"no GPU (built for CUDA {torch.version.cuda or 'none'})")
    unused = shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").is_dir()
    return Finding(what="torch", value="; ".join(said), cure=_UNUSED_GPU if unused else "")


def _ray() -> Finding:
    from landslide_scale.doctor.cluster import ray_version  # noqa: PLC0415 said where it is broken

    return Finding(what="ray", value=ray_version())


def _rasterio() -> Finding:
    import rasterio  # noqa: PLC0415 said where it is broken
    from rasterio.crs import CRS  # noqa: PLC0415
    from rasterio.errors import CRSError  # noqa: PLC0415

    said = f"{rasterio.__version__}, GDAL {rasterio.__gdal_version__}, PROJ {rasterio.__proj_version__}"
    try:
        with rasterio.Env():
            CRS.from_epsg(_EPSG)
    except CRSError as error:
        return Finding(what="rasterio", value=f"{said}: {error}", cure=_foreign("PROJ_DATA, PROJ_LIB or GDAL_DATA"))
    return Finding(what="rasterio", value=f"{said}, finds its data")


def _pyproj() -> Finding:
    import pyproj  # noqa: PLC0415 said where it is broken

    said, folder = f"{pyproj.__version__}, PROJ {pyproj.proj_version_str}", pyproj.datadir.get_data_dir()
    own = Path(folder).is_relative_to(Path(pyproj.__file__).parent)
    try:
        pyproj.CRS.from_epsg(_EPSG)
    except pyproj.exceptions.ProjError as error:
        return Finding(what="pyproj", value=f"{said}: {error}", cure=_foreign("PROJ_DATA or PROJ_LIB"))
    return Finding(what="pyproj", value=f"{said}, {'its own data' if own else f'data of {folder}'}")


def _pyogrio() -> Finding:
    import pyogrio  # noqa: PLC0415 said where it is broken

    folder = pyogrio.get_gdal_data_path()
    own = folder is not None and Path(folder).is_relative_to(Path(pyogrio.__file__).parent)
    said = f"{pyogrio.__version__}, GDAL {pyogrio.__gdal_version_string__}"
    return Finding(what="pyogrio", value=f"{said}, {'its own data' if own else f'data of {folder}'}")


def _foreign(names: str) -> str:
    return f"Unset {names}: they name the data of another installation; each library here brings its own."
