"""CCSDS 122.0-B as its text reads: types, sets and words of each block, one coefficient at a time, in plain Python.

Slow, and without any trick of the package: exact fractions for the integer transform, the filters themselves for the
float one, dictionaries for the sets, strings for the bits. It shares nothing with the package but the numbers of the
code tables, written here again.
"""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, log2
from typing import Any

FAMILIES = ((0, 1), (1, 0), (1, 1))
SYMBOLS = {
    "2": [0, 2, 1, 3],
    "3": [1, 4, 0, 5, 2, 6, 3, 7],
    "3D": [None, 3, 0, 4, 1, 5, 2, 6],
    "4C": [10, 1, 3, 6, 2, 5, 9, 12, 0, 8, 7, 13, 4, 14, 11, 15],
    "4H": [None, 1, 3, 6, 2, 5, 9, 11, 0, 8, 7, 12, 4, 13, 10, 14],
}
CODES = {
    2: {0: "1 01 001 000"},
    3: {0: "1 01 001 00000 00001 00010 000110 000111", 1: "10 11 010 011 0010 0011 0000 0001"},
    4: {
        0: "1 01 001 0001 0000000 0000001 0000010 0000011 "
        "00001000 00001001 00001010 00001011 00001100 00001101 00001110 00001111",
        1: "10 11 010 011 0010 0011 000000 000001 000010 000011 000100 000101 0001100 0001101 0001110 0001111",
        2: "100 101 110 111 0100 0101 0110 0111 00100 00101 00110 00111 00000 00001 00010 00011",
    },
}
UNCODED = {2: 1, 3: 3, 4: 3}
LOW_TAPS = (0.852698679009, 0.377402855613, -0.110624404418, -0.023849465020, 0.037828455507)
HIGH_TAPS = (-0.788485616406, 0.418092273222, 0.040689417609, -0.064538882629)
"""Of the float transform, from the middle on: 122.0-B, table 3-1."""
Word = tuple[str, str, str]
"""Bits, kind, signs; kind empty: sent as it is."""


def _split(x: list[int]) -> list[int]:
    n = len(x) // 2

    def at(k: int) -> int:
        return x[abs(k) if k <= 2 * n - 1 else 2 * (2 * n - 1) - k]

    high = []
    for j in range(n):
        near, far = at(2 * j) + at(2 * j + 2), at(2 * j - 2) + at(2 * j + 4)
        high.append(x[2 * j + 1] - floor(Fraction(9 * near - far, 16) + Fraction(1, 2)))
    low = [x[0] - floor(Fraction(-high[0], 2) + Fraction(1, 2))]
    low += [x[2 * j] - floor(-Fraction(high[j - 1] + high[j], 4) + Fraction(1, 2)) for j in range(1, n)]
    return low + high


def _filter(x: list[float]) -> list[float]:
    last = len(x) - 1

    def taps(middle: int, those: tuple[float, ...]) -> float:
        at = [x[last - abs(last - abs(middle + side * k))] for k in range(1, len(those)) for side in (-1, 1)]
        return those[0] * x[middle] + sum(those[1 + k // 2] * value for k, value in enumerate(at))

    low = [taps(j, LOW_TAPS) for j in range(0, last, 2)]
    return low + [taps(j, HIGH_TAPS) for j in range(1, last + 1, 2)]


def transform(image: list[list[int]], split: Callable[[list[Any]], list[Any]] = _split) -> list[list[Any]]:
    """Return three levels of the integer transform, rows before columns."""
    out = [row[:] for row in image]
    for level in range(3):
        lines, columns = len(image) >> level, len(image[0]) >> level
        rows = [split(out[j][:columns]) for j in range(lines)]
        turned = [split([row[i] for row in rows]) for i in range(columns)]
        for j in range(lines):
            for i in range(columns):
                out[j][i] = turned[i][j]
    return out


def transform_float(image: list[list[int]]) -> list[list[float]]:
    """Return three levels of the float transform, not rounded."""
    return transform(image, _filter)


class Block:
    """A block: DC, and AC coefficients by name, with their weights."""

    def __init__(self, bands: list[list[int]], row: int, column: int, weighted: bool) -> None:
        lines, columns = len(bands), len(bands[0])
        self.dc = bands[row][column] * (8 if weighted else 1)
        self.values: dict[tuple[int, ...], int] = {}
        self.shift: dict[tuple[int, ...], int] = {}
        for i, (down, right) in enumerate(FAMILIES):
            weights = ((3, 2, 1), (3, 2, 1), (2, 1, 0))[i] if weighted else (0, 0, 0)
            for generation in range(3):
                size, part = 1 << generation, 8 >> generation
                for y in range(size):
                    for x in range(size):
                        value = bands[down * lines // part + size * row + y][
                            right * columns // part + size * column + x
                        ]
                        name = (i, generation, y, x)
                        self.values[name], self.shift[name] = value << weights[generation], weights[generation]
        self.depth = ceil(log2(1 + max(abs(v) for v in self.values.values())))

    def kind(self, name: tuple[int, ...], b: int) -> int:
        """Return the type of a coefficient at a bit plane."""
        if b < self.shift[name]:
            return -1
        size = abs(self.values[name])
        return 0 if size < 1 << b else 1 if size < 2 << b else 2

    def names(self, family: int, generation: int, group: int | None = None) -> list[tuple[int, ...]]:
        """Return a set in the order in which it is scanned: grandchildren by their four groups."""
        size = 1 << generation
        if generation == 2 and group is None:
            return [name for g in range(4) for name in self.names(family, 2, g)]
        top, left = (0, 0) if group is None else (2 * (group >> 1), 2 * (group & 1))
        size = 2 if generation == 2 else size
        return [(family, generation, top + y, left + x) for y in range(size) for x in range(size)]

    def most(self, names: list[tuple[int, ...]], b: int) -> int:
        """Return the largest type of a set."""
        return max(self.kind(name, b) for name in names)


class Coder:
    """The words of a block, plane after plane; the transitions that it has sent are remembered, as in the text."""

    def __init__(self, block: Block) -> None:
        self.block, self.sent = block, set()  # type: ignore[var-annotated]

    def _types(self, names: list[tuple[int, ...]], b: int, four: str) -> list[Word]:
        block = self.block
        names = [n for n in names if block.kind(n, b) in (0, 1)]
        bits = "".join(str(block.kind(n, b)) for n in names)
        signs = "".join(str(int(block.values[n] < 0)) for n in names if block.kind(n, b) == 1)
        return [_word(bits, four if len(bits) == 4 else "", signs)] if bits else []

    def _sets(self, sets: dict[object, list[tuple[int, ...]]], b: int, special: str) -> list[Word]:
        bits = ""
        for key, names in sets.items():
            if key in self.sent or self.block.most(names, b) == -1:
                continue
            bits += str(int(self.block.most(names, b) > 0))
            if bits[-1] == "1":
                self.sent.add(key)
        return [_word(bits, special if len(bits) == int(special[0]) else "", "")] if bits else []

    def stages(self, b: int) -> tuple[list[Word], list[Word], list[Word]]:
        """Return the words of stages 1 to 3."""
        block = self.block
        if block.depth <= b:
            return [], [], []
        first = self._types([(i, 0, 0, 0) for i in range(3)], b, "")
        below = {i: block.names(i, 1) + block.names(i, 2) for i in range(3)}
        second = []
        if "B" not in self.sent:
            hit = block.most([n for names in below.values() for n in names], b) > 0
            second.append((str(int(hit)), "", ""))
            if not hit:
                return first, second, []
            self.sent.add("B")
        second += self._sets({("D", i): below[i] for i in range(3)}, b, "3D")
        families = [i for i in range(3) if ("D", i) in self.sent]
        for i in families:
            second += self._types(block.names(i, 1), b, "4C")
        third = self._sets({("G", i): block.names(i, 2) for i in families}, b, "3")
        wide = [i for i in families if ("G", i) in self.sent and block.most(block.names(i, 2), b) >= 0]
        for i in wide:
            third += self._sets({("H", i, j): block.names(i, 2, j) for j in range(4)}, b, "4H")
        for i in wide:
            for j in range(4):
                if ("H", i, j) in self.sent:
                    third += self._types(block.names(i, 2, j), b, "4H")
        return first, second, third

    def refinement(self, b: int) -> str:
        """Return the bits of stage 4."""
        block = self.block
        if block.depth <= b:
            return ""
        order = [n for generation in range(3) for i in range(3) for n in block.names(i, generation)]
        return "".join(str(abs(block.values[n]) >> b & 1) for n in order if block.kind(n, b) == 2)


def _word(bits: str, kind: str, signs: str) -> Word:
    return bits, kind or (str(len(bits)) if len(bits) > 1 else ""), signs


def _code(word: Word, option: int) -> str:
    bits, kind, _ = word
    symbol = SYMBOLS[kind][int(bits, 2)]
    assert symbol is not None, "a word that cannot happen"
    length = len(bits)
    return f"{symbol:0{length}b}" if option == UNCODED[length] else CODES[length][option].split()[symbol]


def _options(words: list[Word]) -> dict[int, int]:
    chosen = {}
    for length, codes in CODES.items():
        those = [w for w in words if w[1].startswith(str(length))]
        totals = {o: sum(len(_code(w, o)) for w in those) for o in (UNCODED[length], *codes)}
        chosen[length] = min(totals, key=lambda o: totals[o])
    return chosen


def _plane(coders: list[Coder], b: int) -> str:
    stages = [coder.stages(b) for coder in coders]
    gaggles = [range(k, min(k + 16, len(coders))) for k in range(0, len(coders), 16)]
    options = [_options([w for m in gaggle for stage in stages[m] for w in stage]) for gaggle in gaggles]
    named: list[set[int]] = [set() for _ in gaggles]
    out = []
    for stage in range(3):
        for g, gaggle in enumerate(gaggles):
            for bits, kind, signs in (w for m in gaggle for w in stages[m][stage]):
                length = len(bits)
                if kind and length not in named[g]:
                    named[g].add(length)
                    out.append(f"{options[g][length]:0{1 if length == 2 else 2}b}")
                out.append((_code((bits, kind, signs), options[g][length]) if kind else bits) + signs)
    return "".join(out) + "".join(coder.refinement(b) for coder in coders)


def _differences(values: list[int], width: int, low: int) -> str:
    if width == 1:
        return "".join(str(v & 1) for v in values)
    high, mask = low + (1 << width) - 1, (1 << width) - 1
    numbers = []
    for before, value in pairwise(values):
        room, step = min(before - low, high - before), value - before
        numbers.append(2 * step if 0 <= step <= room else -2 * step - 1 if -room <= step < 0 else room + abs(step))
    bits = 1 if width == 2 else ceil(log2(width))
    out = ""
    for start in range(0, len(values), 16):
        part = numbers[max(start - 1, 0) : start + 15]
        count, total = len(part), sum(part)
        if 64 * total >= 23 * count * 2**width:
            k = None
        elif 207 * count > 128 * total:
            k = 0
        elif count * 2 ** (width + 5) <= 128 * total + 49 * count:
            k = width - 2
        else:
            k = max(k for k in range(width - 1) if count * 2 ** (k + 7) <= 128 * total + 49 * count)
        out += "1" * bits if k is None else f"{k:0{bits}b}"
        out += f"{values[0] & mask:0{width}b}" if start == 0 else ""
        if k is None:
            out += "".join(f"{n:0{width}b}" for n in part)
        else:
            out += "".join("0" * (n >> k) + "1" for n in part)
            out += "".join(f"{n & ((1 << k) - 1):0{k}b}" for n in part) if k else ""
    return out


def _width(value: int) -> int:
    return 1 + ceil(log2(1 + value)) if value >= 0 else 1 + ceil(log2(-value))


def encode(image: list[list[int]], size: int | None) -> bytes:
    """Return a strip under the integer transform, of exactly `size` bytes or lossless."""
    return code(transform(image), size, integer=True)


def code(bands: list[list[int]], size: int | None, *, integer: bool) -> bytes:
    """Return a strip of given coefficients."""
    columns, zeros = len(bands[0]), 3 if integer else 0
    blocks = [Block(bands, r, c, integer) for r in range(len(bands) // 8) for c in range(columns // 8)]
    deep_dc, deep_ac = max(_width(b.dc) for b in blocks), max(b.depth for b in blocks)
    half = 1 + deep_ac // 2
    q = 0 if deep_dc <= 3 else deep_dc - 3 if deep_dc - half <= 1 else deep_dc - 10 if deep_dc - half > 10 else half
    q = max(q, zeros)
    head = f"11{0:08b}{deep_dc:05b}{deep_ac:05b}0111" + f"{0:08b}"
    head += f"{size or 0:027b}0{0:05b}11{int(bool(size))}0000" + f"{len(blocks):020b}0000"
    head += f"{int(integer)}000{12:04b}{columns:020b}0000{0:032b}"
    width = max(deep_dc - q, 1)
    out = [head, _differences([b.dc >> q for b in blocks], width, -(1 << (width - 1)))]
    out += ["".join(str(x.dc >> b & 1) for x in blocks) for b in range(q - 1, max(deep_ac, zeros) - 1, -1)]
    if deep_ac:
        out.append(_differences([b.depth for b in blocks], ceil(log2(1 + deep_ac)), 0))
    coders = [Coder(b) for b in blocks]
    for b in range(deep_ac - 1, -1, -1):
        if zeros <= b < q:
            out.append("".join(str(x.dc >> b & 1) for x in blocks))
        out.append(_plane(coders, b))
    bits = "".join(out)
    if size is not None:
        bits = bits[: 8 * size].ljust(8 * size, "0")
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
