"""Where the pixels of the orthoimages look: images of coordinates from the simulator's own rays, on relief.

Each pixel of a simulated L1B image holds the longitude, or the latitude, of the ground that it sees; the orthoimage of
it tells for each of its pixels where it was taken from. What is left is the error of the processor: of its viewing
model, its elevation, its grids and its interpolation. Coordinates are whole counts, which is 0.04 m of what is found.
"""

import logging
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from l1c_truth_model import Coordinates, Floats, Overflight
from numpy.typing import NDArray

from s2dask.instrument import BANDS, band
from s2dask.simulate.options import SimulationOptions

log = logging.getLogger(__name__)
CELL = 60
"""What bands are compared over [m]."""
VIEWS = {"below": (6, 7), "aside": (2,)}
"""Detectors that look straight down, on either side of their seam, and one that looks aside."""
TOLD = 3e-7
"""Deviation of the measured attitude about each axis [rad], as in the demonstration: 0.24 m on the ground."""


class Located:
    """The errors of the orthoimages of a pass.

    Parameters
    ----------
    flight : Overflight

    Attributes
    ----------
    errors : dict of str to (2, y, x) float64 [m]
        To east and north, by band.
    footprints : dict of str to (y, x) uint8
    """

    def __init__(self, flight: Overflight) -> None:
        geometry = flight.geometry()
        self.relief, parameters = float(np.ptp(geometry.heights)), flight.parameters(geometry)
        self.errors: dict[str, Floats] = {}
        self.footprints: dict[str, NDArray[np.uint8]] = {}
        for name in flight.job.options.bands:
            parts = [Coordinates(flight, which).errors(name, parameters) for which in (0, 1)]
            self.errors[name], image = np.stack([error for error, _ in parts]), parts[0][1]
            self.footprints[name] = image.footprint
            assert not image.quality.any()
            assert image.footprint.all()

    def pixels(self, name: str) -> Floats:
        """Return the distances from where the pixels of a band should look [px]."""
        return np.asarray(np.hypot(*self.errors[name]) / band(name).resolution)

    def cells(self, name: str) -> Floats:
        """Return the mean errors of a band in cells of 60 m (2, y, x) [m]."""
        k, (_, rows, columns) = CELL // band(name).resolution, self.errors[name].shape
        return np.asarray(self.errors[name].reshape(2, rows // k, k, columns // k, k).mean((2, 4)))

    def registration(self) -> Mapping[tuple[str, str], float]:
        """Return the rms distance of each two bands [m]."""
        cells = {name: self.cells(name) for name in self.errors}
        return {(a, b): rms(np.hypot(*(cells[a] - cells[b]))) for a, b in combinations(cells, 2)}


def rms(values: Floats) -> float:
    return float(np.sqrt((values**2).mean()))


def _located(folder: Path, view: str, noise: float, **others: object) -> Located:
    options = {"detectors": VIEWS.get(view), "window": 6000, "seed": 3, "cloud_cover": 0.0, **others}
    return Located(Overflight.of(folder, SimulationOptions(attitude_noise=noise, **options)))  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["below", pytest.param("aside", marks=pytest.mark.slow)])
def exact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Located:
    """Locate with the true attitude: what is left is the processor's."""
    return _located(tmp_path_factory.mktemp("exact"), request.param, 0.0)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Located:
    """Locate with the attitude as the satellite measures it."""
    return _located(tmp_path_factory.mktemp("told"), "below", TOLD)


def _say(located: Located, what: str) -> None:
    """Report the table: ``pytest --log-cli-level=INFO`` shows it."""
    log.info("%s, relief of %.0f m", what, located.relief)
    for name in located.errors:
        off = located.pixels(name)
        log.info("%s rms %.4f px, 99.9 %% %.4f px, largest %.4f px", name, rms(off), np.quantile(off, 0.999), off.max())
    worst = max(located.registration().items(), key=lambda item: item[1])
    log.info("worst registration %.3f m rms: %s and %s", worst[1], *worst[0])


@pytest.mark.row("IPF-29")
def test_every_band_looks_where_it_should(exact: Located) -> None:
    _say(exact, "true attitude")
    assert exact.relief > 1000
    for name in BANDS:
        off = exact.pixels(name)
        assert rms(off) < 0.01, name
        assert np.quantile(off, 0.999) < 0.05, name
        assert off.max() < 0.1, name


@pytest.mark.row("IPF-29")
def test_bands_lie_on_each_other(exact: Located) -> None:
    """Of two bands of several resolutions the finer one's pixel counts."""
    for (a, b), off in exact.registration().items():
        assert off < 0.05 * min(band(a).resolution, band(b).resolution), (a, b)


@pytest.mark.row("IPF-29")
@pytest.mark.slow
def test_the_attitude_as_it_is_told_keeps_the_limits(told: Located) -> None:
    """What the satellite does not know of its own attitude adds 0.3 m to every band, and moves bands apart by 0.5 m."""
    _say(told, "attitude as told")
    for name in BANDS:
        assert rms(told.pixels(name)) < 0.05, name
        assert told.pixels(name).max() < 0.1, name
    for (a, b), off in told.registration().items():
        assert off < 0.05 * max(band(a).resolution, band(b).resolution), (a, b)


def _still_at_seams(located: Located) -> None:
    for name, foot in located.footprints.items():
        seam = foot[:, 1:] != foot[:, :-1]
        jump = np.hypot(*np.diff(located.errors[name], axis=2)) / band(name).resolution
        assert seam.sum() >= foot.shape[0] // 2, name
        assert jump[seam].max() < 0.05, name
        assert rms(jump[seam]) < rms(jump[~seam]) + 0.01, name


@pytest.mark.row("IPF-29")
def test_nothing_moves_at_the_seam_of_two_detectors(exact: Located) -> None:
    """Two detectors see the ground seconds apart and from other directions; their images meet all the same."""
    detectors = {int(d) for foot in exact.footprints.values() for d in np.unique(foot)}
    if detectors == {6, 7}:
        _still_at_seams(exact)
    else:
        assert detectors == {2}


@pytest.mark.slow
@pytest.mark.row("IPF-29")
@pytest.mark.parametrize("detectors", [(9,), (8, 9)])
def test_on_the_real_orbit_and_relief(detectors: tuple[int, ...], reference_data: Path, tmp_path: Path) -> None:
    """The real orbit, attitude and viewing directions of a datastrip, over the mountains of Madeira."""
    located = _located(
        tmp_path, "", 0.0, detectors=detectors, window=12_000, geometry=str(reference_data / "geometry" / "l1b")
    )
    _say(located, f"real geometry, detectors {detectors}")
    assert located.relief > 1000
    if len(detectors) > 1:
        _still_at_seams(located)
    for name in BANDS:
        assert rms(located.pixels(name)) < 0.02, name
        assert np.quantile(located.pixels(name), 0.999) < 0.1, name
    for (a, b), off in located.registration().items():
        assert off < 0.05 * min(band(a).resolution, band(b).resolution), (a, b)
