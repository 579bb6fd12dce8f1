"""A production of months: attributes of tiles as the processors write them, with the noise of a real gain.

The gain of a band, as real products state it (`physical_gains_history.csv` of the reference data), moves about the line
between its neighbours in time by 0.036 % rms over the bands (S2A, 2020-08 between 2019-02 and 2021-09): NOISE.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from s2dask.qc.indicators import indicators_of, product_of
from s2dask.qc.store import append

NOISE = 4e-4
GAINS = {"B02": 3.75, "B04": 4.50, "B8A": 5.11, "B11": 35.1}
START = datetime(2026, 7, 1, 10, 30)


def drift(clean: int, ramp: int, size: float) -> np.ndarray:
    """Return (clean + ramp) float64 the factor of a gain that stays, then drifts by a size over ``ramp`` products."""
    return 1.0 + size * np.concatenate([np.zeros(clean), np.arange(1, ramp + 1) / ramp])


def facts(i: int, unit: str, gains: dict[str, float], rng: np.random.Generator, level: str = "L1C") -> dict[str, Any]:
    """Return the ``s2dask`` attributes of tile number i of a unit, one a day."""
    time = START + timedelta(days=i, hours=int(unit[-1] == "B"))
    stamp = f"{time:%Y%m%dT%H%M%S}"
    mean, n, zenith = 0.2 + 0.02 * rng.standard_normal(), 1.0e6, 40.0 + 5.0 * np.sin(i / 40.0)
    data_loss = 7.0 if i % 37 == 36 else 0.0
    out: dict[str, Any] = {
        "level": level,
        "unit": unit,
        "tile_id": "31TCJ",
        "sensing_time": f"{time.isoformat()}.024Z",
        "baseline": "05.11" if i < 60 else "05.12",
        "gipp_set": "1f" * 32 if i < 60 else "2e" * 32,
        "datatake_id": f"GS{unit[1:]}_{stamp}_{26904 + i:06d}_N05.11",
        "name": f"{unit}_MSI{level}_{stamp}_N0511_R008_T31TCJ_{stamp}",
        "generation_time": f"{(time + timedelta(hours=2)).isoformat()}.000Z",
        "solar_zenith": zenith,
        "quantification": 10000,
        "checks": [
            {"id": "Data_Loss", "checklist": "GENERAL_QUALITY", "severity": "informative", "value": data_loss}
            | {"level": level, "message": "", "status": "FAILED" if data_loss > 5.0 else "PASSED"}
        ],
    }
    if level == "L1C":
        sums = {"pixels": n, "valid": n, "sum": mean * n, "square_sum": (mean**2 + 0.01) * n, "saturated": 20.0}
        out["physical_gains"] = gains
        out["record"] = {f"{band.lower()}.{key}": value for band in gains for key, value in sums.items()}
        out["record"] |= {"data_loss_percentage": data_loss, "nodata_percentage": 0.0}
    else:
        counts = 10000 * mean + 1000
        sums = {"pixels": n, "valid": n, "sum": counts * n, "value_min": 850.0, "value_max": 9000.0}
        out["boa_add_offset"] = -1000
        out["record"] = {f"r20m.{band.lower()}.{key}": value for band in gains for key, value in sums.items()}
        out["record"] |= {"aot_mean": 0.12 + 0.03 * rng.random(), "water_vapour_mean": 2.0 + 0.4 * rng.random()}
        out["record"] |= {"cloud_percentage": 30.0 * rng.random(), "water_percentage": 3.0}
    return out


def production(
    days: int, units: Sequence[str] = ("S2A", "S2B"), drifting: str = "", seed: int = 0, level: str = "L1C"
) -> Iterator[dict[str, Any]]:
    """Yield the attributes of a production; the gains of the drifting unit rise by 1 % over its last 30 products."""
    rng = np.random.default_rng(seed)
    for unit in units:
        factor = drift(max(days - 30, 0), min(days, 30), 0.01) if unit == drifting else np.ones(days)
        for i in range(days):
            gains = {band: a * factor[i] * (1.0 + NOISE * rng.standard_normal()) for band, a in GAINS.items()}
            yield facts(i, unit, gains, rng, level)


def fill(store: str, told: Iterator[dict[str, Any]]) -> int:
    """Append products to a store and return their number."""
    count = 0
    for count, attributes in enumerate(told, 1):  # noqa: B007  # their number is what is asked for
        append(store, product_of(attributes, attributes["name"]), indicators_of(attributes))
    return count
