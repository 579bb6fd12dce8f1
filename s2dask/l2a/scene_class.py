"""Scene classification of each pixel by itself: a chain of thresholds on top-of-atmosphere reflectance.

The classes and the chain are those of Sen2Cor (L2A-ATBD, chapter 3) with a few tests of our own; every number is in
``s2dask/data/l2a_thresholds.toml``, which says where each comes from. The kernel has no branches, so that it is
compiled into vector instructions: every test is made for every pixel, and the later one overrules the earlier one.
"""

from typing import Final

import numpy as np

from s2dask.instrument.quality import DEFECTIVE, INVALID, SATURATED
from s2dask.kernels import bare_kernel, inline_kernel

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

KNOWN_WATER: Final = 1
BRIGHT_GROUND: Final = 2
NEVER_SNOW: Final = 4
SHADED: Final = 8
NO_PARALLAX: Final = 16
"""What else is known of a pixel: bits of `hints`."""
NOT_TOLD: Final = 255
"""Probability of cloud of a pixel of which no outside mask says anything."""

SATURATED_LEVEL: Final = np.float32(13.0)
"""Sum of the reflectances of `CLASS_BANDS` that only saturation reaches: a saturated cell is infinite."""

_BAD = SATURATED | DEFECTIVE | INVALID
_0, _1, _TINY, _HALF, _100 = (np.float32(v) for v in (0.0, 1.0, 1e-4, 0.5, 100.0))


@inline_kernel
def _ramp(value, low, high):  # type: ignore[no-untyped-def]
    # the division by the width does not depend on the pixel: the compiler takes it out of the loop
    return min(max((value - low) * (_1 / (high - low)), _0), _1)


@inline_kernel
def _ratio(a, b):  # type: ignore[no-untyped-def]
    return a / max(b, _TINY)


@inline_kernel
def _contrast(a, b):  # type: ignore[no-untyped-def]
    return (a - b) / max(a + b, _TINY)


@inline_kernel
def _line(x, slope, offset, low, high):  # type: ignore[no-untyped-def]
    return min(max(slope * x + offset, low), high)


@inline_kernel
def _snow(b02, b04, b8a, b12, ndsi, t):  # type: ignore[no-untyped-def]
    """Return the confidence that a pixel is snow (step 2)."""
    confidence = _ramp(ndsi, t.snow_ndsi_low, t.snow_ndsi_high) * _ramp(b8a, t.snow_near_low, t.snow_near_high)
    confidence *= _ramp(b02, t.snow_blue_low, t.snow_blue_high)
    confidence *= _ramp(_ratio(b02, b04), t.snow_ratio_low, t.snow_ratio_high)
    return _0 if b12 > t.snow_swir_high else confidence


@inline_kernel
def _ground(b02, b03, b04, b8a, b11, b12, ndsi, ndvi, t):  # type: ignore[no-untyped-def]
    """Return the class of the ground, or UNCLASSIFIED (steps 1a, 3 to 6, 9): the strongest test comes last."""
    blue, rock = _ratio(b02, b11), _ratio(b8a, b11)
    kind = SOIL if rock <= t.rock_low else UNCLASSIFIED
    limit = _line(blue, t.water_slope, t.water_offset, t.water_limit_low, t.water_limit_high)
    water = (blue > t.water_high) & (b12 < limit) & (b02 - b04 > t.water_blue_red) & (b8a < t.water_near)
    kind = WATER if water else kind
    limit = _line(blue, t.soil_slope, t.soil_offset, t.soil_limit_low, t.soil_limit_high)
    kind = SOIL if (blue <= t.soil_low) & (b02 <= limit) else kind
    green = (ndvi >= t.vegetation_high) & (b02 < t.vegetation_blue)
    green |= (ndvi > t.vegetation_low) & (_ratio(b8a, b03) >= t.senescent_high)
    kind = VEGETATION if green else kind
    dark = (b04 < t.dark_red) & (b8a > t.dark_near_low) & (b8a < t.dark_near_high)
    kind = (VEGETATION if ndvi > t.dark_ndvi else DARK) if dark else kind
    turbid = (b04 >= t.turbid_water_red) & (ndvi < t.turbid_water_ndvi) & (b8a < t.turbid_water_near)
    turbid &= (b11 < t.turbid_water_swir) & (ndsi > t.turbid_water_ndsi)
    clear = _contrast(b03, b8a) > t.clear_water_contrast
    clear &= (b11 < t.clear_water_swir) & (b8a < t.clear_water_near)
    return WATER if turbid | clear else kind


@inline_kernel
def _cloud(b02, b03, b04, b8a, b11, b12, haze, ndsi, ndvi, t):  # type: ignore[no-untyped-def]
    """Return the confidence that a pixel that is no known ground is cloud (steps 1 and 3 to 6)."""
    blue = _ratio(b02, b11)
    cloud = _ramp(b04, t.brightness_low, t.brightness_high) * _ramp(ndsi, t.cloud_ndsi_low, t.cloud_ndsi_high)
    # the bands see a cloud at different places, so that one edge of it is red however white it is
    hazy = _ramp(haze, t.cloud_blue_low, t.cloud_blue_high)
    cloud *= max(hazy, _ramp(b04, t.cloud_blue_red_low, t.cloud_blue_red_high))
    cloud *= _1 - _ramp(ndvi, t.vegetation_low, t.vegetation_high)
    cloud *= _1 - _ramp(_ratio(b8a, b03), t.senescent_low, t.senescent_high)
    cloud *= _ramp(_ratio(b8a, b11), t.rock_low, t.rock_high)
    limit = _line(blue, t.soil_slope, t.soil_offset, t.soil_limit_low, t.soil_limit_high)
    cloud *= _ramp(blue, t.soil_low, t.soil_high) if b02 <= limit else _1
    return cloud * (_1 - _ramp(blue, t.water_low, t.water_high)) if b12 < t.water_limit_high else cloud


@inline_kernel
def _thin_cloud(b8a, b11, haze, ndsi, t):  # type: ignore[no-untyped-def]
    """Return the confidence that a pixel of whatever ground is seen through a thin cloud (step 7a)."""
    cloud = _ramp(haze, t.thin_cloud_low, t.thin_cloud_high)
    cloud *= _ramp(b8a, t.thin_cloud_near_low, t.thin_cloud_near_high)
    cloud *= _ramp(_ratio(b8a, b11), t.thin_cloud_rock_low, t.thin_cloud_rock_high)
    return cloud * (_1 - _ramp(ndsi, t.snow_ndsi_low, t.snow_ndsi_high))


@inline_kernel
def _pixel(b02, b03, b04, b8a, b10, b11, b12, hint, told, air, t):  # type: ignore[no-untyped-def]
    """Return class, cloud and snow confidence of a pixel with data in all bands."""
    ndsi, ndvi, haze = _contrast(b03, b11), _contrast(b8a, b04), b02 - _HALF * b04 - air
    snow = _0 if hint & NEVER_SNOW else _snow(b02, b04, b8a, b12, ndsi, t)
    kind = _ground(b02, b03, b04, b8a, b11, b12, ndsi, ndvi, t)
    cloud = _cloud(b02, b03, b04, b8a, b11, b12, haze, ndsi, ndvi, t)
    cloud = cloud if kind == UNCLASSIFIED else _0
    cloud = max(cloud, _thin_cloud(b8a, b11, haze, ndsi, t))
    ground = (((hint & BRIGHT_GROUND) != 0) & (cloud < t.cloud_high)) | ((hint & NO_PARALLAX) != 0)
    ground &= b10 <= t.cirrus_thin
    cloud = _0 if ground else cloud
    own = told == NOT_TOLD
    cloud = cloud if own else np.float32(told) / _100
    # Built-up ground and bright rock: no cloud is darker in the blue than at 1.6 um.
    dry = ground | (b02 < t.soil_low * b11) | ((cloud < t.cloud_low) & (b02 < t.soil_high * b11))
    kind = SOIL if (kind == UNCLASSIFIED) & dry else kind
    wet = (ndsi > t.wet_ndsi) & (_contrast(b03, b12) > t.wet_far) & (ndvi < t.wet_ndvi)
    wet &= (b02 < t.wet_blue) & (b8a < t.wet_near) & (b11 < t.wet_swir)
    wet &= (kind == UNCLASSIFIED) | (kind == SOIL) | (kind == DARK)
    wet |= ((hint & KNOWN_WATER) != 0) & ((kind == UNCLASSIFIED) | (kind == DARK))
    kind = WATER if wet else kind
    shaded = ((hint & SHADED) != 0) & (b8a < t.shade_near) & (kind != VEGETATION) & ((hint & KNOWN_WATER) == 0)
    kind = DARK if shaded else kind
    thick = (b10 >= t.cirrus_thick) & own
    kind = CLOUD_MEDIUM if (cloud >= t.cloud_medium) | thick else kind
    cirrus = (b10 > t.cirrus_thin) & (b10 < t.cirrus_thick) & (b02 < t.cirrus_blue)
    kind = CIRRUS if cirrus else kind
    kind = CLOUD_HIGH if cloud >= t.cloud_high else kind
    cloud = max(cloud, t.cloud_medium) if thick else cloud
    frozen = (snow > _0) & (b12 < t.snow_swir_low) & (own | (cloud < t.cloud_high))
    frozen |= (snow > t.snow_swir_sure) & (cloud < t.cloud_low) & (kind >= SOIL) & (kind <= UNCLASSIFIED)
    kind = SNOW if frozen else kind
    return kind, _0 if frozen & own else cloud, snow


@bare_kernel
def classify(b02, b03, b04, b8a, b10, b11, b12, quality, hints, told, air, t, scl, cld, snw):  # type: ignore[no-untyped-def]
    """Classify pixels, each by itself.

    Parameters
    ----------
    b02, b03, b04, b8a, b10, b11, b12 : (y, x) float32 [1]
        Top-of-atmosphere reflectance, NaN without data, infinite where saturated.
    quality : (y, x) uint8
        Union of the MSK_QUALIT bits of these bands.
    hints : (y, x) uint8
        What else is known: `KNOWN_WATER` and the bits after it.
    told : (y, x) uint8 [%]
        Probability of cloud of an outside mask, in the place of ours; `NOT_TOLD` where there is none.
    air : float32 [1]
        Haze index of clear air beyond that under a high sun.
    t : Thresholds
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
            kind, cloud, snow = _pixel(
                b02[y, x], b03[y, x], b04[y, x], b8a[y, x], b10[y, x], b11[y, x], b12[y, x],
                hints[y, x], told[y, x], air, t,
            )  # fmt: skip
            bad = ((quality[y, x] & _BAD) != 0) | (total > SATURATED_LEVEL)
            kind = DEFECT if bad else kind
            seen = total == total
            kind = kind if seen else NO_DATA
            good = seen & (not bad)
            scl[y, x] = np.uint8(kind)
            cld[y, x] = np.uint8(np.int32(_100 * cloud + _HALF)) if good else np.uint8(0)
            snw[y, x] = np.uint8(np.int32(_100 * snow + _HALF)) if good else np.uint8(0)
