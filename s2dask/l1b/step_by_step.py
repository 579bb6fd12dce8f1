"""The same correction one step after the other: any intermediate of a window, for those who want to look inside."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.l1b.binning import bin_columns
from s2dask.l1b.blind_pixels import remove_line_offset
from s2dask.l1b.crosstalk import remove_leak
from s2dask.l1b.dark_signal import remove_dark_signal
from s2dask.l1b.defective_pixels import replace_defective
from s2dask.l1b.missing_lines import fill_missing
from s2dask.l1b.parameters import STEPS
from s2dask.l1b.raw_lines import RawLines
from s2dask.l1b.relative_response import equalise
from s2dask.l1b.restoration.plan import RestorationPlan, restore
from s2dask.l1b.single_pass import Chain
from s2dask.l1b.swir_rearrangement import rearrange

INTERMEDIATES: Final = STEPS
"""Steps in their order; each names the image that it leaves."""


def order(chain: Chain) -> tuple[str, ...]:
    """Return the steps of a band in their order.

    Notes
    -----
    Where lines are re-arranged, missing lines are filled before: a line is lost as the detector read it, and one lost
    line would leave holes in three.
    """
    if not chain.arrangement.size:
        return INTERMEDIATES
    late = [name for name in INTERMEDIATES if name != "missing_lines"]
    late.insert(late.index("swir_rearrangement"), "missing_lines")
    return tuple(late)


def _offset_free(raw: RawLines) -> NDArray[np.float32]:
    image = remove_dark_signal(raw.lines, raw.dark, raw.first_line)
    return remove_line_offset(image, raw.blind, raw.left, raw.useful)


def _remove_leaks(image: NDArray[np.float32], chain: Chain, group: Sequence[Chain]) -> None:
    raw = chain.raw
    for source, share in zip(group, chain.leaks, strict=True):
        if share != 0:
            other, where = source.raw, (raw.first_line, raw.factor)
            values = _offset_free(other)
            replace_defective(values, source.defects)
            remove_leak(image, *where, values, other.bad, other.first_line, other.factor, share)


def _restored(image: NDArray[np.float32], first_line: int, plan: RestorationPlan) -> NDArray[np.float32]:
    """Return the restored image; what has no data has none afterwards either."""
    empty = np.isnan(image)
    for i in np.flatnonzero(empty.any(axis=1) & ~empty.all(axis=1)):
        # Where lines are re-arranged one can lack pixels: its others stand for them while it is filtered.
        good = np.flatnonzero(~empty[i])
        image[i, empty[i]] = np.interp(np.flatnonzero(empty[i]), good, image[i, good])
    out = restore(image, first_line, plan)
    out[empty] = np.nan
    return out


def _apply(
    step: str,
    image: NDArray[np.float32],
    chain: Chain,
    group: Sequence[Chain],
    plan: RestorationPlan | None,
) -> NDArray[np.float32]:
    """Return the image after a step; what is not copied is changed in place."""
    raw, lines = chain.raw, image.shape[0]
    if step == "blind_pixels":
        return remove_line_offset(image, raw.blind, raw.left, raw.useful)
    if step == "crosstalk":
        _remove_leaks(image, chain, group)
    elif step == "relative_response":
        equalise(image, chain.model, chain.response)
    elif step == "swir_rearrangement" and chain.arrangement.size:
        moved = np.empty_like(image)
        rearrange(image, chain.arrangement, 0, lines, moved)
        return moved
    elif step == "defective_pixels":
        replace_defective(image, chain.defects)
    elif step == "missing_lines":
        fill_missing(image, raw.bad, chain.longest)
    elif step == "restoration" and plan is not None:
        return _restored(image, raw.first_line, plan)
    elif step == "binning" and chain.weights.size:
        binned = np.empty((lines, image.shape[1] // 3), np.float32)
        bin_columns(image, chain.weights, 0, lines, binned)
        return binned
    return image


def intermediate(
    chain: Chain, group: Sequence[Chain], plan: RestorationPlan | None, until: str, start: int, stop: int
) -> NDArray[np.float32]:
    """Return the image as it is after a step; NaN in the pixels without data.

    Parameters
    ----------
    chain : Chain
    group : sequence of Chain
        The bands that `chain.leaks` counts.
    plan : RestorationPlan or None
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
    steps = order(chain)
    wanted = steps[1 : steps.index(until) + 1]
    image = remove_dark_signal(chain.raw.lines, chain.raw.dark, chain.raw.first_line)
    for step in wanted:
        image = _apply(step, image, chain, group, plan)
    if "missing_lines" not in wanted:
        image[chain.raw.bad] = np.nan
    return image[start:stop]
