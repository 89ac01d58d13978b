"""The layers of design.md, held over every import: function-level ones and those under TYPE_CHECKING count too."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import landslide_scale

PACKAGE = "landslide_scale"
ROOT = Path(landslide_scale.__file__).parent

LAYERS = (
    {"redaction", "stopping", "heartbeat"},
    {"errors"},
    {"bands", "spec", "storage", "strictyaml"},
    {"scene", "grid", "losses", "batches", "providers", "dataspec"},
    {"sources"},
    {"config", "model", "metrics", "radiometry", "network", "attempts"},
    {"hrefs", "signing"},
    {"items", "geotiff"},
    {"catalog", "raster", "region", "checkpoint", "datasets", "composite", "dem"},
    {"observe", "elevation", "training", "predict", "witness"},
    {"plan", "terrain", "cube", "fitting", "rundir", "mosaic"},
    {"ledger", "frozen"},
    {"survey", "trainrun", "assess", "cube_layout", "layout", "lease"},
    {"work", "jobsettings", "verify", "status", "coverage", "append"},
    {"predictor", "driver"},
    {"session"},
    {"scan", "chips", "finetune"},
    {"console", "reports"},
    {"demo", "benchmark"},
    {"faces"},
    {"cli"},
    {"__main__"},
)
"""From the bottom up; a module imports only from layers below its own, a folder also from itself."""

ONLY_IN = {
    "ray": {"session", "scan", "chips", "finetune", "benchmark"},
    "rasterio": {"raster", "geotiff", "demo"},
    "rioxarray": {"demo"},
    "tifffile": {"datasets"},
    "zarr": {"cube", "cube_layout"},
    "geopandas": {"region", "demo"},
    "pyproj": {"grid", "items", "region", "cube_layout", "demo"},
    "pystac_client": {"catalog"},
    "requests": {"catalog", "signing", "network"},
    "rustac": {"frozen"},
    "fsspec": {"storage", "rundir", "region", "datasets", "finetune", "trainrun"},
    "pydantic": {"config", "sources", "strictyaml", "plan", "benchmark"},
    "yaml": {"strictyaml", "demo"},
    "torch": {
        "model",
        "batches",
        "losses",
        "metrics",
        "training",
        "predict",
        "checkpoint",
        "datasets",
        "fitting",
        "demo",
    }
    | {"trainrun", "assess", "finetune", "benchmark", "mosaic"},
    "segment_anything": {"model"},
    "segmentation_models_pytorch": {"model"},
    "typer": {"cli"},
    "matplotlib": {"coverage", "demo", "benchmark"},
}
"""Each of these libraries is imported in the named modules and folders alone."""

TORCH_ALONE = ("model", "batches", "training", "mosaic", "predict", "losses", "metrics", "datasets")
WITHOUT = ("pydantic", "yaml", "ray", "rasterio", "geopandas", "zarr", "xarray", "fsspec", "pyproj", "shapely")


def files() -> dict[str, Path]:
    """Module names without the package's, by file; a folder's ``__init__`` is the folder."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            found[name] = path
    return found


FILES = files()


@cache
def imports(name: str) -> frozenset[str]:
    """Full names of everything a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(FILES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def own(name: str) -> set[str]:
    """The modules of this package that a module imports."""
    found = set()
    for full in imports(name):
        parts = full.split(".")
        if parts[0] == PACKAGE:
            inner = [part for part in (".".join(parts[1:]), ".".join(parts[1:-1])) if part in FILES]
            assert inner, f"{name} imports {full}, which is no module"
            found.add(inner[0])
    return found - {name}


def top(name: str) -> str:
    return name.split(".", maxsplit=1)[0]


HEIGHT = {unit: height for height, layer in enumerate(LAYERS) for unit in layer}


def test_every_module_has_a_layer_and_every_layer_its_modules():
    assert {top(name) for name in FILES} == set(HEIGHT)


@pytest.mark.parametrize("name", FILES)
def test_a_module_imports_only_from_layers_below(name: str):
    wrong = {other for other in own(name) if top(other) != top(name) and HEIGHT[top(other)] >= HEIGHT[top(name)]}
    assert not wrong


def test_no_import_goes_round_in_a_circle():
    TopologicalSorter({name: own(name) for name in FILES}).prepare()  # raises CycleError


def test_nothing_but_the_faces_imports_the_made_world():
    users = {top(name) for name in FILES if any(top(other) == "demo" for other in own(name))}
    assert users <= {"demo", "faces", "cli"}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_has_its_place(library: str):
    users = {top(name) for name in FILES if any(full.split(".")[0] == library for full in imports(name))}
    assert users <= ONLY_IN[library]


def test_the_names_of_this_test_are_still_used():
    used = {full.split(".")[0] for name in FILES for full in imports(name)}
    assert set(ONLY_IN) - {"rioxarray", "matplotlib"} <= used


@pytest.mark.parametrize("name", [name for name in FILES if top(name) in {"errors", "bands", "scene", "spec"}])
def test_values_know_nothing_but_python_and_numpy(name: str):
    outside = {full.split(".")[0] for full in imports(name)} - set(sys.stdlib_module_names)
    assert outside <= {PACKAGE, "numpy"}


def test_the_network_and_its_training_import_where_only_torch_is():
    names = [name for name in FILES if top(name) in TORCH_ALONE]
    script = (
        "import sys\n"
        f"for name in {WITHOUT!r}: sys.modules[name] = None\n"
        "import importlib\n"
        f"for name in {names!r}: importlib.import_module('{PACKAGE}.' + name)\n"
        "print(len(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100


def test_reading_and_writing_a_unit_import_no_torch():
    script = f"import sys\nimport {PACKAGE}.work\nassert 'torch' not in sys.modules and 'ray' not in sys.modules\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
