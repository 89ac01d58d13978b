from __future__ import annotations

import ast
import hashlib
import json
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from landslide_scale.datasets import LocalFiles, inspect, open_dataset
from landslide_scale.datasets.bijie import open_bijie
from landslide_scale.datasets.chips import open_chips
from landslide_scale.datasets.files import RemoteFiles
from landslide_scale.datasets.landslide4sense import Landslide4Sense
from landslide_scale.datasets.pairs import open_pairs
from landslide_scale.datasets.spec import DataSpec
from landslide_scale.errors import InvalidConfigError, InvalidDatasetError
from landslide_scale.provenance import ImageFacts
from landslide_scale.spec import InputSpec, LandslideNetSpec

MEANING = {0: 0, 255: 1}
INDEX = {"version": 1, "bands": ["red", "green", "blue", "nir08"], "radiometry": "boa", "resolution": 10.0, "size": 32}
RGB = LandslideNetSpec()


def write_pair(root: Path, name: str, *, size: tuple[int, int] = (20, 30), mask_size: tuple[int, int] | None = None):
    rng = np.random.default_rng(sum(name.encode()))
    for folder in ("image", "mask"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    image = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(image).save(root / "image" / f"{name}.png")
    width, height = mask_size or size
    mask = np.zeros((height, width), np.uint8)
    mask[: height // 2] = 255
    Image.fromarray(mask).save(root / "mask" / f"{name}.png")


def write_chip(root: Path, name: str, **changes: np.ndarray):
    rng = np.random.default_rng(sum(name.encode()))
    arrays = {
        "image": rng.random((4, 32, 32), np.float32),
        "label": rng.choice(np.array([0, 1, 255], np.uint8), (32, 32)),
    }
    np.savez_compressed(root / f"{name}.npz", **(arrays | changes))


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    for name in ("b", "a", "c"):
        write_pair(tmp_path, name)
    return tmp_path


@pytest.fixture
def chips(tmp_path: Path) -> Path:
    (tmp_path / "chips.json").write_text(json.dumps(INDEX))
    for name in ("b", "a"):
        write_chip(tmp_path, name)
    return tmp_path


def test_pairs_read_as_display_values_and_labels(pairs: Path):
    dataset = open_dataset(DataSpec(kind="pairs", path=str(pairs)), RGB, InputSpec.for_bands("rgb8", RGB.bands))
    assert dataset.names == ("a", "b", "c")
    sample = dataset.read("a")
    assert sample.image.shape == (3, 30, 20)
    assert sample.image.dtype == np.float32
    assert sample.image.max() > 200
    assert sample.label.dtype == np.uint8
    assert (sample.label[:15] == 1).all()
    assert not sample.label[15:].any()
    found = inspect(dataset)
    assert {(f.height, f.width, f.landslide, f.counted) for f in found.values()} == {(30, 20, 300, 600)}


def test_declared_values_map_padding_to_ignored(pairs: Path):
    """In one published set 1 is landslide and 255 is padding; in another 255 is landslide."""
    mask = np.zeros((30, 20), np.uint8)
    mask[0], mask[1] = 1, 255
    Image.fromarray(mask).save(pairs / "mask" / "a.png")
    spec = DataSpec(kind="pairs", path=str(pairs), landslide=(1,), ignore=(255,))
    label = open_dataset(spec, RGB, InputSpec.for_bands("rgb8", RGB.bands)).read("a").label
    assert [int((label == value).sum()) for value in (0, 1, 255)] == [560, 20, 20]


def test_transparent_pixels_are_no_data(pairs: Path):
    rgba = np.full((30, 20, 4), 90, np.uint8)
    rgba[0, :, 3] = 0
    Image.fromarray(rgba).save(pairs / "image" / "a.png")
    image = open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING).read("a").image
    assert np.isnan(image[:, 0]).all()
    assert (image[:, 1:] == 90).all()


def test_resizing_smooths_images_and_never_mixes_labels(pairs: Path):
    stripes = np.zeros((30, 20, 3), np.uint8)
    stripes[::2] = 255
    Image.fromarray(stripes).save(pairs / "image" / "a.png")
    sample = open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING, resize=5).read("a")
    assert sample.image.shape == (3, 5, 5)
    assert np.abs(sample.image - 127.5).max() < 30
    assert set(np.unique(sample.label)) == {0, 1}


def test_an_image_without_mask_is_named(pairs: Path):
    (pairs / "mask" / "b.png").unlink()
    with pytest.raises(InvalidDatasetError, match=r"mask: nothing for 1 of 3 names \(b\).*image/b\.png"):
        open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING)


def test_a_mask_without_image_is_named(pairs: Path):
    (pairs / "image" / "c.png").unlink()
    with pytest.raises(InvalidDatasetError, match=r"image: nothing for 1 of 3 names \(c\).*mask/c\.png"):
        open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING)


def test_a_mask_of_another_size_is_named(pairs: Path):
    write_pair(pairs, "b", mask_size=(20, 31))
    with pytest.raises(InvalidDatasetError, match=r"b\.png: the mask is 20 x 31 px; expected 20 x 30 px") as raised:
        inspect(open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING))
    assert raised.value.where["file"] == str(pairs / "mask" / "b.png")


def test_an_undeclared_mask_value_is_named(pairs: Path):
    Image.fromarray(np.full((30, 20), 7, np.uint8)).save(pairs / "mask" / "a.png")
    with pytest.raises(InvalidDatasetError, match=r"a\.png: mask values \[7\]; expected only \[0, 255\]"):
        inspect(open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING))


def test_a_truncated_image_is_named(pairs: Path):
    path = pairs / "image" / "b.png"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(InvalidDatasetError, match=r"b\.png: cannot be decoded .*; expected an 8-bit RGB image, whole"):
        inspect(open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING))


def test_no_image_at_all_is_decoded_from_text(pairs: Path):
    (pairs / "image" / "a.png").write_text("not an image")
    with pytest.raises(InvalidDatasetError, match=r"a\.png: no picture that is known; expected an 8-bit RGB image"):
        inspect(open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING))


def test_a_grey_image_is_refused(pairs: Path):
    Image.fromarray(np.zeros((30, 20), np.uint8)).save(pairs / "image" / "a.png")
    with pytest.raises(InvalidDatasetError, match=r"a\.png: mode L \(grey\); expected an 8-bit RGB image"):
        inspect(open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING))


def test_a_huge_declared_size_is_refused_before_it_is_decoded(pairs: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("landslide_scale.datasets.pictures.MOST_PIXELS", 100)
    with pytest.raises(InvalidDatasetError, match=r"20 x 30 px; expected at most 100 pixels"):
        open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING).read("a")


def test_two_files_of_one_name_are_refused(pairs: Path):
    (pairs / "image" / "a.jpg").write_bytes(b"")
    with pytest.raises(InvalidDatasetError, match=r"a\.png: the same name as .*a\.jpg"):
        open_pairs(LocalFiles(root=str(pairs)), meaning=MEANING)


@pytest.mark.parametrize("kind", ["bijie", "pairs", "chips"])
def test_missing_folders_are_named(tmp_path: Path, kind: str):
    spec = DataSpec(kind=kind, path=str(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(InvalidDatasetError, match=str(tmp_path)):
        open_dataset(spec, RGB, InputSpec.for_bands("rgb8", RGB.bands))


def test_empty_folders_are_refused(tmp_path: Path):
    for folder in ("image", "mask"):
        (tmp_path / folder).mkdir()
    with pytest.raises(InvalidDatasetError, match=r"image: no images"):
        open_pairs(LocalFiles(root=str(tmp_path)), meaning=MEANING)


def test_bijie_takes_images_without_landslides_when_asked(tmp_path: Path):
    write_pair(tmp_path / "landslide", "ls_1")
    write_pair(tmp_path / "non-landslide", "nls_1")
    spec = DataSpec(kind="bijie", path=str(tmp_path), non_landslide=True)
    inputs = InputSpec.for_bands("rgb8", RGB.bands)
    found = inspect(open_dataset(spec, RGB, inputs))
    assert {name: image.landslide for name, image in found.items()} == {"landslide/ls_1": 300, "non-landslide/nls_1": 0}
    assert open_dataset(DataSpec(kind="bijie", path=str(tmp_path)), RGB, inputs).names == ("landslide/ls_1",)


def test_chips_give_the_models_bands_in_its_order(chips: Path):
    model = LandslideNetSpec(bands=("nir08", "red"))
    dataset = open_dataset(DataSpec(kind="chips", path=str(chips)), model, InputSpec.for_bands("boa", model.bands))
    assert dataset.names == ("a", "b")
    with np.load(chips / "a.npz") as stored:
        np.testing.assert_array_equal(dataset.read("a").image, stored["image"][[3, 0]])
        np.testing.assert_array_equal(dataset.read("a").label, stored["label"])


def test_chips_without_a_band_of_the_model_are_refused(chips: Path):
    with pytest.raises(InvalidDatasetError, match=r"chips\.json: no band swir22 among red, green, blue, nir08"):
        open_chips(LocalFiles(root=str(chips)), bands=("red", "swir22"))


def test_another_radiometry_than_the_models_is_refused(chips: Path):
    with pytest.raises(InvalidDatasetError, match=r"radiometry boa; expected rgb8, the model's"):
        open_dataset(DataSpec(kind="chips", path=str(chips)), RGB, InputSpec.for_bands("rgb8", RGB.bands))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": np.zeros((3, 32, 32), np.float32)}, r"image float32 \(3, 32, 32\); expected image float32 \(4, 32"),
        ({"image": np.zeros((4, 32, 32))}, r"image float64 .*; expected image float32"),
        ({"label": np.zeros((32, 31), np.uint8)}, r"label uint8 \(32, 31\); expected label uint8 \(32, 32\)"),
        ({"label": np.full((32, 32), 2, np.uint8)}, r"label values \[2\]; expected only \[0, 1, 255\]"),
        ({"image": np.full((4, 32, 32), np.inf, np.float32)}, r"infinite values in image; expected numbers, or NaN"),
        ({"label": np.full((32, 32), None)}, r"label object .*; expected label uint8"),
    ],
)
def test_a_chip_of_other_arrays_is_named(chips: Path, changes: dict[str, np.ndarray], message: str):
    write_chip(chips, "b", **changes)
    with pytest.raises(InvalidDatasetError, match=rf"b\.npz: {message}"):
        inspect(open_chips(LocalFiles(root=str(chips))))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nothing"])
def test_a_damaged_chip_is_named(chips: Path, damage: bytes):
    (chips / "a.npz").write_bytes(damage)
    with pytest.raises(InvalidDatasetError, match=r"a\.npz: image cannot be read"):
        inspect(open_chips(LocalFiles(root=str(chips))))


def test_a_truncated_chip_is_named(chips: Path):
    (chips / "a.npz").write_bytes((chips / "a.npz").read_bytes()[:-3000])
    with pytest.raises(InvalidDatasetError, match=r"a\.npz: image cannot be read"):
        inspect(open_chips(LocalFiles(root=str(chips))))


def test_threads_never_parse_two_headers_at_once(chips: Path, monkeypatch: pytest.MonkeyPatch):
    # NumPy parses headers with ast, whose depth count Python 3.11 shares between threads: at times a SystemError.
    parsing, alone = threading.Lock(), []
    parse = ast.literal_eval

    def watched(header: str) -> object:
        free = parsing.acquire(blocking=False)
        alone.append(free)
        time.sleep(0.005)
        if free:
            parsing.release()
        return parse(header)

    for name in "cdefgh":
        write_chip(chips, name)
    monkeypatch.setattr(ast, "literal_eval", watched)
    inspect(open_chips(LocalFiles(root=str(chips))), threads=8)
    assert alone == [True] * 16


def test_an_image_stored_in_columns_reads_as_one_in_rows(chips: Path):
    image = np.arange(4 * 32 * 32, dtype=np.float32).reshape(4, 32, 32)
    write_chip(chips, "a", image=np.asfortranarray(image))
    np.testing.assert_array_equal(open_chips(LocalFiles(root=str(chips))).read("a").image, image)


def test_a_chip_whose_values_end_early_or_go_on_is_named(chips: Path):
    with zipfile.ZipFile(chips / "a.npz") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for damaged in (members["image.npy"][:-4], members["image.npy"] + b"more"):
        with zipfile.ZipFile(chips / "a.npz", "w") as archive:
            archive.writestr("image.npy", damaged)
            archive.writestr("label.npy", members["label.npy"])
        with pytest.raises(InvalidDatasetError, match=r"a\.npz: image of other than 16384 bytes; expected image"):
            open_chips(LocalFiles(root=str(chips))).read("a")


def test_a_chip_with_a_flipped_bit_is_named(chips: Path):
    image = np.random.default_rng(0).random((4, 32, 32), np.float32)
    np.savez(chips / "a.npz", image=image, label=np.zeros((32, 32), np.uint8))
    content = bytearray((chips / "a.npz").read_bytes())
    content[content.index(image.tobytes()[100:200])] ^= 1
    (chips / "a.npz").write_bytes(content)
    with pytest.raises(InvalidDatasetError, match=r"a\.npz: image cannot be read \(Bad CRC-32"):
        open_chips(LocalFiles(root=str(chips))).read("a")


def test_a_chip_without_label_is_named(chips: Path):
    np.savez(chips / "a.npz", image=np.zeros((4, 32, 32), np.float32))
    with pytest.raises(InvalidDatasetError, match=r"a\.npz: label cannot be read .*; expected label uint8"):
        inspect(open_chips(LocalFiles(root=str(chips))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2; expected 1"),
        ({"bands": ["red", "red"]}, r"bands \['red', 'red'\]; expected a list of band names, each once"),
        ({"radiometry": "dn"}, "radiometry 'dn'; expected one of boa, toa, rgb8, l4s"),
        ({"resolution": 0}, "resolution 0; expected metres per pixel, more than 0"),
        ({"size": "32"}, "size '32'; expected pixels per side, 1 to"),
        ({"composite": {"clear": "4"}}, r"composite \{'clear': '4'\}; expected method, clear classes and dilate_m"),
        ({"dem_source": "cop-dem-glo-30"}, "dem_source 'cop-dem-glo-30'; expected profile and collection, by name"),
        ({"fair_share": 1}, "fair_share 1; expected true or false"),
        ({"chips": {"a": "0"}}, r"chips \{'a': '0'\}; expected the SHA-256 of each, in hexadecimal"),
    ],
)
def test_a_wrong_index_is_refused(chips: Path, change: dict[str, object], message: str):
    (chips / "chips.json").write_text(json.dumps(INDEX | change))
    with pytest.raises(InvalidDatasetError, match=rf"chips\.json: {message}"):
        open_chips(LocalFiles(root=str(chips)))


def test_an_index_that_is_no_json_is_refused(chips: Path):
    (chips / "chips.json").write_text("{")
    with pytest.raises(InvalidDatasetError, match=r"chips\.json: no JSON"):
        open_chips(LocalFiles(root=str(chips)))


def test_an_object_store_reads_as_a_folder_does(chips: Path):
    remote = open_chips(RemoteFiles(root=f"file://{chips}"))
    local = open_chips(LocalFiles(root=str(chips)))
    assert remote.names == local.names
    np.testing.assert_array_equal(remote.read("a").image, local.read("a").image)
    with pytest.raises(InvalidDatasetError, match=r"c\.npz: cannot be read"):
        remote.read("c")
    with pytest.raises(InvalidDatasetError, match="nowhere: cannot be listed"):
        RemoteFiles(root="file:///nowhere").names("")


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "chips", "resize": 64},
        {"kind": "bijie", "resize": 0},
        {"kind": "pairs", "non_landslide": True},
        {"kind": "pairs", "landslide": (0,)},
        {"kind": "pairs", "landslide": ()},
    ],
)
def test_contradictory_settings_are_refused(arguments: dict[str, object]):
    with pytest.raises(InvalidConfigError, match="data"):
        DataSpec(path="x", **arguments)  # type: ignore[arg-type]


MADE = {
    "bands": ["red", "green", "blue", "slope"],
    "composite": {"method": "latest", "clear": [4, 5], "dilate_m": 60.0},
    "windows": 2,
    "dem_source": {"profile": "plain", "collection": "cop-dem-glo-30"},
    "fair_share": True,
}


def test_chips_say_what_their_pixels_are_and_older_ones_say_that_nobody_knows(chips: Path):
    assert open_chips(LocalFiles(root=str(chips))).facts == ImageFacts(resolution=10.0)
    (chips / "chips.json").write_text(json.dumps(INDEX | MADE))
    known = ImageFacts(
        resolution=10.0, method="latest", clear=(4, 5), dilate_m=60.0, dem="cop-dem-glo-30", fair_share=True
    )
    assert open_chips(LocalFiles(root=str(chips))).facts == known
    without_terrain = open_chips(LocalFiles(root=str(chips)), bands=("green", "red")).facts
    assert without_terrain == ImageFacts(resolution=10.0, method="latest", clear=(4, 5), dilate_m=60.0, fair_share=True)


def named(chips: Path) -> Path:
    """The chips, once their index names them."""
    hashes = {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in chips.glob("*.npz")}
    (chips / "chips.json").write_text(json.dumps(INDEX | {"chips": hashes}))
    return chips


def test_a_copy_that_lacks_chips_is_refused_by_their_names(chips: Path):
    (named(chips) / "a.npz").unlink()
    with pytest.raises(InvalidDatasetError, match=r"1 of 2 chips are not there \(a\.npz\)"):
        open_chips(LocalFiles(root=str(chips)))


def test_a_folder_with_chips_of_another_set_is_refused(chips: Path):
    write_chip(named(chips), "of_another_set")
    with pytest.raises(InvalidDatasetError, match=r"1 files that chips\.json does not name \(of_another_set\.npz\)"):
        open_chips(LocalFiles(root=str(chips)))


def test_a_chip_that_is_another_file_than_the_index_says_is_refused_when_it_is_read(chips: Path):
    opened = open_chips(LocalFiles(root=str(named(chips))))
    assert opened.read("b").image.shape == (4, 32, 32)
    write_chip(chips, "a", label=np.zeros((32, 32), np.uint8))
    with pytest.raises(
        InvalidDatasetError, match=r"a\.npz: SHA-256 [0-9a-f]{64}; expected [0-9a-f]{64}, as chips\.json"
    ):
        opened.read("a")


def test_chips_of_several_windows_show_one_place(chips: Path):
    opened = open_chips(LocalFiles(root=str(chips)))
    names = [f"EPSG_32633-t{layer}-r-2-c{col}" for layer in (0, 13) for col in (1, 2)]
    assert [opened.place(name) for name in names] == ["EPSG_32633-r-2-c1", "EPSG_32633-r-2-c2"] * 2


def test_other_data_sets_say_their_resolution_and_whether_they_were_picked(pairs: Path):
    files, meaning = LocalFiles(root=str(pairs)), {0: 0, 255: 1}
    assert open_pairs(files, meaning=meaning, resolution=3.0).facts == ImageFacts(resolution=3.0)
    assert open_pairs(files, meaning=meaning).facts == ImageFacts()
    (pairs / "landslide").mkdir()
    for folder in ("image", "mask"):
        (pairs / folder).rename(pairs / "landslide" / folder)
    assert open_bijie(files).facts == ImageFacts(resolution=0.8, fair_share=False)
    squares = Landslide4Sense(files=files, names=("image_1",), bands=("red",))
    assert squares.facts == ImageFacts(resolution=10.0)
