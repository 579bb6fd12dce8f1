"""Noise, fixed pattern and odd/even step of an image, from the uniform patches that it has itself.

Two neighbouring lines of every `EVERY` are looked at, in patches of `WIDTH` columns. The difference of the lines has
the noise and no fixed pattern; where it is no more than the noise can be, the patch is uniform, and how its columns
differ from their mean is pattern. Everything ends in sums that add up over granules.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import DEFECTIVE, MSI_DEGRADED, MSI_LOST, NODATA, SATURATED
from s2dask.kernels import kernel
from s2dask.l1b.coding import SMALLEST

WIDTH: Final = 32
"""Columns of a patch."""
EVERY: Final = 32
"""Lines from one pair to the next: a sixteenth of the pixels is looked at."""
BINS: Final = 24
"""Of the histogram of measured over expected variance: four for each factor of 2, from 1/8 to 8."""
PART: Final = 8
"""Columns of a part of a patch."""
TILT: Final = 0.04
"""Of the signal: difference of two parts up to which a patch is uniform, beside the noise [1]."""
MOST: Final = 0.05
"""Of the signal: what a column of a uniform patch differs by at most, beside thrice the noise; beyond is landscape."""
LOW: Final = 0.1
"""Share of the patches whose variance is taken for that of the noise."""
LOW_OF_NOISE: Final = 0.6914
"""Variance at that share of patches of nothing but noise, over the true one: of chi-squared over its 31 degrees."""
UNIFORM: Final = 4.0
"""Measured over expected variance up to which a patch is uniform."""
ROUNDING: Final = 1.0 / 12.0
"""Variance of a rounded count [LSB^2]."""
CERTAIN: Final = 3.0
"""Standard deviations of chance."""
FEWEST: Final = 3
"""Uniform patches above each other, in each half of a granule, for a pattern."""
OUTLIER: Final = 8.0
"""Deviations of a column from the pattern of the others that make it a bad one."""
OUTLIER_SHARE: Final = 0.01
"""Of the signal: deviation below which no column is called bad."""
MOSTLY: Final = 0.9
"""Share of the lines in which a stuck column is at an end of the range."""
LOOKS: Final = 24
"""Lines of a granule in which columns are looked at one by one."""
NOISY: Final = 2.0
"""Variance of the step from a line to the next from which on rounding does not hide it [LSB^2]."""
STILL: Final = 0.1
"""Of the noise: variance of that step below which a column is stuck."""
FEW: Final = 0.05
"""Share of the columns of which more are no defect but a scene that is too bright or too dark."""
_EXCLUDED: Final = MSI_LOST | MSI_DEGRADED | NODATA | SATURATED

Sums = dict[str, float]


@kernel
def _survey(counts, quality, shift, flat, slope, excluded, histogram, patches, levels, columns):  # type: ignore[no-untyped-def]
    """Add up the patches of both halves of the lines: variances, and of uniform ones number, level and deviations."""
    lines, blocks = counts.shape[0], counts.shape[1] // WIDTH
    for i in range(0, lines - 1, EVERY):
        half = 0 if 2 * i < lines else 1
        for b in range(blocks):
            here = slice(b * WIDTH, (b + 1) * WIDTH)
            one, two, p, q = counts[i, here], counts[i + 1, here], quality[i, here], quality[i + 1, here]
            total, squares, sums, bits = np.int64(0), np.int64(0), np.int64(0), np.uint16(0)
            low, high = np.int64(1 << 40), np.int64(0)
            for k in range(0, WIDTH, PART):
                part = np.int64(0)
                for x in range(k, k + PART):
                    d = np.int64(two[x]) - np.int64(one[x])
                    total += d
                    squares += d * d
                    part += np.int64(one[x]) + np.int64(two[x])
                    bits |= p[x] | q[x]
                sums += part
                low, high = min(low, part), max(high, part)
            if bits & excluded:
                continue
            mean = sums / (2 * WIDTH)
            variance = 0.5 * (squares - total * total / WIDTH) / (WIDTH - 1)
            light = max(mean - shift, 0.0)
            sigma = np.sqrt(flat + slope * light)
            ratio = variance / (sigma * sigma)
            at = int(np.floor(4.0 * np.log2(max(ratio, 1e-3)))) + BINS // 2
            histogram[min(max(at, 0), BINS - 1)] += 1
            if ratio > UNIFORM or high - low > 2 * PART * (TILT * light + sigma):
                continue
            patches[half, b] += 1
            levels[half, b] += mean - shift
            out, middle, most = columns[half, here], np.float32(mean), np.float32(MOST * light + 3.0 * sigma)
            for x in range(WIDTH):
                deviation = np.float32(0.5) * (np.float32(one[x]) + np.float32(two[x])) - middle
                out[x] += min(max(deviation, -most), most)


def _level(pattern: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return patterns (half, block, WIDTH) without the straight line through each."""
    x = np.arange(WIDTH) - (WIDTH - 1) / 2
    straight = (pattern * x).sum(axis=-1, keepdims=True) / np.square(x).sum() * x
    return np.asarray(pattern - pattern.mean(axis=-1, keepdims=True) - straight)


def _bad_columns(
    pattern: NDArray[np.float64],
    number: NDArray[np.int64],
    level: NDArray[np.float64],
    listed: NDArray[np.bool_],
) -> int:
    """Return how many columns stand out of both halves alike and are not listed as defective."""
    scaled = pattern * np.sqrt(number)[..., np.newaxis]
    limit = np.maximum(OUTLIER * 1.4826 * np.median(np.abs(scaled)) / np.sqrt(number), OUTLIER_SHARE * np.abs(level))[
        ..., np.newaxis
    ]
    out = (np.abs(pattern) > limit).all(axis=0) & ((pattern[0] > 0) == (pattern[1] > 0))
    return int(np.count_nonzero(out & ~listed))


@kernel
def _look(counts, quality, step, smallest, none, full, excluded, out):  # type: ignore[no-untyped-def]
    """Write of each column in some lines: at an end of the range, excluded, sum, steps to the next line, squares."""
    for i in range(0, counts.shape[0] - 1, step):
        row, after, flags = counts[i], counts[i + 1], quality[i]
        for x in range(row.size):
            q, v = flags[x], np.int64(row[x])
            d = np.int64(after[x]) - v
            out[0, x] += (v <= smallest and q & none == 0) or q & full != 0
            out[1, x] += q & excluded != 0
            out[2, x] += v
            out[3, x] += d
            out[4, x] += d * d


def _stuck_columns(
    counts: NDArray[np.uint16], quality: NDArray[np.uint16], shift: int, flat: float, slope: float
) -> int:
    """Return how many columns do not follow the scene, and are not listed as defective.

    They are at an end of the range in nearly all lines; or do not even have noise from a line to the next, beside the
    others and for their level, where that is more than a count.
    """
    step = max(counts.shape[0] // LOOKS, 1)
    sums = np.zeros((5, counts.shape[1]), np.int64)
    _look(counts, quality, step, SMALLEST, NODATA, SATURATED, _EXCLUDED, sums)
    looks = len(range(0, counts.shape[0] - 1, step))
    ends, excluded, level, change, squares = sums / max(looks, 1)
    noise = 2.0 * (flat + slope * np.maximum(level - shift, 0.0))
    seen = squares - change * change
    padded = np.pad(seen, 2, mode="edge")
    beside = 0.25 * (padded[:-4] + padded[1:-3] + padded[3:-1] + padded[4:])
    still = (excluded == 0) & (noise > NOISY) & (seen < STILL * np.minimum(noise, beside))
    stuck = (ends > MOSTLY) | still
    return 0 if stuck.mean() > FEW else int(np.count_nonzero(stuck & (quality[0] & DEFECTIVE == 0)))


def patch_sums(
    counts: NDArray[np.uint16], quality: NDArray[np.uint16], shift: int, noise: tuple[float, float], gain: float
) -> Sums:
    """Return the sums of the uniform patches of one band of a granule.

    Parameters
    ----------
    counts : (line, column) uint16 [DN]
        Corrected and coded.
    quality : (line, column) uint16
    shift : int
        Of the coding [LSB].
    noise : (float, float)
        alpha, beta of the noise model [LSB].
    gain : float
        Variance of a pixel over that of the samples that it is made of: 1, less where columns were binned.

    Returns
    -------
    dict of str to float
        ``noise_00`` … the histogram; ``stripe_sum`` [LSB^2], ``stripe_square_sum`` [LSB^4], ``stripe_level`` [LSB^2],
        ``stripe_count``, ``step_sum``, ``step_level`` [LSB], ``bad_columns`` and ``pattern_granules``, as far as there
        is a pattern; ``stuck_columns`` and ``column_granules``.
    """
    blocks = counts.shape[1] // WIDTH
    histogram, patches = np.zeros(BINS, np.int64), np.zeros((2, blocks), np.int64)
    levels, columns = np.zeros((2, blocks)), np.zeros((2, blocks * WIDTH), np.float32)
    flat, slope = gain * noise[0] ** 2 + ROUNDING, gain * noise[1]
    _survey(counts, quality, shift, flat, slope, _EXCLUDED, histogram, patches, levels, columns)
    out = {f"noise_{k:02d}": float(n) for k, n in enumerate(histogram)}
    out |= {"stuck_columns": float(_stuck_columns(counts, quality, shift, flat, slope)), "column_granules": 1.0}
    enough = patches.min(axis=0) >= FEWEST
    if not enough.any():
        return out
    number, level = patches[:, enough], levels[:, enough] / patches[:, enough]
    pattern = columns.astype(np.float64).reshape(2, blocks, WIDTH)[:, enough] / number[..., np.newaxis]
    sign, whole = 1.0 - 2.0 * (np.arange(WIDTH) % 2), pattern.mean(axis=0)
    bent = whole[:, 1:-1] - 0.5 * (whole[:, :-2] + whole[:, 2:])
    flattened, free = _level(pattern), WIDTH - 2
    listed = (quality[0, : blocks * WIDTH] & DEFECTIVE).astype(bool).reshape(blocks, WIDTH)[enough]
    return out | {
        "stripe_sum": float((flattened[0] * flattened[1]).sum()),
        "stripe_square_sum": float(np.square(flattened[0] * flattened[1]).sum()),
        "stripe_level": float(free * (level[0] * level[1]).sum()),
        "stripe_count": float(free * level.shape[1]),
        "step_sum": float((bent * sign[1:-1]).sum()),
        "step_level": float(free * level.mean(axis=0).sum()),
        "bad_columns": float(_bad_columns(flattened, number, level, listed)),
        "pattern_granules": 1.0,
    }


def noise_ratio(histogram: NDArray[np.float64]) -> float:
    """Return the measured standard deviation of the noise over the expected one; NaN without a patch.

    Parameters
    ----------
    histogram : (BINS) float64

    Notes
    -----
    The variance that a share `LOW` of the patches does not reach: where patches differ by what they show, that of the
    most uniform ones; of nothing but noise, `LOW_OF_NOISE` of the true one.
    """
    total = np.cumsum(histogram)
    if total[-1] == 0:
        return float("nan")
    wanted = LOW * total[-1]
    k = int(np.searchsorted(total, wanted))
    before = total[k - 1] if k else 0.0
    exponent = (k + (wanted - before) / histogram[k] - BINS // 2) / 4.0
    return float(np.sqrt(2.0**exponent / LOW_OF_NOISE))


def pattern_indicators(sums: Mapping[str, float]) -> dict[str, float]:
    """Return what the sums of some granules tell.

    Returns
    -------
    dict of str to float
        ``noise_ratio`` [1]; ``stripe_index``, ``stripe_excess``, which is what chance does not explain, and
        ``odd_even_step`` [%], all of the ``pattern_level`` [LSB]; ``bad_columns``, those of a granule that stand
        out or are stuck and are not listed; as far as they were measured.

    Notes
    -----
    The stripe index is the root of the product of the patterns of both halves of a granule: noise and landscape, which
    the halves do not share, leave nothing on the average. A product below zero is no pattern.
    """
    out = {}
    ratio = noise_ratio(np.array([sums.get(f"noise_{k:02d}", 0.0) for k in range(BINS)]))
    if np.isfinite(ratio):
        out["noise_ratio"] = ratio
    if sums.get("stripe_level", 0.0) > 0 and sums.get("step_level", 0.0) > 0:
        pattern, chance = sums["stripe_sum"], CERTAIN * float(np.sqrt(sums["stripe_square_sum"]))
        for name, product in (("stripe_index", pattern), ("stripe_excess", pattern - chance)):
            out[name] = 100.0 * float(np.sqrt(max(product, 0.0) / sums["stripe_level"]))
        out["pattern_level"] = float(np.sqrt(sums["stripe_level"] / sums["stripe_count"]))
        out["odd_even_step"] = 100.0 * sums["step_sum"] / sums["step_level"]
    if sums.get("column_granules", 0.0) > 0:
        standing = sums.get("bad_columns", 0.0) / max(sums.get("pattern_granules", 0.0), 1.0)
        out["bad_columns"] = standing + sums["stuck_columns"] / sums["column_granules"]
    return out
