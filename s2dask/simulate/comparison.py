"""Products of a simulated session against its truth: what the errors really are."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import zarr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from s2dask.instrument import BANDS, unit
from s2dask.io import schema
from s2dask.io.storage import open_array, zarr_store
from s2dask.simulate.sky import AEROSOL_SCALE, WATER_SCALE
from s2dask.simulate.truth import COLUMN_STEP, LINE_STEP, MATCH_BAND, SAMPLE

Image = NDArray[np.float64]
PATCH: Final = 96
"""Edge of the patches that are matched [px of 10 m]."""
CLEAR: Final = 0.01
"""Cloud cover and shadow below which a place counts as clear."""
SCL: Final = "conditions/mask/l2a_classification/r20m/scl"


@dataclass(frozen=True, slots=True)
class Geolocation:
    """Shifts of the orthoimage against the truth.

    Attributes
    ----------
    rms, worst, east, north : float
        Of the shifts of all patches [m]; mean to east and north.
    patches : int
    """

    rms: float
    worst: float
    east: float
    north: float
    patches: int


@dataclass(frozen=True, slots=True)
class BandErrors:
    """Errors of one band.

    Attributes
    ----------
    radiance_bias, radiance_rms : float
        Of L1B outside edges, in percent of the mean and of the reference radiance.
    toa_rmse, boa_rmse : float
        Reflectance, clear places; NaN for a band that L2A does not deliver.
    """

    radiance_bias: float
    radiance_rms: float
    toa_rmse: float
    boa_rmse: float


@dataclass(frozen=True, slots=True)
class Confusion:
    """Clouds of the scene classification against the truth, in pixels of the samples.

    Attributes
    ----------
    hit, missed, false, clear : int
    """

    hit: int
    missed: int
    false: int
    clear: int

    @property
    def overall(self) -> float:
        """Share of the pixels that are right [%]."""
        return 100.0 * (self.hit + self.clear) / max(self.hit + self.missed + self.false + self.clear, 1)


class Truth:
    """The truth store of a session.

    Parameters
    ----------
    url : str
    """

    def __init__(self, url: str) -> None:
        self._group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
        self.attrs: dict[str, Any] = self._group.attrs.asdict()

    def __getitem__(self, path: str) -> Image:
        node = self._group[path]
        if not isinstance(node, zarr.Array):
            raise KeyError(path)
        return np.asarray(node[...], np.float64)

    @property
    def window(self) -> tuple[int, int, int, int]:
        """Upper left corner, width and height of the window [m]."""
        x0, y0, width, height = self.attrs["window"]
        return x0, y0, width, height


def _stored(tile: str, path: str, step: int = 1) -> NDArray[Any]:
    return np.asarray(open_array(tile, path)[...])[::step, ::step]


def _reflectance(tile: str, resolution: int, band: str, step: int) -> Image:
    coded = _stored(tile, schema.reflectance_path(resolution, band), step).astype(np.float64)
    return np.where(coded > 0, (coded - 1000.0) / 10000.0, np.nan)


def _of_detector(tile: str, truth: Truth, kind: str, band: str) -> Image:
    """Return what the detector of each sampled pixel saw."""
    resolution = BANDS[band].resolution
    footprint = _stored(tile, schema.footprint_path(resolution, band), SAMPLE // resolution)
    values = truth[f"{kind}/{band.lower()}"]
    out = np.full(footprint.shape, np.nan)
    for image, detector in zip(values, truth.attrs["detectors"], strict=True):
        out = np.where(footprint == detector, image, out)
    return out


def _covered(truth: Truth, band: str) -> NDArray[np.bool_]:
    """Return where any detector meets cloud or cloud shadow, with a margin of one sample."""
    shadow = truth[f"window/r{BANDS[band].resolution}m/shadow"]
    return np.asarray(maximum_filter(np.maximum(truth[f"cloud/{band.lower()}"].max(0), shadow), 3) > CLEAR)


def geolocation(l1c: str, truth: Truth) -> Geolocation:
    """Match patches of an orthoimage to the true image by least squares: gain, offset, both by height, and shift."""
    seen = _reflectance(l1c, 10, MATCH_BAND, 1)
    true, height = truth["match/image"], truth["match/height"]
    hidden = np.kron(_covered(truth, MATCH_BAND), np.ones((SAMPLE // 10,) * 2, bool))[: seen.shape[0], : seen.shape[1]]
    hidden |= ~np.isfinite(seen)
    smooth, soft = gaussian_filter(true, 1.5), gaussian_filter(np.where(hidden, true, seen), 1.5)
    down, right = np.gradient(smooth)
    shifts = []
    for r in range(0, true.shape[0] - PATCH + 1, PATCH):
        for c in range(0, true.shape[1] - PATCH + 1, PATCH):
            cut = (slice(r, r + PATCH), slice(c, c + PATCH))
            if hidden[cut].any() or smooth[cut].std() < 0.01:
                continue
            # the air above brightens and dims a place by its height
            above = height[cut] - height[cut].mean()
            parts = smooth[cut], right[cut], down[cut], above, above * smooth[cut]
            design = np.stack([np.ones(PATCH * PATCH), *(part.ravel() for part in parts)], -1)
            _, gain, east, south, *_ = np.linalg.lstsq(design, soft[cut].ravel(), rcond=None)[0]
            # an image moved by d shows at x what the truth has at x - d
            shifts.append((-10.0 * east / gain, 10.0 * south / gain))
    moved = np.array(shifts).reshape(-1, 2)
    if not len(moved):
        return Geolocation(np.nan, np.nan, np.nan, np.nan, 0)
    length = np.hypot(*moved.T)
    east, north = moved.mean(0)
    return Geolocation(float(np.sqrt((length**2).mean())), float(length.max()), float(east), float(north), len(moved))


def radiance_errors(l1b: str, truth: Truth, band: str) -> tuple[float, float]:
    """Return bias [% of the mean] and rms [% of the reference radiance] of L1B outside edges, all detectors."""
    gain = unit(truth.attrs["options"]["unit"]).bands[band].gain
    difference, level = [], []
    for detector in truth.attrs["detectors"]:
        true = truth[f"radiance/d{detector:02d}/{band.lower()}"]
        counts = np.asarray(open_array(l1b, schema.image_path(detector, band))[::LINE_STEP])[:, ::COLUMN_STEP]
        spread = maximum_filter(true, 3) + maximum_filter(-true, 3)
        flat = (counts > 0) & (spread < 0.05 * np.abs(true) + 1e-3 * BANDS[band].radiance_reference)
        flat &= true < BANDS[band].radiance_max
        difference.append((counts.astype(np.float64) - 100.0)[flat] / gain - true[flat])
        level.append(true[flat])
    error, mean = np.concatenate(difference), float(np.concatenate(level).mean())
    rms = float(np.sqrt((error**2).mean()))
    return 100.0 * float(error.mean()) / mean, 100.0 * rms / BANDS[band].radiance_reference


def _rmse(error: Image) -> float:
    finite = error[np.isfinite(error)]
    return float(np.sqrt((finite**2).mean())) if finite.size else float("nan")


def band_errors(l1b: str, l1c: str, l2a: str, truth: Truth, band: str) -> BandErrors:
    """Return the errors of a band at every level, in clear places."""
    resolution = BANDS[band].resolution
    step = SAMPLE // resolution
    hidden = _covered(truth, band)
    toa = _reflectance(l1c, resolution, band, step) - _of_detector(l1c, truth, "toa", band)
    boa = np.full(hidden.shape, np.nan)
    if band in schema.L2A_BANDS[resolution]:
        boa = _reflectance(l2a, resolution, band, step) - truth[f"boa/{band.lower()}"]
    bias, rms = radiance_errors(l1b, truth, band)
    return BandErrors(bias, rms, _rmse(np.where(hidden, np.nan, toa)), _rmse(np.where(hidden, np.nan, boa)))


def atmosphere_errors(l2a: str, truth: Truth) -> tuple[float, float]:
    """Return the mean error of aerosol optical thickness, and the rms error of water vapour on clear land [cm]."""
    step, hidden = SAMPLE // 20, _covered(truth, "B8A")
    aot = _stored(l2a, "quality/atmosphere/r20m/aot", step) / 1000.0
    water = _stored(l2a, "quality/atmosphere/r20m/wvp", step) / 1000.0
    height = truth["window/r20m/height"]
    haze = truth.attrs["aot"] * np.exp(-height / AEROSOL_SCALE)
    expected = truth.attrs["water_vapour"] * np.exp(-height / WATER_SCALE)
    land = (truth["window/r20m/class"] > 0) & ~hidden & (water > 0)
    return float((aot - haze)[aot > 0].mean()), _rmse(np.where(land, water - expected, np.nan))


def cloud_confusion(l1c: str, l2a: str, truth: Truth) -> Confusion:
    """Return the clouds of the scene classification against those that the detectors of B8A had before them."""
    found = np.isin(_stored(l2a, SCL, SAMPLE // 20), (8, 9, 10))
    cover = _of_detector(l1c, truth, "cloud", "B8A")
    cloud, clear = cover > 0.5, cover <= CLEAR
    return Confusion(*(int(n.sum()) for n in (found & cloud, ~found & cloud, found & clear, ~found & clear)))
