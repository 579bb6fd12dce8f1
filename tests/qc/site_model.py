"""Series of sites: reflectance of desert tiles over years, as a unit with a drifting gain sees them.

Noise model: each site has its own reflectance and a season of up to 6 %; a visit every ten days has an error that all
bands share (air, illumination: ``shared``) and one of each band (``own``). Single tiles then scatter by 1 to 2 %, what
published desert statistics have; ratios of bands by less. Some visits are spoilt (cloud, sand) by tens of per cent.
"""

from datetime import datetime, timedelta

import numpy as np

from s2dask.qc.indicators import Product
from s2dask.qc.trend import Key, Series

START = datetime(2024, 1, 1, 10, 30)
REVISIT = 10
SPOILT = 0.03


def sites(
    tiles_a_day: int, gain: np.ndarray, shared: float, own: float, seed: int, bands: tuple[str, ...] = ("B04",)
) -> list[Series]:
    """Return the series of the sites of a unit, of each band one; the first band has the drifting gain.

    Parameters
    ----------
    tiles_a_day : int
    gain : (day) float64
    shared, own : float
        Errors of a visit, relative.
    seed : int
    bands : tuple of str
    """
    rng = np.random.default_rng(seed)
    out = []
    for i in range(tiles_a_day * REVISIT):
        days = np.arange(i % REVISIT, len(gain), REVISIT)
        name = f"{i:05d}"
        told = tuple(
            Product(
                f"S2A {name} {day}", "L1C", "S2A", f"{(START + timedelta(days=int(day))).isoformat()}.000Z", tile=name
            )
            for day in days
        )
        season = rng.uniform(0, 0.06) * np.cos(2 * np.pi * days / 365.25 + rng.uniform(0, 2 * np.pi))
        spoilt = np.where(rng.random(len(days)) < SPOILT, rng.uniform(-0.3, 0.5, len(days)), 0.0)
        common = (1 + season) * (1 + shared * rng.standard_normal(len(days)) + spoilt)
        for k, band in enumerate(bands):
            colour = 1.0 + rng.uniform(-0.01, 0.01) * np.cos(2 * np.pi * days / 365.25 + rng.uniform(0, 2 * np.pi))
            values = rng.uniform(0.25, 0.5) * common * colour * (1 + own * rng.standard_normal(len(days)))
            out.append(Series(Key("mean", "L1C", "S2A", band, tile=name), told, values * (gain[days] if k == 0 else 1)))
    return out
