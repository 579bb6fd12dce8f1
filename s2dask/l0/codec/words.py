"""The variable-length words of the bit planes, as tables.

A word of two, three or four bits becomes a symbol, the likeliest first, and the symbol a code under the option that a
gaggle has chosen for words of that length; a single bit stays as it is. Source: CCSDS 122.0-B, 4.5.3.3. The mappings
and codes agree with those that two public implementations use.

Elements of a block are counted from the highest bit of a 64-bit mask down, so that a group of four (a nibble) reads as
the word that the Blue Book writes.
"""

from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

PAIR, TRIPLE, CHILDREN, GRANDCHILDREN, FAMILIES = 1, 2, 3, 4, 5
"""Kinds of words: of two bits; of three; of four in types of C; in types and transitions of H; of three in tran_D."""
UNCODED: Final = 3
"""Option of a word of three or four bits that is sent as its symbol; for words of two bits it is 1."""

_SYMBOLS: Final = {
    0: (0, 1),
    PAIR: (0, 2, 1, 3),
    TRIPLE: (1, 4, 0, 5, 2, 6, 3, 7),
    CHILDREN: (10, 1, 3, 6, 2, 5, 9, 12, 0, 8, 7, 13, 4, 14, 11, 15),
    GRANDCHILDREN: (-1, 1, 3, 6, 2, 5, 9, 11, 0, 8, 7, 12, 4, 13, 10, 14),
    FAMILIES: (-1, 3, 0, 4, 1, 5, 2, 6),
}
"""By kind, the symbol of each word; -1 where the word cannot happen."""

_CODES: Final = {
    (2, 0): ("1", "01", "001", "000"),
    (3, 0): ("1", "01", "001", "00000", "00001", "00010", "000110", "000111"),
    (3, 1): ("10", "11", "010", "011", "0010", "0011", "0000", "0001"),
    (4, 0): ("1", "01", "001", "0001", *(f"{k:07b}" for k in range(4)), *(f"{k:08b}" for k in range(8, 16))),
    (4, 1): ("10", "11", "010", "011", "0010", "0011",
             *(f"{k:06b}" for k in range(6)), *(f"{k:07b}" for k in range(12, 16))),
    (4, 2): ("100", "101", "110", "111", "0100", "0101", "0110", "0111", "00100", "00101", "00110", "00111",
             "00000", "00001", "00010", "00011"),
}  # fmt: skip
"""By length and option, the code of each symbol."""
_LENGTH: Final = {0: 1, PAIR: 2, TRIPLE: 3, CHILDREN: 4, GRANDCHILDREN: 4, FAMILIES: 3}


class Tables(NamedTuple):
    """What the kernels look up.

    Attributes
    ----------
    decode : (6 kinds, 4 options, 256) uint16
        By the next eight bits: the word, its length in code (x 16), the number of its ones (x 256). 0: no such code.
    encode : (6, 4, 16) uint16
        By word: the code, its length (x 256).
    cost : (6, 16) uint64
        By word: its length under each option, sixteen bits each, the first option lowest.
    spread, gather : (16, 16) uint64
        By nibble of places and word: the word's bits at those places; by places and nibble: the bits of the nibble at
        those places, as a word.
    spread8, gather8 : (256, 256) uint8
        The same, of bytes.
    ones : (256) uint8
    """

    decode: NDArray[np.uint16]
    encode: NDArray[np.uint16]
    cost: NDArray[np.uint64]
    spread: NDArray[np.uint64]
    gather: NDArray[np.uint64]
    spread8: NDArray[np.uint8]
    gather8: NDArray[np.uint8]
    ones: NDArray[np.uint8]


def _code(kind: int, option: int, symbol: int) -> str | None:
    length = _LENGTH[kind]
    if length == 1 or option == (1 if length == 2 else UNCODED):
        return f"{symbol:0{length}b}"
    codes = _CODES.get((length, option))
    return None if codes is None else codes[symbol]


def _places(size: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return how words spread over the places that a mask names, and are gathered from them."""
    spread, gather = (np.zeros((1 << size, 1 << size), np.uint64) for _ in range(2))
    for mask in range(1 << size):
        places = [k for k in range(size) if mask >> k & 1]
        for word in range(1 << len(places)):
            at = sum(1 << place for k, place in enumerate(places) if word >> k & 1)
            spread[mask, word] = at
            gather[mask, at] = word
        outside = np.arange(1 << size) & mask
        gather[mask] = gather[mask, outside]
    return spread, gather


@cache
def tables() -> Tables:
    """Return the tables, built once."""
    decode, encode = np.zeros((6, 4, 256), np.uint16), np.zeros((6, 4, 16), np.uint16)
    cost = np.zeros((6, 16), np.uint64)
    for kind, symbols in _SYMBOLS.items():
        for option in range(4):
            for word, symbol in enumerate(symbols):
                code = None if symbol < 0 else _code(kind, option, symbol)
                if code is None:
                    continue
                size = len(code)
                encode[kind, option, word] = int(code, 2) | size << 8
                cost[kind, word] |= np.uint64(size << 16 * option)
                first = int(code, 2) << (8 - size)
                decode[kind, option, first : first + (1 << (8 - size))] = word | size << 4 | word.bit_count() << 8
    spread, gather = _places(4)
    spread8, gather8 = _places(8)
    ones = np.array([k.bit_count() for k in range(256)], np.uint8)
    return Tables(decode, encode, cost, spread, gather, spread8.astype(np.uint8), gather8.astype(np.uint8), ones)
