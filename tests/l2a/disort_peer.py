"""Run by an interpreter with PythonicDISORT and sasktran2: transmittance and spherical albedo by another solver.

Takes the folder of reference data, a unit and ``band:zenith:aot:pressure`` cases; prints a JSON list of pairs. A band
is six wavelengths of equal weight. The scattering properties are ours, the solution is scalar.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PythonicDISORT import pydisort

from s2dask.lut.bands import Source
from s2dask.lut.column import rayleigh_thickness
from s2dask.lut.particles import optics

STREAMS = 24
WAVELENGTHS = 6
LAYERS = 24


def solve(wavelength: float, zenith: float, aot: float, pressure: float) -> tuple[float, float]:
    """Return transmittance and spherical albedo of a column at a wavelength [um]."""
    particles = optics("continental", wavelength)
    dust = aot * particles.extinction / optics("continental", 0.55).extinction
    x = np.linspace(0, 1, LAYERS + 1)
    air, haze = np.diff(rayleigh_thickness(wavelength) * pressure / 1013.25 * x), np.diff(dust * x**4)
    orders = np.arange(2 * STREAMS)
    molecular = np.zeros(orders.size)
    molecular[0], molecular[2] = 1.0, (1 - 0.0279) / (2 + 0.0279) / 5
    share = air / (air + haze * particles.albedo)
    dusty = particles.moments[0, : orders.size] / particles.moments[0, 0] / (2 * orders + 1)
    moments = molecular * share[:, None] + dusty * (1 - share[:, None])
    albedo = np.minimum((air + haze * particles.albedo) / (air + haze), 1 - 1e-9)
    column = (np.cumsum(air + haze), albedo, STREAMS, moments)
    settings = {"only_flux": True, "NLeg": STREAMS, "f_arr": moments[:, STREAMS]}
    ground = column[0][-1]
    cosine = float(np.cos(np.radians(zenith)))
    _, _, down, *_ = pydisort(*column, cosine, 1.0, 0.0, **settings)
    _, _, lit, *_ = pydisort(*column, cosine, 0.0, 0.0, b_pos=1 / np.pi, **settings)
    return float(sum(down(ground))) / cosine, float(lit(ground)[0])


def main() -> None:
    """Solve the cases of the command line."""
    source = Source(Path(sys.argv[1]) / "l2a", sys.argv[2])
    found = []
    for case in sys.argv[3:]:
        band, *numbers = case.split(":")
        wavelength, weight = source.weights(band)
        quantiles = (np.arange(WAVELENGTHS) + 0.5) / WAVELENGTHS
        middle = np.interp(quantiles, np.cumsum(weight) - weight / 2, wavelength)
        found.append(np.mean([solve(float(at), *map(float, numbers)) for at in middle], axis=0).tolist())
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
