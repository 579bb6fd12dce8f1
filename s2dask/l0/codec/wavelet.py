"""The 9/7 integer wavelet transform of CCSDS 122.0-B, three levels, of a strip of sixteen lines.

The Blue Book asks for seventeen lines at least. A strip of sixteen goes beyond it in nothing but that number: the
symmetrical extension of its equations is defined down to four samples, and the third level transforms four lines.
"""

from s2dask.kernels import kernel

LEVELS = 3
COUNT_LIMIT = 4095
"""Largest count of a 12-bit pixel."""


@kernel
def _even(k, n):  # type: ignore[no-untyped-def]
    """Return the even sample `k` of `n`, taken back inside by symmetry."""
    k = abs(k)
    return 2 * (n - 1) - k if k >= n else k


@kernel
def _split_row(x, out, n):  # type: ignore[no-untyped-def]
    """Split the first `n` samples of a row into its low half, then its high half."""
    half = n >> 1
    for j in range(1, half - 2):
        out[half + j] = x[2 * j + 1] - ((9 * (x[2 * j] + x[2 * j + 2]) - (x[2 * j - 2] + x[2 * j + 4]) + 8) >> 4)
    for k in range(3):
        j = (0, half - 2, half - 1)[k]
        near = x[2 * j] + x[_even(2 * j + 2, n)]
        far = x[_even(2 * j - 2, n)] + x[_even(2 * j + 4, n)]
        out[half + j] = x[2 * j + 1] - ((9 * near - far + 8) >> 4)
    out[0] = x[0] - ((2 - 2 * out[half]) >> 2)
    for j in range(1, half):
        out[j] = x[2 * j] - ((2 - out[half + j - 1] - out[half + j]) >> 2)


@kernel
def _join_row(x, out, n):  # type: ignore[no-untyped-def]
    """Undo `_split_row`."""
    half = n >> 1
    out[0] = x[0] + ((2 - 2 * x[half]) >> 2)
    for j in range(1, half):
        out[2 * j] = x[j] + ((2 - x[half + j - 1] - x[half + j]) >> 2)
    for j in range(1, half - 2):
        near = out[2 * j] + out[2 * j + 2]
        out[2 * j + 1] = x[half + j] + ((9 * near - (out[2 * j - 2] + out[2 * j + 4]) + 8) >> 4)
    for k in range(3):
        j = (0, half - 2, half - 1)[k]
        near = out[2 * j] + out[_even(2 * j + 2, n)]
        far = out[_even(2 * j - 2, n)] + out[_even(2 * j + 4, n)]
        out[2 * j + 1] = x[half + j] + ((9 * near - far + 8) >> 4)


@kernel
def _split_columns(x, out, lines, n):  # type: ignore[no-untyped-def]
    """Split the columns of the first `n` of `lines` lines into low lines, then high lines."""
    half = lines >> 1
    for j in range(half):
        a, b = x[2 * j], x[_even(2 * j + 2, lines)]
        c, d = x[_even(2 * j - 2, lines)], x[_even(2 * j + 4, lines)]
        odd, high = x[2 * j + 1], out[half + j]
        for i in range(n):
            high[i] = odd[i] - ((9 * (a[i] + b[i]) - (c[i] + d[i]) + 8) >> 4)
    for j in range(half):
        before, after, even, low = out[half + max(j - 1, 0)], out[half + j], x[2 * j], out[j]
        for i in range(n):
            low[i] = even[i] - ((2 - before[i] - after[i]) >> 2)


@kernel
def _join_columns(x, out, lines, n):  # type: ignore[no-untyped-def]
    """Undo `_split_columns`."""
    half = lines >> 1
    for j in range(half):
        before, after, low, even = x[half + max(j - 1, 0)], x[half + j], x[j], out[2 * j]
        for i in range(n):
            even[i] = low[i] + ((2 - before[i] - after[i]) >> 2)
    for j in range(half):
        a, b = out[2 * j], out[_even(2 * j + 2, lines)]
        c, d = out[_even(2 * j - 2, lines)], out[_even(2 * j + 4, lines)]
        high, odd = x[half + j], out[2 * j + 1]
        for i in range(n):
            odd[i] = high[i] + ((9 * (a[i] + b[i]) - (c[i] + d[i]) + 8) >> 4)


@kernel
def forward(work, scratch):  # type: ignore[no-untyped-def]
    """Transform a strip in place: the low band of each level in the upper left quarter of its rectangle.

    Parameters
    ----------
    work, scratch : (16, column) int32
        The counts, and room for as much; columns are a multiple of 8, 32 at least.

    Notes
    -----
    CCSDS 122.0-B, 3.3 and 3.4: rows first, then columns, of each level; with x the samples and D, C the high and low
    coefficients, D_j = x_2j+1 - floor(9/16 (x_2j + x_2j+2) - 1/16 (x_2j-2 + x_2j+4) + 1/2) and
    C_j = x_2j - floor(-1/4 (D_j-1 + D_j) + 1/2), samples beyond the ends by symmetry.
    """
    lines, n = work.shape
    for _ in range(3):
        for j in range(lines):
            _split_row(work[j], scratch[j], n)
        _split_columns(scratch, work, lines, n)
        lines, n = lines >> 1, n >> 1


@kernel
def inverse(work, scratch):  # type: ignore[no-untyped-def]
    """Undo `forward`, in place."""
    for level in range(2, -1, -1):
        lines, n = work.shape[0] >> level, work.shape[1] >> level
        _join_columns(work, scratch, lines, n)
        for j in range(lines):
            _join_row(scratch[j], work[j], n)


@kernel
def clip(work, out):  # type: ignore[no-untyped-def]
    """Write a strip as counts: a coarse image may leave the 12 bits by a little.

    Parameters
    ----------
    work : (16, column) int32
    out : (16, column) uint16
        [LSB]
    """
    for j in range(work.shape[0]):
        for i in range(work.shape[1]):
            out[j, i] = min(max(work[j, i], 0), COUNT_LIMIT)
