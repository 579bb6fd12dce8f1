"""The ground truth: relief, surface and clouds, all from the seed."""

import numpy as np
import pytest

from s2dask.instrument import BANDS
from s2dask.simulate.clouds import cloud_opacity
from s2dask.simulate.landscape import (
    CLOUD_HEIGHT,
    Landscape,
    Lattice,
    blur,
    build_landscape,
    fractal,
    landscape_on,
)
from s2dask.simulate.options import SimulationOptions
from s2dask.simulate.spectra import CLASSES, cloud_reflectance, spectrum

CENTRE = (-17.0, 32.75)
BOX = (-17.05, 32.71, -16.95, 32.79)
OPTIONS = SimulationOptions(window=6000, cloud_cover=0.3)


@pytest.fixture(scope="module")
def island() -> Landscape:
    """Make an island of some kilometres."""
    return build_landscape(BOX, CENTRE, OPTIONS)


def test_landscape_follows_from_the_seed(island: Landscape) -> None:
    again = build_landscape(BOX, CENTRE, OPTIONS)
    other = build_landscape(BOX, CENTRE, SimulationOptions(window=6000, cloud_cover=0.3, seed=2))
    for name in ("heights", "classes", "texture", "cloud"):
        np.testing.assert_array_equal(getattr(again, name), getattr(island, name))
        assert (getattr(other, name) != getattr(island, name)).mean() > 0.05


def test_island_stands_in_the_sea_below_the_clouds(island: Landscape) -> None:
    heights = island.heights
    assert 200 < heights.max() < CLOUD_HEIGHT
    assert heights.min() == 0
    edge = np.concatenate([heights[0], heights[-1], heights[:, 0], heights[:, -1]])
    assert not edge.any()
    middle = heights[
        heights.shape[0] // 2 - 5 : heights.shape[0] // 2 + 5, heights.shape[1] // 2 - 5 : heights.shape[1] // 2 + 5
    ]
    assert (middle > 0).all()
    # posts of one second of arc, so that the model is of the kind that the processors read
    assert island.relief.dlon == pytest.approx(1 / 3600)
    land = (island.classes > 0).mean()
    assert 0.05 < land < 0.9
    assert set(np.unique(island.classes)) <= set(range(len(CLASSES)))
    assert len(np.unique(island.classes)) >= 4


def test_surface_covers_its_box(island: Landscape) -> None:
    lon, lat = island.surface.longitudes(), island.surface.latitudes()
    assert lon[0] <= BOX[0] < BOX[2] <= lon[-1]
    assert lat[-1] <= BOX[1] < BOX[3] <= lat[0]
    assert island.classes.shape == island.texture.shape == island.cloud.shape == (lat.size, lon.size)


@pytest.mark.parametrize("band", BANDS)
def test_reflectance_is_physical(band: str, island: Landscape) -> None:
    colours = spectrum(band)
    assert colours.shape == (len(CLASSES),)
    assert ((colours > 0) & (colours < 1)).all()
    assert 0 < cloud_reflectance(band) < 1
    image, frame = island.reflectance(band, 0.5 * BANDS[band].resolution)
    assert image.dtype == np.float32
    assert 0 <= image.min() < image.max() <= 1
    assert frame[2] > 0 < frame[3]


def test_dark_vegetation_has_the_ratios_that_the_aerosol_is_found_by() -> None:
    forest = {band: spectrum(band)[CLASSES.index("forest")] for band in ("B02", "B04", "B12")}
    assert forest["B04"] == pytest.approx(0.5 * forest["B12"])
    assert forest["B02"] == pytest.approx(0.5 * forest["B04"])


@pytest.mark.parametrize("cover", [0.0, 0.1, 0.4, 0.6])
def test_clouds_have_their_share_of_the_sky(cover: float) -> None:
    """Over one tile of the field, 24.6 km, the share of cells with any cloud is nearly the one asked for.

    The tile has that share; its borders are blended with its neighbours.
    """
    period = 24_576 / 111_320
    box = (CENTRE[0], CENTRE[1], CENTRE[0] + period / np.cos(np.radians(CENTRE[1] + period / 2)), CENTRE[1] + period)
    flat = Lattice(box[0] - 1, box[3] + 1, 0.1, 0.1, 30, 30)
    sky = landscape_on(flat, np.zeros((30, 30), np.float32), box, SimulationOptions(cloud_cover=cover))
    assert (sky.cloud > 0).mean() == pytest.approx(cover, abs=0.03)
    if cover:
        assert sky.cloud.max() == 255
    assert not sky.classes.any()


def test_clouds_do_not_repeat() -> None:
    """Over 120 km: neither after the 24.6 km of a tile, nor in the share of the sky."""
    axis = np.arange(3000) * 40.0
    cloudy = cloud_opacity(axis, axis, 1, 0.3) > 0
    tile = round(24_576 / 40)
    for here, there in ((cloudy[:-tile], cloudy[tile:]), (cloudy[:, :-tile], cloudy[:, tile:])):
        assert np.corrcoef(here.ravel(), there.ravel())[0, 1] < 0.3
    assert cloudy.mean() == pytest.approx(0.3, abs=0.05)
    assert not cloud_opacity(axis[:50], axis[:50], 1, 0.0).any()


def test_opacity_is_kept_for_the_bands_that_share_it(island: Landscape) -> None:
    first, _ = island.opacity(9.0)
    assert island.opacity(9.0)[0] is first
    assert 0 <= first.min() < first.max() <= 1 + 1e-6
    coarse, frame = island.opacity(27.0)
    assert coarse.shape[0] < first.shape[0]
    assert frame[3] > island.surface.dlat
    np.testing.assert_allclose(coarse.mean(), first.mean(), rtol=0.02)


def test_blur_is_a_gaussian_of_its_deviation_and_keeps_the_sum() -> None:
    field = np.zeros((81, 81), np.float32)
    field[40, 40] = 1
    out = blur(field.copy(), (3.0, 5.0)).astype(float)
    rows, columns = np.arange(81) - 40, np.arange(81) - 40
    assert out.sum() == pytest.approx(1, abs=1e-5)
    assert np.sqrt((out.sum(1) * rows**2).sum()) == pytest.approx(3.0, rel=0.01)
    assert np.sqrt((out.sum(0) * columns**2).sum()) == pytest.approx(5.0, rel=0.01)
    level = np.full((20, 30), 0.7, np.float32)
    np.testing.assert_allclose(blur(level, (2.0, 2.0)), 0.7, rtol=1e-5)


def test_fractal_fields_are_normal_and_rough_by_their_slope() -> None:
    rough, smooth = fractal((1, 1), 1.2, 256), fractal((1, 1), 2.4, 256)
    for field in (rough, smooth):
        assert field.mean() == pytest.approx(0, abs=1e-5)
        assert field.std() == pytest.approx(1, abs=1e-5)
    assert np.diff(rough, axis=1).std() > 2 * np.diff(smooth, axis=1).std()
    # periodic: the step over the edge is like any other
    assert np.abs(smooth[:, 0] - smooth[:, -1]).std() < 2 * np.diff(smooth, axis=1).std()
