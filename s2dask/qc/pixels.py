"""Statistics of samples of images, and the pictures that a page shows of them."""

import base64
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.qc.images import Image, ZarrImage

SAMPLE: Final = 1098
"""Pixels a side that are looked at, at most: every tenth of a 10 m tile."""
BINS: Final = 96
_SATURATED: Final = 65535
_RGB: Final = ("B04", "B03", "B02")
_DETECTOR: Final = re.compile(r"[/_][dD](\d\d)[/_]")


@dataclass(frozen=True)
class Statistics:
    """What a sample of an image tells.

    Attributes
    ----------
    image : Image or ZarrImage
    sample : (y, x) uint16
        Counts.
    valid_percentage, negative_percentage, saturated_percentage : float
        Of all pixels, and of those with data [%].
    low, mean, high : float
        Percentile 0.5, mean and percentile 99.5 of the counts with data, NaN without data.
    histogram : (bin,) int64
        Counts with data between `low` and `high`.
    """

    image: Image | ZarrImage
    sample: NDArray[np.uint16]
    valid_percentage: float
    negative_percentage: float
    saturated_percentage: float
    low: float
    mean: float
    high: float
    histogram: NDArray[np.int64]


def statistics(image: Image | ZarrImage, offset: int) -> Statistics:
    """Return the statistics of a sample of an image; `offset` makes its counts reflectance."""
    sample = image.counts(SAMPLE)
    good = sample[(sample > 0) & (sample < _SATURATED)]
    saturated = int((sample == _SATURATED).sum())
    seen = max(good.size + saturated, 1)
    low, high = (float(v) for v in np.percentile(good, (0.5, 99.5))) if good.size else (np.nan, np.nan)
    span = (low, max(high, low + 1.0)) if good.size else (0.0, 1.0)
    return Statistics(
        image, sample, 100.0 * (good.size + saturated) / max(sample.size, 1),
        100.0 * int((good.astype(np.int32) + offset < 0).sum()) / seen, 100.0 * saturated / seen,
        low, float(good.mean()) if good.size else np.nan, high,
        np.histogram(good, BINS, span)[0].astype(np.int64),
    )  # fmt: skip


def _png(pixels: NDArray[np.uint8]) -> str:
    from PIL import Image as Picture

    file = io.BytesIO()
    Picture.fromarray(pixels).save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _stretched(told: Statistics) -> NDArray[np.uint8]:
    if not np.isfinite(told.low):
        return np.zeros(told.sample.shape, np.uint8)
    # clouds may be white, the ground is what one wants to see
    middle = float(np.median(told.sample[told.sample > 0]))
    top = min(told.high, told.low + 4.0 * max(middle - told.low, 0.1 * (told.high - told.low)))
    scaled = (told.sample.astype(np.float32) - told.low) / max(top - told.low, 1.0)
    out: NDArray[np.uint8] = np.clip(255.0 * np.clip(scaled, 0.0, 1.0) ** 0.7, 1, 255).astype(np.uint8)
    out[told.sample == 0] = 0
    return out


def quicklook(found: Sequence[Statistics], limit: int = 540) -> tuple[str, str]:
    """Return (picture as a data URL, caption) of an item: in natural colours, or of one band; empty without images."""
    # of several resolutions the finest; of several granules or detectors the first
    best: dict[str, Statistics] = {}
    for told in sorted(found, key=lambda s: s.image.resolution):
        best.setdefault(told.image.band, told)
    if not best:
        return "", ""
    colour = all(name in best for name in _RGB) and len({best[name].sample.shape for name in _RGB}) == 1
    colour = colour and not any(detector_of(told.image) for told in best.values())  # bands of a detector lie apart
    names = _RGB if colour else (sorted(best)[min(3, len(best) - 1)],)
    planes = [_stretched(best[name]) for name in names]
    step = max(1, -(-max(planes[0].shape) // limit))
    small = [plane[::step, ::step] for plane in planes]
    caption = "B04, B03 and B02 as red, green and blue" if colour else f"{names[0]}: {best[names[0]].image.name}"
    return _png(np.stack(small, axis=-1) if colour else small[0]), caption


def detector_of(image: Image | ZarrImage) -> str:
    """Return the detector of an image, ``D05``; empty: it is of all."""
    found = _DETECTOR.search(image.name)
    return f"D{found[1]}" if found else ""


def histogram_path(told: Statistics, width: int = 180, height: int = 54) -> str:
    """Return the outline of a histogram as the path of an SVG, the largest bin at full height."""
    top = max(int(told.histogram.max(initial=0)), 1)
    step = width / told.histogram.size
    points = [f"M0 {height}"]
    for i, n in enumerate(told.histogram.tolist()):
        y = height - height * n / top
        points.append(f"L{i * step:.1f} {y:.1f} L{(i + 1) * step:.1f} {y:.1f}")
    return " ".join([*points, f"L{width} {height} Z"])
