"""Kinds of defects of forecasts and rules of Level-2A, and of what it is made of."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from defects_model import Bench, Verdict, again, change, judged, stored
from defects_tile import in_aux

from s2dask.auxdata.meteo import write_meteo
from s2dask.auxdata.time import gps_to_utc
from s2dask.instrument import BANDS
from s2dask.io.schema import reflectance_path
from s2dask.production.strip import strip_facts
from s2dask.simulate.auxiliary import FORECAST_STEP, write_forecasts
from s2dask.simulate.options import SimulationOptions

Run = Callable[[Bench, Path], Verdict]


def _told(bench: Bench) -> tuple[SimulationOptions, tuple[float, float], Any]:
    attrs: Any = zarr.open_group(f"{bench.session}/truth.zarr", mode="r").attrs
    options = {key: tuple(v) if isinstance(v, list) else v for key, v in attrs["options"].items()}
    date = gps_to_utc(int(strip_facts(bench.l0).attrs["sensing_start_gps"]))
    return SimulationOptions(**options), tuple(attrs["centre"]), date


def forecast(**factors: float) -> Run:
    """Return what forecasts that are off by factors make of a tile."""

    def run(bench: Bench, folder: Path) -> Verdict:
        aux, (options, centre, date) = bench.copy_aux(folder), _told(bench)
        wrong = {name: min(factor * getattr(options, name), 6.9) for name, factor in factors.items()}
        if "aot" in wrong:
            wrong["aot"] = min(wrong["aot"], 1.0)
        write_forecasts(aux / "meteo", centre, replace(options, **wrong), date)  # type: ignore[arg-type]
        return judged(lambda: again(bench, folder, "L1C", "L2A", aux=aux))

    return run


def ozone(column: float) -> Run:
    """Return what a forecast of an ozone column [DU] makes of a tile."""

    def run(bench: Bench, folder: Path) -> Verdict:
        aux, (options, centre, date) = bench.copy_aux(folder), _told(bench)
        write_meteo(
            aux / "meteo" / "AUX_ECMWFT", centre[0] - 1.0, centre[1] + 1.0, FORECAST_STEP, (17, 17),
            options.water_vapour, options.pressure, column, date,
        )  # fmt: skip
        return judged(lambda: again(bench, folder, "L1C", "L2A", aux=aux))

    return run


def cut_forecast(bench: Bench, folder: Path) -> Verdict:
    """Cut the file of the weather short."""
    aux = bench.copy_aux(folder)
    path = aux / "meteo" / "AUX_ECMWFT"
    path.write_bytes(path.read_bytes()[:300])
    return judged(lambda: again(bench, folder, "L1C", "L2A", aux=aux))


def rules(text: str) -> Run:
    """Return what other thresholds of the classes make of a tile."""

    def edit(aux: Path) -> None:
        (aux / "scene").mkdir()
        (aux / "scene" / "thresholds.toml").write_text(f"version = 1\n{text}", "utf-8")

    return in_aux(edit, "L2A", "L2A")


ALL_CLEAR = rules("[brightness]\nlow = 2.0\nhigh = 3.0\n[thin_cloud]\nlow = 2.0\nhigh = 3.0\n")
ALL_CLOUD = rules(
    "[brightness]\nlow = -2.0\nhigh = -1.0\n[cloud_ndsi]\nlow = -3.0\nhigh = -2.0\n"
    "[cloud_blue]\nlow = -2.0\nhigh = -1.0\nred_low = -2.0\nred_high = -1.0\n"
    "[thin_cloud]\nlow = -2.0\nhigh = -1.0\nnear_low = -2.0\nnear_high = -1.0\nrock_low = -2.0\nrock_high = -1.0\n"
)
ALL_VEGETATION = rules("[vegetation]\nlow = -2.0\nhigh = -1.0\nblue = 1.0\n")

ALL_SNOW = rules(
    "[snow_ndsi]\nlow = -3.0\nhigh = -2.0\n[snow_near]\nlow = -2.0\nhigh = -1.0\n"
    "[snow_blue]\nlow = -2.0\nhigh = -1.0\n[snow_ratio]\nlow = -2.0\nhigh = -1.0\n"
    "[snow_swir]\nlow = 2.0\nhigh = 3.0\nsure = 4.0\n[brightness]\nlow = -2.0\nhigh = -1.0\n"
)


def in_l1c(amount: dict[str, float], factor: float = 1.0) -> Run:
    """Return what a change of the reflectance of bands of the L1C store makes of the surface."""

    def run(bench: Bench, folder: Path) -> Verdict:
        l1c = bench.copy_of(bench.l1c, folder)
        for name, more in amount.items():
            path = reflectance_path(BANDS[name].resolution, name)
            counts = stored(l1c, path)
            new = np.clip(np.rint(factor * (counts.astype(float) - 1000) + 1000 + 1e4 * more), 1, 65534)
            change(l1c, path, np.where(counts > 0, new, 0).astype(np.uint16))
        return judged(lambda: again(bench, folder, "L2A", "L2A", l1c=l1c))

    return run


DARKENED = in_l1c(dict.fromkeys(("B01", "B02", "B03", "B04"), -0.08))
OFFSET_TWICE = in_l1c(dict.fromkeys(BANDS, -0.1))
