"""On-board equalisation undone: what was downlinked back to the counts of the converter.

The instrument may subtract a dark signal and apply a two-slope response before it compresses; the ground equalisation
is calibrated on the counts before that.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel
from s2dask.l1a.line_quality import SATURATION


class InverseTable(NamedTuple):
    """What undoes the on-board equalisation of one band and detector, by raw column.

    Attributes
    ----------
    knee : (raw_column) float32 [LSB]
        Downlinked count up to which the first slope holds.
    low, low_offset : (raw_column) float32 [1], [LSB]
        Count of the converter per downlinked one, and what is added, up to the knee.
    high, high_offset : (raw_column) float32 [1], [LSB]
        The same beyond it.
    saturated : (raw_column) float32 [LSB]
        Smallest downlinked count that a saturated one may have given.
    """

    knee: NDArray[np.float32]
    low: NDArray[np.float32]
    low_offset: NDArray[np.float32]
    high: NDArray[np.float32]
    high_offset: NDArray[np.float32]
    saturated: NDArray[np.float32]


def inverse_table(
    dark: NDArray[np.float64], a1: NDArray[np.float64], a2: NDArray[np.float64], zs: NDArray[np.float64]
) -> InverseTable:
    """Return the inverse of an on-board table.

    Parameters
    ----------
    dark, zs : (raw_column) float64 [LSB]
        ``COEFF_D``, ``COEFF_ZS``.
    a1, a2 : (raw_column) float64 [1]
        ``COEFF_A1``, ``COEFF_A2``, positive.

    Notes
    -----
    On board ``Y = a1 (X - d)`` while ``X - d <= zs``, else ``a2 (X - d) + (a1 - a2) zs``; on ground ``X = Y/a1 + d``
    if ``Y <= a1 zs``, else ``X = (Y - (a1 - a2) zs)/a2 + d`` (IPF task ``RADIO_AB``, GIP_R2EOB2).
    """
    brightest = SATURATION - dark
    top = np.where(brightest <= zs, a1 * brightest, a2 * brightest + (a1 - a2) * zs)
    saturated = np.minimum(np.floor(top + 0.5), SATURATION)
    arrays = (a1 * zs, 1 / a1, dark, 1 / a2, dark - (a1 - a2) * zs / a2, saturated)
    return InverseTable(*(np.asarray(values, np.float32) for values in arrays))


@kernel
def undo_equalisation(lines: NDArray[np.uint16], table: InverseTable) -> NDArray[np.uint16]:
    """Return the counts of the converter, rounded to the nearest and within its twelve bits.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
        As downlinked.
    table : InverseTable

    Returns
    -------
    (line, raw_column) uint16 [LSB]

    Notes
    -----
    The downlinked counts are whole numbers too: where a slope is at least 1 the counts come back exactly, elsewhere
    two neighbours may share one downlinked count and one of them comes back as the other.
    """
    out = np.empty(lines.shape, np.uint16)
    top = np.float32(SATURATION)
    for i in range(lines.shape[0]):
        for x in range(lines.shape[1]):
            y = np.float32(lines[i, x])
            low = y * table.low[x] + table.low_offset[x]
            high = y * table.high[x] + table.high_offset[x]
            value = low if y <= table.knee[x] else high
            value = min(max(value, np.float32(0)), top)
            value = top if y >= table.saturated[x] else value
            out[i, x] = np.uint16(np.int32(value + np.float32(0.5)))
    return out
