"""Bits in 64-bit words, the first bit the highest: a position is all the state of a reader or a writer."""

import numpy as np

from s2dask.kernels import kernel

SPARE_WORDS = 8
"""Words beyond the data: nothing that is read between two looks at the position is longer."""


@kernel
def load(data, words):  # type: ignore[no-untyped-def]
    """Fill words with bytes, and with zeros beyond them.

    Parameters
    ----------
    data : (byte) uint8
    words : (word) uint64
        At least `SPARE_WORDS` longer than the data.
    """
    whole = data.size >> 3
    for i in range(whole):
        word = np.uint64(0)
        for j in range(8):
            word = word << np.uint64(8) | np.uint64(data[8 * i + j])
        words[i] = word
    words[whole:] = np.uint64(0)
    for i in range(8 * whole, data.size):
        words[whole] |= np.uint64(data[i]) << np.uint64(56 - 8 * (i & 7))


@kernel
def store(words, data):  # type: ignore[no-untyped-def]
    """Write the first bytes of words."""
    for i in range(data.size):
        data[i] = words[i >> 3] >> np.uint64(56 - 8 * (i & 7)) & np.uint64(255)


@kernel
def peek(words, at):  # type: ignore[no-untyped-def]
    """Return the 64 bits from a position on."""
    place = np.uint64(at)
    i, shift = place >> np.uint64(6), place & np.uint64(63)
    return words[i] << shift | words[i + np.uint64(1)] >> np.uint64(1) >> (np.uint64(63) - shift)


@kernel
def take(words, at, count):  # type: ignore[no-untyped-def]
    """Return 1 to 63 bits from a position on, as a number."""
    return np.int64(peek(words, at) >> np.uint64(64 - count))


@kernel
def put(words, at, value, count):  # type: ignore[no-untyped-def]
    """Write the low `count` bits (1 to 64) of a number at a position, the rest of it zero; return the next position."""
    place = np.uint64(at)
    i, shift = place >> np.uint64(6), place & np.uint64(63)
    top = np.uint64(value) << np.uint64(64 - count)
    words[i] |= top >> shift
    words[i + np.uint64(1)] = top << np.uint64(1) << (np.uint64(63) - shift)
    return at + count
