"""What there are configurations of: for each kind its model, and an example of what must be given."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from landslide_scale.errors import InvalidConfigError
from landslide_scale.keys import schema as schemas
from landslide_scale.keys.sheet import Given, sheet
from landslide_scale.labels.settings import ChipsConfig
from landslide_scale.paper.settings import BenchmarkConfig
from landslide_scale.region.polygons import load as load_region
from landslide_scale.region.settings import RegionConfig
from landslide_scale.scan.settings import ScanConfig
from landslide_scale.strictyaml import Section
from landslide_scale.training.settings import FinetuneConfig

_SAM_B = {
    "url": "https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
    "sha256": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
}


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of configuration.

    Attributes:
        model: What reads it.
        example: Of the keys that must be given, and of others that one would rather not leave alone.
        then: Commands to go on with.
    """

    model: type[Section]
    example: Mapping[str, Any]
    then: tuple[str, ...] = field(default=())


KINDS: Mapping[str, Kind] = {
    "scan": Kind(
        model=ScanConfig,
        example={
            "region": {"bbox": [85.60, 28.05, 85.75, 28.20]},
            "windows": [{"start": "2024-10-01", "end": "2024-12-01"}],
            "output": {"run": "runs/scan"},
        },
        then=("plan", "scan"),
    ),
    "chips": Kind(
        model=ChipsConfig,
        example={
            "region": {"file": "labelled_ground.geojson"},
            "labels": {"file": "landslides.geojson"},
            "windows": [{"start": "2024-10-01", "end": "2024-12-01"}],
            "directory": "runs/chips",
        },
        then=("plan", "chips"),
    ),
    "finetune": Kind(
        model=FinetuneConfig,
        example={
            "dataset": {"kind": "chips", "path": "runs/chips"},
            "base_weights": _SAM_B,
            "output": {"run": "runs/finetune"},
        },
        then=("plan", "finetune", "evaluate"),
    ),
    "benchmark": Kind(
        model=BenchmarkConfig,
        example={
            "datasets": {"pairs": {"kind": "pairs", "path": "data/pairs"}},
            "models": {"LandslideNet": {"name": "landslidenet"}, "PSPNet": {"name": "pspnet"}},
            "base_weights": {"LandslideNet": _SAM_B},
            "output": {"run": "runs/benchmark"},
        },
        then=("plan", "benchmark"),
    ),
}


def kind_of(keys: Collection[str], kinds: Mapping[str, Kind] = KINDS) -> str:
    """Which kind of configuration has these keys at its top: the one that knows most of them.

    One key that is misspelt does not make it another. Of kinds that know as many, the one is taken that lacks fewest of
    the keys it must have.

    Args:
        keys: Of the file.
        kinds: Of which one is told.

    Raises:
        InvalidConfigError: No kind knows any.
    """
    known = {name: len(set(keys) & kind.model.model_fields.keys()) for name, kind in kinds.items()}
    best = max(known, key=lambda name: (known[name], -_lacking(kinds[name].model, keys)))
    if not known[best]:
        raise InvalidConfigError(
            f"the keys {', '.join(keys)}" if keys else "no keys",
            expected=f"a configuration of {', '.join(kinds)}",
            cure="`landslide-scale init` begins one.",
        )
    return best


def _lacking(model: type[Section], keys: Collection[str]) -> int:
    return sum(field.is_required() and key not in keys for key, field in model.model_fields.items())


def schema(kind: str, kinds: Mapping[str, Kind] = KINDS) -> dict[str, Any]:
    """The JSON schema of a kind's files."""
    return schemas.schema(kinds[kind].model, f"landslide-scale {kind}")


def begun(kind: str, region: str | None = None, kinds: Mapping[str, Kind] = KINDS) -> str:
    """A configuration to begin with, as YAML.

    Args:
        kind: One of `kinds`.
        region: Path or URL of a vector file of polygons, put in where the kind has a region.
        kinds: All that there are.

    Raises:
        InvalidRegionError: It is no such file.
        InvalidConfigError: A kind without a region.
    """
    wanted, example = kinds[kind], dict(kinds[kind].example)
    if region is not None:
        example["region"] = _checked(kind, region, kinds)
    head = [
        f"# landslide-scale {kind}: every key with its default, or an example where it is required.",
        *(f"# landslide-scale {command} --config FILE" for command in wanted.then),
    ]
    return "\n".join(head) + "\n\n" + sheet(schema(kind, kinds), example)


def _checked(kind: str, region: str, kinds: Mapping[str, Kind]) -> Given:
    if "region" not in kinds[kind].model.model_fields:
        able = " or ".join(name for name, one in kinds.items() if "region" in one.model.model_fields)
        raise InvalidConfigError(f"{kind}, which has no region", expected=able, key="--region")
    load_region(RegionConfig(file=region))
    return Given(file=region)
