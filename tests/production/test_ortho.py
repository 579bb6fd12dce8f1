"""The L1C production functions on a small tile: real geometry, patterned L1B images, stores on disk."""

import json
from datetime import datetime
from pathlib import Path

import dask
import numpy as np
import pytest
import zarr
from ortho_model import BANDS, DETECTORS, GRID, RHO, Session, fill, make_session

from s2dask.instrument import band, unit
from s2dask.instrument.quality import NODATA
from s2dask.instrument.solar import reflectance_conversion
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.opener import open_tree
from s2dask.io.storage import open_array
from s2dask.io.tiles import TileReader, open_tile
from s2dask.io.validation import differences
from s2dask.l1c.classification import CIRRUS
from s2dask.l1c.reflectance import inverse_cosine, reflectance_scale
from s2dask.l1c.stage import block_pixels
from s2dask.l1c.uncertainty import uncertainty, uncertainty_layers
from s2dask.production.blocks import Blocking
from s2dask.production.count_errors import tile_errors
from s2dask.production.ortho import (
    CLASSIFICATION,
    finish_tile,
    start_tile,
    strip_lines,
    write_classification,
    write_ortho,
)
from s2dask.production.resampling import Resampling
from s2dask.production.scene_tile import SceneTile, tile_array, tile_tree
from s2dask.production.strip import strip_facts
from s2dask.qc.records import Record

BLOCKING = Blocking(3_600, 1_800)


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    reference = request.getfixturevalue("reference_data") / "geometry"
    return make_session(tmp_path_factory.mktemp("ortho"), reference)


def _tile(session: Session, url: str, blocking: Blocking) -> tuple[dict[str, object], list[Record]]:
    init = start_tile(session.l0, session.aux, GRID, blocking, url, Resampling(uncertainty=True))
    init = json.loads(json.dumps(init))
    blocks = [
        write_ortho(session.l0, session.l1b, session.aux, url, block, init)
        for resolution in (10, 20, 60)
        for block in blocking.blocks(GRID, resolution)
    ]
    masks = [write_classification(url, block) for block in blocking.blocks(GRID, 60)]
    return finish_tile(url, init, blocks, masks), blocks


@pytest.fixture(scope="module")
def tile(session: Session, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("tile") / "l1c.zarr")
    _tile(session, url, BLOCKING)
    return url


@pytest.mark.row("IPF-30")
def test_the_tile_holds_the_reflectance(tile: str, session: Session) -> None:
    expected = schema.l1c(GRID, DETECTORS, BANDS, chunks=BLOCKING.chunks(), uncertainty=True)
    assert list(differences(tile, expected)) == []
    tree = open_tree(tile)
    zenith = float(open_array(tile, "conditions/geometry/sun_angles")[0].mean())
    u = reflectance_conversion(datetime(2020, 8, 16, 12, 2, 21))
    for name, rho in RHO.items():
        image = tree[schema.reflectance_path(band(name).resolution, name)]
        expected = rho * (np.cos(np.radians(25.0)) * 0.975) / (np.cos(np.radians(zenith)) * u)
        assert float(image.mean()) == pytest.approx(expected, rel=2e-3)
        assert 0.03 < float(image.max() / image.mean()) - 1 < 0.055
        assert int((open_array(tile, schema.quality_path(band(name).resolution, name))[...] != 0).sum()) == 0


def test_attributes_records_and_checks(tile: str, session: Session) -> None:
    attrs = zarr.open_group(tile, mode="r").attrs["s2dask"]
    assert attrs["name"].startswith("S2A_MSIL1C_20200816T120221_N0511_R023_T28SCB_")
    assert attrs["orbit_direction"] == "DESCENDING"
    assert (attrs["level"], attrs["quantification"], attrs["radio_add_offset"]) == ("L1C", 10000, -1000)
    assert attrs["sensing_start"].startswith("2020-08-16T12:02:")
    assert 22 < attrs["solar_zenith"] < 28
    assert attrs["physical_gains"]["B03"] == unit("S2A").bands["B03"].gain
    assert attrs["nodata_percentage"] == attrs["data_loss_percentage"] == 0
    assert attrs["record"]["b03.pixels"] == 600 * 480
    assert attrs["record"]["b10.valid"] == 100 * 80
    statuses = {check["id"]: check["status"] for check in attrs["checks"]}
    assert {
        "Solar_Angle_Zenith",
        "Data_Loss",
        "Detector_Step",
        "Footprint_Holes",
        "Radiometric_Offset",
    } <= statuses.keys()
    assert set(statuses.values()) == {"PASSED"}
    assert attrs["record"]["detector_step"] < 1
    assert attrs["record"]["reflectance_conversion_deviation"] < 1e-4
    reader = open_tile(tile)
    assert reader.grid == GRID
    assert reader.view_angles("B03").shape == (2, 2, 2, 3)


@pytest.mark.row("IPF-31")
def test_the_classification_sees_cirrus(tile: str) -> None:
    # B03 below the brightness of clouds against an absent B04: only B10 speaks
    assert (open_array(tile, CLASSIFICATION)[...] == CIRRUS).all()
    attrs = zarr.open_group(tile, mode="r").attrs["s2dask"]
    assert attrs["cloud_percentage"] == 100.0
    assert attrs["snow_percentage"] == 0.0


def test_another_blocking_gives_the_same_bytes(tile: str, session: Session, tmp_path: Path) -> None:
    url = str(tmp_path / "other.zarr")
    result, _ = _tile(session, url, Blocking(2_400, 1_200))
    for name in BANDS:
        r = band(name).resolution
        paths = schema.reflectance_path(r, name), schema.quality_path(r, name), schema.footprint_path(r, name)
        for path in (*paths, schema.toa_uncertainty_path(name)):
            np.testing.assert_array_equal(open_array(url, path)[...], open_array(tile, path)[...])
    np.testing.assert_array_equal(open_array(url, CLASSIFICATION)[...], open_array(tile, CLASSIFICATION)[...])
    assert result["record"] == pytest.approx(zarr.open_group(tile, mode="r").attrs["s2dask"]["record"])


def test_the_lazy_image_is_the_product(tile: str, session: Session) -> None:
    scene = SceneTile(session.l0, session.aux, GRID, session.l1b)
    with dask.config.set(scheduler="threads", num_workers=2):
        image = tile_array(scene, "B11", BLOCKING)
        assert image.chunks == ((180, 60), (180, 120))
        assert image.data.name.startswith("GEN_ORTHO_TOA-B11-T28SCB")
        stored = open_tree(tile)[schema.reflectance_path(20, "B11")]
        np.testing.assert_allclose(image.values, stored.values, atol=1e-6)
        np.testing.assert_array_equal(image.x, stored.x)
        part = tile_array(scene, "B11", BLOCKING, "footprint")[50:70, 100:250]
        np.testing.assert_array_equal(part, open_array(tile, schema.footprint_path(20, "B11"))[50:70, 100:250])
    tree = tile_tree(scene, ("B03", "B10"))
    assert tree["r10m/b03"].shape == (480, 600)
    assert tree["r60m/b10"].dims == ("y", "x")


def test_a_tile_on_demand_reads_like_a_stored_one(tile: str, session: Session) -> None:
    made, stored = SceneTile(session.l0, session.aux, GRID, session.l1b), open_tile(tile)
    assert isinstance(made, TileReader)
    assert (made.grid, made.bands, made.detectors) == (stored.grid, stored.bands, stored.detectors)
    window = slice(10, 60), slice(20, 90)
    for what in ("reflectance", "quality", "footprint"):
        ours, theirs = (getattr(tile, what)("B11", *window) for tile in (made, stored))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_array_equal(made.sun_angles(), stored.sun_angles())
    np.testing.assert_array_equal(made.view_angles("B03"), stored.view_angles("B03"))
    changing = {"name", "generation_time", "toa_uncertainty"}
    for key in made.attrs.keys() - changing:
        assert made.attrs[key] == stored.attrs[key], key


def test_what_the_swath_misses_is_no_data_but_no_loss(session: Session, tmp_path: Path) -> None:
    url, east = str(tmp_path / "edge.zarr"), TileGrid("28SCB", "EPSG:32628", 330_000, 3_618_000, 3_600, 3_600)
    init = start_tile(session.l0, session.aux, east, BLOCKING, url)
    blocks = [
        write_ortho(session.l0, session.l1b, session.aux, url, block, init)
        for r in (10, 20, 60)
        for block in BLOCKING.blocks(east, r)
    ]
    masks = [write_classification(url, block) for block in BLOCKING.blocks(east, 60)]
    record = finish_tile(url, init, blocks, masks)["record"]
    footprint = open_array(url, schema.footprint_path(20, "B11"))[...]
    assert 0.02 < (footprint == 0).mean() < 0.98
    mask = open_array(url, schema.quality_path(20, "B11"))[...]
    np.testing.assert_array_equal(mask == NODATA, footprint == 0)
    assert record["nodata_percentage"] > 1
    assert record["data_loss_percentage"] == 0


def test_lines_of_a_strip(session: Session) -> None:
    assert strip_lines(strip_facts(session.l0)) == {"B03": 2304, "B10": 384, "B11": 1152}


def test_another_interpolation_and_its_noise_gain(session: Session, tile: str, tmp_path: Path) -> None:
    url = str(tmp_path / "bicubic.zarr")
    how = Resampling("bicubic", "lower", noise_gain=True)
    init = json.loads(json.dumps(start_tile(session.l0, session.aux, GRID, BLOCKING, url, how)))
    for block in BLOCKING.blocks(GRID, 20):
        write_ortho(session.l0, session.l1b, session.aux, url, block, init)
    assert (init["attrs"]["filter"], init["attrs"]["cut"]) == ("BCO", "lower")
    gain = open_array(url, schema.noise_gain_path(20, "B11"))[...]
    # between four pixels the bicubic weighs with the squares of (-1, 9, 9, -1) / 16, on a pixel with one
    assert gain.min() == pytest.approx((164 / 256) ** 2, abs=2e-3)
    assert gain.max() == pytest.approx(1.0, abs=2e-2)
    ours, theirs = (open_array(u, schema.footprint_path(20, "B11"))[...] for u in (url, tile))
    assert (ours == 8).sum() > (theirs == 8).sum()
    ours, theirs = (open_array(u, schema.reflectance_path(20, "B11"))[...] for u in (url, tile))
    assert 0 < np.abs(ours.astype(int) - theirs)[theirs > 0].mean() < 60
    expected = schema.l1c(GRID, DETECTORS, BANDS, chunks=BLOCKING.chunks(), noise_gain=True)
    assert list(differences(url, expected)) == []


def _noisy(name: str, detector: int) -> np.ndarray:
    """Return counts of one level with the noise of the unit."""
    b, of = band(name), unit("S2A").bands[name]
    level, random = 400.0, np.random.default_rng([b.index, detector])
    sigma = np.sqrt(of.noise_alpha**2 + of.noise_beta * level)
    return np.round(100 + level + random.normal(0, sigma, (b.lines_per_scene, b.columns))).astype(np.uint16)


def test_the_uncertainty_of_a_tile_is_that_of_its_pixels(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Stored block by block it is that of the whole image; noise that was resampled scatters as it says."""
    made, name = make_session(tmp_path, request.getfixturevalue("reference_data") / "geometry"), "B11"
    fill(made, (name,), _noisy)
    url, how = str(tmp_path / "noisy.zarr"), Resampling(noise_gain=True, uncertainty=True)
    init = json.loads(json.dumps(start_tile(made.l0, made.aux, GRID, BLOCKING, url, how)))
    records = [write_ortho(made.l0, made.l1b, made.aux, url, block, init) for block in BLOCKING.blocks(GRID, 20)]
    attrs = init["attrs"]
    values = open_array(url, schema.reflectance_path(20, name))[...]
    gain = open_array(url, schema.noise_gain_path(20, name))[...]
    scale = reflectance_scale(*(attrs[k][name] for k in ("physical_gains", "solar_irradiance")),
                              attrs["reflectance_conversion"])  # fmt: skip
    sun = open_array(url, "conditions/geometry/sun_angles")[0]
    inverse = inverse_cosine(sun, 5000.0, block_pixels(20, slice(0, 240), slice(0, 300)))
    errors = tile_errors(made.l1b, attrs)[name]
    assert errors.bias == pytest.approx(0.003 * 0.2 / (scale * inverse.mean()), rel=0.01)
    _, codes = uncertainty_layers(values, inverse, errors, scale, gain=gain)
    np.testing.assert_array_equal(open_array(url, schema.toa_uncertainty_path(name))[...], codes)
    coded = sum(record[f"{name.lower()}:uncertainty_codes"] for record in records)
    assert coded == codes[::12].sum()  # of rows 240 m apart
    own, _ = uncertainty(values, inverse, errors._replace(shift=0.0), scale, gain=gain)
    error = (values.astype(float) - 1000) / 1e4 - 400 * scale * inverse
    assert np.std(error / own) == pytest.approx(1, abs=0.03)
    assert np.mean(np.abs(error) < own) == pytest.approx(0.683, abs=0.02)
    assert 0.5 < np.sqrt(gain).mean() < 1


def test_without_the_uncertainty_there_is_no_layer(session: Session, tile: str, tmp_path: Path) -> None:
    url = str(tmp_path / "plain.zarr")
    init = json.loads(json.dumps(start_tile(session.l0, session.aux, GRID, BLOCKING, url)))
    (block, *_) = BLOCKING.blocks(GRID, 60)
    record = write_ortho(session.l0, session.l1b, session.aux, url, block, init)
    assert not [key for key in record if "uncertainty" in key]
    assert "uncertainty" not in zarr.open_group(url, mode="r")["quality"]
    image = schema.reflectance_path(60, "B10")
    part = block.rows, block.columns
    np.testing.assert_array_equal(open_array(url, image)[part], open_array(tile, image)[part])


def test_a_gain_of_one_detector_shows_at_its_seam(
    session: Session, tile: str, reference_data: Path, tmp_path: Path
) -> None:
    seeded = make_session(tmp_path, reference_data / "geometry")
    b11 = schema.image_path(9, "B11")
    counts = open_array(session.l1b, b11)[...].astype(np.float64)
    zarr.open_group(seeded.l1b, mode="r+")[b11][...] = np.round(100 + 1.06 * (counts - 100)).astype(np.uint16)
    record = _tile(seeded, str(tmp_path / "l1c.zarr"), BLOCKING)[0]["record"]
    clean = zarr.open_group(tile, mode="r").attrs["s2dask"]["record"]
    # 6 % of gain are 5.8 % of the mean of both
    assert record["d08.b11.detector_step"] - clean["d08.b11.detector_step"] == pytest.approx(5.83, abs=0.2)
    assert record["detector_step"] == record["d08.b11.detector_step"]
    assert record["d08.b03.detector_step"] == clean["d08.b03.detector_step"]
