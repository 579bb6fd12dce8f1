"""Headers of transfer frames: AOS (CCSDS 732.0-B) and TM (CCSDS 132.0-B); USLP (CCSDS 732.1-B) is told by its header.

A TM frame ends, as its header or its content tells, with an operational control field and an error control field; what
lies between header and trailer is, as the packet zone of AOS, source packets end to end.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import MPDU_HEADER_BYTES, VC_COUNTER_MODULO, VCDU_HEADER_BYTES
from s2dask.l0.packets import crc_good

TM: Final = 0
AOS: Final = 1
"""Version numbers in the two leading bits."""
VERSIONS: Final = {AOS: "AOS", TM: "TM"}
USLP: Final = 0b1100
"""Version number in the four leading bits."""
COUNTER_MODULO: Final = {AOS: VC_COUNTER_MODULO, TM: 256}
"""Of the virtual channel counter."""
HEADER_BYTES: Final = {AOS: VCDU_HEADER_BYTES + MPDU_HEADER_BYTES, TM: 6}
"""Before the packet zone, without a secondary header."""
OCF_BYTES: Final = 4
FECF_BYTES: Final = 2


class Header(NamedTuple):
    """What headers say, each (frame).

    Attributes
    ----------
    spacecraft : uint16
        8 bits with AOS, 10 with TM.
    channel : uint8
        Virtual channel: 6 bits with AOS, 3 with TM.
    counter, pointer : int64
        Virtual channel counter and first header pointer.
    """

    spacecraft: NDArray[np.uint16]
    channel: NDArray[np.uint8]
    counter: NDArray[np.int64]
    pointer: NDArray[np.int64]


def spacecraft(frames: NDArray[np.uint8], version: int = AOS) -> NDArray[np.uint16]:
    """Return the identifiers of the spacecraft in frames (frame, byte) uint8."""
    shift = 2 if version == AOS else 4
    return ((frames[:, 0] & 0x3F).astype(np.uint16) << shift | frames[:, 1] >> (8 - shift)).astype(np.uint16)


def read_headers(frames: NDArray[np.uint8], version: int = AOS) -> Header:
    """Read the headers of frames (frame, byte) uint8 of a version (732.0-B, section 4.1; 132.0-B, section 4.1)."""
    head = frames[:, :8].astype(np.int64)
    if version == TM:
        channel, counter, pointer = head[:, 1] >> 1 & 7, head[:, 3], head[:, 4] << 8 | head[:, 5]
    else:
        counter = (head[:, 2] << 16 | head[:, 3] << 8 | head[:, 4]) % VC_COUNTER_MODULO
        channel, pointer = head[:, 1] & 0x3F, head[:, 6] << 8 | head[:, 7]
    return Header(spacecraft(frames, version), channel.astype(np.uint8), counter, pointer & 0x7FF)


def is_uslp(frames: NDArray[np.uint8], sizes: list[int]) -> bool:
    """Whether most of some frames (frame, byte) uint8 are of USLP: its version, and one of some lengths less one."""
    length = frames[:, 4].astype(np.int64) << 8 | frames[:, 5]
    return bool(((frames[:, 0] >> 4 == USLP) & np.isin(length, np.array(sizes) - 1)).mean() > 0.5)


def checksums_good(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which frames (frame, byte) uint8 end with their CRC-16 (132.0-B, section 4.1.6), without check symbols."""
    size = np.full(len(frames), frames.shape[1], np.int64)
    return crc_good(np.ascontiguousarray(frames).reshape(-1), np.arange(len(frames)) * size, size)


def layout(frames: NDArray[np.uint8], version: int) -> tuple[int, int, bool]:
    """Return, for good frames (frame, byte) uint8 without check symbols, what lies around their packet zone.

    Returns
    -------
    lead, trailer : int
        Bytes before and after the zone.
    checked : bool
        Whether the last two bytes are a CRC-16 of the others.
    """
    checked = bool(checksums_good(frames).mean() > 0.5)
    lead, trailer = HEADER_BYTES[version], FECF_BYTES * checked
    if version == TM:
        trailer += OCF_BYTES * bool((frames[:, 1] & 1).mean() > 0.5)
        if (frames[:, 4] >> 7).mean() > 0.5:
            # the length field of the secondary header is that of the whole less one
            lead += int(np.median(frames[:, 6] & 0x3F)) + 1
    return lead, trailer, checked
