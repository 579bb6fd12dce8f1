"""The sets of coefficients in a block that stages 1 to 3 speak of, as questions to a 64-bit mask (see `blocks`).

A set is significant when a member is: what the Blue Book (122.0-B, 4.5.2) keeps as the state of a set follows from the
mask of the significant coefficients.
"""

import numpy as np

from s2dask.kernels import kernel
from s2dask.l0.codec.words import FAMILIES

DESCENDANTS = 0x0FFFFFFFFFFFFFFF
"""All but DC and the parents."""
UNKNOWN_OPTIONS = 0xFFF0
"""Options of a gaggle for words of four, three, two and one bits, a nibble each, before it has named any."""


@kernel
def count_ones(x):  # type: ignore[no-untyped-def]
    """Return how many bits of a 64-bit mask are set."""
    x = x - (x >> np.uint64(1) & np.uint64(0x5555555555555555))
    x = (x & np.uint64(0x3333333333333333)) + (x >> np.uint64(2) & np.uint64(0x3333333333333333))
    x = x + (x >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64(x * np.uint64(0x0101010101010101) >> np.uint64(56))


@kernel
def family(i):  # type: ignore[no-untyped-def]
    """Return the mask of the children and grandchildren of a family."""
    return np.uint64(15) << np.uint64(56 - 4 * i) | np.uint64(0xFFFF) << np.uint64(32 - 16 * i)


@kernel
def families_in(mask):  # type: ignore[no-untyped-def]
    """Return which families have a descendant in a mask, the first one highest of three bits."""
    word = np.uint64(0)
    for i in range(3):
        word = word << np.uint64(1) | np.uint64((mask & family(i)) != np.uint64(0))
    return word


@kernel
def grandchildren_in(mask):  # type: ignore[no-untyped-def]
    """Return which families have a grandchild in a mask."""
    word = np.uint64(0)
    for i in range(3):
        word = word << np.uint64(1) | np.uint64((mask >> np.uint64(32 - 16 * i) & np.uint64(0xFFFF)) != np.uint64(0))
    return word


@kernel
def groups_in(mask, i):  # type: ignore[no-untyped-def]
    """Return which of the four groups of grandchildren of a family have a member in a mask."""
    x = mask >> np.uint64(32 - 16 * i) & np.uint64(0xFFFF)
    x |= x >> np.uint64(1)
    x = (x | x >> np.uint64(2)) & np.uint64(0x1111)
    return (x | x >> np.uint64(3) | x >> np.uint64(6) | x >> np.uint64(9)) & np.uint64(15)


@kernel
def options_field(kind):  # type: ignore[no-untyped-def]
    """Return the place of the nibble in the options of a gaggle that is for words of a kind."""
    return np.uint64(4 * (2 if kind == FAMILIES else min(kind, 3)))


@kernel
def kind_of(count, last):  # type: ignore[no-untyped-def]
    """Return the kind of a word of 1 to 4 bits; `last` is that kind of which the longest word is a special one."""
    if last == FAMILIES:
        return FAMILIES if count == 3 else count - 1
    return count if count == 4 and last == count else count - 1
