"""The scene classification of a window of images: the chain of thresholds, and what a user adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.kernels import kernel
from s2dask.l2a.atmosphere import STANDARD_PRESSURE
from s2dask.l2a.cloud_mask import CloudMask, load_mask, told_by
from s2dask.l2a.lut import transfer
from s2dask.l2a.parallax import PARALLAX_BANDS, RADIUS, displacement_index
from s2dask.l2a.scene_class import (
    BRIGHT_GROUND,
    CLASS_BANDS,
    CLASSES,
    KNOWN_WATER,
    NEVER_SNOW,
    NO_DATA,
    NO_PARALLAX,
    NOT_TOLD,
    classify,
)  # fmt: skip
from s2dask.l2a.thresholds import Thresholds, default_thresholds, read_thresholds

URBAN = 190
BARE = (200, 201, 202)
"""Classes of the land cover of the ESA-CCI (LCCS): towns, and bare areas of any kind."""
LAND = 1
"""Value of land in the water bodies of the ESA-CCI; 0 is the ocean and 2 a lake or river."""

HIGH_SUN = 60.0
"""Zenith angle of the sun up to which the limits of the haze index hold as they are [degree] ..."""
LOW_SUN = 75.0
"""... and the largest that they are shifted for [degree]."""
CLEAR_AOT = 0.1
"""Aerosol optical thickness of clear air at 550 nm [1]."""
PARALLAX_PIXEL = 20.0
"""Largest pixel that the displacement of clouds, some 30 m, can be seen with [m]."""

Bytes = NDArray[np.uint8]
Float = NDArray[np.float32]


class MapSource(Protocol):
    """Maps of the world, such as `s2dask.auxdata.scene_maps.SceneMaps`."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Maps that there are."""
        ...

    def at(self, lon: NDArray[np.float64], lat: NDArray[np.float64]) -> Mapping[str, tuple[Bytes, NDArray[np.bool_]]]:
        """Return by kind the values at places [deg], and where they are known."""
        ...


@dataclass(frozen=True, slots=True)
class SceneRules:
    """How scenes are classified.

    Attributes
    ----------
    thresholds : Thresholds
    mask : CloudMask, optional
        Outside mask whose probability of cloud takes the place of ours.
    maps : MapSource, optional
        Maps of the world.
    """

    thresholds: Thresholds
    mask: CloudMask | None = None
    maps: MapSource | None = None

    @property
    def bands(self) -> tuple[str, ...]:
        """Bands to read."""
        more = PARALLAX_BANDS if self.thresholds.options_parallax else ()
        return tuple(dict.fromkeys((*CLASS_BANDS, *more, *(self.mask.bands if self.mask else ()))))

    @property
    def margin(self) -> int:
        """How far a pixel depends on those around it [60 m cells]."""
        # a square of 20 m pixels reaches one cell, and the median one pixel beyond it
        own = 2 * int(self.thresholds.options_parallax != 0) + int(self.thresholds.options_majority != 0)
        return max(own, self.mask.margin + 1 if self.mask else 0)

    def facts(self) -> dict[str, Any]:
        """Return what a product says of its classification: mask, maps, and thresholds that are not the default."""
        default = default_thresholds()._asdict()
        changed = {k: round(float(v), 6) for k, v in self.thresholds._asdict().items() if v != default[k]}
        mask = type(self.mask).__name__ if self.mask else ""
        return {"cloud_mask": mask, "maps": list(self.maps.kinds if self.maps else ()), "thresholds": changed}


@cache
def default_rules() -> SceneRules:
    """Return the rules that come with the package."""
    return SceneRules(default_thresholds())


def read_rules(path: str | Path | None, maps: MapSource | None = None) -> SceneRules:
    """Return the rules of a user's file of thresholds (see ``s2dask/data/l2a_thresholds.toml``), default without."""
    thresholds, mask = (default_thresholds(), "") if path is None else read_thresholds(path)
    return SceneRules(thresholds, load_mask(mask) if mask else None, maps)


def map_hints(maps: Mapping[str, tuple[Bytes, NDArray[np.bool_]]], shape: tuple[int, int]) -> Bytes:
    """Return what maps of the world say of pixels.

    Parameters
    ----------
    maps : mapping of str to (values, known), each (y, x)
        ``water``: water bodies, `LAND` or water; ``land_cover``: classes, `URBAN` and `BARE` among them; ``snow``:
        occurrence of snow [%]. Any may be missing.
    shape : (int, int)

    Returns
    -------
    (y, x) uint8
        Bits of `s2dask.l2a.scene_class`.
    """
    out = np.zeros(shape, np.uint8)
    tests = {
        "water": lambda v: np.where(v != LAND, KNOWN_WATER, 0),
        "land_cover": lambda v: np.where(np.isin(v, (URBAN, *BARE)), BRIGHT_GROUND, 0),
        "snow": lambda v: np.where(v == 0, NEVER_SNOW, 0),
    }
    for kind, (values, known) in maps.items():
        out |= np.where(known, tests[kind](values), 0).astype(np.uint8)
    return out


@lru_cache(maxsize=64)
def clear_air(unit: str, sun_zenith: float) -> float:
    """Return the haze index B02 - B04 / 2 of clear air beyond that under a sun `HIGH_SUN` from the zenith [1].

    Parameters
    ----------
    unit : str
    sun_zenith : float [deg]
    """
    haze = []
    for zenith in (HIGH_SUN, min(max(sun_zenith, HIGH_SUN), LOW_SUN)):
        b02, b04 = (
            transfer(unit, name, zenith, 5.0, 90.0, CLEAR_AOT, STANDARD_PRESSURE).path for name in ("B02", "B04")
        )
        haze.append(float(np.asarray(b02 - 0.5 * b04).item()))
    return haze[1] - haze[0]


def classify_scene(
    images: Mapping[str, Float],
    quality: Bytes,
    rules: SceneRules,
    pixel: float,
    hints: Bytes | None = None,
    air: float = 0.0,
) -> tuple[Bytes, Bytes, Bytes]:
    """Return class, cloud and snow confidence [%] of a window: (y, x) uint8 each.

    Parameters
    ----------
    images : mapping of str to (y, x) float32 [1]
        The bands of `rules`, at one resolution.
    quality : (y, x) uint8
        Union of the MSK_QUALIT bits.
    rules : SceneRules
    pixel : float [m]
    hints : (y, x) uint8, optional
        Bits of `s2dask.l2a.scene_class`.
    air : float [1]
        See `clear_air`.
    """
    t, shape = rules.thresholds, quality.shape
    for name in rules.bands:
        if images[name].shape != shape:
            raise InputError(f"{images[name].shape} pixels", f"image of {name}", f"give {shape}, as its quality has")
    hints = np.zeros(shape, np.uint8) if hints is None else hints
    told = np.full(shape, NOT_TOLD, np.uint8)
    if rules.mask is not None:
        told = told_by(rules.mask, images, pixel, NOT_TOLD)
    if t.options_parallax and pixel <= PARALLAX_PIXEL:
        index = displacement_index(images["B07"], images["B08"], images["B8A"], RADIUS)
        hints = hints | np.where(index > t.parallax_limit, NO_PARALLAX, 0).astype(np.uint8)
    scl, cld, snw = (np.empty(shape, np.uint8) for _ in range(3))
    b02, b03, b04, b8a, b10, b11, b12 = (images[name] for name in CLASS_BANDS)
    classify(b02, b03, b04, b8a, b10, b11, b12, quality, hints, told, np.float32(air), t, scl, cld, snw)
    return majority(scl) if t.options_majority else scl, cld, snw


@kernel
def majority(scl):  # type: ignore[no-untyped-def]
    """Return for each pixel the class that most of its 3 x 3 neighbours have, its own where it has as many.

    Classes have no order, so that no median of their numbers means anything. Pixels without data stay as they are.
    """
    rows, columns = scl.shape
    out = np.empty_like(scl)
    count = np.zeros(CLASSES, np.int64)
    for y in range(rows):
        for x in range(columns):
            best = scl[y, x]
            if best > NO_DATA:
                count[:] = 0
                for j in range(max(y - 1, 0), min(y + 2, rows)):
                    for i in range(max(x - 1, 0), min(x + 2, columns)):
                        count[scl[j, i]] += 1
                for kind in range(NO_DATA + 1, CLASSES):
                    if count[kind] > count[best]:
                        best = np.uint8(kind)
            out[y, x] = best
    return out
