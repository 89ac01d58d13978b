"""Environment variables that change what the package and its libraries do; values only of those that hold no secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from landslide_scale.doctor.finding import Finding
from landslide_scale.redaction import without_secrets
from landslide_scale.runtime.surroundings import OURS

SHOWN = frozenset(
    {
        "ATEN_CPU_CAPABILITY", "AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_S3", "AWS_NO_SIGN_REQUEST", "AWS_PROFILE", "AWS_REGION", "AWS_S3_ENDPOINT",
        "CONDA_PREFIX", "CPL_DEBUG", "CUDA_VISIBLE_DEVICES", "CURL_CA_BUNDLE", "FSSPEC_S3_ENDPOINT_URL",
        "GDAL_CACHEMAX", "GDAL_CURL_CA_BUNDLE", "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_NUM_THREADS", "HTTPS_PROXY",
        "HTTP_PROXY", "KMP_BLOCKTIME", "LANDSLIDE_SCALE_DATA", "LANDSLIDE_SCALE_REGISTRY", "LD_LIBRARY_PATH",
        "LD_PRELOAD", "MKL_NUM_THREADS", "NO_PROXY", "NVIDIA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OMP_WAIT_POLICY",
        "PROJ_CURL_CA_BUNDLE", "PROJ_DATA", "PROJ_LIB", "PROJ_NETWORK", "PYTHONPATH", "RAY_ADDRESS", "RAY_AUTH_MODE",
        "RAY_TMPDIR", "RAY_USAGE_STATS_ENABLED", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "TMPDIR", "VIRTUAL_ENV",
    }
)  # fmt: skip
"""Whose values are said; of any other that is known by its beginning, that it is set."""

_KNOWN = re.compile(
    r"(AWS|AZURE|CPL|CUDA|FSSPEC|GDAL|GOOGLE|GS|KMP|LANDSLIDE_SCALE|MKL|NCCL|NVIDIA|OMP|OPENBLAS|PROJ|PYTORCH|RAY|S3|TORCH"
    r"|VRT|VSI|ZARR)_\w+",
    re.ASCII,
)
_USER = re.compile(r"[^/@\s]*@")

_FOREIGN = "Unset it unless you know why it is set: each library here brings its own data."
_OF_DATA = ("GDAL_DATA", "PROJ_DATA", "PROJ_LIB")


def variables(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Those that are set, by others than this package."""
    for name, value in sorted(environment.items() - OURS.items()):
        if name.upper() in SHOWN:
            yield Finding(what="variable", value=f"{name}={_clean(value)}", cure=_FOREIGN if name in _OF_DATA else "")
        elif _KNOWN.fullmatch(name):
            yield Finding(what="variable", value=f"{name} is set (value not shown)")


def _clean(value: str) -> str:
    """Without what addresses hold of users and keys, also those without a scheme, as proxies may be given."""
    return _USER.sub("", without_secrets(value))
