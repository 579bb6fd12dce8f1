"""The one inner loop of the restoration: a weighted sum of stretches of memory, and how images are continued."""

import numpy as np
from numpy.typing import NDArray

from s2dask.kernels import bare_kernel


@bare_kernel
def add_weighted(
    source: NDArray[np.float32], starts: NDArray[np.int64], taps: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Add ``sum_k taps[k] source[starts[k] + x]`` to every ``out[x]``.

    Parameters
    ----------
    source : (n) float32
        Not overlapping `out`.
    starts : (tap) int64
    taps : (tap) float32
    out : (x) float32
        Added to in place.

    Notes
    -----
    Four taps go through at once, always the same four: the sum has one order, whatever is asked for.
    """
    n = out.size
    k = 0
    while k + 4 <= taps.size:
        a, b = source[starts[k] : starts[k] + n], source[starts[k + 1] : starts[k + 1] + n]
        c, d = source[starts[k + 2] : starts[k + 2] + n], source[starts[k + 3] : starts[k + 3] + n]
        p, q, r, s = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
        for x in range(n):
            out[x] += (p * a[x] + q * b[x]) + (r * c[x] + s * d[x])
        k += 4
    while k < taps.size:
        a, p = source[starts[k] : starts[k] + n], taps[k]
        for x in range(n):
            out[x] += p * a[x]
        k += 1


@bare_kernel
def mirrored(i: int, n: int) -> int:
    """Return the index in 0 to n - 1 that stands for any index, the sequence mirrored about its end samples.

    Notes
    -----
    It is never farther from an index inside than `i` is: what is within a margin stays within it.
    """
    if n == 1:
        return 0
    period = 2 * n - 2
    j = i % period
    return j if j < n else period - j
