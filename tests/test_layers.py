"""The README's table of packages, held over every import, function-level ones and those under TYPE_CHECKING too."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import landslide_scale

PACKAGE = "landslide_scale"
ROOT = Path(landslide_scale.__file__).parent
README = ROOT.parent / "README.md"

MOST_IN_ROOT = 15
MOST_IN_PACKAGE = 16
DEEPEST = 9

ONLY_IN = {
    "ray": {
        *("doctor.cluster", "runtime.session", "runtime.nodes", "runtime.trial"),
        *(
            "scan.pipeline.engine",
            "scan.pipeline.feed",
            "scan.pipeline.held",
            "scan.pipeline.stages",
            "labels.engine",
            "exporting.on_ray",
            "training.engine",
            "paper.study",
        ),
    },
    "rasterio": {"doctor.libraries", "reading", "products.rasters", "products.page", "demo"},
    "rioxarray": {"demo"},
    "tifffile": {"datasets"},
    "zarr": {"cube"},
    "geopandas": {"region", "demo", "products.vectors"},
    "pyproj": {"doctor.libraries", "grid", "stac.items", "region", "cube.georeference", "demo"},
    "pystac": {"stac.search", "products.catalogue", "products.assets"},
    "pystac_client": {"stac.search"},
    "requests": {"stac.search", "reading.asking", "reading.signing", "reading.network", "rapid.publication.hooks"},
    "rustac": {"stac.frozen", "stac.listed", "stac.holding.table"},
    "fsspec": {"doctor.reach", "storage", "datasets"},
    "pydantic": {"strictyaml", "keys", "scan.plan", "imagery.mask_settings"}
    | {
        f"{room}.settings"
        for room in (
            *(
                "region",
                "registry",
                "stac",
                "events",
                "imagery",
                "cube",
                "costs",
                "scan",
                "labels",
                "training",
                "paper",
            ),
            "rapid",
            "rapid.publication",
            "products.vectors",
        )
    },
    "yaml": {"strictyaml", "demo"},
    "torch": {
        "doctor.libraries",
        "model",
        "metrics",
        "datasets",
        "training",
        "judging",
        "scan.patches",
        "demo",
        "paper",
    },
    "segment_anything": {"model.landslidenet"},
    "segmentation_models_pytorch": {"model.convnets"},
    "typer": {"cli"},
    "jinja2": {"products.page.report", "rapid.publication.pages"},
    "rich": {"runtime.progress"},
    "matplotlib": {"inspection.coverage", "products.page.colours", "demo", "paper"},
}
"""Each of these libraries is imported in the named packages and modules alone."""

NOT_TORCH_ALONE = {f"training.{name}" for name in ("engine", "settings", "run", "begun", "foreseen", "statefiles")}
TORCH_ALONE = ("model", "metrics", "datasets", "training", "scan.patches")
WITHOUT = ("pydantic", "yaml", "ray", "rasterio", "geopandas", "zarr", "xarray", "fsspec", "pyproj", "shapely")


class Tree:
    """The modules below a folder, by name without the package's; a folder's ``__init__`` has the folder's name."""

    def __init__(self, root: Path) -> None:
        self.files: dict[str, Path] = {}
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            if name:
                self.files[name] = path

    @cached_property
    def imports(self) -> Mapping[str, frozenset[str]]:
        """Full names of everything each module imports, anywhere in it."""
        return {name: frozenset(_imported(name, path)) for name, path in self.files.items()}

    @cached_property
    def own(self) -> Mapping[str, frozenset[str]]:
        """The modules of this package that each module imports."""
        return {name: frozenset(self._inner(full) for full in of) - {None, name} for name, of in self.imports.items()}

    def _inner(self, full: str) -> str | None:
        parts = full.split(".")
        if parts[0] != PACKAGE:
            return None
        inner = [part for part in (".".join(parts[1:]), ".".join(parts[1:-1])) if part in self.files]
        assert inner, f"{full} is imported, which is no module"
        return inner[0]

    def package(self, name: str) -> str:
        """The package a module lies in; a module of the root is one by itself."""
        is_folder = self.files[name].name == "__init__.py"
        return name if is_folder else name.rpartition(".")[0] or name


def _imported(name: str, path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rule(text: str) -> list[set[str]]:
    """Rows of the table of packages, lowest first: folders by their dotted name, modules of the root by theirs."""
    section = text.partition("## For developers")[2]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [
        {word.strip("/").removesuffix(".py").replace("/", ".") for word in re.findall(r"`(.+?)`", row)} for row in rows
    ]


def violations(tree: Tree, rows: list[set[str]]) -> list[str]:
    """What of a tree is not as the table says."""
    height = {package: number for number, row in enumerate(rows) for package in row}
    packages = {tree.package(name) for name in tree.files}
    found = [f"{name} is in no row" for name in packages - height.keys()]
    found += [f"there is no {name}" for name in height.keys() - packages]
    for name, others in tree.own.items():
        for other in others:
            here, there = tree.package(name), tree.package(other)
            low, high = height.get(there, -1), height.get(here, -1)
            alike = here == there or low == high in {0, len(rows) - 1}
            if low >= high and not alike and here in height and there in height:
                found.append(f"{name} imports {other}")
    try:
        TopologicalSorter(tree.own).prepare()
    except CycleError as error:
        found.append(f"a circle: {error.args[1]}")
    return found


TREE = Tree(ROOT)
ROWS = rule(README.read_text(encoding="utf-8"))


def test_every_import_is_as_the_table_of_packages_says():
    assert violations(TREE, ROWS) == []


PLANTED = {
    "stac.items imports imagery.observe": ("stac/items.py", "from landslide_scale.imagery import observe\n"),
    "stac.items imports cube.arrays": ("stac/items.py", "from landslide_scale.cube import arrays\n"),  # a sibling
    "storage.files imports scan": ("storage/files.py", "import landslide_scale.scan\n"),
    "grid imports storage.files": ("grid.py", "def f():\n    from landslide_scale.storage.files import local_path\n"),
    "metrics.plain imports training.epochs": (
        "metrics/plain.py",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from landslide_scale.training import epochs\n",
    ),
    "model.core.stem imports model.families": (
        "model/core/stem.py",
        "from landslide_scale.model.families import build\n",
    ),
    "errors imports reports": ("errors.py", "import landslide_scale.reports\n"),
    "scan.plan imports demo.world": ("scan/plan.py", "from landslide_scale.demo import world\n"),
    "a circle: cube.arrays": ("cube/arrays.py", "from landslide_scale.cube import ledger\n"),
    "a circle: errors": ("redaction.py", "from landslide_scale.errors import ReadError\n"),
    "helpers is in no row": ("helpers/__init__.py", ""),
    "extras is in no row": ("extras.py", ""),  # a module of the root
}
"""What is said of a line that is written into a file."""


@pytest.mark.parametrize("said", PLANTED)
def test_a_planted_violation_is_found(said: str, tmp_path: Path):
    root = tmp_path / PACKAGE
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
    file, line = PLANTED[said]
    path = root / file
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text(encoding="utf-8") if path.exists() else "") + line, encoding="utf-8")
    found = violations(Tree(root), ROWS)
    what, _, where = said.partition(": ")
    assert any(one.startswith(what) and where in one for one in found)


def test_nothing_is_imported_past_the_table():
    # Before all libraries, in every process; and what it imports imports none of them.
    assert _imported("", ROOT / "__init__.py") == {"os", f"{PACKAGE}.runtime.surroundings.settle_libraries"}
    assert TREE.own["runtime.surroundings"] == set()
    assert [name for name, of in TREE.imports.items() if {"importlib", "importlib.import_module"} & of] == []


def test_a_relative_import_is_found(tmp_path: Path):
    (tmp_path / "a.py").write_text("from . import b\n")
    with pytest.raises(AssertionError, match="relative"):
        _ = Tree(tmp_path).imports


def test_a_package_that_is_gone_from_the_tree_is_gone_from_the_table():
    assert violations(TREE, [*ROWS[:-1], ROWS[-1] | {"utils"}]) == ["there is no utils"]


def test_no_folder_holds_more_than_a_reader_takes_in():
    modules = Counter(str(path.parent.relative_to(ROOT)) for path in ROOT.rglob("*.py"))
    root = modules.pop(".")
    assert root <= MOST_IN_ROOT
    assert {folder: count for folder, count in modules.items() if count > MOST_IN_PACKAGE} == {}


def test_no_chain_of_imports_between_packages_is_deeper_than_a_reader_follows():
    first, last = ROWS[0], ROWS[-1]

    def room(name: str) -> str:
        package = TREE.package(name)
        return "vocabulary" if package in first else "faces" if package in last else package

    edges: dict[str, set[str]] = {}
    for name, others in TREE.own.items():
        edges.setdefault(room(name), set()).update(room(other) for other in others)
    depth: dict[str, int] = {}
    for name in TopologicalSorter({name: others - {name} for name, others in edges.items()}).static_order():
        depth[name] = 1 + max((depth[other] for other in edges[name] - {name}), default=0)
    assert depth["faces"] == max(depth.values()) <= DEEPEST


def test_nothing_but_the_commands_imports_the_made_world():
    users = {name for name, others in TREE.own.items() if any(f"{other}.".startswith("demo.") for other in others)}
    assert {name for name in users if not name.startswith("demo")} == {"commands.demo"}


LEARNING = ("commands.configurations", "commands.training")


@pytest.mark.parametrize(
    ("whole", "users"),
    [
        (
            "scan.settings.ScanConfig",
            {
                "scan.driver",
                "scan.prepared",
                "scan.pipeline.engine",
                "rapid.mapping",
                "configuring.kinds",
                "demo.run",
                "demo.compare",
                "commands.configurations",
                "commands.scanning",
                "commands.products",
            },
        ),
        (
            "labels.settings.ChipsConfig",
            {
                "labels.chips",
                "labels.foreseen",
                "configuring.kinds",
                "demo.run",
                "commands.configurations",
                "commands.training",
            },
        ),
        (
            "training.settings.FinetuneConfig",
            {"paper.trials", "configuring.kinds", "demo.run", *LEARNING},
        ),
    ],
)
def test_a_whole_configuration_goes_no_further_than_where_it_is_taken_apart(whole: str, users: set[str]):
    assert {name for name, of in TREE.imports.items() if f"{PACKAGE}.{whole}" in of} == users


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_has_its_place(library: str):
    users = {name for name, of in TREE.imports.items() if any(full.split(".")[0] == library for full in of)}
    astray = {name for name in users if not any(f"{name}.".startswith(f"{place}.") for place in ONLY_IN[library])}
    assert astray == set()


def test_the_names_of_this_test_are_still_used():
    used = {full.split(".")[0] for of in TREE.imports.values() for full in of}
    assert set(ONLY_IN) - {"rioxarray", "matplotlib"} <= used


@pytest.mark.parametrize(
    "name", ["errors", "bands", "scene", "spec", "provenance", "label_values", "datasets.spec", "training.spec"]
)
def test_values_know_nothing_but_python_and_numpy(name: str):
    outside = {full.split(".")[0] for full in TREE.imports[name]} - set(sys.stdlib_module_names)
    assert outside <= {PACKAGE, "numpy"}


def test_the_network_and_its_training_import_where_only_torch_is():
    below = [name for name in TREE.files if any(f"{name}.".startswith(f"{place}.") for place in TORCH_ALONE)]
    names = sorted(set(below) - NOT_TORCH_ALONE)
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


def test_the_driver_of_a_scan_imports_no_torch_and_nothing_that_draws():
    script = (
        f"import sys\nimport {PACKAGE}.commands.scanning, {PACKAGE}.cli.scanning\n"
        "heavy = {'torch', 'torchvision', 'matplotlib', 'sklearn', 'segment_anything'}\n"
        "assert not heavy & sys.modules.keys(), heavy & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_reading_and_writing_a_unit_import_no_torch():
    script = f"import sys\nimport {PACKAGE}.scan.work\nassert 'torch' not in sys.modules and 'ray' not in sys.modules\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
