"""Level-1A of one band and detector: source packets to raw lines.

On-board equalisation is not undone and SWIR lines are not re-arranged here: real L1B carries both flags as "not done
on ground" for the acquisitions that this form handles.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError, InputError
from s2dask.graph.step import Step
from s2dask.instrument import DETECTORS, LINES_PER_PACKET
from s2dask.l1a.line_quality import DEGRADED, line_status, raw_quality

STEPS: Final = (Step("DECOMP", "L1A", gipp=("BLINDP",), summary="source packets to raw lines"),)
"""The steps of the level."""


class Codec(Protocol):
    """What turns source packets into lines."""

    def decode(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return (16 packet, raw_column) uint16 counts and (16 packet) bool bad lines of (packet, byte) packets."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class RawGranule:
    """The raw lines of one band.

    Attributes
    ----------
    counts : (line, raw_column) uint16 [LSB]
        Blind pixels included; 0 in bad lines.
    quality : (line, raw_column) uint16
        `s2dask.instrument.quality` bits and the detector.
    bad, degraded : (line) bool
        Lines without usable counts; lines kept from degraded packets.
    """

    counts: NDArray[np.uint16]
    quality: NDArray[np.uint16]
    bad: NDArray[np.bool_]
    degraded: NDArray[np.bool_]


def decode_granule(packets: NDArray[np.uint8], status: NDArray[np.uint8], codec: Codec, detector: int) -> RawGranule:
    """Decode the source packets of one band and detector, 16 lines each.

    Parameters
    ----------
    packets : (packet, byte) uint8
    status : (packet) uint8
        `line_quality.COMPLETE`, `LOST` or `DEGRADED`.
    codec : Codec
    detector : int
        1 to 12.
    """
    where = f"D{detector:02d}"
    if detector not in DETECTORS:
        raise ConfigurationError("no such detector", where)
    if packets.ndim != 2 or status.shape != packets.shape[:1]:
        raise InputError(f"{status.size} states for packets of shape {packets.shape}", where)
    counts, bad = codec.decode(packets, status)
    lines = line_status(status, LINES_PER_PACKET)
    if counts.shape[:1] != lines.shape or bad.shape != lines.shape:
        raise InputError(f"{counts.shape[0]} lines from {status.size} packets", where, "the codec does not fit them")
    counts = np.where(bad[:, np.newaxis], np.uint16(0), counts)
    quality = raw_quality(counts, bad, lines, detector)
    return RawGranule(counts, quality, bad, (lines == DEGRADED) & ~bad)
