"""How well surface reflectance is known: what the inversion makes of the errors of L1C and of the atmosphere.

With t the top-of-atmosphere reflectance and x the linear part of the inversion (`s2dask.l2a.inversion`), surface
reflectance is ``x / (1 + S x)``, and a wrong number of the atmosphere makes an error of ``(q + p t + r t^2) / (1 +
S x)^2``: three numbers for each cause, r = 0 in known surroundings. Independent causes add up to a variance of five
numbers, ``(a0 + a1 t + … + a4 t^4) / (1 + S x)^4``, alike for all pixels near each other: the systematic part. The
random part is the noise of L1C times the slope of the inversion. Both are worked out once per cell, of 300 m or more,
and cost a pixel some multiplications and a square root each.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.errors import InputError
from s2dask.instrument.uncertainty import CountErrors
from s2dask.l2a.atmosphere import absorber_exponents
from s2dask.l2a.inversion import BEND, GAIN, LIFT, LINES, LOG_GAS, PATH, SCATTERED, cell_lines

TABLE_ERROR: Final = 3e-4
"""Of the path reflectance in the tables [1] (two solvers and interpolation between their nodes)."""
MODEL_SHARE: Final = 0.5
"""Of the difference between two models of the aerosol that is one standard deviation [1]."""
FIT: Final = (0.0, 0.3, 0.8)
"""Surface reflectances at which an error is worked out; a parabola between [1]."""
LEAST_STEP: Final = 1e-6
"""To each side of a number, of which differences are taken."""
TINY: Final = 1e-12
"""Factors below are none."""
TRANSFER_TERMS: Final = ("table", "gas", "aerosol_model")
"""Terms of `systematic_terms` that are the fault of the radiative transfer."""

Field = NDArray[np.float64]
Angles = tuple[ArrayLike, ArrayLike, ArrayLike]


class AirState(NamedTuple):
    """What is told of the air, and its standard uncertainty; all broadcast.

    Attributes
    ----------
    aot : (...) float [1]
    water_vapour : (...) float [cm]
        Above the ground.
    ozone : (...) float [DU]
    pressure : (...) float [hPa]
        At the ground.
    """

    aot: ArrayLike
    water_vapour: ArrayLike
    ozone: ArrayLike
    pressure: ArrayLike


USUAL_ERRORS: Final = AirState(aot=0.05, water_vapour=0.2, ozone=10.0, pressure=3.0)
"""Where nothing is told of them."""


class LinesOf(Protocol):
    """What tells the numbers (..., 6) by which pixels are inverted, see `s2dask.l2a.inversion.cell_lines`."""

    def __call__(self, air: AirState, *, path_error: float = 0.0, log_gas_error: ArrayLike = 0.0) -> Field:
        """Return them for an air, with errors of its path reflectance and of the logarithm of its gases."""


def lines_in_surroundings(
    cells: Callable[[AirState], Field], law: tuple[float, float], around: NDArray[np.float32]
) -> LinesOf:
    """Return what tells the numbers of pixels in their surroundings.

    Parameters
    ----------
    cells : callable
        From an air to coefficients, which broadcast to (..., 9), see `s2dask.l2a.inversion`.
    law : (float, float)
        Of the absorption by water vapour, ``a`` and ``n``.
    around : (..., column) float32 [1]
        Top-of-atmosphere reflectance of the surroundings, NaN where unknown.

    Notes
    -----
    The ground sees the whole sky, and there is no cirrus.
    """
    flat = (-1, around.shape[-1])
    near = np.ascontiguousarray(around.reshape(flat))
    sky, veil = np.ones(near.shape, np.float32), np.zeros(near.shape, np.float32)

    def lines(air: AirState, *, path_error: float = 0.0, log_gas_error: ArrayLike = 0.0) -> Field:
        told = cells(air)
        found = np.array(np.broadcast_to(told, (*around.shape, told.shape[-1])), order="C")
        found[..., PATH] += path_error
        found[..., LOG_GAS] += np.asarray(log_gas_error, np.float64)
        vapour = np.array(np.broadcast_to(np.asarray(air.water_vapour, np.float64), around.shape), order="C")
        out = np.empty((*around.shape, LINES))
        each = found.reshape(*near.shape, -1)
        filled = out.reshape(*near.shape, LINES)
        cell_lines(each, vapour.reshape(near.shape), law[0], law[1], near, sky, veil, 0.0, filled)
        return out

    return lines


def _surface(lines: Field, toa: Field) -> Field:
    """Return the reflectance of level ground."""
    x = lines[..., GAIN] * toa - lines[..., LIFT] - lines[..., SCATTERED]
    return np.asarray(x / (1.0 + lines[..., BEND] * x))


def above(lines: Field, rho: float) -> Field:
    """Return the top-of-atmosphere reflectance (...) of level ground by the numbers (..., 6) of `LinesOf`."""
    x = rho / (1.0 - lines[..., BEND] * rho)
    return np.asarray((x + lines[..., LIFT] + lines[..., SCATTERED]) / lines[..., GAIN])


def _bend(lines: Field, toa: Field) -> Field:
    """Return ``(1 + S x)^2``: the slope of x over that of the reflectance."""
    x = lines[..., GAIN] * toa - lines[..., LIFT] - lines[..., SCATTERED]
    return np.asarray((1.0 + lines[..., BEND] * x) ** 2)


def _parabola(lines: Field, error: Callable[[Field], Field]) -> Field:
    """Return q, p, r (..., 3) of the errors at the reflectances of `FIT`, by divided differences."""
    t = [above(lines, rho) for rho in FIT]
    e = [error(toa) * _bend(lines, toa) for toa in t]
    first, second = (e[1] - e[0]) / (t[1] - t[0]), (e[2] - e[1]) / (t[2] - t[1])
    r = (second - first) / (t[2] - t[0])
    p = first - r * (t[0] + t[1])
    return np.stack(np.broadcast_arrays(e[0] - t[0] * (p + r * t[0]), p, r), axis=-1)


def line_term(lines: Field, low: Field, high: Field, share: ArrayLike = 0.5) -> Field:
    """Return what an error of the atmosphere makes of surface reflectance.

    Parameters
    ----------
    lines, low, high : (..., 6) float64
        See `s2dask.l2a.inversion.cell_lines`: as they are, and with a number of the atmosphere a standard uncertainty
        lower and higher.
    share : (...) float [1]
        Of the difference of both that is a standard uncertainty.

    Returns
    -------
    (..., 3) float64
        q, p, r: the error is ``(q + p t + r t^2) / (1 + S x)^2``.
    """
    return _parabola(lines, lambda toa: np.asarray(share) * (_surface(high, toa) - _surface(low, toa)))


def count_terms(lines: Field, errors: CountErrors, scale: ArrayLike) -> dict[str, Field]:
    """Return what L1C errs alike: ``calibration``, with the nonlinearity, ``dark``, ``straylight``; (..., 3) each.

    Parameters
    ----------
    lines : (..., 6) float64
    errors : CountErrors
        Of the L1C product.
    scale : (...) float [1]
        Reflectance of one count under the sun of the cell.
    """
    lit = np.asarray(scale, np.float64)
    steps: dict[str, tuple[float, float | Field]] = {
        "calibration": (float(np.sqrt(errors.alike_square)) + errors.bias_share, 0.0),
        "dark": (0.0, np.sqrt(errors.alike_flat) * lit),
        "straylight": (0.0, errors.bias * lit),
    }

    def error(share: float, flat: float | Field) -> Callable[[Field], Field]:
        return lambda toa: _surface(lines, toa * (1.0 + share) + flat) - _surface(lines, toa)

    return {name: _parabola(lines, error(*step)) for name, step in steps.items()}


def log_gas_error(unit: str, band: str, angles: Angles, air: AirState) -> Field:
    """Return the standard uncertainty (...) of the logarithm of the transmittance of all gases, of their table.

    Notes
    -----
    What is retrieved with a table errs with it: where B09 tells the water vapour, this is no error of B09, see
    `s2dask.l2a.water_vapour.surface_uncertainty`.
    """
    mass = sum(1 / np.cos(np.radians(np.asarray(angle, np.float64))) for angle in angles[:2])
    told = absorber_exponents(unit, band, mass, air.pressure, air.water_vapour, air.ozone)
    return np.sqrt(sum(((absorber.uncertainty * exponent) ** 2 for absorber, exponent in told), np.zeros(())))


def systematic_terms(
    lines_of: LinesOf,
    air: AirState,
    errors: AirState = USUAL_ERRORS,
    gas_error: ArrayLike = 0.0,
    *,
    other_model: LinesOf | None = None,
) -> dict[str, Field]:
    """Return what the atmosphere errs, by cause.

    Parameters
    ----------
    lines_of : LinesOf
        Of (...) cells.
    air, errors : AirState
        All broadcast to (...).
    gas_error : (...) float [1]
        See `log_gas_error`.
    other_model : LinesOf, optional
        With another model of the aerosol.

    Returns
    -------
    dict of str to (..., 3) float64
        q, p, r of ``aot``, ``water_vapour``, ``ozone``, ``pressure``, ``table``, ``gas`` and, with another model,
        ``aerosol_model``.

    Notes
    -----
    Central differences over a standard uncertainty to each side; of an amount near zero, over what is left of it.
    """
    lines, terms = lines_of(air), {}
    for name, sigma in errors._asdict().items():
        deviation, value = np.asarray(sigma, np.float64), np.asarray(getattr(air, name), np.float64)
        if not (np.isfinite(deviation).all() and (deviation >= 0).all()):
            raise InputError("not a standard uncertainty", f"{name} of the atmosphere", "give numbers not below 0")
        step = np.maximum(deviation, LEAST_STEP)
        below, above = np.maximum(value - step, 0.0), value + step
        low, high = (lines_of(air._replace(**{name: changed})) for changed in (below, above))
        terms[name] = line_term(lines, low, high, deviation / (above - below))
    terms["table"] = line_term(lines, lines, lines_of(air, path_error=TABLE_ERROR), 1.0)
    terms["gas"] = line_term(lines, lines, lines_of(air, log_gas_error=gas_error), 1.0)
    if other_model is not None:
        terms["aerosol_model"] = line_term(lines, lines, other_model(air), MODEL_SHARE)
    return terms


def error_factors(terms: Mapping[str, Field]) -> Field:
    """Return the sum of independent terms as three terms (..., 6) that make the same variance.

    Returns
    -------
    (..., 6) float64
        The triangular factor (Cholesky) of the matrix of the sums of q, p, r times q, p, r: its first column, the rest
        of its second, its last number. It lies between nodes as the terms do, and its variance is never below zero.
    """
    q, p, r = (np.stack(np.broadcast_arrays(*(term[..., k] for term in terms.values()))) for k in range(3))
    qq, qp, qr, pp, pr, rr = ((x * y).sum(axis=0) for x, y in ((q, q), (q, p), (q, r), (p, p), (p, r), (r, r)))
    a = np.sqrt(qq)
    b, c = qp / np.maximum(a, TINY), qr / np.maximum(a, TINY)
    d = np.sqrt(np.maximum(pp - b * b, 0.0))
    e = (pr - b * c) / np.maximum(d, TINY)
    return np.stack([a, b, c, d, e, np.sqrt(np.maximum(rr - c * c - e * e, 0.0))], axis=-1)


def variance_numbers(factors: Field) -> Field:
    """Return ``a0 … a4`` (..., 5) of the variance of independent terms, from their factors (..., 6)."""
    a, b, c, d, e, f = (factors[..., k] for k in range(6))
    return np.stack([a * a, 2 * a * b, b * b + 2 * a * c + d * d, 2 * (b * c + d * e), c * c + e * e + f * f], axis=-1)


def relative_error(terms: Mapping[str, Field], lines: Field, reflectance: float) -> Field:
    """Return the standard uncertainty (...) that terms make at a surface reflectance, in percent of it."""
    toa = above(lines, reflectance)
    variance: Field = np.zeros(())
    for term in terms.values():
        variance = variance + ((term[..., 2] * toa + term[..., 1]) * toa + term[..., 0]) ** 2
    return np.asarray(100.0 * np.sqrt(variance) / (_bend(lines, toa) * reflectance))


def percentage(sigma: ArrayLike, value: ArrayLike) -> float:
    """Return the uncertainty of a field in percent of its mean, as the metadata of a product states it: 0 to 100.

    Parameters
    ----------
    sigma : (...) float
        Standard uncertainties.
    value : (...) float
        Of the same unit.
    """
    mean = max(float(np.asarray(value, np.float64).mean()), 1e-3)
    return round(min(100.0 * float(np.sqrt(np.mean(np.square(np.asarray(sigma, np.float64))))) / mean, 100.0), 3)
