"""Reading of L2A SAFE products, folders and zips: every layer lazily, reflectance and atmosphere decoded to float."""

import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import xarray as xr

from s2dask.errors import InputError
from s2dask.io import safe_masks
from s2dask.io.safe import SafeTile, assemble, lazy_variable, mask_variables
from s2dask.io.safe_archive import SafeArchive
from s2dask.io.schema_tile import L2A_BANDS, SCL_MEANINGS, reflectance_path

ATMOSPHERE = {"AOT": "aerosol optical thickness at 550 nm", "WVP": "water vapour column [cm]"}
"""Atmospheric layers; counts are thousandths (AOT_ and WVP_QUANTIFICATION_VALUE of every baseline)."""
PROBABILITIES = {"cld": "CLDPRB", "snw": "SNWPRB"}
"""Probabilities at 20 m by the name of their mask file."""
_THOUSANDTH = np.float32(1000.0)


def classes_path(resolution: int) -> str:
    """Return the path of the scene classification at a resolution."""
    return f"conditions/mask/l2a_classification/r{resolution}m/scl"


def atmosphere_path(resolution: int, content: str) -> str:
    """Return the path of an atmospheric layer: AOT or WVP."""
    return f"quality/atmosphere/r{resolution}m/{content.lower()}"


def is_l2a(path: str | Path) -> bool:
    """Tell whether a SAFE is of Level 2A."""
    return "MTD_MSIL2A.xml" in SafeArchive.open(path).names


class SafeSurface(SafeTile):
    """An L2A SAFE; layers are named by content and resolution: ``B02_20m``, ``AOT_10m``, ``SCL_60m``."""

    level: ClassVar[str] = "L2A"

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the images that are there."""
        return tuple(f"{content}_{resolution}m" for content, resolution in self._metadata.layers)

    @property
    def has_masks(self) -> bool:
        """Tell whether the masks of the L1C came with the product."""
        return any("MSK_CLASSI" in name for name in self._metadata.masks)

    @property
    def probabilities(self) -> tuple[str, ...]:
        """Names of the probabilities at 20 m that are there."""
        return tuple(short for short, kind in PROBABILITIES.items() if self._probability(kind))

    def _probability(self, kind: str) -> str | None:
        found = self._archive.matching([f"GRANULE/*/QI_DATA/*MSK_{kind}_20m.jp2"])
        return found[0] if found else None

    def layer(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return the counts of a window of an image, (y, x) uint16 or uint8 [1]."""
        found = re.fullmatch(r"([A-Z0-9]{3})_(\d\d)m", name)
        key = (found[1], int(found[2])) if found else None
        if key not in self._metadata.layers:
            raise InputError(f"has no image {name}", self.path, f"it has {', '.join(self.layers)}")
        window = self._window(key[1], rows, columns)
        path = self._metadata.layers[key]
        return np.asarray(safe_masks.read_window(self._archive, path, self.grid.shape(key[1]), *window)[0])

    def surface(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return the surface reflectance of a window, (y, x) float32 [1], NaN where there is no data."""
        counts = self.layer(name, rows, columns)
        offset = np.float32(self.attrs["boa_add_offsets"][name[:3]])
        scale = np.float32(self.attrs["quantification"])
        return np.where(counts == 0, np.float32(np.nan), (counts.astype(np.float32) + offset) / scale)

    def atmosphere(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return AOT [1] or water vapour [cm] of a window, (y, x) float32."""
        return np.asarray(self.layer(name, rows, columns).astype(np.float32) / _THOUSANDTH)

    def probability(self, name: str, rows: slice, columns: slice) -> np.ndarray:
        """Return the cloud (``cld``) or snow (``snw``) probability of a window at 20 m, (y, x) uint8 [%]."""
        path = self._probability(PROBABILITIES[name])
        if path is None:
            raise InputError(f"has no MSK_{PROBABILITIES[name]}_20m", self.path, "fetch the product again")
        window = self._window(20, rows, columns)
        return np.asarray(safe_masks.read_window(self._archive, path, self.grid.shape(20), *window)[0])


def open_safe_l2a(path: str | Path) -> xr.DataTree:
    """Open an L2A SAFE lazily, in the layout of our own L2A stores, reflectance and atmosphere decoded to float.

    Parameters
    ----------
    path : str or Path
        ``.SAFE`` folder, or a zip that holds one.

    Returns
    -------
    xarray.DataTree
        ``measurements/reflectance/r20m/b05`` (y, x) float32 [1], NaN where there is no data; aerosol, water vapour,
        scene classes, probabilities, angles, and the masks of the L1C where they came with the product.
    """
    tile = SafeSurface(path)
    there = set(tile.layers)
    out: dict[str, xr.DataArray] = {}
    for r, names in L2A_BANDS.items():
        for name in names:
            if (layer := f"{name}_{r}m") in there:
                text = f"BOA reflectance from MSI acquisition at spectral band {name.lower()}"
                out[reflectance_path(r, name)] = lazy_variable(
                    tile, "surface", layer, r, "float32", long_name=text, units="1"
                )
        for content, text in ATMOSPHERE.items():
            if (layer := f"{content}_{r}m") in there:
                out[atmosphere_path(r, content)] = lazy_variable(
                    tile, "atmosphere", layer, r, "float32", long_name=text, units="1"
                )
        if (layer := f"SCL_{r}m") in there:
            out[classes_path(r)] = lazy_variable(
                tile,
                "layer",
                layer,
                r,
                "uint8",
                long_name="scene classification",
                units="1",
                flag_values=list(range(12)),
                flag_meanings=SCL_MEANINGS,
            )
    for short in tile.probabilities:
        out[f"quality/probability/r20m/{short}"] = lazy_variable(
            tile, "probability", short, 20, "uint8", long_name=f"{PROBABILITIES[short]}, probability [%]", units="1"
        )
    return assemble(tile, out | (mask_variables(tile) if tile.has_masks else {}))
