"""MSK_CLASSI: opaque clouds, cirrus and snow at 60 m, by thresholds on top-of-atmosphere reflectance.

The thresholds of the operational mask are not public; these are published ones, of known accuracy: a first mask that
says where not to look, not a cloud detection for time series.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

OPAQUE: Final = 1
CIRRUS: Final = 2
SNOW: Final = 4
CLASSIFICATION_BANDS: Final = ("B03", "B04", "B8A", "B10", "B11")
"""Bands that the rules look at; a rule whose bands are not there finds nothing."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Limits on reflectance.

    Attributes
    ----------
    green_low, green_high, swir : float
        Cloud: B03 above `green_high`, or above `green_low` and above B04; and B11 above `swir`.
    cirrus : float
        Thin cirrus: B10 above it.
    snow_index, snow_green, snow_infrared : float
        Snow: NDSI of B03 and B11, B03 and B8A, each above its limit.

    Notes
    -----
    Cloud: Braaten, Cohen, Yang, Remote Sens. Environ. 169 (2015), with the B11 test that its use on Sentinel-2 added
    (88 % right on the Hollstein set). Cirrus: the lower B10 limit of the Sen2Cor ATBD. Snow: Hall, Riggs, Salomonson,
    Remote Sens. Environ. 54 (1995).
    """

    green_low: float = 0.175
    green_high: float = 0.39
    swir: float = 0.2
    cirrus: float = 0.012
    snow_index: float = 0.4
    snow_green: float = 0.10
    snow_infrared: float = 0.11


@kernel
def _average(values, factor, out):  # type: ignore[no-untyped-def]
    """Write the mean of each square, NaN where it has none."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            count, total = 0, 0.0
            for r in range(i * factor, (i + 1) * factor):
                for x in range(j * factor, (j + 1) * factor):
                    if values[r, x] == values[r, x]:
                        count += 1
                        total += values[r, x]
            out[i, j] = total / count if count else np.nan


def average(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return the mean of squares of `factor` pixels, of those that are not NaN; NaN where all are.

    Parameters
    ----------
    values : (y, x) float32
        Sizes are multiples of `factor`.
    factor : int
    """
    if factor == 1:
        return values
    out = np.empty((values.shape[0] // factor, values.shape[1] // factor), np.float32)
    _average(np.ascontiguousarray(values), factor, out)
    return out


def classify(
    reflectance: Mapping[str, NDArray[np.float32]], shape: tuple[int, int], limits: Thresholds | None = None
) -> NDArray[np.uint8]:
    """Return MSK_CLASSI (y, x): 1 opaque cloud, 2 cirrus, 4 snow or ice; at most one per pixel.

    Parameters
    ----------
    reflectance : mapping of str to (y, x) float32
        By band at 60 m, NaN without data; any of `CLASSIFICATION_BANDS`.
    shape : (int, int)
    limits : Thresholds, optional
    """
    t = limits or Thresholds()
    nothing = np.full(shape, np.nan, np.float32)
    b03, b04, b8a, b10, b11 = (reflectance.get(name, nothing) for name in CLASSIFICATION_BANDS)
    with np.errstate(invalid="ignore", divide="ignore"):
        ndsi = (b03 - b11) / (b03 + b11)
        snow = (ndsi > t.snow_index) & (b03 > t.snow_green) & (b8a > t.snow_infrared)
        bright = (b03 > t.green_high) | ((b03 > t.green_low) & (b03 > b04))
        opaque = bright & (b11 > t.swir) & ~snow
        cirrus = (b10 > t.cirrus) & ~opaque & ~snow
    return np.asarray(OPAQUE * opaque + CIRRUS * cirrus + SNOW * snow, np.uint8)
