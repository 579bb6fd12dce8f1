"""A datastrip opened for exploration: any level of any window, lazily, from the functions that production runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError
from s2dask.instrument import band
from s2dask.production.footprint import Window, tile_grid, tiles_of
from s2dask.production.scene_tile import Layer, SceneTile, tile_array, tile_tree
from s2dask.production.setting import Setting, open_setting
from s2dask.production.strip import granule_parameters, process_scene, strip_facts
from s2dask.production.surface import l2a_dataset

L1B_OFFSET = -100
"""What is added to L1B counts before they are divided by the gain [DN]."""


def _l1b_block(
    l0: str, gipps: GippSet, detector: int, name: str, until: str | None, what: str, block_info: Any = None
) -> np.ndarray:
    scene = block_info[None]["chunk-location"][0]
    parameters = granule_parameters(l0, gipps, detector)
    image = process_scene(l0, detector, (name,), scene, parameters, until)[name]
    if isinstance(image, np.ndarray):
        return image
    return image.counts if what == "img" else image.quality


@dataclass(frozen=True)
class Scene:
    """One datastrip with its auxiliary data.

    Attributes
    ----------
    l0 : str
        L0 store.
    aux : str or None
        Folder of auxiliary files; default: the one that the datastrip was made with.
    l1b_store : str or None
        L1B store that the tiles are made from; without one, L1B is made on demand.
    """

    l0: str
    aux: str | None = None
    l1b_store: str | None = None

    @property
    def setting(self) -> Setting:
        """GIPPs, viewing model, terrain, meteo."""
        return open_setting(self.l0, self.aux)

    @property
    def detectors(self) -> tuple[int, ...]:
        """Detectors in the datastrip."""
        return strip_facts(self.l0).detectors

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands in the datastrip."""
        return strip_facts(self.l0).bands

    @property
    def tiles(self) -> tuple[str, ...]:
        """Tiles that the datastrip touches."""
        return tiles_of(self.setting, strip_facts(self.l0))

    def _check(self, name: str, detector: int) -> None:
        if name not in self.bands or detector not in self.detectors:
            raise ConfigurationError(
                f"no {name} of detector {detector}", self.l0, f"it has {self.bands} of detectors {self.detectors}"
            )

    def l1b(self, name: str, detector: int, until: str | None = None, what: str = "img") -> xr.DataArray:
        """Return the L1B counts of a band and detector, or an intermediate, lazily.

        Parameters
        ----------
        name : str
            Band.
        detector : int
        until : str, optional
            Name of an intermediate step: ``dark_signal``, ``crosstalk``, ``relative_response`` …
        what : {"img", "mask"}

        Returns
        -------
        (line, column) uint16 [DN], or float32 [LSB] with `until`; one chunk per granule
        """
        self._check(name, detector)
        gipps, b, scenes = self.setting.gipps, band(name), strip_facts(self.l0).scenes
        raw_width = until in ("dark_signal", "line_offset", "raw")
        columns = b.useful_columns if until is not None and until != "binning" and not raw_width else b.columns
        dtype = np.dtype("uint16" if until is None else "float32")
        image = da.map_blocks(
            _l1b_block, self.l0, gipps, detector, name, until, what,
            chunks=((b.lines_per_scene,) * scenes, (columns,)), dtype=dtype, meta=np.empty((0, 0), dtype),
            name=f"RADIO_AB-D{detector:02d}-{name}-{tokenize(self.l0, gipps.id, detector, name, until, what)}",
        )
        attrs = {"units": "digital_counts", "radio_add_offset": L1B_OFFSET, "physical_gain": self.gain(name, detector)}
        return xr.DataArray(image, dims=("line", "column"), name=name.lower(), attrs=attrs if until is None else {})

    def gain(self, name: str, detector: int) -> float:
        """Return the absolute calibration coefficient of a band [LSB per W m-2 sr-1 um-1]."""
        return granule_parameters(self.l0, self.setting.gipps, detector).bands[name].gain

    def tile(self, tile: str, window: Window | None = None) -> SceneTile:
        """Return a tile, or a window (x0, y0, width, height) [m] of it, that is made where it is looked at."""
        return SceneTile(self.l0, self.aux, tile_grid(tile, window), self.l1b_store)

    def l1c(self, tile: str, window: Window | None = None, bands: Sequence[str] | None = None) -> xr.DataTree:
        """Return TOA reflectance, lazily: ``r10m/b02``, ``r20m/b05`` … (y, x) float32 [1], NaN without data.

        Parameters
        ----------
        tile : str
            ``28SCB``.
        window : tuple of int, optional
            (x0, y0, width, height) [m] inside the tile, on its 60 m grid.
        bands : sequence of str, optional
            Default: all of the datastrip.
        """
        return tile_tree(self.tile(tile, window), bands)

    def l1c_layer(self, tile: str, name: str, what: Layer, window: Window | None = None) -> xr.DataArray:
        """Return a layer of the orthoimage of a band, lazily: counts, MSK_QUALIT bits or detector footprint."""
        return tile_array(self.tile(tile, window), name, what=what)

    def l2a(
        self,
        tile: str,
        window: Window | None = None,
        bands: Sequence[str] = ("B02", "B03", "B04", "B08"),
        resolution: int | None = None,
    ) -> xr.Dataset:
        """Return surface reflectance, lazily; the atmosphere is settled from the whole window.

        Parameters
        ----------
        tile, window
            As in `l1c`.
        bands : sequence of str
            ``SCL`` is the scene classification.
        resolution : int, optional
            [m]; default: the coarsest among the bands.

        Returns
        -------
        Dataset
            (y, x) float32 [1], NaN without data; uint8 for ``SCL``.
        """
        return l2a_dataset(self.tile(tile, window), bands, self.aux or strip_facts(self.l0).attrs["aux"], resolution)


def open_datastrip(l0: str, aux: str | None = None, l1b: str | None = None) -> Scene:
    """Open an L0 store lazily.

    Parameters
    ----------
    l0 : str
        L0 datastrip (Zarr), as made by ``s2dask run SESSION --to L0``.
    aux : str, optional
        Folder of GIPPs, DEM, geoid, IERS and meteo; default: the one that the datastrip was made with.
    l1b : str, optional
        L1B store of the same datastrip, to make tiles from; default: L1B is made on demand.
    """
    scene = Scene(l0, aux, l1b)
    scene.setting  # noqa: B018 - refuses here and now what would fail in a worker later
    return scene
