"""A datastrip opened for exploration: any level of any window, lazily, from the functions that production runs."""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import dask.array as da
import numpy as np
import xarray as xr
from dask.base import tokenize

from s2dask.auxdata.gipp_set import GippSet
from s2dask.errors import ConfigurationError
from s2dask.instrument import band
from s2dask.l1b.stage import GranuleBand
from s2dask.production.setting import Setting, open_setting
from s2dask.production.strip import granule_parameters, process_scene, strip_facts
from s2dask.qc.records import Record

GRANULES_KEPT = 8
"""Granules that an on-demand source keeps in memory."""


@dataclass
class OnDemandSource:
    """L1B lines computed from the L0 store when they are asked for; the few last granules are kept.

    Attributes
    ----------
    l0 : str
        L0 store.
    gipps : GippSet
    """

    l0: str
    gipps: GippSet
    _granules: "OrderedDict[tuple[int, str, int], GranuleBand]" = field(
        default_factory=OrderedDict, repr=False, compare=False
    )
    _lock: Any = field(default_factory=Lock, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"l0": self.l0, "gipps": self.gipps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def lines(self, band_name: str) -> int:
        """Return the number of lines of the images of a band."""
        return strip_facts(self.l0).scenes * band(band_name).lines_per_scene

    def _granule(self, detector: int, name: str, scene: int) -> GranuleBand:
        key = (detector, name, scene)
        with self._lock:
            if key not in self._granules:
                parameters = granule_parameters(self.l0, self.gipps, detector)
                self._granules[key] = process_scene(self.l0, detector, (name,), scene, parameters)[name]  # type: ignore[assignment]
                while len(self._granules) > GRANULES_KEPT:
                    self._granules.popitem(last=False)
            self._granules.move_to_end(key)
            return self._granules[key]

    def read(self, detector: int, band_name: str, line0: int, line1: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (counts, quality) of lines [line0, line1), both (line, column) uint16."""
        per = band(band_name).lines_per_scene
        line1 = min(line1, self.lines(band_name))
        parts = []
        for scene in range(line0 // per, -(-line1 // per)):
            granule = self._granule(detector, band_name, scene)
            cut = slice(max(line0 - scene * per, 0), min(line1 - scene * per, per))
            parts.append((granule.counts[cut], granule.quality[cut]))
        counts = np.concatenate([p[0] for p in parts])
        return counts, np.concatenate([p[1] for p in parts])


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
    setting : Setting
        GIPPs, viewing model, terrain, meteo.
    """

    l0: str
    setting: Setting

    @property
    def detectors(self) -> tuple[int, ...]:
        """Detectors in the datastrip."""
        return strip_facts(self.l0).detectors

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands in the datastrip."""
        return strip_facts(self.l0).bands

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
        b, scenes = band(name), strip_facts(self.l0).scenes
        raw_width = until in ("dark_signal", "line_offset", "raw")
        columns = b.useful_columns if until is not None and until != "binning" and not raw_width else b.columns
        dtype = np.dtype("uint16" if until is None else "float32")
        image = da.map_blocks(
            _l1b_block, self.l0, self.setting.gipps, detector, name, until, what,
            chunks=((b.lines_per_scene,) * scenes, (columns,)), dtype=dtype, meta=np.empty((0, 0), dtype),
            name=f"RADIO_AB-D{detector:02d}-{name}-{tokenize(self.l0, self.setting.gipps.id, detector, name, until, what)}",
        )
        attrs = {"units": "digital_counts", "radio_add_offset": -100, "physical_gain": self.gain(name, detector)}
        return xr.DataArray(image, dims=("line", "column"), name=name.lower(), attrs=attrs if until is None else {})

    def gain(self, name: str, detector: int) -> float:
        """Return the absolute calibration coefficient of a band [LSB per W m-2 sr-1 um-1]."""
        return granule_parameters(self.l0, self.setting.gipps, detector).bands[name].gain

    def source(self) -> OnDemandSource:
        """Return the L1B lines as a source for the tile levels."""
        return OnDemandSource(self.l0, self.setting.gipps)


def open_datastrip(l0: str, aux: str | None = None) -> Scene:
    """Open an L0 store lazily.

    Parameters
    ----------
    l0 : str
        L0 datastrip (Zarr), as made by ``s2dask run SESSION --to L0``.
    aux : str, optional
        Folder of GIPPs, DEM, geoid, IERS and meteo; default: the one that the datastrip was made with.
    """
    return Scene(l0, open_setting(l0, aux))


__all__ = ["OnDemandSource", "Record", "Scene", "open_datastrip"]
