"""CCSDS 122.0-B read back in plain Python, from bits to coefficients: shares no code with the package or its encoder.

Only the numbers of the code tables come from `ccsds122_model`; sets and their transitions are kept by name.
"""

from math import ceil, log2

from ccsds122_model import CODES, FAMILIES, SYMBOLS, UNCODED

Name = tuple[int, ...]


class _Bits:
    def __init__(self, data: bytes) -> None:
        self.bits, self.at = "".join(f"{byte:08b}" for byte in data), 0

    def take(self, count: int) -> int:
        if self.at + count > len(self.bits):
            raise EOFError
        self.at += count
        return int(self.bits[self.at - count : self.at] or "0", 2)

    def unary(self) -> int:
        count = 0
        while not self.take(1):
            count += 1
        return count


def _integers(bits: _Bits, count: int, width: int, low: int) -> list[int]:
    high = low + (1 << width) - 1
    if width == 1:
        return [bits.take(1) * (-1 if low else 1) for _ in range(count)]
    size = 1 if width == 2 else ceil(log2(width))
    out: list[int] = []
    for start in range(0, count, 16):
        option = bits.take(size)
        if start == 0:
            first = bits.take(width)
            out.append(first - (1 << width) if first > high else first)
        these = min(start + 16, count) - max(start, 1)
        if option == (1 << size) - 1:
            numbers = [bits.take(width) for _ in range(these)]
        else:
            tops = [bits.unary() << option for _ in range(these)]
            numbers = [top | bits.take(option) for top in tops]
        for number in numbers:
            up, down = high - out[-1], out[-1] - low
            if number > 2 * min(up, down):
                step = number - min(up, down)
                out.append(out[-1] + (step if up > down else -step))
            else:
                out.append(out[-1] + (number // 2 if number % 2 == 0 else -(number + 1) // 2))
    return out


def _set(family: int, generation: int, group: int = 0) -> list[Name]:
    if generation == 0:
        return [(family, 0, 0, 0)]
    top, left = (2 * (group >> 1), 2 * (group & 1)) if generation == 2 else (0, 0)
    return [(family, generation, top + y, left + x) for y in range(2) for x in range(2)]


class _Plane:
    """One bit plane of all blocks."""

    def __init__(self, bits: _Bits, b: int, weighted: bool) -> None:
        self.bits, self.b, self.weighted, self.options = bits, b, weighted, {}  # type: ignore[var-annotated]

    def alive(self, name: Name) -> bool:
        """Return whether a coefficient can have a bit in this plane."""
        shift = (3, 2, 1)[name[1]] - (name[0] == 2)
        return not self.weighted or self.b >= shift

    def word(self, gaggle: int, count: int, special: str) -> list[int]:
        """Return a word of `count` bits."""
        if count < 2:
            return [self.bits.take(1) for _ in range(count)]
        if (gaggle, count) not in self.options:
            self.options[gaggle, count] = self.bits.take(1 if count == 2 else 2)
        option, kind = self.options[gaggle, count], special if int(special[0]) == count else str(count)
        if option == UNCODED[count]:
            symbol = self.bits.take(count)
        else:
            codes, code = CODES[count][option].split(), ""
            while code not in codes:
                code += str(self.bits.take(1))
            symbol = codes.index(code)
        return [int(c) for c in f"{SYMBOLS[kind].index(symbol):0{count}b}"]

    def types(self, block: "ReadBlock", gaggle: int, names: list[Name], special: str) -> None:
        """Read which of some coefficients become significant, and their signs."""
        those = [n for n in names if self.alive(n) and n not in block.older]
        hit = [n for n, bit in zip(those, self.word(gaggle, len(those), special), strict=True) if bit]
        for name in hit:
            block.value[name], block.negative[name] = 1 << self.b, bool(self.bits.take(1))

    def sets(self, block: "ReadBlock", gaggle: int, sets: dict[str, list[Name]], special: str) -> None:
        """Read which of some sets become significant."""
        those = [k for k, names in sets.items() if k not in block.sent and any(self.alive(n) for n in names)]
        block.sent |= {k for k, bit in zip(those, self.word(gaggle, len(those), special), strict=True) if bit}


class ReadBlock:
    """What is known of a block."""

    def __init__(self) -> None:
        self.dc, self.depth = 0, 0
        self.value: dict[Name, int] = {}
        self.negative: dict[Name, bool] = {}
        self.older: set[Name] = set()
        self.sent: set[str] = set()

    def stage(self, number: int, plane: _Plane, gaggle: int) -> None:
        """Read one of the stages 1 to 4."""
        families = [i for i in range(3) if f"D{i}" in self.sent]
        if number == 1:
            self.older = set(self.value)
            plane.types(self, gaggle, [n for i in range(3) for n in _set(i, 0)], "4C")
        elif number == 2:
            if "B" not in self.sent and plane.bits.take(1):
                self.sent.add("B")
            if "B" not in self.sent:
                return
            grand = {i: [n for g in range(4) for n in _set(i, 2, g)] for i in range(3)}
            plane.sets(self, gaggle, {f"D{i}": _set(i, 1) + grand[i] for i in range(3)}, "3D")
            for i in (i for i in range(3) if f"D{i}" in self.sent):
                plane.types(self, gaggle, _set(i, 1), "4C")
        elif number == 3:
            plane.sets(self, gaggle, {f"G{i}": [n for g in range(4) for n in _set(i, 2, g)] for i in families}, "4C")
            wide = [i for i in families if f"G{i}" in self.sent and plane.alive((i, 2, 0, 0))]
            for i in wide:
                plane.sets(self, gaggle, {f"H{i}{g}": _set(i, 2, g) for g in range(4)}, "4H")
            for i, g in ((i, g) for i in wide for g in range(4) if f"H{i}{g}" in self.sent):
                plane.types(self, gaggle, _set(i, 2, g), "4H")
        else:
            order = [n for k in range(3) for i in range(3) for g in range(4 if k == 2 else 1) for n in _set(i, k, g)]
            for name in (n for n in order if n in self.older and plane.alive(n)):
                self.value[name] |= plane.bits.take(1) << plane.b


def read(data: bytes, columns: int) -> tuple[list[list[int]], int]:
    """Return the coefficients of a strip, laid out as the transform has them, and the lowest plane that is complete."""
    bits = _Bits(data)
    head = bits.take(160)
    deep_dc, deep_ac, weighted = head >> 145 & 31, head >> 140 & 31, bool(head >> 63 & 1)
    half, zeros = 1 + deep_ac // 2, 3 if weighted else 0
    q = 0 if deep_dc <= 3 else deep_dc - 3 if deep_dc - half <= 1 else deep_dc - 10 if deep_dc - half > 10 else half
    q = max(q, zeros)
    blocks = [ReadBlock() for _ in range(columns // 4)]
    width = max(deep_dc - q, 1)
    for block, dc in zip(blocks, _integers(bits, len(blocks), width, -(1 << (width - 1))), strict=True):
        block.dc = dc * (1 << q)
    done = deep_ac
    try:
        for b in range(q - 1, max(deep_ac, zeros) - 1, -1):
            _read_dc(blocks, bits, b)
        if deep_ac:
            for block, depth in zip(blocks, _integers(bits, len(blocks), ceil(log2(1 + deep_ac)), 0), strict=True):
                block.depth = depth
        for b in range(deep_ac - 1, -1, -1):
            if zeros <= b < q:
                _read_dc(blocks, bits, b)
            _read_plane(blocks, _Plane(bits, b, weighted))
            done = b
    except EOFError:
        pass
    return _laid_out(blocks, columns, weighted), done


def _read_plane(blocks: list[ReadBlock], plane: _Plane) -> None:
    for number in (1, 2, 3, 4):
        for m, block in enumerate(blocks):
            if block.depth > plane.b:
                block.stage(number, plane, m // 16)


def _read_dc(blocks: list[ReadBlock], bits: _Bits, b: int) -> None:
    for block in blocks:
        block.dc |= bits.take(1) << b


def _laid_out(blocks: list[ReadBlock], columns: int, weighted: bool) -> list[list[int]]:
    out = [[0] * columns for _ in range(16)]
    for m, block in enumerate(blocks):
        row, column = divmod(m, columns // 8)
        out[row][column] = block.dc >> (3 if weighted else 0)
        for (i, generation, y, x), size in block.value.items():
            (down, right), part, across = FAMILIES[i], 8 >> generation, 1 << generation
            shift = (3, 2, 1)[generation] - (i == 2) if weighted else 0
            value = -(size >> shift) if block.negative[i, generation, y, x] else size >> shift
            out[down * 16 // part + across * row + y][right * columns // part + across * column + x] = value
    return out
