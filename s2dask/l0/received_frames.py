"""Frames as they are received, and what it took to get them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

NOTE: Final = np.dtype([("symbols", "<u2"), ("marker", "u1"), ("inverted", "?")])
"""What a frame had: symbols put right, wrong bits of its marker, inverted polarity."""


@dataclass(frozen=True, slots=True)
class FrameCounters:
    """What it took to get frames; counters of blocks add up.

    Attributes
    ----------
    received : int
        Frames found.
    skipped_bits : int
        Bits in no frame.
    slips : int
        Times that a frame began at another bit of a byte than the one before.
    inverted : int
        Frames of inverted polarity.
    damaged_markers : int
        Frames whose marker had a few wrong bits.
    corrected, uncorrectable : int
        Frames; the latter with those whose header is of another version, or whose CRC is wrong.
    corrected_codewords, corrected_symbols, uncorrectable_codewords : int
        Whatever became of their frames.
    """

    received: int = 0
    skipped_bits: int = 0
    slips: int = 0
    inverted: int = 0
    damaged_markers: int = 0
    corrected: int = 0
    uncorrectable: int = 0
    corrected_codewords: int = 0
    corrected_symbols: int = 0
    uncorrectable_codewords: int = 0

    @property
    def skipped_bytes(self) -> int:
        """Whole bytes in no frame."""
        return self.skipped_bits // 8

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Good frames in the order of arrival, and what it took to get them.

    Attributes
    ----------
    spacecraft : (frame) uint16
    channel : (frame) uint8
        Identifiers of spacecraft and virtual channel.
    counter : (frame) int64
        Virtual channel counter.
    pointer : (frame) int64
        First header pointer.
    zone : (frame, zone_bytes) uint8
        Packet zone: 1904 bytes with Sentinel-2.
    header : (frame, lead) uint8
        What lies before it: 8 bytes with Sentinel-2.
    notes : (frame) NOTE
    counters : FrameCounters
        Of these frames and of what was lost around them.
    randomised : bool
    """

    spacecraft: NDArray[np.uint16]
    channel: NDArray[np.uint8]
    counter: NDArray[np.int64]
    pointer: NDArray[np.int64]
    zone: NDArray[np.uint8]
    header: NDArray[np.uint8]
    notes: NDArray[np.void]
    counters: FrameCounters
    randomised: bool

    @property
    def received(self) -> int:
        """Frames found, good or bad."""
        return self.counters.received

    @property
    def skipped_bytes(self) -> int:
        """Whole bytes in no frame."""
        return self.counters.skipped_bytes

    @property
    def corrected(self) -> int:
        """Good frames that had errors."""
        return self.counters.corrected

    @property
    def corrected_symbols(self) -> int:
        """Symbols put right."""
        return self.counters.corrected_symbols

    @property
    def uncorrectable(self) -> int:
        """Frames that are not here: too many errors, or a header of another version."""
        return self.counters.uncorrectable


def join(parts: Sequence[Frames]) -> Frames:
    """Return the frames of successive blocks as one."""
    counters = sum((part.counters for part in parts), FrameCounters())
    # blocks that came before the format was known have no zone
    full = [part for part in parts if part.zone.shape[1]] or parts[-1:]
    arrays = {
        name: np.concatenate([getattr(part, name) for part in full])
        for name in ("spacecraft", "channel", "counter", "pointer", "zone", "header", "notes")
    }
    return Frames(**arrays, counters=counters, randomised=parts[-1].randomised)
