from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
from helpers.scenes import Pixels, cog
from helpers.webserver import listening
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer

from landslide_scale.errors import PermanentReadError, ReadError, TryAgainError
from landslide_scale.grid import Lattice, PixelBox, Zone
from landslide_scale.reading import attempts, raster
from landslide_scale.reading.raster import burn, is_native

WEST, NORTH = 499_980, 5_200_020
ROWS, COLS = 60, 48
GENERATOR = np.random.default_rng(7)
NUMBERS = GENERATOR.integers(0, 10_000, (ROWS, COLS)).astype(np.uint16)
NUMBERS[10:25, 5:30] = 0  # a hole without data
CLASSES = GENERATOR.integers(0, 12, (ROWS, COLS)).astype(np.uint8)


def read_numbers(href: str, of: Lattice, wanted: PixelBox) -> NDArray[np.float32]:
    """Numbers with 0 for none."""
    return np.nan_to_num(raster.read_numbers(href, of, wanted).values)


def read_classes(href: str, of: Lattice, wanted: PixelBox) -> NDArray[np.int16]:
    """Classes with 0 outside."""
    return np.maximum(raster.read_classes(href, of, wanted).values, 0)


def lattice(resolution: int = 10, number: int = 33, *, southern: bool = False) -> Lattice:
    return Lattice(zone=Zone.utm(number, southern=southern), resolution=resolution, block=64)


def box(row: int, col: int, rows: int, cols: int) -> PixelBox:
    return PixelBox(row_start=row, row_stop=row + rows, col_start=col, col_stop=col + cols)


def corner(of: Lattice, west: float = WEST, north: float = NORTH) -> tuple[int, int]:
    """Row and column of the lattice at a point."""
    x0, y0 = of.zone.origin
    return round((y0 - north) / of.resolution), round((west - x0) / of.resolution)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("assets")


@pytest.fixture(scope="module")
def numbers(folder: Path) -> str:
    return cog(folder / "numbers.tif", NUMBERS, west=WEST, north=NORTH)


@pytest.fixture(scope="module")
def classes(folder: Path) -> str:
    return cog(folder / "classes.tif", CLASSES, west=WEST, north=NORTH)


def cut(values: Pixels, row: int, col: int, rows: int, cols: int) -> Pixels:
    """Plain slicing of an array that has zeros all around."""
    wide = np.zeros((ROWS + 400, COLS + 400), values.dtype)
    wide[200 : 200 + ROWS, 200 : 200 + COLS] = values
    return wide[200 + row : 200 + row + rows, 200 + col : 200 + col + cols]


WINDOWS = st.tuples(st.integers(-80, 80), st.integers(-80, 80), st.integers(1, 90), st.integers(1, 90))


@settings(max_examples=40)
@given(window=WINDOWS)
def test_a_native_read_is_a_slice_byte_for_byte_wherever_the_window_lies(
    numbers: str, classes: str, window: tuple[int, int, int, int]
):
    row, col = corner(lattice())
    wanted = box(row + window[0], col + window[1], *window[2:])
    assert np.array_equal(read_numbers(numbers, lattice(), wanted), cut(NUMBERS, *window).astype(np.float32))
    found = read_classes(classes, lattice(), wanted)
    assert np.array_equal(found, cut(CLASSES, *window))


@settings(max_examples=30)
@given(window=WINDOWS)
def test_coarser_pixels_are_repeated_whatever_part_of_one_the_window_begins_in(
    folder: Path, window: tuple[int, int, int, int]
):
    path = folder / "coarse.tif"
    if not path.exists():
        cog(path, NUMBERS[:20, :16], west=WEST, north=NORTH, resolution=30)
    row, col = corner(lattice())
    found = read_numbers(str(path), lattice(), box(row + window[0], col + window[1], *window[2:]))
    repeated = NUMBERS[:20, :16].repeat(3, axis=0).repeat(3, axis=1)
    assert np.array_equal(found, cut(repeated, *window).astype(np.float32))


@settings(max_examples=30)
@given(window=st.tuples(st.integers(-10, 20), st.integers(-10, 20), st.integers(1, 30), st.integers(1, 30)))
def test_finer_pixels_are_averaged_over_those_with_data_and_the_middle_class_is_taken(
    numbers: str, classes: str, window: tuple[int, int, int, int]
):
    coarse = lattice(30)
    row, col = corner(coarse)
    wanted = box(row + window[0], col + window[1], *window[2:])
    fine_row, fine_col = corner(lattice())
    # 499 980 and 5 200 020 lie on the lattice of 30 m: cells begin where the file does.
    assert (fine_row, fine_col) == (3 * row, 3 * col)
    fine = cut(NUMBERS, *(3 * value for value in window)).astype(np.float64)
    expected = np.zeros(wanted.shape, np.float32)
    for index in np.ndindex(*wanted.shape):
        cell = fine[3 * index[0] : 3 * index[0] + 3, 3 * index[1] : 3 * index[1] + 3]
        if (cell > 0).any():
            expected[index] = cell[cell > 0].mean()
    assert np.allclose(read_numbers(numbers, coarse, wanted), expected, rtol=1e-6, atol=0)
    middles = cut(CLASSES, *(3 * value for value in window))[1::3, 1::3]
    assert np.array_equal(read_classes(classes, coarse, wanted), middles)


def test_tiles_of_120_m_off_the_120_m_grid_are_whole_2_x_2_cells_of_60_m(folder: Path):
    values = np.arange(1, 26, dtype=np.uint16).reshape(5, 5)
    for name, north in (("wl.tif", 5_100_000.0), ("wm.tif", 5_100_060.0)):
        path = cog(folder / name, values, west=500_040 - 60, north=north, resolution=120)
        row, col = corner(lattice(60), 499_980, north)
        found = read_numbers(path, lattice(60), box(row, col, 10, 10))
        assert np.array_equal(found, values.repeat(2, axis=0).repeat(2, axis=1))


def test_southern_tiles_lie_on_the_southern_lattice(folder: Path):
    south = lattice(60, southern=True)
    path = cog(folder / "south.tif", NUMBERS, west=399_960, north=8_800_000, resolution=60, epsg=32733)
    row, col = corner(south, 399_960, 8_800_000)
    assert south.bounds(box(row, col, ROWS, COLS))[3] == 8_800_000
    assert np.array_equal(read_numbers(path, south, box(row, col, ROWS, COLS)), NUMBERS.astype(np.float32))


@pytest.mark.parametrize("resolution", [10, 20, 60])
def test_a_window_wholly_outside_holds_no_data(numbers: str, classes: str, resolution: int):
    far = box(0, 0, 5, 7)
    for of in (lattice(resolution), lattice(resolution, 34)):
        assert np.isnan(raster.read_numbers(numbers, of, far).values).all()
        outside = raster.read_classes(classes, of, far).values
        assert outside.shape == (5, 7)
        assert (outside == -1).all()


# Other coordinate systems

OTHER = lattice(10, 34)
TO_SOURCE = Transformer.from_crs(32634, 32633, always_xy=True)


def other_box() -> PixelBox:
    """A box of zone 34 that holds the whole file of zone 33 and a rim."""
    bounds = Transformer.from_crs(32633, 32634, always_xy=True).transform_bounds(
        WEST, NORTH - 10 * ROWS, WEST + 10 * COLS, NORTH
    )
    return OTHER.box_covering(bounds).pad(4)


def by_hand(values: Pixels, row: float, col: float) -> float:
    """Bilinear at a position of pixel centres, over the pixels with data, where the pixel under it has data."""
    own = math.floor(row + 0.5), math.floor(col + 0.5)
    if not (0 <= own[0] < ROWS and 0 <= own[1] < COLS and values[own]):
        return 0.0
    total = weight = 0.0
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(col), math.floor(col) + 1):
            share = (1 - abs(row - r)) * (1 - abs(col - c))
            if 0 <= r < ROWS and 0 <= c < COLS and values[r, c]:
                total += share * float(values[r, c])
                weight += share
    return total / weight


def test_another_system_is_sampled_at_every_pixel_centre_and_no_data_never_bleeds(numbers: str, classes: str):
    wanted = other_box()
    x, y = OTHER.centres(wanted)
    found, found_classes = read_numbers(numbers, OTHER, wanted), read_classes(classes, OTHER, wanted)
    assert (found > 0).sum() > 1500
    for index in np.ndindex(*wanted.shape):
        source_x, source_y = TO_SOURCE.transform(x[index[1]], y[index[0]])
        row, col = (NORTH - source_y) / 10 - 0.5, (source_x - WEST) / 10 - 0.5
        assert found[index] == pytest.approx(by_hand(NUMBERS, row, col), rel=1e-5)
        own = math.floor(row + 0.5), math.floor(col + 0.5)
        inside = 0 <= own[0] < ROWS and 0 <= own[1] < COLS
        assert found_classes[index] == (CLASSES[own] if inside else 0)


@settings(max_examples=40)
@given(data=st.data())
def test_a_value_of_another_system_does_not_depend_on_the_window_asked_for(
    numbers: str, classes: str, data: st.DataObject
):
    whole = other_box()
    rows = sorted(data.draw(st.lists(st.integers(0, whole.shape[0]), min_size=2, max_size=2, unique=True)))
    cols = sorted(data.draw(st.lists(st.integers(0, whole.shape[1]), min_size=2, max_size=2, unique=True)))
    part = box(whole.row_start + rows[0], whole.col_start + cols[0], rows[1] - rows[0], cols[1] - cols[0])
    for read, path in ((read_numbers, numbers), (read_classes, classes)):
        assert read(path, OTHER, part).tobytes() == read(path, OTHER, whole)[part.within(whole)].tobytes()


def test_a_constant_stays_itself_up_to_its_edge_and_its_holes(folder: Path):
    values = np.where(NUMBERS > 0, np.uint16(5000), np.uint16(0))
    path = cog(folder / "constant.tif", values, west=WEST, north=NORTH)
    assert set(np.unique(read_numbers(path, OTHER, other_box())).tolist()) == {0.0, 5000.0}


def test_pixels_off_the_lattice_of_the_same_system_are_sampled_not_shifted(folder: Path):
    path = cog(folder / "off.tif", np.full((ROWS, COLS), 700, np.uint16), west=WEST + 3, north=NORTH)
    row, col = corner(lattice())
    found = read_numbers(path, lattice(), box(row, col, ROWS, COLS))
    assert set(np.unique(found).tolist()) == {700.0}


def test_only_the_zones_own_system_is_native():
    assert is_native(32633, lattice())
    assert not is_native(32634, lattice())
    assert not is_native(32733, lattice())


def test_burnt_shapes_are_true_at_the_pixel_centres_inside():
    wanted = box(-20, 10, 8, 9)
    x, y = np.meshgrid(*lattice().centres(wanted))
    triangle = shapely.Polygon([(105, 195), (180, 130), (110, 125)])
    assert np.array_equal(burn([triangle], lattice(), wanted), shapely.contains_xy(triangle, x, y))
    assert not burn([], lattice(), wanted).any()


# Real pixels


def test_real_tiles_of_120_m_are_read_as_plain_arrays(shared_data: Path):
    for path in sorted(shared_data.glob("sentinel2/earthsearch-33T-2023-08/*/B08.tif")):
        with rasterio.open(path) as dataset:
            values, transform = dataset.read(1), dataset.transform
        row, col = corner(lattice(60), transform.c, transform.f)
        found = read_numbers(str(path), lattice(60), box(row, col, 2 * values.shape[0], 2 * values.shape[1]))
        assert np.array_equal(found, values.repeat(2, axis=0).repeat(2, axis=1).astype(np.float32))


# Files that are not what they claim


def refused(path: str) -> PermanentReadError:
    with pytest.raises(PermanentReadError) as caught:
        read_numbers(path, lattice(), box(*corner(lattice()), 8, 8))
    return caught.value


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_vrt_that_calls_itself_tif_is_refused(folder: Path, numbers: str):
    path = folder / "really_a_vrt.tif"
    path.write_text(
        f'<VRTDataset rasterXSize="{COLS}" rasterYSize="{ROWS}"><VRTRasterBand dataType="UInt16" band="1">'
        f"<SimpleSource><SourceFilename>{numbers}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with rasterio.open(path) as dataset:
        assert dataset.driver == "VRT"  # GDAL itself would follow it
    assert refused(str(path)).where["file"] == str(path)


def test_a_truncated_file_and_a_missing_one_fail_for_good_and_by_name(folder: Path, numbers: str):
    whole = Path(numbers).read_bytes()
    torn, head = folder / "torn_500_timeout.tif", folder / "head.tif"
    torn.write_bytes(whole[: len(whole) - 2500])
    head.write_bytes(whole[:100])
    for path in (torn, head, folder / "absent.tif", folder):
        with pytest.raises(PermanentReadError, match="GeoTIFF") as caught:
            read_numbers(str(path), lattice(), box(*corner(lattice()), ROWS, COLS))
        assert caught.value.where["file"] == str(path)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("profile", "said"),
    [
        ({"width": 100_000, "height": 100_000}, "100000 x 100000"),
        ({"width": 16, "height": 50_000}, "50000 x 16"),
        ({"width": 20_000, "height": 20_000, "tiled": True, "blockxsize": 20_000, "blockysize": 20_000}, "blocks of"),
        ({"count": 3}, "3 band"),
        ({"dtype": "float32"}, "float32"),
        ({"crs": None}, "CRS None"),
        ({"transform": rasterio.Affine(10, 0, WEST, 0, -20, NORTH)}, "transform"),
        ({"transform": rasterio.Affine(10, 1, WEST, 1, -10, NORTH)}, "transform"),
        ({"transform": rasterio.Affine(10, 0, WEST, 0, 10, NORTH)}, "transform"),
    ],
)
def test_a_file_of_another_kind_or_of_absurd_size_is_refused_before_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profile: dict[str, object], said: str
):
    plain = {"width": 16, "height": 16, "count": 1, "dtype": "uint16", "crs": "EPSG:32633"}
    plain |= {"transform": rasterio.Affine(10, 0, WEST, 0, -10, NORTH), "SPARSE_OK": True, "compress": "DEFLATE"}
    path = tmp_path / "odd.tif"
    with rasterio.open(path, "w", driver="GTiff", **(plain | profile)):
        pass
    monkeypatch.setattr(raster, "_window", lambda *_: pytest.fail("nothing may be read of it"))
    assert said in refused(str(path)).found


# Over HTTP


class Store:
    """Files over HTTP; `plan` says how the next requests go: ``ok``, a status, or ``reset``."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.plan: list[str] = []
        self.plan_of_get: list[str] = []
        self.asked: list[str] = []
        self.address = ""


def answer(request: BaseHTTPRequestHandler, store: Store) -> None:
    content = store.files.get(request.path.split("?")[0])
    plan = store.plan_of_get if request.command == "GET" and store.plan_of_get else store.plan
    outcome = plan.pop(0) if plan else "ok"
    store.asked.append(f"{request.command} {outcome}")
    if outcome == "reset":
        request.connection.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: close by a reset
        request.close_connection = True
        return
    status = 404 if content is None else 206 if outcome == "ok" else int(outcome)
    if status != 206 or content is None:
        request.send_response(status)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return
    first, last = (request.headers.get("Range") or f"bytes=0-{len(content) - 1}").removeprefix("bytes=").split("-")
    part = content[int(first) : int(last) + 1]
    request.send_response(206 if "Range" in request.headers else 200)
    request.send_header("Content-Length", str(len(part)))
    request.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}")
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(part)


@pytest.fixture
def store(numbers: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    made = Store()
    made.files["/numbers.tif"] = Path(numbers).read_bytes()
    with listening(lambda request: answer(request, made)) as made.address:
        yield made


def read_all(store: Store, name: str = "/numbers.tif") -> NDArray[np.float32]:
    return read_numbers(store.address + name, lattice(), box(*corner(lattice()), ROWS, COLS))


@pytest.mark.parametrize("outcome", ["503", "500", "502", "504", "429", "408", "reset"])
def test_a_server_that_fails_twice_and_then_answers_is_retried(store: Store, outcome: str):
    store.plan = [outcome, outcome]
    assert np.array_equal(read_all(store), NUMBERS.astype(np.float32))
    assert store.asked[:2] == [f"HEAD {outcome}"] * 2


@pytest.mark.parametrize("outcome", ["503", "reset"])
def test_a_server_that_fails_after_the_first_answer_is_retried_though_gdal_does_not_say_why(store: Store, outcome: str):
    store.plan_of_get = [outcome] * 4
    assert np.array_equal(read_all(store), NUMBERS.astype(np.float32))
    assert f"GET {outcome}" in store.asked


def test_a_server_that_goes_on_failing_may_be_tried_again_later_and_then_works(store: Store):
    store.plan = ["503"] * 6  # GDAL's request, and the one after Retry-After
    with pytest.raises(TryAgainError, match="503"):
        read_all(store)
    assert np.array_equal(read_all(store), NUMBERS.astype(np.float32))


def test_a_server_that_is_away_may_be_tried_again_later(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(attempts, "FIRST_WAIT_S", 0.01)
    with pytest.raises(TryAgainError):
        read_numbers("http://127.0.0.1:9/numbers.tif", lattice(), box(0, 0, 4, 4))


@pytest.mark.parametrize("outcome", ["404", "403", "401", "410"])
def test_a_refusal_is_permanent_and_not_retried(store: Store, outcome: str):
    store.plan = [outcome]
    with pytest.raises(PermanentReadError, match=outcome):
        read_all(store)
    assert store.asked == [f"HEAD {outcome}"]


def test_a_file_that_was_missing_is_found_once_it_is_there(store: Store):
    with pytest.raises(PermanentReadError, match="404"):
        read_all(store, "/late.tif")
    store.files["/late.tif"] = store.files["/numbers.tif"]
    assert np.array_equal(read_all(store, "/late.tif"), NUMBERS.astype(np.float32))


@pytest.mark.parametrize("kept", [100, 3000])
def test_a_torn_remote_file_is_permanent_after_the_attempts_and_named_without_its_signature(store: Store, kept: int):
    store.files["/torn.tif"] = store.files["/numbers.tif"][:kept]
    with pytest.raises(PermanentReadError) as caught:
        read_all(store, "/torn.tif?signature=secret")
    assert type(caught.value) is PermanentReadError
    assert caught.value.where["file"] == f"{store.address}/torn.tif"
    assert "secret" not in str(caught.value)


def test_signed_addresses_are_read(store: Store):
    assert np.array_equal(read_all(store, "/numbers.tif?signature=a%2Fb&se=2023"), NUMBERS.astype(np.float32))


@pytest.mark.parametrize("outcome", ["503", "404"])
def test_signatures_are_never_repeated(store: Store, outcome: str):
    store.plan = [outcome] * 6
    with pytest.raises(ReadError) as caught:
        read_all(store, "/numbers.tif?signature=secret")
    assert "secret" not in str(caught.value)


def test_numbers_in_a_name_are_no_status(store: Store):
    with pytest.raises(PermanentReadError, match="404"):
        read_all(store, "/connection_timeout_503_500.tif")
    assert len(store.asked) == 1


Reader = Callable[[str, Lattice, PixelBox], NDArray[np.generic]]


@pytest.mark.parametrize("reader", [read_numbers, read_classes])
def test_one_window_is_asked_for_in_few_requests(store: Store, reader: Reader):
    values = GENERATOR.integers(1, 200, (2048, 2048)).astype(np.uint8 if reader is read_classes else np.uint16)
    store.files["/large.tif"] = as_cog(values)
    row, col = corner(lattice())
    found = reader(f"{store.address}/large.tif", lattice(), box(row + 500, col + 500, 600, 600))
    assert np.array_equal(found, values[500:1100, 500:1100])
    assert len(store.asked) <= 6


def as_cog(values: Pixels) -> bytes:
    with rasterio.MemoryFile() as memory:
        profile = {"driver": "COG", "height": values.shape[0], "width": values.shape[1], "count": 1}
        transform = rasterio.Affine(10, 0, WEST, 0, -10, NORTH)
        with memory.open(**profile, dtype=values.dtype, crs="EPSG:32633", transform=transform, nodata=0) as target:
            target.write(values, 1)
        return bytes(memory.read())
