"""The field of the frame codes, GF(256) over x^8 + x^7 + x^2 + x + 1, and Berlekamp's dual representation of it.

Source: CCSDS 131.0-B, section 4 and the annex on the transformation between representations.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL: Final = 0x187
PRIMITIVE: Final = 11
"""The roots of the codes are powers of alpha^11."""
DUAL_STEP: Final = 117
"""Bit i of a dual symbol, the most significant first, is the trace of the element times alpha^(117 i)."""


@cache
def field() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the powers of alpha (512) uint8, two periods, and the logarithms (256) int64."""
    exponential, logarithm = np.zeros(512, np.uint8), np.zeros(256, np.int64)
    value = 1
    for i in range(255):
        exponential[i] = exponential[i + 255] = value
        logarithm[value] = i
        value <<= 1
        if value > 255:
            value ^= POLYNOMIAL
    return exponential, logarithm


def product(a: int, b: int) -> int:
    """Return a times b."""
    exponential, logarithm = field()
    return int(exponential[logarithm[a] + logarithm[b]]) if a and b else 0


def generator(parity: int) -> list[int]:
    """Return the generator polynomial of a code with that many check symbols, the leading 1 first."""
    first, out = first_root(parity), [1]
    for j in range(first, first + parity):
        root = int(field()[0][PRIMITIVE * j % 255])
        out = [a ^ product(b, root) for a, b in zip([*out, 0], [0, *out], strict=True)]
    return out


def first_root(parity: int) -> int:
    """Return the first j of the roots alpha^(11 j), which lie around j = 127.5."""
    return 128 - parity // 2


def _trace(value: int) -> int:
    total = 0
    for _ in range(8):
        total ^= value
        value = product(value, value)
    return total


@cache
def conventional_to_dual() -> NDArray[np.uint8]:
    """Return the dual symbol of each conventional one, (256) uint8."""
    exponential = field()[0]
    out = np.zeros(256, np.uint8)
    for element in range(256):
        for i in range(8):
            bit = _trace(product(element, int(exponential[DUAL_STEP * i % 255])))
            out[element] |= bit << (7 - i)
    return out


@cache
def dual_to_conventional() -> NDArray[np.uint8]:
    """Return the conventional symbol of each dual one, (256) uint8."""
    return np.argsort(conventional_to_dual()).astype(np.uint8)
