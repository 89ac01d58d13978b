"""Reflectance of the ground on a day: cover, brightness, scars and light, on 5 m cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from landslide_scale.demo.ground.canvas import block_mean, cell_centres, inside
from landslide_scale.demo.ground.cover import BARE, Classes, Cover, bilinear_twice
from landslide_scale.demo.ground.frame import CELL_M, FINE_M, TRUTH_M, Frame
from landslide_scale.demo.ground.noise import Field, fractal, stream
from landslide_scale.demo.ground.scars import Scar
from landslide_scale.demo.ground.spectra import BANDS, HUE, ROUGHNESS, SCAR, reflectance_table

_REGROWN = {"new": (0.0, 0.22), "old": (0.25, 0.60)}  # share of a scar under grass
_TERRAIN_LEFT = 0.9  # exponent: L2A takes part of the terrain's shading out, not all of it


@dataclass(frozen=True, kw_only=True)
class ScarCells:
    """The 5 m cells scars touch, as flat indices and one value per cell.

    Attributes:
        index: intp, ascending.
        share: float32, part of the cell inside a scar (sixteenths of 2.5 m cells averaged).
        tone: float32, brightness against `spectra.SCAR`: bright at the crown, dark at the toe.
        regrown: float32, share of the scar under grass.
        hue: float32, position on the line of `spectra.HUE`.
    """

    index: NDArray[np.intp]
    share: Field
    tone: Field
    regrown: Field
    hue: Field


@dataclass(frozen=True, kw_only=True)
class Surface:
    """The ground as the sun finds it; rasters of 5 m cells, (rows, columns).

    Attributes:
        cover: uint8 `Cover`.
        tone: float32, brightness of each cell against its class.
        hue: float32, position of bare ground on the line of `spectra.HUE`; 0 under plants and water.
        paved, track: float32, share of the cell under a road.
        before, after: Cells of the scars there before the event, and of all scars.
    """

    cover: Classes
    tone: Field
    hue: Field
    paved: Field
    track: Field
    before: ScarCells
    after: ScarCells


def make_surface(
    frame: Frame, cover: Classes, scars: Sequence[Scar], *, paved: Field, track: Field, seed: int
) -> Surface:
    """Draw the scars at 2.5 m and give every cell its own brightness."""
    fine = stream(seed, "tone").standard_normal(cover.shape, dtype=np.float32)
    patch = bilinear_twice(fractal(stream(seed, "patches"), frame.shape(CELL_M), longest=25, power=2.2))
    tone = np.exp(np.asarray(ROUGHNESS, dtype=np.float32)[cover] * (0.7 * fine + 0.5 * patch))
    rock = bilinear_twice(fractal(stream(seed, "bedrock"), frame.shape(CELL_M), longest=70, power=2.2))
    hue = np.where(np.isin(cover, BARE), rock, np.float32(0))
    old = [scar for scar in scars if scar.age == "old"]
    return Surface(
        cover=cover,
        tone=tone.astype(np.float32),
        hue=hue,
        paved=paved,
        track=track,
        before=_scar_cells(frame, old, patch, seed),
        after=_scar_cells(frame, scars, patch, seed),
    )


def scar_numbers(frame: Frame, scars: Sequence[Scar]) -> NDArray[np.uint16]:
    """Id of the scar each 2.5 m cell's centre lies in, 0 outside; (rows, columns) uint16."""
    numbers = np.zeros(frame.shape(TRUTH_M), dtype=np.uint16)
    for scar in scars:
        window, mask = inside(frame, scar.outline, TRUTH_M)
        numbers[window][mask] = scar.id
    return numbers


def _scar_cells(frame: Frame, scars: Sequence[Scar], patch: Field, seed: int) -> ScarCells:
    share = block_mean(scar_numbers(frame, scars) > 0, round(FINE_M / TRUTH_M))
    tone = np.ones(share.shape, dtype=np.float32)
    regrown = np.zeros(share.shape, dtype=np.float32)
    hue = np.zeros(share.shape, dtype=np.float32)
    for scar in scars:
        rng = stream(seed, f"scar {scar.id}")
        x, y, window = cell_centres(frame, scar.outline, FINE_M)
        chord = scar.path[-1] - scar.path[0]
        along = ((x - scar.path[0][0]) * chord[0] + (y - scar.path[0][1]) * chord[1]) / float(chord @ chord)
        touched = share[window] > 0
        bright = rng.normal(1.0, 0.10) * (1.22 - 0.42 * np.clip(along, 0, 1))
        tone[window][touched] = (bright * np.exp(0.16 * rng.standard_normal(along.shape)))[touched]
        cover = rng.uniform(*_REGROWN[scar.age]) + 0.14 * patch[window] + 0.10 * rng.standard_normal(along.shape)
        hue[window][touched] = rng.normal()
        regrown[window][touched] = np.clip(cover, 0, 0.85)[touched]
    index = np.flatnonzero(share)
    return ScarCells(
        index=index,
        share=share.ravel()[index],
        tone=tone.ravel()[index],
        regrown=regrown.ravel()[index],
        hue=hue.ravel()[index],
    )


def reflectance(surface: Surface, band: str, day: date, light: Field, *, after: bool) -> Field:
    """Surface reflectance of one band on a day.

    Args:
        surface: The ground.
        band: One of `spectra.BANDS`.
        day: The day.
        light: float32, 5 m cells, relative to flat ground.
        after: Whether the event has happened.

    Returns:
        (rows, columns) float32, 0 to 1, 5 m cells.
    """
    column = BANDS.index(band)
    table = reflectance_table(day)[:, column]
    values = table[surface.cover]
    values *= surface.tone
    values *= np.exp(np.float32(HUE[column]) * surface.hue)
    values += surface.paved * (table[Cover.PAVED] - values)
    values += surface.track * (table[Cover.TRACK] - values)
    cells = surface.after if after else surface.before
    flat = values.reshape(-1)
    bare = np.float32(SCAR[column]) * cells.tone * np.exp(np.float32(HUE[column]) * cells.hue)
    scar = bare + cells.regrown * (table[Cover.GRASS] - bare)
    flat[cells.index] += cells.share * (scar - flat[cells.index])
    values *= light ** np.float32(_TERRAIN_LEFT)
    return values
