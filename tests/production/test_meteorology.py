"""Forecasts of a tile: cut at TILE_INIT, kept in the stores, in AUX_DATA and through conversion; absence said."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import surface_model
from ortho_model import GRID, Session, make_session

from s2dask.auxdata.cams import WAVELENGTHS, write_cams
from s2dask.auxdata.grib import Grid, message
from s2dask.auxdata.meteo import FIELDS, read_meteo
from s2dask.io.meteorology import forecast_path, read_forecast
from s2dask.io.opener import open_tree
from s2dask.io.template import add_variable
from s2dask.io.tiles import open_tile
from s2dask.production.blocks import Blocking
from s2dask.production.convert import convert
from s2dask.production.meteorology import carried_forecasts, forecast_variables, write_forecasts
from s2dask.production.ortho import finish_tile, start_tile, write_classification, write_ortho
from s2dask.production.surface import start_tile as start_surface
from s2dask.release.safe_l1c import write_safe_l1c

BLOCKING = Blocking(6_000, 6_000)
TIME = datetime(2020, 8, 16, 12, 0, tzinfo=UTC)
GLOBE = Grid(0.0, 90.0, 0.5, 0.5, 361, 720)
REGION = Grid(-18.0, 34.0, 0.1, 0.1, 25, 25)


def _weather(path: Path) -> None:
    """Write a global forecast: fields that vary with latitude."""
    _, lat = np.meshgrid(GLOBE.lon, GLOBE.lat)
    values = {"water_vapour": 20.0 + 0.1 * lat, "pressure": 101_000.0 + 10 * lat, "ozone": 6e-3 + 1e-5 * lat}
    path.write_bytes(b"".join(message(n, GLOBE, values[name], TIME) for name, n in FIELDS.items()))


@pytest.fixture(scope="module")
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    made = make_session(tmp_path_factory.mktemp("meteo"), request.getfixturevalue("reference_data") / "geometry")
    folder = Path(made.aux) / "meteo"
    folder.mkdir()
    _weather(folder / "AUX_ECMWF_global.grib")
    lon, _ = np.meshgrid(REGION.lon, REGION.lat)
    depths = dict.fromkeys(WAVELENGTHS, 0.2 + 0.01 * (lon + 17.0))
    write_cams(folder / "AUX_CAMSFO_region.grib", -18.0, 34.0, 0.1, depths, TIME, np.full(lon.shape, 250.0))
    return made


@pytest.fixture(scope="module")
def tile(session: Session, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("tile") / "l1c.zarr")
    init = start_tile(session.l0, session.aux, GRID, BLOCKING, url)
    assert init["flags"] == []
    blocks = [
        write_ortho(session.l0, session.l1b, session.aux, url, block, init)
        for r in (10, 20, 60)
        for block in BLOCKING.blocks(GRID, r)
    ]
    masks = [write_classification(url, block) for block in BLOCKING.blocks(GRID, 60)]
    assert finish_tile(url, init, blocks, masks)["flags"] == []
    return url


@pytest.mark.row("IPF-28")
def test_the_tile_holds_its_cut_out(tile: str) -> None:
    tree = open_tree(tile)
    weather, air = tree["conditions/meteorology/ecmwf"], tree["conditions/meteorology/cams"]
    assert {str(name) for name in weather.data_vars} == {"tcwv", "msl", "tco3", "grib"}
    assert {str(name) for name in air.data_vars} == {"aod469", "aod550", "aod670", "aod865", "aod1240", "z", "grib"}
    lat, lon = np.meshgrid(weather.latitude, weather.longitude, indexing="ij")
    assert weather.tcwv.dims == ("latitude", "longitude")
    assert weather.tcwv.shape == air.z.shape == (9, 9)
    assert (weather.tcwv.dtype, weather.tcwv.attrs["units"]) == (np.dtype("float32"), "kg m**-2")
    assert weather.msl.attrs["GRIB_paramId"] == 151
    assert weather.msl.attrs["valid_time"].startswith("2020-08-16T12:02")
    np.testing.assert_allclose(weather.tcwv, 20.0 + 0.1 * lat, atol=1e-3)
    np.testing.assert_allclose(weather.tco3, 6e-3 + 1e-5 * lat, rtol=1e-4)
    np.testing.assert_allclose(air.aod550, 0.2 + 0.01 * (lon + 17.0), atol=1e-5)
    # from the upper left to the lower right corner of the tile
    assert (lat[0, 0], lon[0, 0]) == pytest.approx((32.78, -17.08), abs=0.02)
    assert (lat[-1, -1], lon[-1, -1]) == pytest.approx((32.736, -17.02), abs=0.02)
    assert len(read_forecast(tile, "ecmwf") or b"") == 810
    assert len(read_forecast(tile, "cams") or b"") == 6 * 270


@pytest.mark.row("IPF-28")
def test_the_forecasts_go_into_the_safe_and_through_conversion(tile: str, tmp_path: Path) -> None:
    files = {"AUX_ECMWFT": read_forecast(tile, "ecmwf"), "AUX_CAMSFO": read_forecast(tile, "cams")}
    safe = write_safe_l1c(tile, tmp_path)

    def delivered(folder: Path) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in folder.glob("GRANULE/*/AUX_DATA/*")}

    assert delivered(safe) == files
    assert "AUX_CAMSFO" in (safe / "manifest.safe").read_text("utf-8")
    made = convert(str(safe), str(tmp_path / "a.zarr"))
    ours, theirs = (open_tree(url)["conditions/meteorology"] for url in (tile, made))
    for name in ("ecmwf/tcwv", "cams/aod550", "cams/z"):
        np.testing.assert_array_equal(ours[name], theirs[name])
    (tmp_path / "back").mkdir()
    assert delivered(Path(convert(made, str(tmp_path / "back")))) == files


def test_the_surface_takes_them_over(tile: str, tmp_path: Path) -> None:
    reader = open_tile(tile)
    path = reader.meteo()
    assert path is not None
    assert Path(path).read_bytes() == read_forecast(tile, "ecmwf")
    assert read_meteo(path).water_vapour.shape == (9, 9)
    assert Path(reader.cams() or "").read_bytes() == read_forecast(tile, "cams")
    del reader
    assert not Path(path).exists()
    # a tile with all bands, to which the forecasts are given
    source, url = surface_model.make_l1c(str(tmp_path / "l1c.zarr"), 0.2), str(tmp_path / "l2a.zarr")
    given = forecast_variables(carried_forecasts(open_tile(tile)))
    for path, (spec, _) in given.items():
        add_variable(source, path, spec)
    write_forecasts(source, given)
    start_surface(source, None, url, surface_model.GRID, Blocking(3_000, 3_000))
    for kind in ("ecmwf", "cams"):
        assert read_forecast(url, kind) == read_forecast(tile, kind)
    np.testing.assert_array_equal(*(open_tree(u)["conditions/meteorology/cams/aod550"] for u in (url, tile)))


def test_without_forecasts_that_is_said(session: Session, tmp_path: Path) -> None:
    aux = tmp_path / "aux"
    aux.mkdir()
    for folder in Path(session.aux).iterdir():
        if folder.name != "meteo":
            (aux / folder.name).symlink_to(folder)
    url = str(tmp_path / "bare.zarr")
    init = start_tile(session.l0, str(aux), GRID, BLOCKING, url)
    assert [flag.split(":")[0] for flag in init["flags"]] == ["no ECMWF forecast", "no CAMS forecast"]
    assert read_forecast(url, "ecmwf") is None
    assert open_tile(url).meteo() is None
    assert open_tile(url).cams() is None


def test_a_foreign_file_is_carried_as_it_is() -> None:
    variables = forecast_variables({"ecmwf": b"GRIB of another edition"})
    assert list(variables) == [forecast_path("ecmwf")]
    assert variables[forecast_path("ecmwf")][1].tobytes() == b"GRIB of another edition"
