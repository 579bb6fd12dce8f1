"""Variables of a stored 3-D inverse grid: line and column of ground nodes at three heights."""

from typing import Final

import numpy as np

from s2dask.io.variables import Schema, spec

PIXEL_QUANTUM: Final = 1e-5
"""What lines and columns are rounded to [pixel]: 0.1 mm at 10 m."""
UNSEEN: Final = int(np.iinfo(np.int32).min)


def inverse_grid(rows: int, columns: int) -> Schema:
    """Return the variables of a grid of so many nodes; the lower and upper layer as what they add to the middle one."""
    shape = (rows, columns)
    return {
        f"{what}_{layer}": spec(
            "y x", shape, "int32", f"{what} in the L1B image, {note}", "pixel", fill_value=UNSEEN,
            scale_factor=PIXEL_QUANTUM, add_offset=0.0, valid_min=UNSEEN + 1,
        )
        for what in ("line", "column")
        for layer, note in (
            ("middle", "0-based, at the middle height"),
            ("low", "shift at the lower height"),
            ("high", "shift at the upper height"),
        )
    }
