"""Scene classification of each pixel by itself: a chain of thresholds on top-of-atmosphere reflectance.

The classes and the chain are those of Sen2Cor (L2A-ATBD, chapter 3), without its maps of the world and its filters.
"""

from typing import Final

import numpy as np

from s2dask.instrument.quality import DEFECTIVE, INVALID, SATURATED
from s2dask.kernels import inline_kernel, kernel

NO_DATA: Final = 0
DEFECT: Final = 1
DARK: Final = 2
SHADOW: Final = 3
VEGETATION: Final = 4
SOIL: Final = 5
WATER: Final = 6
UNCLASSIFIED: Final = 7
CLOUD_MEDIUM: Final = 8
CLOUD_HIGH: Final = 9
CIRRUS: Final = 10
SNOW: Final = 11
CLASSES: Final = 12
CLASS_BANDS: Final = ("B02", "B03", "B04", "B8A", "B10", "B11", "B12")
"""Bands that the classification takes, in the order of its arguments."""

SATURATED_LEVEL: Final = 13.0
"""Sum of the reflectances of `CLASS_BANDS` that only saturation reaches: a saturated cell is infinite."""

_BAD = SATURATED | DEFECTIVE | INVALID


@inline_kernel
def _ramp(value, low, high):  # type: ignore[no-untyped-def]
    return min(max((value - low) / (high - low), 0.0), 1.0)


@inline_kernel
def _ratio(a, b):  # type: ignore[no-untyped-def]
    return a / max(b, 1e-4)


@inline_kernel
def _contrast(a, b):  # type: ignore[no-untyped-def]
    return (a - b) / max(a + b, 1e-4)


@kernel
def _snow(b02, b04, b8a, b12, ndsi):  # type: ignore[no-untyped-def]
    """Return the confidence that a pixel is snow."""
    confidence = _ramp(ndsi, 0.20, 0.42) * _ramp(b8a, 0.15, 0.35)
    confidence *= _ramp(b02, 0.18, 0.22) * _ramp(_ratio(b02, b04), 0.85, 0.95)
    return 0.0 if b12 > 0.25 else confidence


@kernel
def _surface(b02, b03, b04, b8a, b11, b12):  # type: ignore[no-untyped-def]
    """Return the class of the ground, or UNCLASSIFIED, and the factor on the confidence that it is cloud."""
    ndvi, green, blue = _contrast(b8a, b04), _ratio(b8a, b03), _ratio(b02, b11)
    if _contrast(b03, b8a) > 0.2 and b11 < 0.05 and b8a < 0.12:
        return WATER, 0.0
    # Turbid water: bright in the visible, as no shadow is, and black beyond.
    if b04 >= 0.08 and ndvi < 0.0 and b11 < 0.10 and b8a < 0.20 and _contrast(b03, b11) > 0.25:
        return WATER, 0.0
    if b04 < 0.08 and 0.04 < b8a < 0.15 and ndvi < 0.47:
        return DARK, 0.0
    if (ndvi >= 0.47 and b02 < 0.15) or (ndvi > 0.36 and green >= 2.5):
        return VEGETATION, 0.0
    if blue <= 1.5 and b02 <= min(max(-0.40 * blue + 0.46, 0.15), 0.32):
        return SOIL, 0.0
    if blue > 4.0 and b12 < min(max(0.10 * blue - 0.09, 0.07), 0.21) and b02 - b04 > 0.034 and b8a < 0.20:
        return WATER, 0.0
    rock = _ramp(_ratio(b8a, b11), 0.90, 1.10)
    if rock == 0.0:
        return SOIL, 0.0
    factor = rock * (1.0 - _ramp(ndvi, 0.36, 0.47)) * (1.0 - _ramp(green, 1.5, 2.5))
    return UNCLASSIFIED, factor * (1.0 - _ramp(blue, 2.0, 4.0)) if b12 < 0.21 else factor


@kernel
def _pixel(b02, b03, b04, b8a, b10, b11, b12):  # type: ignore[no-untyped-def]
    """Return class, cloud and snow confidence of a pixel with data in all bands."""
    ndsi = _contrast(b03, b11)
    snow = _snow(b02, b04, b8a, b12, ndsi)
    if snow > 0.0 and b12 < 0.12:
        return SNOW, 0.0, snow
    cloud = _ramp(b04, 0.08, 0.25) * _ramp(ndsi, -0.24, -0.16)
    kind, factor = _surface(b02, b03, b04, b8a, b11, b12)
    cloud *= factor
    if cloud >= 0.65:
        return CLOUD_HIGH, cloud, snow
    if 0.012 < b10 < 0.035 and b02 < 0.50:
        return CIRRUS, cloud, snow
    if cloud >= 0.35 or b10 >= 0.035:
        return CLOUD_MEDIUM, max(cloud, 0.35), snow
    # Built-up ground and bright rock: no cloud is darker in the blue than at 1.6 um.
    return SOIL if kind == UNCLASSIFIED and b02 < b11 else kind, cloud, snow


@kernel
def classify(b02, b03, b04, b8a, b10, b11, b12, quality, scl, cld, snw):  # type: ignore[no-untyped-def]
    """Classify pixels, each by itself.

    Parameters
    ----------
    b02, b03, b04, b8a, b10, b11, b12 : (y, x) float32 [1]
        Top-of-atmosphere reflectance, NaN without data, infinite where saturated.
    quality : (y, x) uint8
        Union of the MSK_QUALIT bits of these bands.
    scl : (y, x) uint8
        Filled with the class, 0 to 11.
    cld, snw : (y, x) uint8 [%]
        Filled with the confidence of cloud and of snow.

    Notes
    -----
    A pixel is no data where any band has none: the classes ask for all of them.
    """
    rows, columns = scl.shape
    for y in range(rows):
        for x in range(columns):
            total = b02[y, x] + b03[y, x] + b04[y, x] + b8a[y, x] + b10[y, x] + b11[y, x] + b12[y, x]
            if np.isnan(total):
                scl[y, x], cld[y, x], snw[y, x] = NO_DATA, 0, 0
            elif quality[y, x] & _BAD or total > SATURATED_LEVEL:
                scl[y, x], cld[y, x], snw[y, x] = DEFECT, 0, 0
            else:
                kind, cloud, snow = _pixel(
                    b02[y, x], b03[y, x], b04[y, x], b8a[y, x], b10[y, x], b11[y, x], b12[y, x]
                )
                scl[y, x] = kind
                cld[y, x] = np.uint8(np.floor(100.0 * cloud + 0.5))
                snw[y, x] = np.uint8(np.floor(100.0 * snow + 0.5))
