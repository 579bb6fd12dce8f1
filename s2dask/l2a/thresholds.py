"""Thresholds of the scene classification: a data file with a line for each, which a user's file replaces."""

import math
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from s2dask.errors import ConfigurationError

VERSION = 1
"""Of the form of the file."""


class Thresholds(NamedTuple):
    """The numbers of ``s2dask/data/l2a_thresholds.toml``, each named after its table and its key; float32."""

    brightness_low: float
    brightness_high: float
    dark_red: float
    dark_near_low: float
    dark_near_high: float
    dark_ndvi: float
    cloud_ndsi_low: float
    cloud_ndsi_high: float
    cloud_blue_low: float
    cloud_blue_high: float
    cloud_blue_red_low: float
    cloud_blue_red_high: float
    thin_cloud_low: float
    thin_cloud_high: float
    thin_cloud_near_low: float
    thin_cloud_near_high: float
    thin_cloud_rock_low: float
    thin_cloud_rock_high: float
    snow_ndsi_low: float
    snow_ndsi_high: float
    snow_near_low: float
    snow_near_high: float
    snow_blue_low: float
    snow_blue_high: float
    snow_ratio_low: float
    snow_ratio_high: float
    snow_swir_low: float
    snow_swir_high: float
    snow_swir_sure: float
    vegetation_low: float
    vegetation_high: float
    vegetation_blue: float
    senescent_low: float
    senescent_high: float
    soil_low: float
    soil_high: float
    soil_slope: float
    soil_offset: float
    soil_limit_low: float
    soil_limit_high: float
    water_low: float
    water_high: float
    water_slope: float
    water_offset: float
    water_limit_low: float
    water_limit_high: float
    water_blue_red: float
    water_near: float
    clear_water_contrast: float
    clear_water_near: float
    clear_water_swir: float
    turbid_water_red: float
    turbid_water_ndvi: float
    turbid_water_near: float
    turbid_water_swir: float
    turbid_water_ndsi: float
    wet_ndsi: float
    wet_far: float
    wet_ndvi: float
    wet_blue: float
    wet_near: float
    wet_swir: float
    rock_low: float
    rock_high: float
    cloud_low: float
    cloud_medium: float
    cloud_high: float
    cirrus_thin: float
    cirrus_thick: float
    cirrus_blue: float
    parallax_limit: float
    shade_near: float
    options_parallax: float
    options_majority: float


def _refuse(where: str, what: str) -> ConfigurationError:
    return ConfigurationError(what, where, "see s2dask/data/l2a_thresholds.toml, which has every name and its meaning")


def _flat(content: dict[str, Any], where: str) -> tuple[dict[str, float], str]:
    """Return ``table_key`` and its number for all of a file, and the mask that it names; refuse what is neither."""
    if content.pop("version", None) != VERSION:
        raise _refuse(where, f"thresholds of another version than {VERSION}")
    mask = content.pop("cloud_mask", "")
    if not isinstance(mask, str):
        raise _refuse(f"{where}, cloud_mask", f"{mask!r} is no name")
    out = {}
    for table, keys in content.items():
        for key, value in (keys if isinstance(keys, dict) else {"": keys}).items():
            name = f"{table}_{key}"
            if name not in Thresholds._fields:
                raise _refuse(f"{where}, [{table}]", f"no threshold {key or table}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise _refuse(f"{where}, [{table}] {key}", f"{value!r} is no number")
            out[name] = float(value)
    return out, mask


def _read(text: str, where: str) -> tuple[dict[str, float], str]:
    try:
        return _flat(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise _refuse(where, f"no TOML: {error}") from None


@cache
def default_thresholds() -> Thresholds:
    """Return the thresholds that come with the package."""
    name = "data/l2a_thresholds.toml"
    return _checked(_read(files("s2dask").joinpath(name).read_text("utf-8"), name)[0], name)


def read_thresholds(path: str | Path) -> tuple[Thresholds, str]:
    """Return the thresholds of a user's file, default where it names none, and the outside cloud mask or ``""``."""
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _refuse(str(path), f"unreadable thresholds: {error}") from None
    values, mask = _read(text, str(path))
    return _checked(default_thresholds()._asdict() | values, str(path)), mask


def _checked(values: dict[str, float], where: str) -> Thresholds:
    """Return thresholds of which each `low` lies below its `high`."""
    missing = [name for name in Thresholds._fields if name not in values]
    if missing:
        raise _refuse(where, f"no threshold {', '.join(missing)}")
    for name, low in values.items():
        high = values.get(f"{name.removesuffix('low')}high") if name.endswith("low") else None
        if high is not None and not float(low) < float(high):
            raise _refuse(where, f"{name} = {low:g} is not below {high:g}")
    return Thresholds._make(np.float32(values[name]) for name in Thresholds._fields)
