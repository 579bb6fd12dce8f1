"""What the metadata of every SAFE say about the spectral response of each band."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from s2dask.instrument import BANDS, UnitBand, unit
from s2dask.release.safe_xml import Element, add

Spectrum = Sequence[float | Sequence[float]]
"""First and last wavelength, centre, step [nm], and the response at each step."""


def add_spectra(
    out: Element, unit_name: str, bands: Collection[str], told: Mapping[str, Spectrum] | None = None
) -> None:
    """Append the response of each band: that which is told, else a Gaussian of the band's centre and width."""
    for name, b in BANDS.items():
        if name not in bands:
            continue
        entry = add(out, "Spectral_Information", bandId=b.index, physicalBand=name.replace("B0", "B"))
        low, high, centre, step, values = (told or {}).get(name) or _gaussian(unit(unit_name).bands[name])
        add(entry, "RESOLUTION", b.resolution)
        wavelength = add(entry, "Wavelength")
        for tag, value in (("MIN", low), ("MAX", high), ("CENTRAL", centre)):
            add(wavelength, tag, value, unit="nm")
        response = add(entry, "Spectral_Response")
        add(response, "STEP", step, unit="nm")
        add(response, "VALUES", " ".join(f"{v:.9g}" for v in values))  # type: ignore[union-attr]  # the only sequence


def _gaussian(band: UnitBand) -> tuple[int, int, float, int, list[float]]:
    """Return first and last wavelength, centre, step [nm] and a response that falls to 1 % at both ends."""
    sigma = band.fwhm / np.sqrt(8.0 * np.log(2.0))
    reach = sigma * np.sqrt(2.0 * np.log(100.0))
    low, high = int(np.floor(band.centre - reach)), int(np.ceil(band.centre + reach))
    at = np.arange(low, high + 1)
    return low, high, band.centre, 1, [float(v) for v in np.exp(-0.5 * ((at - band.centre) / sigma) ** 2)]
