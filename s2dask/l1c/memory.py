"""How much memory a block takes, from its sizes alone."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from s2dask.instrument import band
from s2dask.l1c.location import Pixels
from s2dask.l1c.resampling import Filter, margin_lines

_PER_PIXEL: Final = 4 + 4 + 4 + 2 + 1 + 1
"""Heights, sun, counts, reflectance, quality, footprint."""
_PER_KNOWN_PIXEL: Final = 2 + 2 + 1 + 1 + 4
"""Two layers of uncertainty; reflectance, quality and footprint once more, without the pixels around the block; sun."""
_PER_NODE: Final = 2 * 3 * 8
_PER_SAMPLE: Final = 2 + 2 + 4
"""Counts, quality, coefficients of a detector's lines."""
_PER_HOLED_SAMPLE: Final = 4 + 1 + 1
"""Repaired counts, and two layers of flags."""
_FIXED: Final = 4 << 20
"""What does not grow with the block."""


def block_bytes(
    pixels: Pixels,
    ground_pixel: float,
    bands: Sequence[str],
    detectors: int,
    name: Filter = "SPLINE3",
    *,
    flagged: bool = True,
    noise_gain: bool = False,
    uncertainty: bool = True,
    chunk_bytes: int = 0,
) -> int:
    """Return the bytes that the orthoimages of a block take at most, beside the terrain of its tile.

    Parameters
    ----------
    pixels : Pixels
    ground_pixel : float
        Edge of a pixel [m].
    bands : sequence of str
        One after the other: the widest counts.
    detectors : int
        That see the block.
    name : Filter
    flagged : bool
        Whether the images have lines with flags or without data.
    noise_gain : bool
        Whether that layer is made.
    uncertainty : bool
        Whether that layer is made, for which the noise gain is needed too.
    chunk_bytes : int
        A chunk of the store of images, of its samples before compression: it is held twice while it is read.

    Notes
    -----
    A detector looks at the block at any angle: its lines reach over the diagonal at most.
    """
    n = pixels.rows * pixels.columns
    _, _, rows, columns = pixels.nodes()
    nodes = (rows + 16) * (columns + 16)  # whole patches
    diagonal = float(np.hypot(pixels.rows, pixels.columns)) * ground_pixel
    samples = max((diagonal / band(b).resolution + 2 * margin_lines(name) + 2) * (band(b).columns + 8) for b in bands)
    per_sample = _PER_SAMPLE + (_PER_HOLED_SAMPLE if flagged else 0)
    # the nodes once more in one array, and once while they are found
    grids = (2 * detectors + 2) * _PER_NODE * nodes
    per_pixel = _PER_PIXEL + 4 * (noise_gain or uncertainty) + _PER_KNOWN_PIXEL * uncertainty
    return int(n * per_pixel + samples * per_sample + grids + 2 * chunk_bytes + _FIXED)
