"""Parts of some ground, drawn for a test that any of them gives the same bytes."""

from __future__ import annotations

from hypothesis import strategies as st

from landslide_scale.grid import PixelBox


def drawn_part(data: st.DataObject, box: PixelBox) -> PixelBox:
    """A box of at least one pixel inside another."""

    def ends(side: int) -> list[int]:
        return sorted(data.draw(st.lists(st.integers(0, side), min_size=2, max_size=2, unique=True)))

    rows, cols = (ends(side) for side in box.shape)
    return PixelBox(
        row_start=box.row_start + rows[0],
        row_stop=box.row_start + rows[1],
        col_start=box.col_start + cols[0],
        col_stop=box.col_start + cols[1],
    )
