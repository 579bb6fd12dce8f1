"""How well a calibrated count is known: the contributors of the radiometric uncertainty of each band of each unit.

The variance of a count Z (without the offset of its coding) is a polynomial of second degree in Z, and so is what the
calibration and the correction of straylight leave behind; where the image has a slope, the error of its location adds
to it. `count_errors` puts the contributors together; `s2dask.l1c.uncertainty` and `s2dask.l2a.uncertainty` carry them
to the reflectance of a pixel.
"""

import csv
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

from s2dask.errors import InputError
from s2dask.instrument.bands import band as band_of
from s2dask.instrument.units import unit as unit_of

LOCATION_ERROR: Final = 3.0
"""Of a product that is not refined on reference images [m] ..."""
REFINED_LOCATION_ERROR: Final = 1.5
"""... and of one that is [m] (ATBD OMPC.ACR.MEM.052, 3.2)."""
DIGITISATION: Final = 0.5 / math.sqrt(3.0)
"""Of a count that was rounded [LSB]."""
NOISE_FACTOR: Final = 0.65
"""Mean ratio of the noise of L1C to that of L1B, 0.5 to 0.75 (ATBD OMPC.ACR.MEM.052, 3.3)."""
QUANTISATION: Final = DIGITISATION / 10_000.0
"""Of a coded reflectance [1]."""
V1_DIFFUSER_AGEING: Final = 0.01
"""Share of the count that the tool V1.0 sets for the ageing of the diffuser, beside the noise [1]."""

TOA_STEP: Final = 1e-4
"""Standard uncertainty of top-of-atmosphere reflectance of one code of the layers of L1C [1]."""
RANDOM_STEP: Final = 1e-4
"""Standard uncertainty of surface reflectance of one code of the layers of L2A, the random part [1] ..."""
SYSTEMATIC_STEP: Final = 5e-4
"""... and the systematic part [1]."""


@dataclass(frozen=True, slots=True)
class Contributors:
    """Standard uncertainties of one band of one unit.

    Attributes
    ----------
    diffuser, cosine, diffuser_straylight : float [1]
        Of the reflectance of the diffuser, of the angle under which the sun lights it, of straylight while it is seen.
    nonlinearity : float [1]
    straylight_random : float [1]
        From outside the field of view, of the count.
    straylight : float [1]
        Likewise, of the mean count of the scene; not a standard uncertainty but a bias that is not corrected.
    dark : float [LSB]
        Of the dark signal.
    crosstalk : float [W m-2 sr-1 um-1]
        What the correction of the electronic crosstalk leaves.
    assumed : bool
        True where a sister's values stand in.
    """

    diffuser: float
    cosine: float
    diffuser_straylight: float
    nonlinearity: float
    straylight_random: float
    straylight: float
    dark: float
    crosstalk: float
    assumed: bool


class CountErrors(NamedTuple):
    """The errors of one band of one product, of its counts Z.

    A pixel by itself errs with the variance ``w (alpha2 + beta Z) + flat + (shift |grad Z|)^2``, w the sum of the
    squared weights of the interpolation; all pixels of one level err alike by a standard uncertainty of
    ``sqrt(alike_flat + alike_square Z^2)``, and there is a bias of at most ``bias + bias_share Z``.

    Attributes
    ----------
    alpha2, beta : float [LSB^2], [LSB]
        Noise of the equalised counts.
    flat : float [LSB^2]
    quantisation : float [1]
        Variance of a reflectance that was coded.
    shift : float [pixel]
    alike_flat, alike_square : float [LSB^2], [1]
    bias, bias_share : float [LSB], [1]
    """

    alpha2: float
    beta: float
    flat: float
    quantisation: float
    shift: float
    alike_flat: float
    alike_square: float
    bias: float
    bias_share: float


@cache
def _table() -> dict[tuple[str, str], Contributors]:
    text = files("s2dask.instrument").joinpath("data/uncertainty.csv").read_text("utf-8")
    return {
        (row["unit"], row["band"]): Contributors(
            diffuser=float(row["diffuser"]) / 100,
            cosine=float(row["cosine"]) / 100,
            diffuser_straylight=float(row["diffuser_straylight"]) / 100,
            nonlinearity=float(row["nonlinearity"]) / 100,
            straylight_random=float(row["straylight_random"]) / 100,
            straylight=float(row["straylight"]) / 100,
            dark=float(row["dark"]),
            crosstalk=float(row["crosstalk"]),
            assumed=row["assumed"] == "yes",
        )
        for row in csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    }


def contributors(unit: str, band: str) -> Contributors:
    """Return the contributors of a band of a unit; `ConfigurationError` names what exists."""
    band_of(band)
    unit_of(unit)
    return _table()[unit, band]


def count_errors(
    unit: str,
    band: str,
    mean_count: float,
    *,
    refined: bool = False,
    gain: float | None = None,
    noise: tuple[float, float] | None = None,
    crosstalk: bool = False,
    ageing: float = 0.0,
    tool_v1: bool = False,
) -> CountErrors:
    """Put the contributors of a band together.

    Parameters
    ----------
    unit, band : str
    mean_count : float [LSB]
        Mean of Z over the pixels of the product.
    refined : bool
        Whether the geometry was refined on reference images.
    gain : float, optional
        A [LSB per W m-2 sr-1 um-1]; default: that of the unit.
    noise : (float, float), optional
        alpha, beta [LSB] of the metadata or of GIP_R2NOMO; default: those of the unit.
    crosstalk : bool
        With what the correction of the crosstalk leaves, negligible.
    ageing : float [1]
        Of the diffuser, share of the count, negligible; see `V1_DIFFUSER_AGEING`.
    tool_v1 : bool
        As the tool V1.0 has it, which takes the quantisation of a reflectance for that of a count.

    Raises
    ------
    InputError
        A number that cannot be.

    Notes
    -----
    Of the contributors, noise, digitisation, quantisation and location err from pixel to pixel; diffuser, dark signal,
    crosstalk, straylight and nonlinearity are alike for all pixels of a band with the same count, over the whole
    product and beyond. The tool V1.0 adds the squares of all of them and calls the sum random, and only the bias
    systematic; its total is the same.
    """
    c, of_unit = contributors(unit, band), unit_of(unit).bands[band]
    alpha, beta = (of_unit.noise_alpha, of_unit.noise_beta) if noise is None else noise
    a = of_unit.gain if gain is None else gain
    told = {"mean_count": mean_count, "gain": a, "alpha": alpha, "beta": beta, "ageing": ageing}
    for name, value in told.items():
        if not (math.isfinite(value) and (value >= 0 or name == "mean_count")):
            raise InputError(f"{name} {value}", f"uncertainty of {unit} {band}", "give a number not below 0")
    location = REFINED_LOCATION_ERROR if refined else LOCATION_ERROR
    relative = (c.diffuser, c.cosine, c.diffuser_straylight, c.nonlinearity, c.straylight_random)
    return CountErrors(
        alpha2=alpha**2,
        beta=beta,
        flat=DIGITISATION**2 + tool_v1 * QUANTISATION**2,
        quantisation=0.0 if tool_v1 else QUANTISATION**2,
        shift=location / band_of(band).resolution,
        alike_flat=c.dark**2 + crosstalk * (a * c.crosstalk) ** 2,
        alike_square=sum(share**2 for share in relative),
        bias=c.straylight * max(mean_count, 0.0),
        bias_share=ageing,
    )
