"""The flight units S2A to S2D: what differs from one instrument to the next, as a table."""

import csv
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from s2dask.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class UnitBand:
    """One band of one unit.

    Attributes
    ----------
    centre, fwhm : float
        Of the spectral response [nm].
    gain : float
        Absolute calibration coefficient A [LSB per W m-2 sr-1 um-1].
    solar_irradiance : float
        E0 at 1 au [W m-2 um-1].
    noise_alpha, noise_beta : float
        Noise model ``sigma(DN)^2 = alpha^2 + beta DN`` [LSB, LSB].
    psf_sigma_lines, psf_sigma_columns : float
        Gaussian point spread of the same MTF at Nyquist [native pixel].
    integration_time : float
        [s].
    assumed : bool
        True where the unit is not characterised in public and a sister's values stand in.
    """

    centre: float
    fwhm: float
    gain: float
    solar_irradiance: float
    noise_alpha: float
    noise_beta: float
    psf_sigma_lines: float
    psf_sigma_columns: float
    integration_time: float
    assumed: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """One satellite.

    Attributes
    ----------
    name : str
        ``S2A``.
    spacecraft : str
        ``Sentinel-2A``.
    relative_orbit_offset : int
        relative orbit = (absolute orbit + offset) mod 143 + 1.
    bands : mapping of str to UnitBand
    """

    name: str
    spacecraft: str
    relative_orbit_offset: int
    bands: MappingProxyType[str, UnitBand]

    def relative_orbit(self, absolute_orbit: int) -> int:
        """Return the relative orbit [1, 143] of an absolute one."""
        return (absolute_orbit + self.relative_orbit_offset) % 143 + 1


# From (absolute, relative) pairs of real products: S2A 26904 -> 23, S2B 26649 -> 25. No pair of S2C or S2D is at hand:
# theirs is assumed to be that of S2A, whose orbital slot they take over.
_ORBIT_OFFSET = {"S2A": 2, "S2B": -27, "S2C": 2, "S2D": 2}


def _read() -> dict[str, Unit]:
    text = files("s2dask.instrument").joinpath("data/units.csv").read_text("utf-8")
    rows: dict[str, dict[str, UnitBand]] = {}
    for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#")):
        rows.setdefault(row["unit"], {})[row["band"]] = UnitBand(
            centre=float(row["centre"]),
            fwhm=float(row["fwhm"]),
            gain=float(row["gain"]),
            solar_irradiance=float(row["solar_irradiance"]),
            noise_alpha=float(row["noise_alpha"]),
            noise_beta=float(row["noise_beta"]),
            psf_sigma_lines=float(row["psf_sigma_lines"]),
            psf_sigma_columns=float(row["psf_sigma_columns"]),
            integration_time=float(row["integration_time_ms"]) * 1e-3,
            assumed=row["assumed"] == "yes",
        )
    return {
        name: Unit(name, f"Sentinel-2{name[-1]}", _ORBIT_OFFSET[name], MappingProxyType(bands))
        for name, bands in rows.items()
    }


UNITS: Final = MappingProxyType(_read())
"""Every unit by name."""


def unit(name: str) -> Unit:
    """Return the unit of that name; `ConfigurationError` names what exists."""
    try:
        return UNITS[name]
    except KeyError:
        raise ConfigurationError("no such unit", name, f"one of {', '.join(UNITS)}") from None
