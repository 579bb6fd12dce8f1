"""Formats of frames: their length, their code, their randomiser; and finding them in a stream of an unknown mission."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES, MPDU_HEADER_BYTES, VCDU_HEADER_BYTES
from s2dask.l0.reed_solomon import SENTINEL2, ReedSolomon, correct_frames, damaged_lanes, tables
from s2dask.l0.synchronisation import Position, find_markers, gather, rule, synchronise

AOS: Final = 1
"""Version in the header of the frames that are decoded here (CCSDS 732.0-B)."""
SAMPLES: Final = 64
"""Frames by which a format is judged."""
CODEWORD: Final = 255
SHORTEST, LONGEST = 64, 1 << 16
"""Of frames of an unknown length, with marker [byte]."""


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """What the frames of a stream are like, but for the randomiser.

    Attributes
    ----------
    cadu_bytes : int
        Distance of the markers.
    code : ReedSolomon or None
    """

    cadu_bytes: int
    code: ReedSolomon | None

    @property
    def coded_bytes(self) -> int:
        """Length without the marker."""
        return self.cadu_bytes - ASM_BYTES

    @property
    def data_bytes(self) -> int:
        """Length without marker and check symbols."""
        return self.code.data_bytes if self.code else self.coded_bytes

    @property
    def zone_bytes(self) -> int:
        """Length of the packet zone."""
        return self.data_bytes - VCDU_HEADER_BYTES - MPDU_HEADER_BYTES


SENTINEL2_FORMATS: Final = (
    FrameFormat(CADU_BYTES, SENTINEL2),
    FrameFormat(CADU_BYTES, ReedSolomon(SENTINEL2.parity, SENTINEL2.interleave, dual=True)),
)
"""The representation of the symbols on the real link is not public."""


@cache
def randomiser(size: int = CADU_BYTES - ASM_BYTES) -> NDArray[np.uint8]:
    """Return the pseudo-random sequence for the coded part of a frame (CCSDS 131.0-B, x^8 + x^7 + x^5 + x^3 + 1)."""
    register, out = 0xFF, np.zeros(CODEWORD, np.uint8)
    for i in range(out.size):
        byte = 0
        for _ in range(8):
            byte = byte << 1 | register >> 7
            feedback = (register >> 7 ^ register >> 4 ^ register >> 2 ^ register) & 1
            register = (register << 1 | feedback) & 0xFF
        out[i] = byte
    return np.resize(out, size)


def mask(size: int, randomised: bool | None) -> NDArray[np.uint8]:
    """Return what to take off a frame of a size: the randomiser, or nothing."""
    return randomiser(size) if randomised else np.zeros(size, np.uint8)


def versions(randomised: bool | None) -> int:
    """Return, as a set of bits, the versions that a header may have once the `mask` is off."""
    return 1 << AOS if randomised is not None else 1 << AOS | 1 << (AOS ^ int(randomiser()[0]) >> 6)


def looks_randomised(frames: NDArray[np.uint8]) -> bool | None:
    """Say by the versions in the headers of frames (frame, byte) uint8 whether the randomiser is on; None: neither.

    The code cannot tell: the randomiser's sequence is itself a codeword of most codes.
    """
    version = np.bincount(frames[:, 0] >> 6, minlength=4)
    on, off = int(version[AOS ^ randomiser()[0] >> 6]), int(version[AOS])
    return on > off if on or off else None


def _decoded(frames: NDArray[np.uint8], code: ReedSolomon | None) -> NDArray[np.bool_]:
    """Return which frames are of a code, and correct them."""
    if code is None:
        return np.ones(len(frames), bool)
    lanes = damaged_lanes(frames, code)
    bad = np.flatnonzero(lanes)
    out = np.ones(len(frames), bool)
    out[bad] = correct_frames(frames, bad, lanes[bad], code)[:, 2] == 0
    return out


def choose(frames: NDArray[np.uint8], formats: Sequence[FrameFormat]) -> tuple[FrameFormat, bool] | None:
    """Return in which of some formats the most frames decode, and whether the randomiser is on; None when none does.

    Parameters
    ----------
    frames : (frame, coded_bytes) uint8
        As received.
    formats : sequence of FrameFormat
        Of one length, the stronger codes first: what the stronger one decodes, the weaker one does too.
    """
    guess = looks_randomised(frames)
    best: tuple[int, FrameFormat, bool] | None = None
    for on in (bool(guess), not guess):
        for format_ in formats:
            tried = frames ^ mask(format_.coded_bytes, on)
            good = _decoded(tried, format_.code)
            seen = looks_randomised(tried[good])
            # the header has the last word: with the wrong guess the frames may well have decoded
            if seen is not None and (format_.code or not seen):
                count = int(good.sum())
                if best is None or count > 2 * best[0]:
                    best = count, format_, on ^ seen
        if best:
            return best[1:]
    return None


def _length(data: NDArray[np.uint8]) -> int | None:
    """Return the distance of the markers in a stream, the most frequent one [byte]."""
    at = find_markers(data)
    distance = np.diff(at)
    whole = distance[(distance % 8 == 0) & (distance >= 8 * SHORTEST) & (distance <= 8 * LONGEST)] // 8
    if whole.size:
        return int(np.bincount(whole).argmax())
    if at.size == 1 and at[0] == 0 and SHORTEST <= data.size <= LONGEST:
        return data.size
    return None


def codes(coded_bytes: int) -> list[ReedSolomon | None]:
    """Return the codes that frames of a length, without marker, may have; none at all is the last resort."""
    depth, rest = divmod(coded_bytes, CODEWORD)
    found: list[ReedSolomon | None] = [None]
    if not rest and depth in {1, 2, 3, 4, 5, 8}:
        found = [ReedSolomon(parity, depth, dual) for parity in (32, 16) for dual in (False, True)]
    return found


def find_format(data: NDArray[np.uint8]) -> tuple[FrameFormat, bool] | None:
    """Find the format of the frames at the start of a stream (byte) uint8, and whether the randomiser is on.

    None when there is no marker, or no frame decodes.
    """
    length = _length(data)
    if length is None:
        return None
    size = length - ASM_BYTES
    formats = [FrameFormat(length, code) for code in codes(size)]
    position, empty = Position(), mask(size, None)
    tried = tuple(tables(f.code) for f in (formats[0], formats[-1]))
    starts, inverted = synchronise(data, True, position, rule(length, empty, versions(None)), tried, SAMPLES)
    return choose(gather(data, starts, inverted, empty)[0], formats)
