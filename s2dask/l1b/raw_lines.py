"""The raw lines of one band of one detector, with what turns them into offset-free counts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l1b.blind_pixels import line_offset


class RawLines(NamedTuple):
    """A run of raw lines of one band and one detector.

    Attributes
    ----------
    lines : (line, raw_column) uint16 [LSB]
    bad : (line) bool
        Lines without usable counts.
    first_line : int
        Absolute number of the first of them.
    factor : int
        Line period over the 10 m line period: 1, 2 or 6.
    dark : (chronogram_line, raw_column) float32 [LSB]
    blind : (blind) int64
        Raw columns of the valid blind pixels.
    left, useful : int
        First useful raw column and their number.
    saturation : int
        Smallest saturated raw count [LSB]; 65536 where saturation is not looked for.
    """

    lines: NDArray[np.uint16]
    bad: NDArray[np.bool_]
    first_line: int
    factor: int
    dark: NDArray[np.float32]
    blind: NDArray[np.int64]
    left: int
    useful: int
    saturation: int


@kernel
def offset_free(raw: RawLines, start: int, stop: int, out: NDArray[np.float32]) -> None:
    """Take dark signal, line offset and blind pixels off a range of the lines, in one go through them.

    Parameters
    ----------
    raw : RawLines
    start, stop : int
        Range of indices into the run.
    out : (line, useful_column) float32 [LSB]
        Its first lines are filled, bit for bit as by `remove_dark_signal` and then `remove_line_offset`.
    """
    at_sides = np.zeros(raw.lines.shape[1], np.float32)
    for i in range(start, stop):
        line, dark = raw.lines[i], raw.dark[(raw.first_line + i) % raw.dark.shape[0]]
        for k in range(raw.blind.size):
            x = raw.blind[k]
            at_sides[x] = np.float32(line[x]) - dark[x]
        offset = line_offset(at_sides, raw.blind)
        values, level = line[raw.left : raw.left + raw.useful], dark[raw.left : raw.left + raw.useful]
        row = out[i - start]
        for x in range(row.size):
            row[x] = np.float32(values[x]) - level[x] - offset


@kernel
def largest_count(raw: RawLines, start: int, stop: int) -> int:
    """Return the largest raw count of the useful pixels of a range of the lines [LSB]; 0 of no line."""
    largest = np.uint16(0)
    for i in range(start, stop):
        values = raw.lines[i, raw.left : raw.left + raw.useful]
        for x in range(values.size):
            largest = max(largest, values[x])
    return int(largest)


@kernel
def raw_saturation(raw: RawLines, start: int, stop: int, flag: int, out: NDArray[np.uint16]) -> None:
    """Write the bit of saturation of a range of the lines.

    Parameters
    ----------
    raw : RawLines
    start, stop : int
        Range of indices into the run.
    flag : int
        Bit of a saturated pixel; the others get 0.
    out : (line, useful_column) uint16
        Its first lines are filled.
    """
    bit, none = np.uint16(flag), np.uint16(0)
    limit = np.uint16(min(raw.saturation, 65535))
    for i in range(start, stop):
        values, row = raw.lines[i, raw.left : raw.left + raw.useful], out[i - start]
        if raw.saturation > 65535:
            row[:] = none
            continue
        for x in range(row.size):
            row[x] = bit if values[x] >= limit else none
