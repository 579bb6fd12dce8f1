"""The table of gaseous absorption: constants that simulator and processors share."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Absorption:
    """One absorber in one band: ``T = exp(a (m u)^n)``, for well-mixed gases ``u = (pressure / 1013.25 hPa)^p``."""

    gas: str
    a: float
    n: float
    p: float


@cache
def absorptions(unit: str, band: str) -> tuple[Absorption, ...]:
    """Return the absorbers of a band: ``h2o`` (u in g cm-2), ``o3`` (cm atm), ``o2``, ``co2``, ``ch4``."""
    text = files("s2dask.instrument").joinpath("data/gas.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        Absorption(row["gas"], float(row["a"]), float(row["n"]), float(row["p"]))
        for row in rows
        if row["unit"] == unit and row["band"] == band
    )
