from __future__ import annotations

import io

import numpy as np
from PIL import Image

from landslide_scale.paper.figures import Example, comparison, errors, shown, sizes_figure
from landslide_scale.paper.sheets import Spread, Table


def test_every_pixel_is_coloured_by_what_became_of_it():
    label = np.array([[1, 1, 0, 0, 255]], np.uint8)
    mask = np.array([[True, False, True, False, True]])
    hit, missed, false, right, ignored = errors(mask, label)[0]
    colours = {tuple(colour) for colour in (hit, missed, false, right, ignored)}
    assert len(colours) == 5
    assert tuple(right) == (0, 0, 0)
    assert missed[2] > missed[0]  # blue
    assert false[0] > false[2]  # orange


def test_a_comparison_has_a_panel_for_each_image_and_model():
    def example(name: str) -> Example:
        side = np.zeros((16, 16), np.uint8)
        return Example(
            name=name, image=np.zeros((16, 16, 3), np.uint8), label=side, masks={"A": side > 0, "B": side == 0}
        )

    one, two = (
        Image.open(io.BytesIO(comparison([example(str(number)) for number in range(count)], "made")))
        for count in (1, 2)
    )
    assert two.width == one.width
    assert two.height > one.height


def test_an_image_is_shown_in_its_own_colours_and_no_data_black():
    image = np.stack([np.full((4, 4), value, np.float32) for value in (3.0, 1.0, 2.0)])
    image[:, :, :2] += 5
    image[:, 0, 0] = np.nan
    picture = shown(image, ("nir", "red", "green"))
    assert picture.shape == (4, 4, 3)
    assert (picture[..., 0] == picture[..., 1]).all()  # no blue: its first band as grey
    assert picture[0, 0].tolist() == [0, 0, 0]
    assert picture[1, 0].tolist() == [255, 255, 255]
    coloured = shown(image, ("green", "blue", "red"))
    assert coloured.shape == (4, 4, 3)


def test_the_size_figure_leaves_out_what_is_undefined():
    columns = ("Model", "trainable M", "total M", "mF1 %")
    rows = (
        ("A", "4.20", "4.20", Spread.of([0.8])),
        ("B", "9.00", "9.00", Spread.of([np.nan])),
        ("constant map", None, None, Spread.of([0.5, 0.6])),
    )
    table = Table(name="sizes", title="", columns=columns, rows=rows, notes=())
    assert Image.open(io.BytesIO(sizes_figure(table))).format == "PNG"
