"""Formats of frames: their length, their code, their randomiser; and finding them in a stream of an unknown mission."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES
from s2dask.l0.frame_headers import AOS, HEADER_BYTES, TM, is_uslp, layout
from s2dask.l0.reed_solomon import SENTINEL2, ReedSolomon, correct_frames, damaged_lanes, tables
from s2dask.l0.synchronisation import Position, find_markers, gather, rule, synchronise

SAMPLES: Final = 64
"""Frames by which a format is judged."""
CODEWORD: Final = 255
_DEPTHS: Final = (1, 2, 3, 4, 5, 8)
"""Of interleaving that the standard has."""
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
        Of 255 symbols a word, or of fewer: the missing ones are zeros before the frame, which are not sent (virtual
        fill, 131.0-B section 4).
    version : int
        Version number in the header: 1 for AOS, 0 for TM.
    lead, trailer : int
        Bytes of the frame before and after the packet zone.
    checked : bool
        Whether the trailer ends with a CRC-16 of the frame.
    """

    cadu_bytes: int
    code: ReedSolomon | None
    version: int = AOS
    lead: int = HEADER_BYTES[AOS]
    trailer: int = 0
    checked: bool = False

    @property
    def coded_bytes(self) -> int:
        """Length without the marker."""
        return self.cadu_bytes - ASM_BYTES

    @property
    def data_bytes(self) -> int:
        """Length without marker and check symbols."""
        return self.coded_bytes - (self.code.parity * self.code.interleave if self.code else 0)

    @property
    def fill(self) -> int:
        """Zeros that a shortened code has before the frame [byte]."""
        return self.code.coded_bytes - self.coded_bytes if self.code else 0

    @property
    def whole_code(self) -> ReedSolomon | None:
        """The code, if all its symbols are sent: a frame can be checked where it lies."""
        return None if self.fill else self.code

    @property
    def zone_bytes(self) -> int:
        """Length of the packet zone."""
        return self.data_bytes - self.lead - self.trailer

    def damaged(self, frames: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the codewords with errors of frames (frame, coded_bytes) uint8, as a set of bits."""
        if self.code is None:
            return np.zeros(len(frames), np.int64)
        return damaged_lanes(self._filled(frames), self.code)

    def correct(self, frames: NDArray[np.uint8], bad: NDArray[np.int64], lanes: NDArray[np.int64]) -> NDArray[np.int64]:
        """Correct some frames in place; return codewords and symbols corrected and codewords lost, (bad, 3) int64."""
        if self.code is None or not bad.size:
            return np.zeros((bad.size, 3), np.int64)
        if not self.fill:
            return correct_frames(frames, bad, lanes, self.code)
        whole = self._filled(frames[bad])
        out = correct_frames(whole, np.arange(bad.size), lanes, self.code)
        # an error where nothing was sent is none: there were more than the code can tell
        out[whole[:, : self.fill].any(1), 2] += 1
        frames[bad] = whole[:, self.fill :]
        return out

    def _filled(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if not self.fill:
            return frames
        return np.concatenate([np.zeros((len(frames), self.fill), np.uint8), frames], 1)


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


def versions(randomised: bool | None, version: int = AOS) -> int:
    """Return, as a set of bits, the versions that a header may have once the `mask` is off."""
    return 1 << version if randomised is not None else 1 << version | 1 << (version ^ int(randomiser()[0]) >> 6)


def looks_randomised(frames: NDArray[np.uint8], version: int = AOS) -> bool | None:
    """Say by the versions in the headers of frames (frame, byte) uint8 whether the randomiser is on; None: neither.

    The code cannot tell: the randomiser's sequence is itself a codeword of most codes.
    """
    seen = np.bincount(frames[:, 0] >> 6, minlength=4)
    on, off = int(seen[version ^ randomiser()[0] >> 6]), int(seen[version])
    return on > off if on or off else None


def _decoded(frames: NDArray[np.uint8], format_: FrameFormat) -> NDArray[np.bool_]:
    """Return which frames are of a code, and correct them."""
    lanes = format_.damaged(frames)
    bad = np.flatnonzero(lanes)
    out = np.ones(len(frames), bool)
    out[bad] = format_.correct(frames, bad, lanes[bad])[:, 2] == 0
    return out


def choose(frames: NDArray[np.uint8], formats: Sequence[FrameFormat]) -> tuple[FrameFormat, bool] | None:
    """Return in which of some formats the most frames decode, and whether the randomiser is on; None when none does.

    Parameters
    ----------
    frames : (frame, coded_bytes) uint8
        As received.
    formats : sequence of FrameFormat
        Of one length and version, the stronger codes first: what the stronger one decodes, the weaker one does too.
    """
    version = formats[0].version
    guess = looks_randomised(frames, version)
    best: tuple[int, FrameFormat, bool] | None = None
    for on in (bool(guess), not guess):
        for format_ in formats:
            tried = frames ^ mask(format_.coded_bytes, on)
            good = _decoded(tried, format_)
            seen = looks_randomised(tried[good], version)
            # the header has the last word: with the wrong guess the frames may well have decoded
            count = int(good.sum())
            if format_.code is None:
                # nothing but the header tells that these are frames: most have to have it
                count = int((tried[:, 0] >> 6 == version).sum())
                count *= 2 * count > len(tried)
            believed = count and seen is not None and (format_.code or not seen)
            if believed and (best is None or count > 2 * best[0]):
                best = count, format_, on ^ bool(seen)
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
    """Return the codes that frames of a length, without marker, may have, whole before shortened; none comes last."""
    found: list[ReedSolomon | None] = [
        ReedSolomon(parity, depth, dual)
        for depth in sorted(_DEPTHS, key=lambda depth: abs(CODEWORD * depth - coded_bytes))
        for parity in (32, 16)
        for dual in (False, True)
        if coded_bytes % depth == 0 and parity + HEADER_BYTES[AOS] < coded_bytes // depth <= CODEWORD
    ]
    return [*found, None]


def find_format(data: NDArray[np.uint8], where: str = "") -> tuple[FrameFormat, bool] | None:
    """Find the format of the frames at the start of a stream (byte) uint8, and whether the randomiser is on.

    None when there is no marker, or no frame decodes.

    Raises
    ------
    InputError
        When the frames are of USLP, which are not decoded.
    """
    length = _length(data)
    if length is None:
        return None
    size = length - ASM_BYTES
    empty, possible = mask(size, None), codes(size)
    whole = [code for code in possible if code and code.coded_bytes == size]
    tried = (tables(whole[0]), tables(whole[-1])) if whole else (tables(None),) * 2
    for version in (AOS, TM):
        formats = [FrameFormat(length, code, version) for code in possible]
        frame = rule(length, empty, versions(None, version))
        starts, inverted, _ = synchronise(data, True, Position(), frame, tried, SAMPLES)
        frames = gather(data, starts, inverted, empty)[0]
        if version == TM and len(frames):
            _refuse_uslp(frames, [f.data_bytes for f in formats], where)
        choice = choose(frames, formats)
        if choice:
            return _laid_out(frames, *choice), choice[1]
    return None


def _refuse_uslp(frames: NDArray[np.uint8], sizes: list[int], where: str) -> None:
    if any(is_uslp(frames ^ mask(frames.shape[1], on), sizes) for on in (False, True)):
        raise InputError(
            "frames of version 4 (USLP, CCSDS 732.1-B)", where, "frames of AOS (732.0-B) and TM (132.0-B) are decoded"
        )


def _laid_out(frames: NDArray[np.uint8], format_: FrameFormat, randomised: bool) -> FrameFormat:
    """Return a format with what lies around the packet zone, judged by frames as received."""
    good = frames ^ mask(format_.coded_bytes, randomised)
    good = good[_decoded(good, format_)][:, : format_.data_bytes]
    lead, trailer, checked = layout(good[good[:, 0] >> 6 == format_.version], format_.version)
    return replace(format_, lead=lead, trailer=trailer, checked=checked)
