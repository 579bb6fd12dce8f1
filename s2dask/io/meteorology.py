"""The forecasts that travel with a tile: what each GRIB file says over it, and the file itself.

Groups and names are those of ESA's EOPF products (``conditions/meteorology/ecmwf/tcwv`` …); the file is there as bytes,
so that a SAFE gets back what it had.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import zarr

from s2dask.io.storage import zarr_store
from s2dask.io.variables import Schema, VariableSpec, spec

METEOROLOGY: Final = "conditions/meteorology"
FILES: Final = {"ecmwf": "AUX_ECMWFT", "cams": "AUX_CAMSFO"}
"""Group of each forecast and its name in the AUX_DATA of a SAFE."""
_DEPTH: Final = "Aerosol Optical Depth at"
PARAMETERS: Final[Mapping[int, tuple[str, str, str]]] = {
    129: ("z", "Geopotential", "m**2 s**-2"),
    137: ("tcwv", "Total column vertically-integrated water vapour", "kg m**-2"),
    151: ("msl", "Mean sea level pressure", "Pa"),
    157: ("r", "Relative humidity", "%"),
    165: ("u10", "10 metre U wind component", "m s**-1"),
    166: ("v10", "10 metre V wind component", "m s**-1"),
    206: ("tco3", "Total column ozone", "kg m**-2"),
    210207: ("aod550", f"Total {_DEPTH} 550nm", "~"),
    210208: ("ssaod550", f"Sea Salt {_DEPTH} 550nm", "~"),
    210209: ("duaod550", f"Dust {_DEPTH} 550nm", "~"),
    210210: ("omaod550", f"Organic Matter {_DEPTH} 550nm", "~"),
    210211: ("bcaod550", f"Black Carbon {_DEPTH} 550nm", "~"),
    210212: ("suaod550", f"Sulphate {_DEPTH} 550nm", "~"),
    210213: ("aod469", f"Total {_DEPTH} 469nm", "~"),
    210214: ("aod670", f"Total {_DEPTH} 670nm", "~"),
    210215: ("aod865", f"Total {_DEPTH} 865nm", "~"),
    210216: ("aod1240", f"Total {_DEPTH} 1240nm", "~"),
}
"""Name, long name and unit by ECMWF's number."""
LEVELS: Final = {1: "surface", 100: "isobaricInhPa", 102: "meanSea"}
"""Types of level (code table 3 of GRIB edition 1)."""


def forecast_path(kind: str) -> str:
    """Return the path of a forecast file in a store: ``conditions/meteorology/ecmwf/grib``."""
    return f"{METEOROLOGY}/{kind}/grib"


def field_path(kind: str, number: int) -> str:
    """Return the path of a field; one that ESA's products do not have goes by its number."""
    return f"{METEOROLOGY}/{kind}/{PARAMETERS[number][0] if number in PARAMETERS else f'p{number}'}"


def field_spec(number: int, level: tuple[int, int], shape: tuple[int, ...], valid: str) -> VariableSpec:
    """Return the variable of a field.

    Parameters
    ----------
    number : int
        ECMWF's.
    level : (int, int)
        Type and value.
    shape : (int, int)
    valid : str
        When it holds, ISO.
    """
    short, long_name, units = PARAMETERS.get(number, (f"p{number}", f"ECMWF parameter {number}", "1"))
    kind = LEVELS.get(level[0], str(level[0]))
    attrs: dict[str, Any] = {"short_name": short, "GRIB_paramId": number, "GRIB_typeOfLevel": kind, "valid_time": valid}
    if kind == "isobaricInhPa":
        attrs["GRIB_level"] = level[1]
    return spec("latitude longitude", shape, "float32", long_name, units, fill_value=float("nan"), **attrs)


def place_specs(kind: str, rows: int, columns: int) -> Schema:
    """Return the coordinates of the fields of a forecast."""
    where = f"{METEOROLOGY}/{kind}"
    return {
        f"{where}/latitude": spec("latitude", (rows,), "float64", "latitude", "degrees_north"),
        f"{where}/longitude": spec("longitude", (columns,), "float64", "longitude", "degrees_east"),
    }


def file_spec(kind: str, size: int) -> VariableSpec:
    """Return the variable of a forecast file of so many bytes."""
    return spec("byte", (size,), "uint8", f"{FILES[kind]}, GRIB edition 1")


def read_forecast(url: str, kind: str) -> bytes | None:
    """Return the forecast file that a store holds, if it does."""
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r", use_consolidated=False)
    array = group.get(forecast_path(kind))
    return np.asarray(array[...], np.uint8).tobytes() if isinstance(array, zarr.Array) else None
