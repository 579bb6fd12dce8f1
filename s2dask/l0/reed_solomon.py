"""Reed-Solomon codes of CCSDS frames: check every codeword, correct the few that need it.

A codeword is checked by division through the generator, eight symbols a step: the eight leading symbols of the
remainder so far are replaced by what their powers leave, looked up. In the dual representation only the tables differ.
"""

from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import RS_CODEWORD, RS_DATA, RS_INTERLEAVE
from s2dask.kernels import kernel
from s2dask.l0.correction import correct_word
from s2dask.l0.galois import (
    PRIMITIVE,
    conventional_to_dual,
    dual_to_conventional,
    field,
    first_root,
    generator,
    product,
)

STRIDE: Final = 8
"""Symbols divided at a time: a word of 64 bits."""


@dataclass(frozen=True, slots=True)
class ReedSolomon:
    """An interleaved code of 255 symbols per word (CCSDS 131.0-B, section 4).

    Attributes
    ----------
    parity : int
        Check symbols of a word: 16 or 32; half as many errors are corrected.
    interleave : int
        Words of a frame.
    dual : bool
        Whether symbols stand in Berlekamp's dual representation.
    """

    parity: int
    interleave: int
    dual: bool = False

    @property
    def coded_bytes(self) -> int:
        """Length of a frame without its marker."""
        return RS_CODEWORD * self.interleave

    @property
    def data_bytes(self) -> int:
        """Length of a frame without marker and check symbols."""
        return (RS_CODEWORD - self.parity) * self.interleave

    def __str__(self) -> str:
        return f"RS(255,{RS_CODEWORD - self.parity}) I={self.interleave}"


SENTINEL2: Final = ReedSolomon(RS_CODEWORD - RS_DATA, RS_INTERLEAVE)


@cache
def division_table(parity: int, dual: bool) -> NDArray[np.uint64]:
    """Return what the eight leading symbols of a remainder leave, (8, 256, parity / 8) uint64, high symbols first."""
    lead = generator(parity)[1:]
    row = lead
    powers: list[list[int]] = []
    for _ in range(STRIDE):
        powers.insert(0, row)
        row = [a ^ product(row[0], b) for a, b in zip([*row[1:], 0], lead, strict=True)]
    out = np.array([[[product(v, c) for c in power] for v in range(256)] for power in powers], np.uint8)
    if dual:
        out = np.ascontiguousarray(conventional_to_dual()[out[:, dual_to_conventional()]])
    return np.ascontiguousarray(out.reshape(STRIDE, 256, parity // 8, 8).view(">u8")[..., 0], np.uint64)


@kernel
def _bad_lanes_16(row, interleave, t):  # type: ignore[no-untyped-def]
    """Codewords with errors as a set of bits: 16 check symbols."""
    bad, step = 0, interleave
    for lane in range(interleave):
        a, b = np.uint64(0), np.uint64(0)
        for k in range(1, 8):
            lead = row[(k - 1) * step + lane]
            a ^= t[k, lead, 0]
            b ^= t[k, lead, 1]
        at = 7 * step + lane
        for _ in range(31):
            # written out: 1.2 times as fast as the loop
            x0, x1 = np.uint8(a >> np.uint64(56)) ^ row[at], np.uint8(a >> np.uint64(48)) ^ row[at + step]
            two, four, six = at + 2 * step, at + 4 * step, at + 6 * step
            x2, x3 = np.uint8(a >> np.uint64(40)) ^ row[two], np.uint8(a >> np.uint64(32)) ^ row[two + step]
            x4, x5 = np.uint8(a >> np.uint64(24)) ^ row[four], np.uint8(a >> np.uint64(16)) ^ row[four + step]
            x6, x7 = np.uint8(a >> np.uint64(8)) ^ row[six], np.uint8(a) ^ row[six + step]
            high = (t[0, x0, 0] ^ t[1, x1, 0]) ^ (t[2, x2, 0] ^ t[3, x3, 0])
            high ^= (t[4, x4, 0] ^ t[5, x5, 0]) ^ (t[6, x6, 0] ^ t[7, x7, 0])
            low = (t[0, x0, 1] ^ t[1, x1, 1]) ^ (t[2, x2, 1] ^ t[3, x3, 1])
            low ^= (t[4, x4, 1] ^ t[5, x5, 1]) ^ (t[6, x6, 1] ^ t[7, x7, 1])
            a, b = b ^ high, low
            at += 8 * step
        if a | b:
            bad |= 1 << lane
    return bad


@kernel
def _bad_lanes_32(row, interleave, t):  # type: ignore[no-untyped-def]
    """Codewords with errors as a set of bits: 32 check symbols."""
    bad = 0
    for lane in range(interleave):
        a, b, c, d = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
        at = lane
        for k in range(1, 8):
            lead = row[at]
            at += interleave
            a ^= t[k, lead, 0]
            b ^= t[k, lead, 1]
            c ^= t[k, lead, 2]
            d ^= t[k, lead, 3]
        for _ in range(31):
            e, f, g, h = b, c, d, np.uint64(0)
            for k in range(8):
                lead = np.uint8(a >> np.uint64(56 - 8 * k)) ^ row[at]
                at += interleave
                e ^= t[k, lead, 0]
                f ^= t[k, lead, 1]
                g ^= t[k, lead, 2]
                h ^= t[k, lead, 3]
            a, b, c, d = e, f, g, h
        if a | b | c | d:
            bad |= 1 << lane
    return bad


class Tables(NamedTuple):
    """A code as the kernels take it; an interleave of 0 stands for frames without a code."""

    interleave: int
    first_root: int
    primitive: int
    division: NDArray[np.uint64]
    rows: NDArray[np.uint64]
    maps: NDArray[np.uint8]
    exponential: NDArray[np.uint8]
    logarithm: NDArray[np.int64]


@cache
def tables(code: ReedSolomon | None) -> Tables:
    """Return what the kernels need to know of a code, or of the lack of one."""
    parity, dual = (code.parity, code.dual) if code else (16, False)
    plain = np.arange(256, dtype=np.uint8)
    maps = np.stack([dual_to_conventional(), conventional_to_dual()] if dual else [plain, plain])
    rows = division_table(parity, False)[-1].copy()
    division = division_table(parity, dual)
    interleave = code.interleave if code else 0
    return Tables(interleave, first_root(parity), PRIMITIVE, division, rows, maps, *field())


@kernel
def bad_lanes(row, code):  # type: ignore[no-untyped-def]
    """Return the codewords of a frame (byte) uint8 that have errors, as a set of bits."""
    if code.interleave == 0:
        return 0
    if code.division.shape[2] == 2:
        return _bad_lanes_16(row, code.interleave, code.division)
    return _bad_lanes_32(row, code.interleave, code.division)


@kernel
def correct_lanes(row, lanes, code):  # type: ignore[no-untyped-def]
    """Correct some codewords of a frame in place; return how many were, their symbols, and how many could not be.

    Those stay as they are.
    """
    words, symbols, failed = 0, 0, 0
    word = np.zeros(255, np.uint8)
    for lane in range(code.interleave):
        if not lanes >> lane & 1:
            continue
        for i in range(word.size):
            word[i] = code.maps[0, row[i * code.interleave + lane]]
        changed = correct_word(word, code.rows, code.first_root, code.primitive, code.exponential, code.logarithm)
        if changed < 0:
            failed += 1
            continue
        words += 1
        symbols += changed
        for i in range(word.size):
            row[i * code.interleave + lane] = code.maps[1, word[i]]
    return words, symbols, failed


@kernel
def _damaged(frames, code, out):  # type: ignore[no-untyped-def]
    for f in range(frames.shape[0]):
        out[f] = bad_lanes(frames[f], code)


@kernel
def _correct(frames, ranks, lanes, code, out):  # type: ignore[no-untyped-def]
    for k in range(ranks.size):
        out[k, 0], out[k, 1], out[k, 2] = correct_lanes(frames[ranks[k]], lanes[k], code)


def damaged_lanes(frames: NDArray[np.uint8], code: ReedSolomon = SENTINEL2) -> NDArray[np.int64]:
    """Return which codewords of frames (frame, coded_bytes) uint8 have errors: (frame) int64, a set of bits."""
    out = np.zeros(frames.shape[0], np.int64)
    _damaged(frames, tables(code), out)
    return out


def damaged(frames: NDArray[np.uint8], code: ReedSolomon = SENTINEL2) -> NDArray[np.bool_]:
    """Return which frames (frame, coded_bytes) uint8 hold a codeword with errors."""
    return damaged_lanes(frames, code).astype(bool)


def correct_frames(
    frames: NDArray[np.uint8], ranks: NDArray[np.int64], lanes: NDArray[np.int64], code: ReedSolomon | None
) -> NDArray[np.int64]:
    """Correct codewords in place.

    Parameters
    ----------
    frames : (frame, coded_bytes) uint8
    ranks : (k) int64
        Frames to correct.
    lanes : (k) int64
        Their codewords with errors, as `damaged_lanes` says.
    code : ReedSolomon or None

    Returns
    -------
    (k, 3) int64
        Codewords corrected, their symbols, codewords with too many errors.
    """
    out = np.zeros((ranks.size, 3), np.int64)
    _correct(frames, ranks, lanes, tables(code), out)
    return out


def correct(frames: NDArray[np.uint8], ranks: NDArray[np.int64], code: ReedSolomon = SENTINEL2) -> NDArray[np.int64]:
    """Correct some frames (frame, coded_bytes) uint8 in place.

    Returns
    -------
    (k) int64
        Symbols corrected; -1 where a codeword has too many errors (the frame is then not to be trusted).
    """
    out = correct_frames(frames, ranks, np.full(ranks.size, (1 << code.interleave) - 1), code)
    return np.where(out[:, 2] > 0, -1, out[:, 1])
