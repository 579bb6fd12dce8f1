"""How far the atmosphere that an image tells lies from its forecast, and how much of it the image did not tell."""

from typing import Final

import numpy as np

from s2dask.l2a.aerosol_field import FORECAST_SIGMA, aot_at
from s2dask.l2a.tile_atmosphere import FORECAST_ERROR, AtmosphereState

SEEN: Final = ("DDV", "DDV+CAMS")
"""Methods by which the image has a say in its aerosol."""


def _apart(found: float, forecast: float, sigma: float, floor: float, share: float, name: str) -> dict[str, float]:
    """Return a difference, and the difference in its standard uncertainties."""
    apart = found - forecast
    return {name: apart, f"{name}_pull": apart / float(np.hypot(sigma, floor + share * abs(forecast)))}


def atmosphere_indicators(state: AtmosphereState, forecast: bool) -> dict[str, float]:
    """Return what is known of the atmosphere of a tile beside its forecast.

    Parameters
    ----------
    state : AtmosphereState
    forecast : bool
        There is a forecast of the water vapour, and not a standard atmosphere alone.

    Returns
    -------
    dict
        ``aot_interpolated_percentage``: boxes without dark vegetation of their own [%]; and, where image and forecast
        both tell, ``aot_minus_cams`` [1], ``wv_minus_ecmwf`` [cm] and each in its standard uncertainties,
        ``…_pull`` [1].

    Notes
    -----
    Means over the tile: of the aerosol at the height that the forecast is for, of the water vapour above sea level. The
    uncertainty is that of the retrieval and that of the forecast, as if they were independent: where the forecast has a
    say in the retrieval, the difference is smaller than they tell.
    """
    aerosol, vapour, nodes = state.aerosol, state.vapour, state.nodes
    seen = aerosol.method in SEEN
    out = {"aot_interpolated_percentage": 100.0 * (1.0 - (aerosol.boxes / aerosol.aot.size if seen else 0.0))}
    if seen and nodes.aot is not None:
        heights = aerosol.reference if nodes.aot_height is None else nodes.aot_height
        found = float(aot_at(aerosol.aot, heights, aerosol.reference, aerosol.decay).mean())
        sigma = float(np.sqrt((aerosol.sigma**2).mean()))
        out |= _apart(found, float(nodes.aot.mean()), sigma, *FORECAST_SIGMA, "aot_minus_cams")
    if vapour.retrieved and forecast:
        expected = float(state.conditions.water_vapour.mean())
        out |= _apart(vapour.mean, expected, vapour.sigma, *FORECAST_ERROR, "wv_minus_ecmwf")
    return out
