"""Crosstalk that is left: how much of what the GIPP says leaks into a band is found in it.

What leaks shows up at once with its source, while both look at different places: structure across track that a band
shares with the sum of its sources, at the same time, is a ghost. All three SWIR bands are looked at in cells of a pixel
of B10, in some of its lines.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import band
from s2dask.kernels import kernel

EVERY: Final = 8
"""Lines of 60 m from one that is looked at to the next."""
FULL: Final = 4095
"""Raw count that tells nothing any more [LSB]."""
BELOW: Final = 64.0
"""Below the dark signal: what a pixel that works is never [LSB]."""
CELL: Final = 3
"""Raw columns of a cell, and lines of 20 m."""
TYPICAL: Final = {
    ("B10", "B11"): -3.98e-3, ("B10", "B12"): -1.78e-3, ("B11", "B10"): -2.82e-5,
    ("B11", "B12"): -2.0e-3, ("B12", "B10"): -7.94e-4, ("B12", "B11"): -1.78e-4,
}  # fmt: skip
"""Electronic crosstalk by (victim, source) to look for where a GIPP has none at all: that of S2A, GIP_R2CRCO [1]."""

Cells = NDArray[np.float32]
Sums = dict[str, float]


@kernel
def _cells(counts, dark, first_line, lines, columns, left, limit, out):  # type: ignore[no-untyped-def]
    """Write the means of cells, NaN where a count is 0, which is none, at the limit or far below the dark signal."""
    for r in range(out.shape[0]):
        row = out[r]
        row[:] = np.float32(0.0)
        for k in range(lines):
            i = r * EVERY * lines + k
            values, level = counts[i], dark[(first_line + i) % dark.shape[0]]
            for j in range(row.size):
                for m in range(columns):
                    x = left + j * columns + m
                    light = np.float32(values[x]) - level[x]
                    known = 0 < values[x] < limit and light > -BELOW
                    row[j] += light if known else np.float32(np.nan)
        for j in range(row.size):
            row[j] /= np.float32(lines * columns)


def cells_of(
    name: str,
    counts: NDArray[np.uint16],
    dark: NDArray[np.float32] | None = None,
    first_line: int = 0,
) -> Cells:
    """Return the means (row, cell) [LSB] of the cells of a SWIR band, NaN without counts.

    Parameters
    ----------
    name : str
    counts : (line, column) uint16
        Whole lines of 60 m from the first on: of L1B, or raw with their dark signal.
    dark : (chronogram_line, raw_column) float32 [LSB], optional
        Of raw counts.
    first_line : int
        Number of the first line in the strip.
    """
    b = band(name)
    lines = 6 // b.line_factor
    raw = dark is not None
    columns = CELL if raw or b.binning == 1 else 1
    level = np.zeros((1, counts.shape[1]), np.float32) if dark is None else np.ascontiguousarray(dark)
    out = np.empty((-(-counts.shape[0] // (EVERY * lines)), band("B10").columns), np.float32)
    seen = np.ascontiguousarray(counts)
    _cells(seen, level, first_line, lines, columns, b.blind if raw else 0, np.uint16(FULL if raw else 65535), out)
    return out


def _structure(cells: Cells) -> NDArray[np.float64]:
    """Return how cells differ from the mean of both neighbours across track."""
    return np.asarray(cells[:, 1:-1] - 0.5 * (cells[:, :-2] + cells[:, 2:]), np.float64)


@kernel
def _products(own, expected):  # type: ignore[no-untyped-def]
    """Return the sums of the products of both, of each with itself, and their number, where both are known."""
    out = np.zeros(4)
    for r in range(own.shape[0]):
        for j in range(own.shape[1]):
            y, x = own[r, j], expected[r, j]
            if x == x and y == y:
                out[0] += x * y
                out[1] += y * y
                out[2] += x * x
                out[3] += 1.0
    return out


def ghost_sums(cells: Mapping[str, Cells], leaks: Mapping[tuple[str, str], float], prefix: str) -> dict[str, Sums]:
    """Return the sums of every band that others leak into.

    Parameters
    ----------
    cells : mapping of str to (row, cell) float32 [LSB]
        Of the bands that are there, of the same lines.
    leaks : mapping of (str, str) to float
        Victim and source: the coefficients [1] of GIP_R2CRCO.
    prefix : str
        Before the names: ``ghost`` after the correction, ``leak`` before it.

    Returns
    -------
    dict of str to dict
        By victim: ``ghost_cross``, ``ghost_own`` and ``ghost_expected`` [LSB^2] and ``ghost_cells``.
    """
    structure = {name: _structure(found) for name, found in cells.items()}
    out = {}
    for victim, own in structure.items():
        sources = [(leak, structure[other]) for (k, other), leak in leaks.items() if k == victim and other in structure]
        if not any(leak for leak, _ in sources):
            continue
        expected = sum((leak * found for leak, found in sources), np.zeros(own.shape))
        numbers = [float(value) for value in _products(own, expected)]
        names = ("cross", "own", "expected", "cells")
        out[victim] = {f"{prefix}_{what}": value for what, value in zip(names, numbers, strict=True)}
    return out


def ghost_indicators(sums: Mapping[str, float]) -> dict[str, float]:
    """Return what the sums of some granules tell, as far as they were measured.

    Returns
    -------
    dict of str to float
        ``crosstalk_index``, the share of the crosstalk of the GIPP that is found before its removal, about 1, and
        ``ghost_index``, after it, about 0, with its standard error ``ghost_error``, which is that of the chance that
        the landscape under two bands is alike [1].
    """
    out = {}
    for prefix, name in (("leak", "crosstalk_index"), ("ghost", "ghost_index")):
        expected = sums.get(f"{prefix}_expected", 0.0)
        if not expected > 0:
            continue
        out[name] = sums[f"{prefix}_cross"] / expected
        if prefix == "ghost":
            out["ghost_error"] = float(np.sqrt(sums["ghost_own"] / expected / sums["ghost_cells"]))
    return out
