"""Integers of a segment coded as differences in gaggles of sixteen: DC coefficients and the AC depths of the blocks.

Source: CCSDS 122.0-B, 4.3.2: the first value as it is, then differences mapped to non-negative numbers; a gaggle
sends its option k, then of every number what is above its k low bits in unary, then the k low bits of each.
"""

import numpy as np

from s2dask.kernels import kernel
from s2dask.l0.codec.bits import put, take
from s2dask.l0.codec.segment import BAD, GOOD

GAGGLE = 16


@kernel
def _option_bits(width):  # type: ignore[no-untyped-def]
    """Return the length of the option's identifier for values of 2 to 10 bits."""
    if width == 2:
        return 1
    return 2 if width <= 4 else 3 if width <= 8 else 4


@kernel
def _option(total, count, width):  # type: ignore[no-untyped-def]
    """Return k for a gaggle by the heuristic of the Blue Book, -1 for uncoded; `total` is the sum of its numbers."""
    if 64 * total >= 23 * count * (1 << width):
        return -1
    if 207 * count > 128 * total:
        return 0
    if count << (width + 5) <= 128 * total + 49 * count:
        return width - 2
    k = 0
    while count << (k + 8) <= 128 * total + 49 * count:
        k += 1
    return k


@kernel
def _mapped(value, before, low, high):  # type: ignore[no-untyped-def]
    """Return a difference as a non-negative number: small ones of both signs first."""
    difference = value - before
    room = min(before - low, high - before)
    if 0 <= difference <= room:
        return 2 * difference
    if -room <= difference < 0:
        return -2 * difference - 1
    return room + abs(difference)


@kernel
def _unmapped(number, before, low, high):  # type: ignore[no-untyped-def]
    """Undo `_mapped`; what no encoder writes lands outside [low, high]."""
    room = min(before - low, high - before)
    if number > 2 * room:
        return before + number - room if room == before - low else before - number + room
    return before - (number + 1 >> 1) if number & 1 else before + (number >> 1)


@kernel
def write_integers(values, width, low, words, at):  # type: ignore[no-untyped-def]
    """Write values of `width` bits, the smallest possible one `low`; return the next position.

    Parameters
    ----------
    values : (block) int32
    width, low : int
    words : (word) uint64
    at : int
    """
    mask = (1 << width) - 1
    if width == 1:
        for value in values:
            at = put(words, at, value & 1, 1)
        return at
    bits, high = _option_bits(width), low + mask
    numbers = np.empty(GAGGLE, np.int64)
    for start in range(0, values.size, GAGGLE):
        count, total = 0, 0
        for m in range(max(start, 1), min(start + GAGGLE, values.size)):
            numbers[count] = _mapped(np.int64(values[m]), np.int64(values[m - 1]), low, high)
            total += numbers[count]
            count += 1
        k = _option(total, count, width)
        at = put(words, at, k if k >= 0 else (1 << bits) - 1, bits)
        if start == 0:
            at = put(words, at, np.int64(values[0]) & mask, width)
        at = _write_numbers(numbers[:count], k, width, words, at)
    return at


@kernel
def _write_numbers(numbers, k, width, words, at):  # type: ignore[no-untyped-def]
    """Write the numbers of a gaggle under an option; return the next position."""
    for number in numbers:
        if k < 0:
            at = put(words, at, number, width)
        else:
            for _ in range(number >> k):
                at = put(words, at, 0, 1)
            at = put(words, at, 1, 1)
    if k > 0:
        for number in numbers:
            at = put(words, at, number & ((1 << k) - 1), k)
    return at


@kernel
def _read_unary(words, at, end, most):  # type: ignore[no-untyped-def]
    """Return the zeros before the next one, and the position after it; more than `most` of them are refused as -1."""
    count = 0
    while at < end and count <= most:
        at += 1
        if take(words, at - 1, 1):
            return count, at
        count += 1
    return -1, at


@kernel
def _read_numbers(numbers, k, width, words, at, end):  # type: ignore[no-untyped-def]
    """Undo `_write_numbers`; return the next position, beyond the end when the numbers are not there."""
    if k < 0:
        for j in range(numbers.size):
            numbers[j] = take(words, at, width)
            at += width
        return at
    for j in range(numbers.size):
        number, at = _read_unary(words, at, end, ((1 << width) - 1) >> k)
        if number < 0:
            return end + 1
        numbers[j] = number << k
    if k > 0:
        for j in range(numbers.size):
            numbers[j] |= take(words, at, k)
            at += k
    return at


@kernel
def _read_single_bits(values, low, words, at, end):  # type: ignore[no-untyped-def]
    """Read values of one bit: 0 and 1, or 0 and -1."""
    if at + values.size > end:
        return at, BAD
    for m in range(values.size):
        values[m] = take(words, at + m, 1) * (1 if low == 0 else -1)
    return at + values.size, GOOD


@kernel
def read_integers(values, width, low, words, at, end):  # type: ignore[no-untyped-def]
    """Undo `write_integers`: fill the values; return the next position, and whether they were there and possible.

    Parameters
    ----------
    values : (block) int32
    width : int
        1 to 10.
    low : int
    words : (word) uint64
    at, end : int
        [bit]
    """
    if width == 1:
        return _read_single_bits(values, low, words, at, end)
    bits, high = _option_bits(width), low + (1 << width) - 1
    numbers = np.empty(GAGGLE, np.int64)
    for start in range(0, values.size, GAGGLE):
        k = take(words, at, bits)
        k = -1 if k == (1 << bits) - 1 else k
        at += bits
        if start == 0:
            first = take(words, at, width)
            values[0] = first if first <= high else first - (1 << width)
            at += width
        begin, stop = max(start, 1), min(start + GAGGLE, values.size)
        if k <= width - 2:
            at = _read_numbers(numbers[: stop - begin], k, width, words, at, end)
        if k > width - 2 or at > end:
            return at, BAD
        for m in range(begin, stop):
            value = _unmapped(numbers[m - begin], np.int64(values[m - 1]), low, high)
            if value < low or value > high:
                return at, BAD
            values[m] = value
    return at, GOOD
