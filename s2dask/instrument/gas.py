"""The table of gaseous absorption: constants that simulator and processors share."""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isfinite
from pathlib import Path

from s2dask.errors import InputError, InputMissing


@dataclass(frozen=True, slots=True)
class Absorption:
    """One absorber in one band: ``T = exp(a (m u)^n)``, for well-mixed gases ``u = (pressure / 1013.25 hPa)^p``.

    `uncertainty` is that of ``ln T``, relative, one standard deviation.
    """

    gas: str
    a: float
    n: float
    p: float
    uncertainty: float


@cache
def _table(path: str | None) -> tuple[dict[str, str], ...]:
    place = files("s2dask.instrument").joinpath("data/gas.csv") if path is None else Path(path)
    if path is not None and not place.is_file():
        raise InputMissing("no table of gaseous absorption", path, "give a file in the form of instrument/data/gas.csv")
    lines = place.read_text("utf-8").splitlines()
    return tuple(csv.DictReader(line for line in lines if not line.startswith("#")))


@cache
def absorptions(unit: str, band: str, path: str | None = None) -> tuple[Absorption, ...]:
    """Return the absorbers of a band: ``h2o`` (u in g cm-2), ``o3`` (cm atm), ``o2``, ``co2``, ``ch4``.

    Parameters
    ----------
    unit, band : str
    path : str, optional
        Another table, of the same columns: ``unit,band,gas,a,n,p,u``.

    Raises
    ------
    InputMissing
        No such file, or no line of the unit in it.
    InputError
        A line of the unit is damaged.
    """
    rows = [row for row in _table(path) if row.get("unit") == unit]
    where = path or "gas.csv"
    if not rows:
        raise InputMissing(f"no gaseous absorption of {unit}", where, "its columns are unit,band,gas,a,n,p,u")
    try:
        found = [
            Absorption(row["gas"], float(row["a"]), float(row["n"]), float(row["p"]), float(row["u"]))
            for row in rows
            if row["band"] == band
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"not a table of gaseous absorption ({error!r})", where, "correct it") from error
    if not all(isfinite(a.a) and a.a <= 0 and a.n > 0 and isfinite(a.p) and a.uncertainty >= 0 for a in found):
        raise InputError(f"{unit} {band}: a must not exceed 0, n must be above 0, u not below 0", where, "correct it")
    return tuple(found)
