"""Dark signal: the offset of each pixel, which depends on the line's place in the read-out cycle."""

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import kernel


@kernel
def remove_dark_signal(lines: NDArray[np.uint16], dark: NDArray[np.float32], first_line: int) -> NDArray[np.float32]:
    """Return the lines minus the dark signal, blind pixels included.

    Parameters
    ----------
    lines : (line, raw_column) uint16 [LSB]
    dark : (chronogram_line, raw_column) float32 [LSB]
    first_line : int
        Absolute number of the first line since the start of the datatake: it sets the phase of the chronogram.

    Returns
    -------
    (line, raw_column) float32 [LSB]

    Notes
    -----
    ``X(l, p) - DS(p, j)`` with ``j = l mod 6, 3 or 1`` at 10, 20, 60 m (Sentinel-2 L1 ATBD; GIP_R2EQOG ``COEFF_D``).
    """
    out = np.empty(lines.shape, np.float32)
    for i in range(lines.shape[0]):
        raw, level, row = lines[i], dark[(first_line + i) % dark.shape[0]], out[i]
        for x in range(raw.size):
            row[x] = np.float32(raw[x]) - level[x]
    return out
