"""An untrained LandslideNet is Segment Anything: compared with segment_anything's own forward pass, from a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
import torch.nn.functional as F
from segment_anything import build_sam_vit_b
from segment_anything.build_sam import _build_sam

from landslide_scale.model import build, load_base, random_base
from landslide_scale.model.landslidenet.encoder import encode, position_embedding
from landslide_scale.spec import InputSpec, LandslideNetSpec
from landslide_scale.storage.files import file_sha256

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from landslide_scale.spec import SamSize


def saved(tmp_path: Path, size: SamSize):
    path = tmp_path / f"sam_{size}.pth"
    torch.save(random_base(size, 5), path)
    return path


def ours(path: Path, size: SamSize, **changes: object):
    model = LandslideNetSpec(sam=size, **{"upsample": 1, **changes})
    base = load_base(str(path), file_sha256(path))
    return build(model, InputSpec.for_bands("rgb8", model.bands), base=base).eval()


def theirs(path: Path, size: SamSize):
    if size == "vit_b":
        return build_sam_vit_b(checkpoint=str(path))
    return _build_sam(
        encoder_embed_dim=128,
        encoder_depth=6,
        encoder_num_heads=2,
        encoder_global_attn_indexes=[2, 5],
        checkpoint=str(path),
    )


def promptless_sam(sam: nn.Module, images: torch.Tensor, sides: tuple[int, int]):
    """Logits of segment_anything's own encoder and decoder, image by image, brought to `sides`."""
    h, w = (side // 16 for side in images.shape[2:])
    sam.image_encoder.pos_embed = torch.nn.Parameter(position_embedding(sam.image_encoder.pos_embed.data, (h, w)))
    sam.prompt_encoder.image_embedding_size = (h, w)
    sparse, dense = sam.prompt_encoder(None, None, None)
    masks = [
        sam.mask_decoder(embedding[None], sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask_output=False)[0]
        for embedding in sam.image_encoder((images - sam.pixel_mean) / sam.pixel_std)
    ]
    return F.interpolate(torch.cat(masks), size=sides, mode="bilinear", align_corners=False)


def relative(a: torch.Tensor, b: torch.Tensor):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ("vit_t", (448, 448)),
        ("vit_t", (96, 240)),
        pytest.param("vit_b", (160, 240), marks=pytest.mark.slow),
    ],
)
def test_untrained_net_is_sam(tmp_path: Path, size: SamSize, sides: tuple[int, int]):
    path = saved(tmp_path, size)
    images = 255 * torch.rand(2, 3, *sides, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert relative(ours(path, size)(images), promptless_sam(theirs(path, size), images, sides)) < 1e-5


def test_four_fold_enlargement_gives_sams_own_logits_at_native_resolution(tmp_path: Path):
    path = saved(tmp_path, "vit_t")
    images = 255 * torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    normalised = (images - theirs(path, "vit_t").pixel_mean) / theirs(path, "vit_t").pixel_std
    enlarged = F.interpolate(normalised, scale_factor=4, mode="bilinear", align_corners=False)
    sam = theirs(path, "vit_t")
    sam.pixel_mean, sam.pixel_std = torch.zeros(3, 1, 1), torch.ones(3, 1, 1)
    with torch.no_grad():
        assert relative(ours(path, "vit_t", upsample=4)(images), promptless_sam(sam, enlarged, (48, 48))) < 1e-5


def test_encoder_at_the_size_sam_was_trained_at(tmp_path: Path):
    path = saved(tmp_path, "vit_t")
    images = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    net, encoder = ours(path, "vit_t"), theirs(path, "vit_t").image_encoder
    for one in (net.image_encoder, encoder):
        del one.blocks[3:]  # two with windows and one global show it
    with torch.no_grad():
        assert relative(encode(net.image_encoder, net.tuning, images), encoder(images)) < 1e-5
    assert position_embedding(net.image_encoder.pos_embed, (64, 64)) is net.image_encoder.pos_embed
