"""A datastrip opened for exploration: any level of any window, lazily, from the functions that production runs."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal, overload

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from s2dask.errors import ConfigurationError
from s2dask.instrument import band
from s2dask.io.grids import MapGrid
from s2dask.l2a.options import DEFAULT, Corrections
from s2dask.production.blocks import default_blocking
from s2dask.production.footprint import Window, tile_grid, tiles_of
from s2dask.production.resampling import USUAL, Resampling
from s2dask.production.scene_grid import Layer, SceneGrid, check_extent, grid_array, map_dataset
from s2dask.production.scene_strip import Kind, l1a_array, l1b_array
from s2dask.production.scene_tile import SceneTile, tile_array, tile_tree
from s2dask.production.setting import Replaced, Setting, open_setting
from s2dask.production.strip import granule_parameters, strip_facts
from s2dask.production.surface import l2a_dataset
from s2dask.production.what_if import QUANTILES, difference_table, reads

L1B_OFFSET = -100
"""What is added to L1B counts before they are divided by the gain [DN]."""
GippPath = str | PathLike[str]
AnyGrid = MapGrid | xr.DataArray | xr.Dataset
"""A grid, or an image that has it."""


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
    l1a_store : str or None
        L1A store that L1B is then made from; without one, it is made of the packets.
    replaced : Replaced
        GIPPs in the place of those of the folder, see `with_gipp`.
    origin : Scene or None
        What `diff` compares with.
    """

    l0: str
    aux: str | None = None
    l1b_store: str | None = None
    l1a_store: str | None = None
    replaced: Replaced = ()
    origin: "Scene | None" = None

    @property
    def setting(self) -> Setting:
        """GIPPs, viewing model, terrain, meteo."""
        return open_setting(self.l0, self.aux, self.replaced)

    @property
    def raw(self) -> str:
        """Store that L1B is made from."""
        return self.l1a_store or self.l0

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

    def l1a(self, name: str, detector: int, what: Kind = "img") -> xr.DataArray:
        """Return the raw counts of a band and detector as the converter gave them, lazily.

        Parameters
        ----------
        name : str
            Band.
        detector : int
        what : {"img", "mask"}
            Counts, or the quality layer.

        Returns
        -------
        (line, raw_column) uint16 [LSB]
            Blind pixels included; one chunk per granule.
        """
        self._check(name, detector)
        return l1a_array(self.raw, self.setting.gipps, name, detector, what)

    def l1b(
        self,
        name: str,
        detector: int,
        until: str | None = None,
        what: Kind = "img",
        *,
        only: Collection[str] | None = None,
    ) -> xr.DataArray:
        """Return the L1B counts of a band and detector, or an intermediate, lazily.

        Parameters
        ----------
        name : str
            Band.
        detector : int
        until : str, optional
            A step of `s2dask.l1b.parameters.STEPS`, after which the image is returned: ``dark_signal``, ``crosstalk`` …
        what : {"img", "mask"}
        only : collection of str, optional
            The steps to do; every one by default.

        Returns
        -------
        (line, column) uint16 [DN], or float32 [LSB] with `until`; one chunk per granule
        """
        self._check(name, detector)
        gipps = self.setting.gipps
        steps = None if only is None else tuple(sorted(only))
        if self.l1b_store is not None and until is None and steps is None:
            image = l1b_array(self.l1b_store, None, name, detector, what=what)
        else:
            image = l1b_array(self.raw, gipps, name, detector, until, what, steps)
        stated = {"radio_add_offset": L1B_OFFSET, "physical_gain": self.gain(name, detector)}
        image.attrs = {"units": "digital_counts"} | (stated if until is None else {})
        return image

    def gain(self, name: str, detector: int) -> float:
        """Return the absolute calibration coefficient of a band [LSB per W m-2 sr-1 um-1]."""
        return granule_parameters(self.l0, self.setting.gipps, detector).bands[name].gain

    def tile(self, tile: str, window: Window | None = None, resampling: Resampling = USUAL) -> SceneTile:
        """Return a tile, or a window (x0, y0, width, height) [m] of it, that is made where it is looked at."""
        grid = tile_grid(tile, window)
        return SceneTile(self.l0, self.aux, grid, self.l1b_store, self.l1a_store, self.replaced, resampling)

    def on(self, grid: AnyGrid, resampling: Resampling = USUAL) -> SceneGrid:
        """Return the datastrip on a map grid, or on that of an image, made where it is looked at."""
        found = grid if isinstance(grid, MapGrid) else MapGrid.like(grid)
        check_extent(found)
        return SceneGrid(self.l0, self.aux, found, self.l1b_store, self.l1a_store, self.replaced, resampling)

    @overload
    def l1c(
        self, tile: str, window: Window | None = None, bands: Sequence[str] | None = None, *,
        resampling: Resampling = ...,
    ) -> xr.DataTree: ...  # fmt: skip

    @overload
    def l1c(self, *, grid: AnyGrid, bands: Sequence[str] | None = None, resampling: Resampling = ...) -> xr.Dataset: ...

    def l1c(
        self,
        tile: str | None = None,
        window: Window | None = None,
        bands: Sequence[str] | None = None,
        *,
        grid: AnyGrid | None = None,
        resampling: Resampling = USUAL,
    ) -> xr.DataTree | xr.Dataset:
        """Return TOA reflectance, lazily: of a tile, or on any other grid, resampled once either way.

        Parameters
        ----------
        tile : str
            ``28SCB``.
        window : tuple of int, optional
            (x0, y0, width, height) [m] inside the tile, on its 60 m grid.
        bands : sequence of str, optional
            Default: all of the datastrip.
        grid : MapGrid, DataArray or Dataset
            In the place of a tile: a grid in any CRS, see `MapGrid.around`, or an image whose grid is to be matched.
        resampling : Resampling
            Interpolation, and who keeps the overlap of two detectors.

        Returns
        -------
        DataTree
            Of a tile: ``r10m/b02``, ``r20m/b05`` … (y, x) float32 [1], NaN without data.
        Dataset
            On a grid: ``b02``, ``b05`` … (y, x) float32 [1]; a pixel is a sample of the band's image at its centre.
        """
        if grid is None and tile is not None:
            return tile_tree(self.tile(tile, window, resampling), bands)
        if grid is None or tile is not None or window is not None:
            raise ConfigurationError("one place is needed", "l1c", "give a tile, and a window of it, or grid=")
        return map_dataset(self.on(grid, resampling), bands)

    def l1c_layer(
        self,
        tile: str | AnyGrid,
        name: str,
        what: Layer,
        window: Window | None = None,
        resampling: Resampling = USUAL,
    ) -> xr.DataArray:
        """Return a layer of the orthoimage of a band, lazily: counts, MSK_QUALIT bits, detectors, noise gain.

        Parameters
        ----------
        tile : str, MapGrid, DataArray or Dataset
            A tile, or a grid as in `l1c`.
        name : str
            Band.
        what : {"reflectance", "counts", "quality", "footprint", "noise_gain"}
        window, resampling
            As in `l1c`.
        """
        if isinstance(tile, str):
            return tile_array(self.tile(tile, window, resampling), name, what=what)
        return grid_array(self.on(tile, resampling), name, what)

    def l2a(
        self,
        tile: str,
        window: Window | None = None,
        bands: Sequence[str] = ("B02", "B03", "B04", "B08"),
        resolution: int | None = None,
        corrections: Corrections = DEFAULT,
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
        corrections : Corrections
            What is corrected for, and the model of the aerosol.

        Returns
        -------
        Dataset
            (y, x) float32 [1], NaN without data; uint8 for ``SCL``.
        """
        aux = self.aux or strip_facts(self.l0).attrs["aux"]
        return l2a_dataset(self.tile(tile, window), bands, aux, resolution, corrections)

    def with_gipp(
        self, changes: Mapping[Any, GippPath] | None = None, /, **types: GippPath | Mapping[str, GippPath]
    ) -> "Scene":
        """Return the same datastrip with other GIPPs, to see what would be if.

        Stores of intermediate levels serve it as far as the replaced files have no part in them; what lies behind is
        made anew, where it is looked at.

        Parameters
        ----------
        changes : mapping, optional
            Path by type, or by (type, band).
        **types : path, or mapping of str to path
            The same by keyword: ``R2ABCA=path``, ``R2EQOG={"B04": path}``.

        Returns
        -------
        Scene
            Its `diff` tells what moved.
        """
        files = {(kind, of): path for kind, of, path in self.replaced}
        for key, value in {**(changes or {}), **types}.items():
            kind, of = key if isinstance(key, tuple) else (key, "")
            parts = value.items() if isinstance(value, Mapping) else [(of, value)]
            files.update({(kind, name): str(path) for name, path in parts})
        replaced = tuple((kind, of, str(path)) for (kind, of), path in sorted(files.items()))
        types_changed = {kind for kind, _, _ in replaced}
        scene = replace(
            self, replaced=replaced, origin=self,
            l1a_store=None if types_changed & reads("L1A") else self.l1a_store,
            l1b_store=None if types_changed & reads("L1B") else self.l1b_store,
        )  # fmt: skip
        scene.setting  # noqa: B018 - refuses a file that does not fit here and now
        return scene

    def diff(
        self,
        level: Literal["L1A", "L1B", "L1C"],
        *,
        bands: Iterable[str] | None = None,
        detectors: Iterable[int] | None = None,
        tile: str | None = None,
        window: Window | None = None,
        quantiles: Sequence[float] = QUANTILES,
    ) -> xr.Dataset:
        """Return how far the counts lie from those of the scene before `with_gipp`.

        Parameters
        ----------
        level : {"L1A", "L1B", "L1C"}
        bands : iterable of str, optional
        detectors : iterable of int, optional
            Of L1A and L1B.
        tile, window
            Of L1C, as in `l1c`.
        quantiles : sequence of float

        Returns
        -------
        Dataset
            See `s2dask.production.what_if.difference_table`. The images are computed on the cluster at hand.
        """
        if self.origin is None:
            raise ConfigurationError("nothing to compare with", "diff", "call it on what with_gipp returned")
        names = tuple(bands or self.bands)
        before, gipps = self.origin, (self.origin.setting.gipps.id, self.setting.gipps.id)
        if level == "L1C":
            if tile is None:
                raise ConfigurationError("L1C without a tile", "diff", "give tile, and a window of it")
            new, old = self.tile(tile, window), before.tile(tile, window)
            blocks = default_blocking(new.grid)
            cut = {n: [(n, b.rows, b.columns) for b in blocks.blocks(new.grid, band(n).resolution)] for n in names}
            table = difference_table(new.coded, old.coded, cut, quantiles)
        else:
            seen = tuple(detectors or self.detectors)
            scenes = range(strip_facts(self.l0).scenes)
            granules = {n: [(level, n, d, scene) for d in seen for scene in scenes] for n in names}
            table = difference_table(self.granule, before.granule, granules, quantiles)
        return table.assign_attrs(level=level, gipp_sets=list(gipps), replaced=[" ".join(r) for r in self.replaced])

    def granule(self, level: Literal["L1A", "L1B"], name: str, detector: int, scene: int) -> NDArray[np.uint16]:
        """Return the counts of one granule, computed here and now: (line, column) uint16 [DN]."""
        image = (self.l1a if level == "L1A" else self.l1b)(name, detector)
        values: NDArray[np.uint16] = image.data.blocks[scene].compute(scheduler="synchronous")
        return values


def open_datastrip(l0: str, aux: str | None = None, l1b: str | None = None, l1a: str | None = None) -> Scene:
    """Open an L0 store lazily.

    Parameters
    ----------
    l0 : str
        L0 datastrip (Zarr), as made by ``s2dask run SESSION --to L0``.
    aux : str, optional
        Folder of GIPPs, DEM, geoid, IERS and meteo; default: the one that the datastrip was made with.
    l1b, l1a : str, optional
        Stores of the same datastrip: tiles are made from L1B, or L1B from L1A, and only what is missing on demand.
    """
    scene = Scene(l0, aux, l1b, l1a)
    scene.setting  # noqa: B018 - refuses here and now what would fail in a worker later
    return scene
