"""The cloud masks of the mission's L1C as its parameters describe them: three thresholds, then erosion and dilation.

Dense clouds are bright in the blue and in the SWIR, where snow is dark; cirrus is bright at 1.38 um and not bright
in the blue. Both masks are eroded, which removes single pixels, and dilated; where they then overlap the dense cloud
prevails (L1C technical guide of the mission, cloud masks). Snow is that of `s2dask.l1c.classification`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.l1c.classification import CIRRUS, CLASSIFICATION_BANDS, OPAQUE, SNOW, Thresholds, classify

LARGEST = 201
"""Largest neighbourhood [pixel]: 12 km."""


@dataclass(frozen=True, slots=True)
class CloudRule:
    """Parameters of the cloud masks.

    Attributes
    ----------
    blue_band, swir_band : str
    blue, cirrus, swir : float
        Reflectances of `blue_band`, B10 and `swir_band` above which a pixel is bright [1].
    erosion, dilation : int
        Edges of the square neighbourhoods [pixel of 60 m]; 0 or 1 changes nothing.
    """

    blue_band: str
    blue: float
    cirrus: float
    swir_band: str
    swir: float
    erosion: int
    dilation: int

    def __post_init__(self) -> None:
        if not all(0 < value <= 2 for value in (self.blue, self.cirrus, self.swir)):
            raise ConfigurationError(
                f"thresholds {self.blue:g}, {self.cirrus:g}, {self.swir:g}", "cloud mask of L1C",
                "give them as reflectance, above 0 and up to 2",
            )  # fmt: skip
        if not all(0 <= size <= LARGEST for size in (self.erosion, self.dilation)):
            raise ConfigurationError(
                f"neighbourhoods of {self.erosion} and {self.dilation} pixels", "cloud mask of L1C",
                f"0 to {LARGEST} pixels of 60 m",
            )  # fmt: skip

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands that the masks look at, those of snow included."""
        return tuple(dict.fromkeys((self.blue_band, "B10", self.swir_band, *CLASSIFICATION_BANDS)))

    @property
    def margin(self) -> int:
        """Pixels beside a block that have a say in it."""
        return self.erosion // 2 + self.dilation // 2


def _sums(mask: NDArray[np.bool_], size: int, axis: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many pixels of a run around each are set along an axis, and how many there are."""
    n = mask.shape[axis]
    total = np.concatenate([np.zeros_like(mask, np.int64).take([0], axis), np.cumsum(mask, axis, np.int64)], axis)
    at = np.arange(n)
    low, high = np.maximum(at - size // 2, 0), np.minimum(at - size // 2 + size, n)
    return total.take(high, axis) - total.take(low, axis), high - low


def dilate(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return the pixels that have a set pixel in the square around them, (y, x) bool."""
    for axis in (0, 1):
        mask = _sums(mask, max(size, 1), axis)[0] > 0
    return mask


def erode(mask: NDArray[np.bool_], size: int) -> NDArray[np.bool_]:
    """Return the pixels of which the whole square is set, as far as there are pixels, (y, x) bool."""
    return ~dilate(~mask, size)


def classify_by_rule(
    reflectance: Mapping[str, NDArray[np.float32]],
    shape: tuple[int, int],
    rule: CloudRule,
    limits: Thresholds | None = None,
) -> NDArray[np.uint8]:
    """Return MSK_CLASSI (y, x): 1 opaque cloud, 2 cirrus, 4 snow or ice; at most one per pixel.

    Parameters
    ----------
    reflectance : mapping of str to (y, x) float32
        By band at 60 m, NaN without data; any of the bands of the rule, a test whose band is not there finds nothing.
    shape : (int, int)
    rule : CloudRule
    limits : Thresholds, optional
        Of snow.
    """
    nothing = np.full(shape, np.nan, np.float32)
    blue, b10, swir = (reflectance.get(name, nothing) for name in (rule.blue_band, "B10", rule.swir_band))
    with np.errstate(invalid="ignore"):
        dense = (blue > rule.blue) & (swir > rule.swir)
        cirrus = (b10 > rule.cirrus) & ~(blue > rule.blue)
    dense, cirrus = (dilate(erode(mask, rule.erosion), rule.dilation) for mask in (dense, cirrus))
    seen = np.isfinite(blue) | np.isfinite(b10) | np.isfinite(swir)
    snow = classify(reflectance, shape, limits) == SNOW
    cirrus &= ~dense
    snow &= ~(dense | cirrus)
    return np.asarray((OPAQUE * dense + CIRRUS * cirrus + SNOW * snow) * seen, np.uint8)
