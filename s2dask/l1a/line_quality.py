"""The quality of raw lines: what was lost or degraded on the way, and what is saturated."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import DETECTOR_SHIFT, MSI_DEGRADED, MSI_LOST, NODATA, SATURATED
from s2dask.kernels import kernel

COMPLETE, LOST, DEGRADED = 0, 1, 2
"""Status of a source packet."""
SATURATION: Final = 4095
"""Largest count of the 12-bit converter."""


def line_status(packets: NDArray[np.uint8], lines_per_packet: int) -> NDArray[np.uint8]:
    """Return the status of each line from that of the packets.

    Parameters
    ----------
    packets : (packet) uint8
        `COMPLETE`, `LOST` or `DEGRADED`.
    lines_per_packet : int

    Returns
    -------
    (line) uint8
    """
    return np.repeat(packets, lines_per_packet)


@kernel
def raw_quality(
    lines: NDArray[np.uint16], bad: NDArray[np.bool_], status: NDArray[np.uint8], detector: int
) -> NDArray[np.uint16]:
    """Return the quality layer of raw lines.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
    bad : (line) bool
        Lines without usable counts.
    status : (line) uint8
        Status of the packet of each line.
    detector : int
        1 to 12.

    Returns
    -------
    (line, raw_column) uint16
        `s2dask.instrument.quality` bits and the detector.
    """
    out = np.empty(lines.shape, np.uint16)
    for i in range(lines.shape[0]):
        bits = detector << DETECTOR_SHIFT
        if bad[i]:
            out[i, :] = np.uint16(bits | MSI_LOST | NODATA)
            continue
        if status[i] == DEGRADED:
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
        As `raw_quality` makes it: these bits are the same all along a line.

    Returns
    -------
    bad, degraded : (line) bool
    """
    first = quality[:, 0]
    return (first & NODATA) != 0, (first & MSI_DEGRADED) != 0
