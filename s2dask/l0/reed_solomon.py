"""Reed-Solomon (255, 239), interleaved by eight: check every codeword, correct the few that need it.

Field polynomial 0x187, roots alpha^(11 j) for j = 120 to 135, conventional representation (CCSDS 131.0-B, E = 8).
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import RS_CODEWORD, RS_DATA, RS_INTERLEAVE
from s2dask.kernels import kernel

PARITY: Final = RS_CODEWORD - RS_DATA
FIRST_ROOT: Final = 128 - PARITY // 2
PRIMITIVE: Final = 11


@cache
def tables() -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.uint64]]:
    """Return exponentials (512), logarithms (256) and the division table (256, 2) of the code."""
    exponential = np.zeros(512, np.uint8)
    logarithm = np.zeros(256, np.int64)
    value = 1
    for i in range(255):
        exponential[i] = exponential[i + 255] = value
        logarithm[value] = i
        value <<= 1
        if value > 255:
            value ^= 0x187

    def times(a: int, b: int) -> int:
        return int(exponential[logarithm[a] + logarithm[b]]) if a and b else 0

    generator = [1]
    for j in range(FIRST_ROOT, FIRST_ROOT + PARITY):
        root = int(exponential[PRIMITIVE * j % 255])
        generator = [
            a ^ times(b, root) for a, b in zip([*generator, 0], [0, *generator], strict=True)
        ]
    division = np.zeros((256, 2), np.uint64)
    for lead in range(256):
        row = bytes(times(lead, g) for g in generator[1:])
        division[lead] = int.from_bytes(row[:8], "big"), int.from_bytes(row[8:], "big")
    return exponential, logarithm, division


@kernel
def _damaged(frames, division, data, interleave, out):  # type: ignore[no-untyped-def]
    """Divide each codeword by the generator; a remainder means errors."""
    eight, last = np.uint64(8), np.uint64(56)
    for f in range(frames.shape[0]):
        bad = 0
        for lane in range(interleave):
            high, low = np.uint64(0), np.uint64(0)
            for i in range(data):
                lead = np.uint64(frames[f, i * interleave + lane]) ^ (high >> last)
                high = ((high << eight) | (low >> last)) ^ division[lead, 0]
                low = (low << eight) ^ division[lead, 1]
            for i in range(8):
                at, shift = (data + i) * interleave + lane, np.uint64(56 - 8 * i)
                if frames[f, at] != ((high >> shift) & np.uint64(255)):
                    bad = 1
                if frames[f, at + 8 * interleave] != ((low >> shift) & np.uint64(255)):
                    bad = 1
        out[f] = bad


@kernel
def _locator(syndromes, exponential, logarithm):  # type: ignore[no-untyped-def]
    """Error locator polynomial, low degree first, and its degree (Berlekamp-Massey)."""
    n = syndromes.size
    current, previous, saved = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    current[0] = previous[0] = 1
    length, shift, scale = 0, 1, 1
    for k in range(n):
        discrepancy = syndromes[k]
        for i in range(1, length + 1):
            if current[i] and syndromes[k - i]:
                discrepancy ^= np.int64(exponential[logarithm[current[i]] + logarithm[syndromes[k - i]]])
        if discrepancy == 0:
            shift += 1
            continue
        saved[:] = current
        factor = (logarithm[discrepancy] - logarithm[scale]) % 255
        for i in range(n + 1 - shift):
            if previous[i]:
                current[i + shift] ^= np.int64(exponential[logarithm[previous[i]] + factor])
        if 2 * length <= k:
            length = k + 1 - length
            previous[:] = saved
            scale, shift = discrepancy, 1
        else:
            shift += 1
    return current, length


@kernel
def _evaluate(polynomial, degree, log_x, exponential, logarithm):  # type: ignore[no-untyped-def]
    total = np.int64(0)
    for i in range(degree + 1):
        if polynomial[i]:
            total ^= np.int64(exponential[(logarithm[polynomial[i]] + i * log_x) % 255])
    return total


@kernel
def _correct_word(word, first, primitive, parity, exponential, logarithm):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912 - the steps of one algorithm
    """Correct a codeword in place; return the symbols changed, -1 when there are too many errors."""
    n = word.size
    syndromes = np.zeros(parity, np.int64)
    clean = True
    for j in range(parity):
        power = primitive * (first + j) % 255
        total = np.int64(0)
        for i in range(n):
            if total:
                total = np.int64(exponential[logarithm[total] + power])
            total ^= np.int64(word[i])
        syndromes[j] = total
        clean = clean and total == 0
    if clean:
        return 0
    locator, degree = _locator(syndromes, exponential, logarithm)
    if degree > parity // 2:
        return -1
    evaluator = np.zeros(parity, np.int64)
    for i in range(parity):
        for j in range(min(i, degree) + 1):
            if locator[j] and syndromes[i - j]:
                evaluator[i] ^= np.int64(exponential[logarithm[locator[j]] + logarithm[syndromes[i - j]]])
    found = 0
    places, values = np.zeros(parity, np.int64), np.zeros(parity, np.int64)
    for position in range(n):
        log_x = primitive * (n - 1 - position) % 255
        inverse = (255 - log_x) % 255
        if _evaluate(locator, degree, inverse, exponential, logarithm):
            continue
        slope = np.int64(0)
        for i in range(1, degree + 1, 2):
            if locator[i]:
                slope ^= np.int64(exponential[(logarithm[locator[i]] + (i - 1) * inverse) % 255])
        top = _evaluate(evaluator, parity - 1, inverse, exponential, logarithm)
        if slope == 0 or found == parity:
            return -1
        if top:
            lift = (logarithm[top] - logarithm[slope] + (1 - first) * log_x) % 255
            places[found], values[found] = position, np.int64(exponential[lift])
        found += 1
    if found != degree:
        return -1
    for k in range(found):
        word[places[k]] ^= np.uint8(values[k])
    return found


@kernel
def _correct(frames, ranks, first, primitive, parity, interleave, exponential, logarithm, symbols):  # type: ignore[no-untyped-def]  # fmt: skip
    word = np.zeros(frames.shape[1] // interleave, np.uint8)
    for k in range(ranks.size):
        for lane in range(interleave):
            for i in range(word.size):
                word[i] = frames[ranks[k], i * interleave + lane]
            changed = _correct_word(word, first, primitive, parity, exponential, logarithm)
            if changed < 0:
                symbols[k] = -1
                break
            symbols[k] += changed
            for i in range(word.size):
                frames[ranks[k], i * interleave + lane] = word[i]


def damaged(frames: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which frames (frame, 2040) hold a codeword with errors."""
    out = np.zeros(frames.shape[0], np.uint8)
    _damaged(frames, tables()[2], RS_DATA, RS_INTERLEAVE, out)
    return out.astype(bool)


def correct(frames: NDArray[np.uint8], ranks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Correct some frames in place.

    Parameters
    ----------
    frames : (frame, 2040) uint8
    ranks : (k) int64
        Frames to correct.

    Returns
    -------
    (k) int64
        Symbols corrected; -1 where a codeword has more than eight errors (the frame is then not to be trusted).
    """
    exponential, logarithm, _ = tables()
    symbols = np.zeros(ranks.size, np.int64)
    _correct(frames, ranks, FIRST_ROOT, PRIMITIVE, PARITY, RS_INTERLEAVE, exponential, logarithm, symbols)
    return symbols
