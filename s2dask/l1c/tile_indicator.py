"""Measured quality of an L1C tile: what its blocks add up while they have the images, and what the tile makes of it."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS, band
from s2dask.l1c.seam_indicator import MARGIN, SAMPLE_STEP, level_record, seam_record, take_levels, take_steps
from s2dask.l1c.shift_indicator import (
    EDGE,
    Spectra,
    cloud_record,
    corners_inside,
    median_shift,
    own_share,
    patch_corners,
    shift_record,
    shifts,
    spectra_of,
    take_clouds,
    take_shifts,
)
from s2dask.l1c.uncertainty import uncertainty_record

REFERENCES: Final = {10: "B04", 20: "B05", 60: "B01"}
"""What the other bands of a resolution are held against."""
BETWEEN: Final = (("B04", "B8A"), ("B04", "B11"), ("B03", "B11"), ("B03", "B8A"))
"""Pairs of different resolution; of each second band the first pair that is there."""
GEOLOCATION_BAND: Final = "B04"
"""What is held against a reference image."""
GEOLOCATION: Final = "location"
"""Prefix of its patches in a record."""
MASK: Final = 60
"""Resolution of the mask of clouds [m]."""
_PART: Final = re.compile(r"\.(?:(?:patch|seam|level)\d|own_max$)")

Counts = NDArray[np.uint16]
Parts = dict[str, dict[str, float]]


def _with_data(values: Counts, places: Sequence[tuple[int, slice, slice]]) -> dict[int, NDArray[np.float32]]:
    out = {}
    for rank, y, x in places:
        part = values[y, x]
        if part.min() > 0 and part.max() < 65535:
            out[rank] = part.astype(np.float32)
    return out


class BlockIndicators:
    """The indicators of a block of one resolution, made band after band of images that are overwritten.

    Parameters
    ----------
    resolution : int [m]
    origin : (int, int)
        First row and column in the tile.
    shape : (int, int)
        Of the tile at that resolution.
    cell : int
        Edge of a cell of the lattice of patches [px].
    reference : mapping of int to (y, x) float32, optional
        Patches of a reference image by rank, NaN where it has none.
    """

    def __init__(
        self,
        resolution: int,
        origin: tuple[int, int],
        shape: tuple[int, int],
        cell: int,
        reference: Mapping[int, NDArray[np.float32]] | None = None,
    ) -> None:
        self._resolution, self._origin, self._edge = resolution, origin, EDGE[resolution]
        self._corners = patch_corners(shape, cell, self._edge)
        self._reference = reference or {}
        self._spectra: dict[str, Spectra] = {}
        self._record: dict[str, float] = {}

    def see(
        self, name: str, values: Counts, footprint: NDArray[np.uint8], uncertainty: NDArray[np.uint8] | None = None
    ) -> None:
        """Look at the image of a band.

        Parameters
        ----------
        name : str
        values : (y, x) uint16
            Coded reflectance.
        footprint : (y, x) uint8
            Detectors.
        uncertainty : (y, x) uint8, optional
            Coded as `s2dask.l1c.uncertainty` does; of rows SAMPLE_STEP apart.
        """
        prefix = name.lower()
        self._record |= seam_record(values, footprint, self._resolution, self._origin, prefix)
        self._record |= level_record(values, self._resolution, self._origin, prefix)
        if uncertainty is not None:
            step = SAMPLE_STEP // self._resolution
            some = slice(-self._origin[0] % step, None, step)
            codes, levels = np.ascontiguousarray(uncertainty[some]), np.ascontiguousarray(values[some])
            self._record |= uncertainty_record(codes, levels, prefix)
        places = list(corners_inside(self._corners, self._edge, self._origin, (values.shape[0], values.shape[1])))
        self._spectra[name] = spectra_of(_with_data(values, places), self._edge)

    def record(self) -> dict[str, float]:
        """Return what was found, once every band was seen."""
        out, name = dict(self._record), REFERENCES[self._resolution]
        if name in self._spectra:
            for other in self._spectra.keys() - {name}:
                found = shifts(self._spectra[name], self._spectra[other])
                out |= shift_record(found, other.lower())
        if self._reference and GEOLOCATION_BAND in self._spectra:
            found = shifts(spectra_of(self._reference, self._edge), self._spectra[GEOLOCATION_BAND])
            out |= shift_record(found, GEOLOCATION)
        return out


def between_record(
    images: Mapping[str, NDArray[np.float32]], origin: tuple[int, int], shape: tuple[int, int], cell: int
) -> dict[str, float]:
    """Return the shifts between bands of different resolution, of their means at 60 m.

    Parameters
    ----------
    images : mapping of str to (y, x) float32 [1]
        Reflectance of a block by band, NaN without data.
    origin, shape, cell
        As of `BlockIndicators`.
    """
    edge, out = EDGE[60], dict[str, float]()
    corners = patch_corners(shape, cell, edge)
    spectra: dict[str, Spectra] = {}

    def of(name: str) -> Spectra:
        if name not in spectra:
            image = images[name]
            places = corners_inside(corners, edge, origin, (image.shape[0], image.shape[1]))
            spectra[name] = spectra_of({rank: 1e4 * image[y, x] for rank, y, x in places}, edge)
        return spectra[name]

    done: set[str] = set()
    for first, second in BETWEEN:
        if first in images and second in images and second not in done:
            done.add(second)
            out |= shift_record(shifts(of(first), of(second)), f"{second.lower()}.between")
    return out


def cover_record(
    cloudy: NDArray[np.bool_], origin: tuple[int, int], lattices: Mapping[int, tuple[tuple[int, int], int]]
) -> dict[str, float]:
    """Return how much of the patches of every resolution is under cloud, and of how many the ground is their own.

    Parameters
    ----------
    cloudy : (y, x) bool
        Of a block at 60 m.
    origin : (int, int)
        First row and column in the tile.
    lattices : mapping of int to ((int, int), int)
        By resolution: shape of the tile and edge of a cell of the lattice of patches, as of `BlockIndicators`.
    """
    out = dict[str, float]()
    for resolution, (shape, cell) in lattices.items():
        edge, part = EDGE[resolution], resolution / MASK
        corners = [(part * row, part * column) for row, column in patch_corners(shape, cell, edge)]
        out |= cloud_record(cloudy, corners, part * edge, origin, f"r{resolution}m")
        out[f"r{resolution}m.own_max"] = own_share(shape, cell, edge)  # the same in every block
    return out


def _cover(parts: Parts) -> dict[int, tuple[frozenset[int], float]]:
    """Take the patches under cloud, and the share with ground of their own, by resolution."""
    out = {}
    for r, edge in EDGE.items():
        part = parts.get(f"r{r}m", {})
        share = part.pop(f"r{r}m.own_max", 1.0)
        out[r] = take_clouds(part, f"r{r}m", (edge * r / MASK) ** 2), share
    return out


def _parts(record: dict[str, float]) -> Parts:
    """Take what indicators are made of out of a record, by what stands before the last dot of its name."""
    out: Parts = {}
    for name in [name for name in record if _PART.search(name)]:
        out.setdefault(name.rpartition(".")[0], {})[name] = record.pop(name)
    return out


def _band_shifts(parts: Parts, bands: Sequence[str]) -> dict[str, float]:
    """Return the shifts of bands, in pixels of the coarser band of the pair, and the largest of all."""
    out, worst, cover = dict[str, float](), -1.0, _cover(parts)
    for name in bands:
        prefix, resolution = name.lower(), band(name).resolution
        for key, what, own in ((prefix, "band_shift", resolution), (f"{prefix}.between", "cross_shift", MASK)):
            cloudy, share = cover[own]
            found = median_shift(take_shifts(parts.get(key, {}), key, cloudy), own / resolution, share)
            if found is not None:
                y, x, scatter, count = found
                size = float(np.hypot(y, x))
                out |= {f"{prefix}.{what}": size, f"{prefix}.{what}_x": x, f"{prefix}.{what}_y": y}
                out |= {f"{prefix}.{what}_scatter": scatter, f"{prefix}.{what}_patches": float(count)}
                worst = max(worst, size)
    return out | ({"band_shift": worst} if worst >= 0 else {})


def _steps_and_levels(parts: Parts, bands: Sequence[str]) -> dict[str, float]:
    out, steps = dict[str, float](), list[tuple[float, float]]()
    for name in bands:
        prefix = name.lower()
        part = parts.get(prefix, {})
        found = take_steps(part, prefix)
        for d, (step, error) in found.items():
            out |= {f"d{d:02d}.{prefix}.detector_step": step, f"d{d:02d}.{prefix}.detector_step_error": error}
            steps.append((abs(step), max(abs(step) - MARGIN * error, 0.0)))
        level = take_levels(part, prefix)
        if level is not None:
            out |= {f"{prefix}.darkest_reflectance": level[0], f"{prefix}.negative_percentage": level[1]}
    if steps:
        out["detector_step"], out["detector_step_least"] = (max(column) for column in zip(*steps, strict=True))
    # air takes nearly all of the light of B10: with it a tile has a pixel that is dark, clouds or not
    darkest = [value for name, value in out.items() if name.endswith("darkest_reflectance")]
    known = "b10.darkest_reflectance" in out
    return out | ({"radiometric_offset_residual": min(darkest)} if known else {})


def _holes(record: Mapping[str, float], bands: Sequence[str]) -> dict[str, float]:
    """Return the pixels without data where a detector looks, of all that detectors look at [%], by band and at most."""
    out = {}
    for name in bands:
        prefix = name.lower()
        unseen = record.get(f"{prefix}.unseen", 0.0)
        seen = record.get(f"{prefix}.pixels", 0.0) - unseen
        if seen > 0:
            out[f"{prefix}.footprint_holes"] = 100.0 * (record[f"{prefix}.nodata"] - unseen) / seen
    return out | ({"footprint_holes": max(out.values())} if out else {})


def location_error(shifts_of: NDArray[np.float64], pixel: float) -> dict[str, float]:
    """Return the location error of a tile from the shifts of its patches against a reference image.

    Parameters
    ----------
    shifts_of : (patch, 2) float64 [px]
        Down and right.
    pixel : float [m]

    Returns
    -------
    dict
        ``geolocation_east``, ``geolocation_north``, ``geolocation_error`` (its length) and ``geolocation_ce95`` (95 %
        of the patches lie nearer) [m], ``geolocation_patches``; empty of too few patches.
    """
    found = median_shift(shifts_of)
    if found is None:
        return {}
    down, right, count = pixel * found[0], pixel * found[1], found[3]
    ce95 = float(np.quantile(pixel * np.hypot(*shifts_of.T), 0.95))
    return {
        "geolocation_east": right, "geolocation_north": -down, "geolocation_error": float(np.hypot(down, right)),
        "geolocation_ce95": ce95, "geolocation_patches": float(count),
    }  # fmt: skip


def deviations(
    stated: Mapping[str, float], known: Mapping[str, float], conversion: float, expected: float
) -> dict[str, float]:
    """Return how far solar irradiance and Earth-Sun correction of a product lie from what they should be [%].

    Parameters
    ----------
    stated, known : mapping of str to float [W m-2 um-1]
        E0 by band: of the product, and of its unit.
    conversion, expected : float [1]
        U of the product, and of its date.
    """
    apart = [abs(stated[name] / known[name] - 1.0) for name in stated if name in known]
    return {
        "solar_irradiance_deviation": 100.0 * max(apart, default=0.0),
        "reflectance_conversion_deviation": 100.0 * abs(conversion / expected - 1.0),
    }


def tile_indicators(record: dict[str, float]) -> dict[str, float]:
    """Return the indicators of a tile, and take what they are made of out of its combined record.

    Parameters
    ----------
    record : dict
        Changed in place.
    """
    bands, parts = list(BANDS), _parts(record)
    out = _band_shifts(parts, bands) | _steps_and_levels(parts, bands) | _holes(record, bands)
    out |= location_error(
        take_shifts(parts.get(GEOLOCATION, {}), GEOLOCATION), float(band(GEOLOCATION_BAND).resolution)
    )
    return {name: round(value, 6) for name, value in out.items()}
