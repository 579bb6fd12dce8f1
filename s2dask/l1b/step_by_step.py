"""The same correction one step after the other: any intermediate of a window, for those who want to look inside."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.l1b.binning import bin_columns
from s2dask.l1b.blind_pixels import remove_line_offset
from s2dask.l1b.dark_signal import remove_dark_signal
from s2dask.l1b.defective_pixels import replace_defective
from s2dask.l1b.missing_lines import fill_missing
from s2dask.l1b.relative_response import equalise
from s2dask.l1b.single_pass import Chain, without_crosstalk

INTERMEDIATES: Final = (
    "dark_signal",
    "blind_pixels",
    "crosstalk",
    "relative_response",
    "defective_pixels",
    "missing_lines",
    "binning",
)
"""Steps in their order; each names the image that it leaves."""


def intermediate(chain: Chain, until: str, start: int, stop: int) -> NDArray[np.float32]:
    """Return the image as it is after a step; NaN in the lines without data.

    Parameters
    ----------
    chain : Chain
    until : str
        One of `INTERMEDIATES`.
    start, stop : int
        Range of indices into the run of lines.

    Returns
    -------
    (line, column) float32 [LSB]
        Raw columns after ``dark_signal``, L1B columns after ``binning``, useful columns in between.
    """
    if until not in INTERMEDIATES:
        raise ConfigurationError(f"no step {until!r}", "L1B", f"one of {', '.join(INTERMEDIATES)}")
    raw, last = chain.raw, INTERMEDIATES.index(until)
    image = remove_dark_signal(raw.lines, raw.dark, raw.first_line)
    if last >= 1:
        image = remove_line_offset(image, raw.blind, raw.left, raw.useful)
    if last >= 2:
        image = without_crosstalk(chain, 0, raw.bad.size)
    if last >= 3:
        image = equalise(image, chain.model, chain.response)
    if last >= 4:
        image = replace_defective(image, chain.defects)
    if last >= 5:
        image = fill_missing(image, raw.bad, chain.longest)
    else:
        image[raw.bad] = np.nan
    if last >= 6 and chain.weights.size:
        image = bin_columns(image, chain.weights)
    return image[start:stop]
