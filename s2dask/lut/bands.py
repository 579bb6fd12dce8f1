"""From columns at single wavelengths to bands: weighted with spectral response and sunlight."""

import bz2
import hashlib
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from s2dask.errors import InputError, InputMissing
from s2dask.instrument import BANDS
from s2dask.lut.asset import Table
from s2dask.lut.column import GRID, STANDARD_PRESSURE, Grid, Monochromatic, peak_share, rayleigh_thickness
from s2dask.lut.particles import optics
from s2dask.lut.single import cosine_of_scattering, single_scattering

Field = NDArray[np.float64]

RESPONSE: Final = "srf/{unit}_MSI_V4.txt"
"""In the folder of reference data: two columns, wavelength [nm] and response, under a line ``Band N`` for each band."""
SUNLIGHT: Final = "solar/Thuillier2003.txt.bz2"
"""Likewise: two columns, wavelength [nm] and irradiance [mW m-2 nm-1] (Thuillier et al., 2003)."""
ANGLES: Final = np.arange(80.0, 180.1, 0.5)
"""Of scattering, back to the view of the instrument [deg]."""
_LEAST: Final = 1e-9
_REMEDY: Final = "give the folder with the ESA spectral responses (COPE-GSEG-EOPG-TN-15-0007, v4.0) and solar spectrum"


class Source:
    """The spectral responses of one unit, and the sun.

    Parameters
    ----------
    folder : Path
    unit : str

    Raises
    ------
    InputMissing
        A file or a band is not there.
    InputError
        Another unit's, or not numbers.
    """

    def __init__(self, folder: Path, unit: str) -> None:
        self.unit = unit
        self.files = (folder / RESPONSE.format(unit=unit), folder / SUNLIGHT)
        for path in self.files:
            if not path.is_file():
                raise InputMissing("not there", str(path), _REMEDY)
        self.responses = self._responses()
        self.sun = self._two_columns(bz2.decompress(self.files[1].read_bytes()).decode().splitlines(), self.files[1])

    @staticmethod
    def _two_columns(lines: list[str], path: Path) -> Field:
        try:
            found = np.array([[float(word) for word in line.split()] for line in lines if line[:1] not in "#;"])
        except ValueError as error:
            raise InputError(f"not numbers ({error})", str(path), _REMEDY) from error
        if found.ndim != 2 or found.shape[1] != 2 or not np.isfinite(found).all() or (np.diff(found[:, 0]) <= 0).any():
            raise InputError("not two columns over rising wavelengths", str(path), _REMEDY)
        return found

    def _responses(self) -> dict[str, Field]:
        path = self.files[0]
        lines: dict[str, list[str]] = {}
        current: list[str] = []
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("#") and " Band " in line:
                if self.unit not in line:
                    raise InputError(f"{line[1:].strip()!r} is not of {self.unit}", str(path), _REMEDY)
                number = line.split()[-1]
                current = lines.setdefault(f"B{number:0>2}", [])
            elif not line.startswith("#"):
                current.append(line)
        missing = [band for band in BANDS if band not in lines]
        if missing:
            raise InputMissing(f"no response of {', '.join(missing)}", str(path), _REMEDY)
        return {band: self._two_columns(lines[band], path) for band in BANDS}

    def weights(self, band: str) -> tuple[Field, Field]:
        """Return wavelengths [um] of a band and their weights, which sum to 1."""
        wavelength, response = self.responses[band].T
        weight = np.maximum(response, 0) * np.interp(wavelength, *self.sun.T) * np.gradient(wavelength)
        return wavelength / 1000, weight / weight.sum()

    def origin(self) -> dict[str, str]:
        """Return names and digests of the files."""
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.files}


def _over_band(logs: Field, values: Field, wavelength: Field, weight: Field) -> Field:
    """Average over a band what is known at some wavelengths: a cubic through logarithms; the first axis goes."""
    spline = CubicSpline(logs, np.log(np.maximum(values, _LEAST)), axis=0)
    total = np.zeros(values.shape[1:])
    for at, share in zip(np.log(wavelength), weight, strict=True):
        total += share * np.exp(spline(at))
    return total


def _optics(model: str, wavelengths: tuple[int, ...]) -> tuple[Field, Field]:
    """Return what of the particles single scattering takes: (wavelength, 2) per unit of extinction, and phases."""
    found = [optics(model, wavelength / 1000) for wavelength in wavelengths]
    shares = np.array([[1 - one.albedo * peak_share(one), one.albedo] for one in found])
    return shares, np.array([np.interp(ANGLES, one.angles, one.phase) for one in found])


def _single(thin: Field, phase: Field, grid: Grid) -> Field:
    """Return single scattering at the nodes of a table."""
    sun, view, azimuth, aot, pressure = np.meshgrid(*grid, indexing="ij", sparse=True)
    cosine = cosine_of_scattering(sun, view, azimuth)
    around = np.interp(np.degrees(np.arccos(cosine)), ANGLES, phase)
    return single_scattering(
        thin[0] * pressure / STANDARD_PRESSURE, thin[1] * aot, thin[2] * aot, around, cosine, sun, view
    )


def _direct(wavelength: Field, weight: Field, extinction: Field, grid: Grid) -> Field:
    slant = 1 / np.cos(np.radians(grid.zenith))[:, np.newaxis, np.newaxis]
    total = np.zeros((grid.zenith.size, grid.aot.size, grid.pressure.size))
    for at, share, particles in zip(wavelength, weight, extinction, strict=True):
        molecules = rayleigh_thickness(float(at)) * grid.pressure / STANDARD_PRESSURE
        total += share * np.exp(-(particles * grid.aot[:, np.newaxis] + molecules) * slant)
    return total


def over_bands(
    model: str, columns: list[Monochromatic], wavelengths: tuple[int, ...], source: Source, grid: Grid = GRID
) -> Table:
    """Return the table of a unit from columns at single wavelengths.

    Parameters
    ----------
    model : str
    columns : list of Monochromatic
    wavelengths : tuple of int [nm]
    source : Source
    grid : Grid

    Returns
    -------
    Table

    Notes
    -----
    The optical thickness ``-ln T`` is averaged in place of the transmittance. The direct part needs no columns.
    """
    logs = np.log(np.array(wavelengths) / 1000)
    path = np.array([column.path for column in columns])
    depth = np.array([-np.log(np.minimum(column.transmittance, 1 - _LEAST)) for column in columns])
    albedo = np.array([column.spherical_albedo for column in columns])
    load = np.array([column.extinction for column in columns])
    shares, phases = _optics(model, wavelengths)
    names = ("multiple", "thin", "phase", "transmittance", "direct", "spherical_albedo")
    parts: dict[str, list[Field]] = {name: [] for name in names}
    for band in BANDS:
        wavelength, weight = source.weights(band)
        extinction = np.exp(CubicSpline(logs, np.log(load))(np.log(wavelength)))
        phase = _over_band(logs, phases, wavelength, weight)
        air = sum(share * rayleigh_thickness(float(at)) for at, share in zip(wavelength, weight, strict=True))
        thin = np.array([air, *_over_band(logs, shares * load[:, np.newaxis], wavelength, weight)])
        whole = _over_band(logs, path, wavelength, weight)
        made = (
            whole - _single(thin, phase, grid),
            thin,
            phase,
            np.exp(-_over_band(logs, depth, wavelength, weight)),
            _direct(wavelength, weight, extinction, grid),
            _over_band(logs, albedo, wavelength, weight),
        )
        for name, values in zip(names, made, strict=True):
            parts[name].append(values)
    bands = {name: np.array(values) for name, values in parts.items()}
    return Table(**grid._asdict(), zenith=grid.zenith, angle=ANGLES, **bands, origin=source.origin())
