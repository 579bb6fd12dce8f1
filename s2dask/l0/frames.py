"""Frame synchronisation, derandomisation and decoding of one file of CADUs."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import ASM, ASM_BYTES, CADU_BYTES, MPDU_ZONE_BYTES, VC_COUNTER_MODULO
from s2dask.kernels import kernel
from s2dask.l0 import reed_solomon

_MARKER: Final = np.frombuffer(ASM.to_bytes(ASM_BYTES, "big"), np.uint8)
_VERSION: Final = 1
"""Of the frame header (AOS)."""


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """The good frames of a file, in the order of arrival.

    Attributes
    ----------
    channel : (frame) uint8
        Virtual channel.
    counter : (frame) int64
        Virtual channel counter.
    pointer : (frame) int64
        First header pointer.
    zone : (frame, 1904) uint8
        Packet zone.
    received, skipped_bytes, corrected, corrected_symbols, uncorrectable : int
        What it took to get them.
    randomised : bool
    """

    channel: NDArray[np.uint8]
    counter: NDArray[np.int64]
    pointer: NDArray[np.int64]
    zone: NDArray[np.uint8]
    received: int
    skipped_bytes: int
    corrected: int
    corrected_symbols: int
    uncorrectable: int
    randomised: bool


@cache
def randomiser() -> NDArray[np.uint8]:
    """Return the pseudo-random sequence for the coded part of a frame (CCSDS 131.0-B, x^8 + x^7 + x^5 + x^3 + 1)."""
    register, out = 0xFF, np.zeros(CADU_BYTES - ASM_BYTES, np.uint8)
    for i in range(out.size):
        byte = 0
        for _ in range(8):
            byte = byte << 1 | register >> 7
            feedback = (register >> 7 ^ register >> 4 ^ register >> 2 ^ register) & 1
            register = (register << 1 | feedback) & 0xFF
        out[i] = byte
    return out


@kernel
def _synchronise(data, marker, size, starts):  # type: ignore[no-untyped-def]
    """Positions of frames: a marker where one is due, or else the next that is followed by another or by the end.

    That next one may lie inside the frame before, if bytes of it are missing: its code tells later.
    """
    found, at, last = 0, 0, data.size - size
    while at <= last:
        here = True
        for i in range(marker.size):
            here = here and data[at + i] == marker[i]
        if here:
            starts[found] = at
            found += 1
            at += size
            continue
        at = starts[found - 1] + 1 if found else at + 1
        while at <= last:
            good = True
            for i in range(marker.size):
                good = good and data[at + i] == marker[i]
            after = at + size
            if good and after + marker.size <= data.size:
                for i in range(marker.size):
                    good = good and data[after + i] == marker[i]
            if good:
                break
            at += 1
    return found


def synchronise(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return the frames of a byte stream without their markers, (frame, 2040) uint8, a copy; and the bytes in none."""
    whole = data.size // CADU_BYTES
    cut = data[: whole * CADU_BYTES].reshape(whole, CADU_BYTES)
    if data.size % CADU_BYTES == 0 and (cut[:, :ASM_BYTES] == _MARKER).all():
        return cut[:, ASM_BYTES:].copy(), 0
    starts = np.zeros(2 * whole + 2, np.int64)
    starts = starts[: _synchronise(data, _MARKER, CADU_BYTES, starts)]
    if not starts.size:
        return cut[:0, ASM_BYTES:], data.size
    covered = int(np.minimum(np.diff(starts), CADU_BYTES).sum()) + CADU_BYTES
    return np.stack([data[s + ASM_BYTES : s + CADU_BYTES] for s in starts]), data.size - covered


def decode_frames(data: NDArray[np.uint8], where: str) -> Frames:
    """Synchronise, derandomise, check and correct the frames of one file (steps of EISPProcessor).

    Parameters
    ----------
    data : (byte) uint8
        Content of a DSDB file.
    where : str
        Its name, for messages.

    Raises
    ------
    InputError
        When nothing in the file decodes.
    """
    frames, skipped = synchronise(data)
    if not len(frames):
        raise InputError("no frame marker", where, "the file is no CADU stream: fetch it again")
    bad = np.flatnonzero(reed_solomon.damaged(frames))
    symbols = reed_solomon.correct(frames, bad)
    keep = np.ones(len(frames), bool)
    keep[bad[symbols < 0]] = False
    # the randomiser's sequence is itself a codeword: the code cannot tell whether it is on, but the header can
    version = np.bincount(frames[keep, 0] >> 6, minlength=4)
    randomised = bool(version[_VERSION ^ randomiser()[0] >> 6] > version[_VERSION])
    if randomised:
        frames ^= randomiser()
    keep &= frames[:, 0] >> 6 == _VERSION
    if not keep.any():
        raise InputError("no codeword decodes", where, "the file is no Sentinel-2 CADU stream: fetch it again")
    good = frames[keep]
    counter = good[:, 2].astype(np.int64) << 16 | good[:, 3].astype(np.int64) << 8 | good[:, 4]
    pointer = (good[:, 6].astype(np.int64) << 8 | good[:, 7]) & 0x7FF
    return Frames(
        good[:, 1] & np.uint8(0x3F), counter % VC_COUNTER_MODULO, pointer, good[:, 8 : 8 + MPDU_ZONE_BYTES],
        len(frames), skipped, int((symbols > 0).sum()), int(symbols[symbols > 0].sum()),
        int((~keep).sum()), randomised,
    )  # fmt: skip
