"""Reflectance of the orthoimages against the simulator's truth, away from edges and across the seam of two detectors.

The simulated detectors' radiance, free of noise and of the twelve bits of the converter, is coded as counts of Level-1B
and resampled; the truth is the reflectance at the top of the atmosphere at the centre of the pixels, computed from the
ground, as the detector sees it that the pixel is taken from.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
from l1c_truth_model import Counts, Floats, Overflight, PageSource
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter, minimum_filter

from s2dask.auxdata.time import gps_to_utc
from s2dask.instrument import BANDS, band, unit
from s2dask.instrument.solar import reflectance_conversion
from s2dask.l1c.reflectance import QUANTIFICATION, decode
from s2dask.l1c.stage import OrthoBand, OrthoParameters
from s2dask.simulate.comparison import Truth
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.truth import SAMPLE, TruthStore

log = logging.getLogger(__name__)
DETECTORS = (6, 7)
FINER = 12
"""Counts of the images per count of Level-1B, so that whole counts do not hide the resampling."""
STEP = 1 / QUANTIFICATION
AROUND = 12
"""Pixels on either side of a seam that are compared with it."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A pass over a cloudless island.

    Attributes
    ----------
    flight : Overflight
    truth : Truth
    parameters : OrthoParameters
    images : mapping of str to OrthoBand
    count : mapping of str to float
        Reflectance of one count, by band.
    source : PageSource
    """

    flight: Overflight
    truth: Truth
    parameters: OrthoParameters
    images: Mapping[str, OrthoBand]
    count: Mapping[str, float]
    source: PageSource

    def true(self, name: str) -> Floats:
        """Return the truth (detector, y, x) of a band at every pixel centre that is 60 m from the last."""
        return self.truth[f"toa/{name.lower()}"]

    def own(self, name: str) -> Floats:
        """Return the truth (y, x) of the detector that each pixel is taken from."""
        foot, k = self.images[name].footprint, SAMPLE // band(name).resolution
        return np.select([foot[::k, ::k] == d for d in DETECTORS], list(self.true(name)), np.nan)


def _source(flight: Overflight, fields: Mapping[str, tuple]) -> PageSource:  # type: ignore[type-arg]
    table = unit(flight.job.options.unit).bands

    def make(detector: int, name: str, first: int, count: int) -> Counts:
        b, nodes = band(name), flight.job.nodes[name, detector]
        light = flight.camera.radiance(name, nodes, count, fields[name], first).astype(np.float64)
        pixels = light[:, : b.columns * b.binning].reshape(count, b.columns, b.binning).mean(2)
        return np.round(100 + FINER * table[name].gain * pixels).astype(np.uint16)

    return PageSource(flight.lines, make)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    folder = tmp_path_factory.mktemp("reflectance")
    options = SimulationOptions(detectors=DETECTORS, window=6000, seed=3, cloud_cover=0.0, attitude_noise=0.0)
    flight = Overflight.of(folder, options)
    camera, url, geometry = flight.camera, str(folder / "truth.zarr"), flight.geometry()
    store = TruthStore(url, camera, flight.job.crs, flight.job.window, DETECTORS, {})
    distance, table = reflectance_conversion(gps_to_utc(camera.date)), unit(options.unit).bands
    gains = {name: FINER * table[name].gain for name in BANDS}
    parameters = flight.parameters(geometry, conversion=distance, gains=gains)
    fields = {name: camera.fields(name) for name in BANDS}
    source, images = _source(flight, fields), {}
    for name in BANDS:
        store.save_band(name, {d: flight.job.nodes[name, d] for d in DETECTORS}, fields[name])
        images[name] = flight.ortho(name, source, parameters)
    sun = float(np.cos(np.radians(geometry.sun[0].mean())))
    count = {n: np.pi / (gains[n] * table[n].solar_irradiance * distance * sun) for n in BANDS}
    return Scene(flight, Truth(url), parameters, images, count, source)


def _flat(rho: Floats) -> NDArray[np.bool_]:
    """Return where two pixels around there is no edge: 5 % of contrast at most."""
    return np.asarray(maximum_filter(rho, 5) - minimum_filter(rho, 5) < 0.05 * rho + 5 * STEP)


@pytest.mark.row("IPF-30")
@pytest.mark.parametrize("name", BANDS)
def test_reflectance_is_true_to_half_a_percent(scene: Scene, name: str) -> None:
    """Half a percent, and half a step of the coded reflectance and of the counts that it is made of."""
    image, k = scene.images[name], SAMPLE // band(name).resolution
    assert not image.quality.any()
    rho, true = decode(image.reflectance).astype(np.float64), scene.own(name)
    assert np.isfinite(true).all()
    flat = _flat(rho)[::k, ::k]
    error = (rho[::k, ::k] - true)[flat]
    beyond = np.maximum(np.abs(error) - STEP / 2 - scene.count[name] / 2, 0) / true[flat]
    level, bias = true[flat].mean(), error.mean()
    log.info(
        "%s mean %.4f, %.0f %% flat: bias %+.3f %%, 99 %% within %.3f %%, largest %.3f %%", name, true.mean(),
        100 * flat.mean(), 100 * bias / level, 100 * np.quantile(beyond, 0.99), 100 * beyond.max(),
    )  # fmt: skip
    assert flat.sum() > 1000
    # the sea is so even that all of it may be rounded the same way
    assert abs(bias) < 0.001 * level + STEP / 4
    if name == "B10":
        # nothing but what water vapour leaves over: a thousandth, of which a step of the code is a tenth
        assert np.abs(error).max() < 2 * STEP
    else:
        assert np.quantile(beyond, 0.99) < 0.005


def _steps(rho: Floats, border: NDArray[np.bool_]) -> Floats:
    """Return how much each pixel is brighter than the one to its left (row, offset), the seam in the middle."""
    column = border.argmax(1)[:, np.newaxis] + np.arange(-AROUND, AROUND + 1)
    return np.take_along_axis(np.diff(rho, axis=1), column, axis=1)


@pytest.mark.row("IPF-29", "IPF-30")
@pytest.mark.parametrize("name", BANDS)
def test_the_seam_of_two_detectors_does_not_show(scene: Scene, name: str) -> None:
    """Nothing steps at the seam but the haze, which two detectors see from two directions."""
    image, k = scene.images[name], SAMPLE // band(name).resolution
    rho, foot = decode(image.reflectance).astype(np.float64), image.footprint
    border = foot[:, :-1] != foot[:, 1:]
    assert (border.sum(1) == 1).all()
    first, second = (DETECTORS.index(int(foot[0, end])) for end in (0, -1))
    rows, columns = np.nonzero(border)
    true = scene.true(name)
    haze = float(np.nanmean((true[second] - true[first])[rows // k, columns // k]))
    steps = _steps(rho, border)
    mean, size = steps.mean(0), np.sqrt((steps**2).mean(0))
    beside, usual = np.delete(mean, AROUND), np.delete(size, AROUND)
    log.info(
        "%s step %+.5f of which haze %+.5f, beside %+.5f +- %.5f; rms %.5f, beside %.5f to %.5f", name, mean[AROUND],
        haze, beside.mean(), beside.std(), size[AROUND], usual.min(), usual.max(),
    )  # fmt: skip
    assert abs(mean[AROUND] - haze - beside.mean()) < 3.5 * beside.std()
    assert 0.9 * usual.min() < size[AROUND] < 1.1 * usual.max()


@pytest.mark.row("IPF-29", "IPF-30")
@pytest.mark.parametrize("name", BANDS)
def test_two_detectors_see_the_same_in_their_overlap(scene: Scene, name: str) -> None:
    """The same pixels from either detector: the step at the seam without the ground's own."""
    cuts = (replace(scene.parameters, cut=cut) for cut in ("lower", "higher"))
    lower, higher = (scene.flight.ortho(name, scene.source, p) for p in cuts)
    both = lower.footprint != higher.footprint
    rho = [decode(image.reflectance).astype(np.float64) for image in (lower, higher)]
    flat, k = both & _flat(rho[0]), SAMPLE // band(name).resolution
    true = scene.true(name)
    haze = float(np.nanmean((true[1] - true[0])[both[::k, ::k]]))
    step = (rho[1] - rho[0])[flat]
    level = float(rho[0][flat].mean())
    log.info(
        "%s %d pixels: step %+.6f, haze %+.6f, %.3f %% of %.4f too much; rms %.5f", name, flat.sum(), step.mean(),
        haze, 100 * (step.mean() - haze) / level, level, step.std(),
    )  # fmt: skip
    assert flat.sum() > 100
    assert abs(step.mean() - haze) < 0.002 * level + STEP / 5
    assert step.std() < 0.005 * level + STEP
