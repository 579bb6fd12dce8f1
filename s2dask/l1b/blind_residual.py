"""What the blind pixels show once their dark signal is gone: the offset of the lines, and what its removal leaves."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel

EVERY: Final = 5
"""Lines from one that is looked at to the next: every line of the read-out cycle of 6 or 3 gets its turn."""

Sums = dict[str, float]


@kernel
def _survey(lines, bad, first_line, dark, blind, middle, out):  # type: ignore[no-untyped-def]
    """Add up number, offset, its square and half the difference of the sides, of some of the lines."""
    for i in range((-first_line) % EVERY, lines.shape[0], EVERY):
        if bad[i]:
            continue
        row, level = lines[i], dark[(first_line + i) % dark.shape[0]]
        left, right, there = 0.0, 0.0, 0
        for k in range(blind.size):
            x = blind[k]
            value = np.float64(row[x]) - np.float64(level[x])
            if x < middle:
                left += value
                there += 1
            else:
                right += value
        offset = (left + right) / blind.size
        out[0] += 1.0
        out[1] += offset
        out[2] += offset * offset
        if 0 < there < blind.size:
            out[3] += 0.5 * (left / there - right / (blind.size - there))


def blind_sums(
    lines: NDArray[np.uint16],
    bad: NDArray[np.bool_],
    first_line: int,
    dark: NDArray[np.float32],
    blind: NDArray[np.int64],
) -> Sums:
    """Return the sums of the blind pixels of some raw lines.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
    bad : (line) bool
        Without usable counts.
    first_line : int
        Number of the first line in the strip: it sets which lines are looked at.
    dark : (chronogram_line, raw_column) float32 [LSB]
    blind : (blind) int64
        Raw columns of the valid blind pixels of both sides.

    Returns
    -------
    dict of str to float
        ``blind_lines``, ``blind_sum`` [LSB], ``blind_square_sum`` [LSB^2], ``blind_side_sum`` [LSB].
    """
    out = np.zeros(4)
    if blind.size:
        _survey(lines, bad, first_line, dark, blind, lines.shape[1] // 2, out)
    names = ("blind_lines", "blind_sum", "blind_square_sum", "blind_side_sum")
    return {name: float(value) for name, value in zip(names, out, strict=True)}


def blind_indicators(sums: Mapping[str, float]) -> dict[str, float]:
    """Return what the sums of some granules tell, as far as they were measured.

    Returns
    -------
    dict of str to float
        ``blind_pixel_offset``, the mean of the valid blind pixels less their dark signal, and
        ``blind_pixel_offset_deviation``, its standard deviation from line to line: both are taken off;
        ``blind_pixel_residual``, half the difference of the two sides: what is left of the mean at either [LSB].
    """
    n = sums.get("blind_lines", 0.0)
    if not n:
        return {}
    mean = sums["blind_sum"] / n
    deviation = float(np.sqrt(max(sums["blind_square_sum"] / n - mean * mean, 0.0)))
    return {
        "blind_pixel_offset": mean,
        "blind_pixel_offset_deviation": deviation,
        "blind_pixel_residual": sums["blind_side_sum"] / n,
    }
