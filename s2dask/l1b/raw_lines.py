"""The raw lines of one band of one detector, with what turns them into offset-free counts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l1b.blind_pixels import remove_line_offset
from s2dask.l1b.dark_signal import remove_dark_signal


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
        Smallest saturated raw count [LSB].
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
def offset_free(raw: RawLines, start: int, stop: int) -> NDArray[np.float32]:
    """Return a range of the lines without dark signal, line offset and blind pixels.

    Parameters
    ----------
    raw : RawLines
    start, stop : int
        Range of indices into the run.

    Returns
    -------
    (line, useful_column) float32 [LSB]
    """
    lines = remove_dark_signal(raw.lines[start:stop], raw.dark, raw.first_line + start)
    return remove_line_offset(lines, raw.blind, raw.left, raw.useful)
