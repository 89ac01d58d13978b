"""Random fields, each from its own named stream of the world's seed."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float32]


def stream(seed: int, name: str) -> np.random.Generator:
    """The generator called `name`: adding a feature to the world leaves every other feature's draws as they were."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def fractal(rng: np.random.Generator, shape: tuple[int, int], *, longest: float, power: float = 2.0) -> Field:
    """A fractal field by spectral synthesis: power falls with frequency and is flat beyond the wavelength `longest`.

    Args:
        rng: Source of the white noise.
        shape: (rows, columns).
        longest: Wavelength in cells beyond which the field has no more amplitude.
        power: Exponent of the power spectrum; 2 is rough ground, 3 to 4 smooth.

    Returns:
        (rows, columns) float32, mean 0 and standard deviation 1.
    """
    spectrum = fft.rfft2(rng.standard_normal(shape, dtype=np.float32), workers=2)
    rows = fft.fftfreq(shape[0])[:, None]
    columns = fft.rfftfreq(shape[1])[None, :]
    squared = (rows**2 + columns**2 + (1.0 / longest) ** 2).astype(np.float32)
    spectrum *= squared ** np.float32(-power / 4 - 0.25)
    field = np.asarray(fft.irfft2(spectrum, s=shape, workers=2), dtype=np.float32)
    field -= field.mean()
    field /= field.std()
    return field


def rank(field: NDArray[np.floating]) -> Field:
    """About the share of cells below each cell, 0 to 1: thresholding it at p keeps a share p of the ground.

    Linear between the field's thousandths, so that no order of equal values can make two machines differ.
    """
    ordered = np.sort(field, axis=None)
    steps = np.linspace(0, 1, _QUANTILES)
    knots = ordered[np.rint(steps * (ordered.size - 1)).astype(np.intp)]
    return np.asarray(np.interp(field, knots, steps), dtype=np.float32)


_QUANTILES = 1001
