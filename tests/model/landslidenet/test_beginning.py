"""A predictor begins without what its network does not use, and takes nothing of it from anybody."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torchvision", "torch._dynamo", "sympy", "segmentation_models_pytorch", "matplotlib"}


def said(script: str) -> str:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_what_predicts_is_imported_without_torchvision_and_the_compiler_of_torch():
    assert said(f"import sys, landslide_scale.scan.pipeline.predictor; print({HEAVY} & sys.modules.keys())") == "set()"


def test_a_network_is_built_without_what_torch_imports_for_tensors_without_numbers():
    built = (
        "import sys; from landslide_scale.model import build; "
        "from landslide_scale.spec import InputSpec, LandslideNetSpec; "
        "model, inputs = LandslideNetSpec(sam='vit_t', bands=('red',)), InputSpec.for_bands('boa', ('red',)); "
        "build(model, inputs, base=None, seed=0); "
    )
    assert said(f"{built} print({HEAVY} & sys.modules.keys())") == "set()"


@pytest.mark.parametrize(
    "asked",
    [
        "import segment_anything; whole = segment_anything.SamPredictor",
        "from segment_anything import sam_model_registry, SamAutomaticMaskGenerator",
        "import segment_anything.utils.transforms as some; assert some.ResizeLongestSide",
        "from segment_anything.build_sam import build_sam_vit_b",
    ],
)
@pytest.mark.parametrize("first", ["", "import segment_anything; "])
def test_whoever_asks_for_the_whole_package_has_it_with_the_same_networks(first: str, asked: str):
    script = (
        f"{first}import landslide_scale.model.landslidenet.sam as ours; {asked}; import segment_anything, pickle; "
        "assert segment_anything.modeling.ImageEncoderViT is ours.ImageEncoderViT; "
        "assert pickle.loads(pickle.dumps(ours.MaskDecoder)) is ours.MaskDecoder; "
        "assert segment_anything.SamPredictor.__module__ == 'segment_anything.predictor'; "
        "assert not hasattr(segment_anything, 'missing') and not hasattr(segment_anything, '__missing__'); "
        "print('same')"
    )
    assert said(script) == "same"
