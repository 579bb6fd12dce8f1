"""How well the counts of a tile are known: what its datastrip and its attributes tell of them."""

import math
from collections.abc import Mapping
from typing import Any, Final

import zarr

from s2dask.instrument.uncertainty import CountErrors, count_errors
from s2dask.io.storage import zarr_store
from s2dask.l1c.reflectance import COUNTS_OFFSET, reflectance_scale

MEAN_REFLECTANCE: Final = 0.2
"""Of a datastrip that does not tell its mean counts; straylight follows them [1]."""


def _mean_count(record: Mapping[str, float], name: str) -> float | None:
    """Return the mean count of a band over a datastrip, without the offset of its coding [LSB]."""
    ends = f".{name.lower()}.sum", f".{name.lower()}.count"
    total, pixels = (math.fsum(v for k, v in record.items() if k.endswith(end)) for end in ends)
    return total / pixels - COUNTS_OFFSET if pixels else None


def tile_errors(l1b: str, attrs: Mapping[str, Any]) -> dict[str, CountErrors]:
    """Return the errors of the counts of every band of a tile.

    Parameters
    ----------
    l1b : str
        L1B store, whole.
    attrs : mapping
        Of the tile.

    Notes
    -----
    What straylight from outside the field of view leaves follows the mean of the whole datastrip: it comes from around
    the tile, and no block of the tile knows the tile's own mean.
    """
    told: Any = zarr.open_group(zarr_store(l1b, read_only=True), mode="r").attrs["s2dask"]
    refined = bool(((told.get("radiometry") or {}).get("refining") or {}).get("refined"))
    sun, out = math.cos(math.radians(float(attrs["solar_zenith"]))), {}
    for name in attrs["bands"]:
        gain = float(attrs["physical_gains"][name])
        scale = reflectance_scale(gain, attrs["solar_irradiance"][name], attrs["reflectance_conversion"])
        mean = _mean_count(told.get("record") or {}, name)
        usual = MEAN_REFLECTANCE * max(sun, 0.0) / scale
        out[name] = count_errors(
            attrs["unit"], name, usual if mean is None else mean, refined=refined, gain=gain
        )
    return out
