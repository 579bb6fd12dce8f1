"""The quality of raw lines: what was lost or degraded on the way, and what is saturated."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import (
    ANC_DEGRADED,
    ANC_LOST,
    DETECTOR_SHIFT,
    MSI_DEGRADED,
    MSI_LOST,
    NODATA,
    SATURATED,
)
from s2dask.kernels import kernel

LOST, DEGRADED = 1, 2
"""Status of a source packet that did not arrive, or arrived damaged."""
SATURATION: Final = 4095
"""Largest count of the 12-bit converter."""
_MISSING: Final = 1.5
"""Steps between two samples from which on one is missing."""
_HOLE: Final = 5.0
"""Steps between two samples that are bridged at most: interpolation in the middle of it multiplies their noise by 3."""


def ancillary_flags(dates: NDArray[np.int64], *series: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the flags of lines whose satellite ancillary data are lost or have a hole.

    Parameters
    ----------
    dates : (line) int64
        GPS [ns].
    *series : (sample) int64
        Rising dates of the samples of each source (orbit, attitude), GPS [ns].

    Returns
    -------
    (line) uint8
        `ANC_DEGRADED` where a few samples are missing around a line, `ANC_LOST` where more are or a series does not
        reach it.
    """
    degraded, lost = np.zeros(dates.shape, np.bool_), np.zeros(dates.shape, np.bool_)
    for samples in series:
        if samples.size < 2:
            lost[:] = True
            continue
        steps = np.diff(samples)
        usual = float(np.median(steps))
        after = np.searchsorted(samples, dates, side="right")
        # the last sample still belongs to the last step
        inside = (after > 0) & (dates <= samples[-1])
        around = steps[np.clip(after - 1, 0, steps.size - 1)]
        lost |= ~inside | (around > _HOLE * usual)
        degraded |= around > _MISSING * usual
    return np.where(lost, ANC_LOST, np.where(degraded, ANC_DEGRADED, 0)).astype(np.uint8)


@kernel
def raw_quality(
    lines: NDArray[np.uint16],
    bad: NDArray[np.bool_],
    degraded: NDArray[np.bool_],
    ancillary: NDArray[np.uint8],
    detector: int,
) -> NDArray[np.uint16]:
    """Return the quality layer of raw lines.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
    bad, degraded : (line) bool
        Lines without usable counts; lines kept from degraded packets.
    ancillary : (line) uint8
        As `ancillary_flags` makes them.
    detector : int
        1 to 12.

    Returns
    -------
    (line, raw_column) uint16
        `s2dask.instrument.quality` bits and the detector.
    """
    out = np.empty(lines.shape, np.uint16)
    for i in range(lines.shape[0]):
        bits = detector << DETECTOR_SHIFT | ancillary[i]
        if bad[i]:
            out[i, :] = np.uint16(bits | MSI_LOST | NODATA)
            continue
        if degraded[i]:
            bits |= MSI_DEGRADED
        plain, saturated = np.uint16(bits), np.uint16(bits | SATURATED)
        for x in range(lines.shape[1]):
            out[i, x] = saturated if lines[i, x] >= SATURATION else plain
    return out


def line_flags(quality: NDArray[np.uint16]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which lines of an L1A quality layer are bad, and which come from degraded packets.

    Parameters
    ----------
    quality : (line, raw_column) uint16
        As `raw_quality` makes it: these bits are the same all along a line that is not re-arranged.

    Returns
    -------
    bad, degraded : (line) bool
    """
    first = quality[:, 0]
    return (first & NODATA) != 0, (first & MSI_DEGRADED) != 0
