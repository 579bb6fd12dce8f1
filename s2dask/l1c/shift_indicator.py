"""How far two images of a place lie apart: phase correlation of small patches with texture.

Patches lie where the grid of the tile says, whatever the blocks are: a block measures those that lie in it, and the
tile takes the median of all. A cut that goes through a patch loses it; the cut of production does not.

Clouds lie tens of metres apart in two bands, as their height wants it. The mask of them comes later than the images: it
is counted over each patch, and the tile leaves out those that are cloudy.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

EDGE: Final = {10: 64, 20: 64, 60: 32}
"""Edge of a patch by resolution [px]."""
ACROSS: Final = 3
"""Patches on the edge of a cell of the lattice."""
FEWEST: Final = 3
"""Patches that a shift is told from ..."""
SURE: Final = 0.1
"""... if its standard error is no larger [px]."""
TAPER: Final = 0.12
"""Standard deviation of the Gaussian by which frequencies count [cycles per pixel]: fine ones are noise and aliases."""
REACH: Final = 4
"""Shifts that are looked for [px]."""
CLEAR: Final = 6.0
"""A peak stands this many times above the scatter of the correlation, or there is none."""
TEXTURE: Final = 15.0
"""Least standard deviation of a patch, in counts of 1e-4: less is noise."""
CLOUDY: Final = 0.01
"""Share of a patch under cloud from which on it does not count [1]."""

Float = NDArray[np.float32]
Complex = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, eq=False)
class Spectra:
    """The patches of an image that can be compared.

    Attributes
    ----------
    ranks : tuple of int
        Of the patches in the tile.
    values : (patch, y, x) complex64
    edge : int
        Of a patch [px].
    """

    ranks: tuple[int, ...]
    values: Complex
    edge: int


def patch_corners(shape: tuple[int, int], cell: int, edge: int) -> list[tuple[int, int]]:
    """Return the upper left corners of the patches of a tile (row, column) [px].

    Parameters
    ----------
    shape : (int, int)
        Of the image of the tile.
    cell : int
        Edge of a cell of the lattice, which has ACROSS x ACROSS patches, evenly spread; that of a block of production.
    edge : int
        Of a patch.
    """

    def along(size: int) -> list[int]:
        out = []
        for start in range(0, size, cell):
            width = min(cell, size - start)
            if width >= edge:
                middles = (start + width * (2 * k + 1) // (2 * ACROSS) - edge // 2 for k in range(ACROSS))
                out += [min(max(at, start), start + width - edge) for at in middles]
        return out

    rows, columns = (along(size) for size in shape)
    return [(row, column) for row in rows for column in columns]


def own_share(shape: tuple[int, int], cell: int, edge: int) -> float:
    """Return the share of the patches of a tile that have ground of their own [1]: below 1 where they overlap.

    Parameters
    ----------
    shape, cell, edge
        As of `patch_corners`.
    """
    return float(np.prod([min(1.0, min(cell, size) / (ACROSS * edge)) for size in shape]))


def corners_inside(
    corners: Sequence[tuple[int, int]], edge: int, origin: tuple[int, int], shape: tuple[int, int]
) -> Iterator[tuple[int, slice, slice]]:
    """Yield rank, and rows and columns in the block, of the patches that lie in a block."""
    for rank, (row, column) in enumerate(corners):
        y, x = row - origin[0], column - origin[1]
        if y >= 0 and x >= 0 and y + edge <= shape[0] and x + edge <= shape[1]:
            yield rank, slice(y, y + edge), slice(x, x + edge)


def _taper(edge: int) -> Float:
    y, x = np.fft.fftfreq(edge)[:, None], np.fft.rfftfreq(edge)[None, :]
    return np.asarray(np.exp(-(y * y + x * x) / (2 * TAPER**2)), np.float32)


def _window(edge: int) -> Float:
    one = np.hanning(edge + 2)[1:-1]
    return np.asarray(np.outer(one, one), np.float32)


def spectra_of(patches: Mapping[int, Float], edge: int) -> Spectra:
    """Return the spectra of patches by rank, without those that lack data or texture.

    Parameters
    ----------
    patches : mapping of int to (y, x) float32 [1e-4]
        NaN without data.
    edge : int
    """
    good = {rank: patch for rank, patch in patches.items() if np.isfinite(patch).all() and patch.std() >= TEXTURE}
    if not good:
        return Spectra((), np.zeros((0, edge, edge // 2 + 1), np.complex64), edge)
    stack = np.stack(list(good.values())).astype(np.float32)
    stack -= stack.mean(axis=(1, 2), keepdims=True)
    values = np.fft.rfft2(stack * _window(edge)).astype(np.complex64)
    return Spectra(tuple(good), values, edge)


def _vertex(before: float, peak: float, after: float) -> float:
    """Return where a Gaussian through three values one pixel apart is highest, from the middle one [px]."""
    if before <= 0 or after <= 0:
        return 0.0
    low, high, top = np.log(before), np.log(after), np.log(peak)
    bend = low - 2 * top + high
    return 0.0 if bend >= 0 else float(np.clip(0.5 * (low - high) / bend, -0.5, 0.5))


def _peak(surface: Float) -> tuple[float, float] | None:
    """Return where a correlation is highest (down, right) [px], None where nothing stands out."""
    middle = surface.shape[0] // 2
    part = surface[middle - REACH : middle + REACH + 1, middle - REACH : middle + REACH + 1]
    # bands of opposite contrast have a trough there
    part = part * np.sign(part.flat[int(np.argmax(np.abs(part)))])
    y, x = (int(k) for k in np.unravel_index(int(np.argmax(part)), part.shape))
    top = float(part[y, x])
    if not top > CLEAR * float(surface.std()) or not (0 < y < 2 * REACH and 0 < x < 2 * REACH):
        return None
    down = y - REACH + _vertex(float(part[y - 1, x]), top, float(part[y + 1, x]))
    right = x - REACH + _vertex(float(part[y, x - 1]), top, float(part[y, x + 1]))
    return round(down, 4), round(right, 4)


def shifts(reference: Spectra, image: Spectra) -> dict[int, tuple[float, float]]:
    """Return how far each patch of an image lies from that of the reference (down, right) [px], where it can be told.

    Notes
    -----
    The phase of the cross spectrum, tapered by a Gaussian, is a Gaussian peak at the shift: the logarithm of three
    values is a parabola, whose vertex is the shift to a fraction of a pixel.
    """
    common = [rank for rank in reference.ranks if rank in image.ranks]
    if not common:
        return {}
    first, second = (s.values[[s.ranks.index(rank) for rank in common]] for s in (reference, image))
    cross = np.conj(first) * second
    cross /= np.maximum(np.abs(cross), np.float32(1e-20))
    surfaces = np.fft.fftshift(np.fft.irfft2(cross * _taper(image.edge), s=(image.edge, image.edge)), axes=(1, 2))
    found = {rank: _peak(surface) for rank, surface in zip(common, surfaces, strict=True)}
    return {rank: place for rank, place in found.items() if place is not None}


def shift_record(found: Mapping[int, tuple[float, float]], prefix: str) -> dict[str, float]:
    """Return shifts as entries of a record, each patch under its own name: no two blocks have the same."""
    return {
        f"{prefix}.patch{rank:04d}_{axis}": value
        for rank, place in found.items()
        for axis, value in zip("yx", place, strict=True)
    }


def cloud_record(
    cloudy: NDArray[np.bool_], corners: Sequence[tuple[float, float]], edge: float, origin: tuple[int, int], prefix: str
) -> dict[str, float]:
    """Return how many pixels of each patch a block finds under cloud, of those that have one.

    Parameters
    ----------
    cloudy : (y, x) bool
        Of a block, at any resolution.
    corners : sequence of (float, float)
        Of the patches, in pixels of `cloudy`; `edge` likewise.
    edge : float
    origin : (int, int)
        First row and column of the block.
    prefix : str
    """
    out = {}
    for rank, corner in enumerate(corners):
        ends = ((int(a) - o, math.ceil(a + edge) - o) for a, o in zip(corner, origin, strict=True))
        (top, bottom), (left, right) = ends
        if bottom <= 0 or right <= 0 or top >= cloudy.shape[0] or left >= cloudy.shape[1]:
            continue
        count = np.count_nonzero(cloudy[max(top, 0) : bottom, max(left, 0) : right])
        if count:
            out[f"{prefix}.patch{rank:04d}_cloud"] = float(count)
    return out


def take_clouds(record: dict[str, float], prefix: str, pixels: float) -> frozenset[int]:
    """Take the clouds of the patches of a tile out of its record: ranks of those that do not count.

    Parameters
    ----------
    record : dict
        Changed in place.
    prefix : str
    pixels : float
        Of a patch, at the resolution of the mask.
    """
    names = [name for name in record if name.startswith(f"{prefix}.patch") and name.endswith("_cloud")]
    ranks = {int(name[-10:-6]): record.pop(name) for name in names}
    return frozenset(rank for rank, count in ranks.items() if count > CLOUDY * pixels)


def take_shifts(record: dict[str, float], prefix: str, without: frozenset[int] = frozenset()) -> NDArray[np.float64]:
    """Take the shifts of the patches of a tile out of its record: (patch, 2) down and right [px], by rank.

    Parameters
    ----------
    record : dict
        Changed in place.
    prefix : str
    without : frozenset of int
        Ranks of patches that are left out.
    """
    names = sorted(name for name in record if name.startswith(f"{prefix}.patch") and name.endswith("_y"))
    pairs = {int(name[-6:-2]): (record.pop(name), record.pop(f"{name[:-1]}x")) for name in names}
    return np.asarray([pair for rank, pair in pairs.items() if rank not in without], np.float64).reshape(-1, 2)


def median_shift(
    shifts_of: NDArray[np.float64], factor: float = 1.0, share: float = 1.0
) -> tuple[float, float, float, int] | None:
    """Return median down and right, scatter about it [px] and number of patches; None where it cannot be told.

    Parameters
    ----------
    shifts_of : (patch, 2) float64
        Down and right.
    factor : float
        Pixels of the answer on the edge of a pixel of the patches.
    share : float
        Of the patches that count as one of their own, see `own_share`.

    Notes
    -----
    The scatter is 1.4826 times the median distance from the median along an axis: one patch that stands apart does not
    count. The standard error of a median is 1.25 of it over the root of the number of patches that do not overlap.
    """
    count = len(shifts_of)
    if count < FEWEST:
        return None
    middle = np.median(shifts_of, axis=0)
    scatter = 1.4826 * float(np.median(np.abs(shifts_of - middle)))
    if 1.25 * factor * scatter > SURE * (share * count) ** 0.5:
        return None
    return factor * float(middle[0]), factor * float(middle[1]), factor * scatter, count
