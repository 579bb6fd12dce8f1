"""Tiles at the edge of what can be corrected: a product that says so, or a refusal that says why."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import surface_model as model
import zarr
from lxml import etree
from release_model import attributes

from s2dask.auxdata.cams import write_cams
from s2dask.errors import ConfigurationError, InputError
from s2dask.instrument import BANDS, band
from s2dask.io.schema import reflectance_path
from s2dask.io.storage import zarr_store
from s2dask.io.tiles import open_tile
from s2dask.io.writer import write_whole
from s2dask.l2a.options import Corrections
from s2dask.production.blocks import Blocking
from s2dask.production.surface import begin_tile, make_surface
from s2dask.release.safe_l2a import write_safe_l2a

AOT = 0.2
WHOLE = Blocking(3000, 3000)
NO_WEATHER = "no weather: standard pressure and ozone assumed"
NO_DEM = "no DEM: sea level assumed"
NO_DARK = "too little dark vegetation: default aerosol assumed"
NO_LAND = "no clear land: forecast water vapour taken"
SCL = "conditions/mask/l2a_classification/r20m/scl"
WVP, AOT_LAYER = "quality/atmosphere/r20m/wvp", "quality/atmosphere/r20m/aot"


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> str:
    return model.make_l1c(str(tmp_path_factory.mktemp("edges") / "l1c.zarr"), AOT)


def _uniform(folder: Path, target: int | None, sun: float = model.SUN[0], **facts: object) -> str:
    """Write a tile that is all one target at sea level, or without data."""
    url = model.make_l1c(str(folder / "l1c.zarr"), AOT, **facts)
    for name in BANDS:
        count, view = 0, model.VIEWS[6]
        if target is not None:
            rho = model.SURFACE[target][BANDS[name].index]
            height = model.CLOUD_TOP if target == model.CLOUD else 0.0
            toa, _ = model.top_of_atmosphere(
                "S2A", name, (sun, model.SUN[1]), view, height, AOT, model.MSL, model.WATER_VAPOUR, model.OZONE, rho
            )
            count = round(toa * 10000 + 1000)
        size = band(name).resolution
        write_whole(url, reflectance_path(size, name), np.full((3000 // size,) * 2, count, np.uint16))
    angles = np.stack([np.full((2, 2), sun), np.full((2, 2), model.SUN[1])])
    write_whole(url, "conditions/geometry/sun_angles", angles)
    return url


def _make(source: str, folder: Path, aux: str | None = None) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    url = str(folder / "l2a.zarr")
    result = make_surface(source, url, aux, WHOLE)
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    arrays = {path: node[...] for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}
    return result | {"attrs": dict(group.attrs["s2dask"])}, arrays


def _forecast(folder: Path, aot: float) -> str:
    (folder / "aux/meteo").mkdir(parents=True)
    field = np.full((9, 9), aot)
    write_cams(
        folder / "aux/meteo/AUX_CAMSFO", -18.0, 34.0, 0.25, {469.0: 1.25 * field, 550.0: field}, datetime(2020, 8, 16)
    )
    return str(folder / "aux")


def test_all_cloud(tmp_path: Path) -> None:
    result, arrays = _make(_uniform(tmp_path, model.CLOUD), tmp_path)
    assert result["flags"] == [NO_WEATHER, NO_DEM, NO_DARK, NO_LAND]
    assert result["attrs"]["cloud_percentage"] == 100
    assert np.isin(arrays[SCL], (8, 9)).all()
    assert (arrays[WVP] == 1500).all()
    assert (arrays[AOT_LAYER] == 200).all()
    record = result["record"]
    assert record["aot_uncertainty"] > 0.1
    assert record["water_vapour_uncertainty"] > 0.2


def test_all_sea(tmp_path: Path) -> None:
    result, arrays = _make(_uniform(tmp_path, model.WATER), tmp_path, model.make_aux(tmp_path / "aux"))
    assert result["flags"] == [NO_DARK, NO_LAND]
    assert (arrays[SCL] == 6).all()
    # nothing is retrieved over water: the forecast, above the ground
    expected = (model.WATER_VAPOUR + 0.4) * np.exp(-model.elevation() / 2000.0)
    np.testing.assert_allclose(arrays["quality/atmosphere/r60m/wvp"], 1000 * expected, atol=2)
    assert result["record"]["water_percentage"] == 100


@pytest.mark.row("IPF-37")
def test_without_dark_vegetation_the_forecast_is_taken_and_recorded(tmp_path: Path) -> None:
    known = ("tile_id", "crs", "x0", "y0", "width", "height", "name")
    facts = {key: value for key, value in attributes("L1C", model.GRID).items() if key not in known}
    result, arrays = _make(_uniform(tmp_path, model.WATER, **facts), tmp_path, _forecast(tmp_path, 0.33))
    assert result["attrs"]["aot_retrieval_method"] == "CAMS"
    assert "too little dark vegetation: forecast aerosol taken" in result["flags"]
    assert np.abs(arrays[AOT_LAYER] - 330.0).max() <= 1
    assert abs(result["record"]["aot_mean"] - 0.33) < 1e-3
    safe = write_safe_l2a(result["path"], tmp_path / "safe")
    for name in ("MTD_TL.xml", "MTD_MSIL2A.xml"):
        text = next(safe.rglob(name)).read_text("utf-8")
        assert "<AOT_RETRIEVAL_METHOD>CAMS</AOT_RETRIEVAL_METHOD>" in text
        root = etree.fromstring(text.encode())
        aot, vapour = (
            float(next(root.iter(f"{what}_RETRIEVAL_ACCURACY")).text or "nan") for what in ("AOT", "WATER_VAPOUR")
        )
        assert 35 < aot < 50  # 0.03 + 0.3 of the forecast itself, and what varies from place to place
        assert 20 < vapour < 25


def test_a_forecast_that_cannot_be_read_is_said_and_passed_over(usual: str, tmp_path: Path) -> None:
    aux = _forecast(tmp_path, 0.2)
    path = Path(aux) / "meteo/AUX_CAMSFO"
    path.write_bytes(path.read_bytes()[:-50])
    begin = begin_tile(usual, aux)
    assert "aerosol forecast not used: GRIB message cut short" in begin["flags"]
    assert begin["conditions"].aot is None


def test_dark_vegetation_and_forecast_together(usual: str, tmp_path: Path) -> None:
    for forecast, low, high in ((0.1, 0.09, 0.17), (0.2, 0.14, 0.20), (0.35, 0.16, 0.29)):
        folder = tmp_path / str(forecast)
        result, _ = _make(usual, folder, _forecast(folder, forecast))
        assert result["attrs"]["aot_retrieval_method"] == "DDV+CAMS"
        assert low < result["record"]["aot_mean"] < high
        assert result["record"]["aot_uncertainty"] < 0.06


def test_sun_near_the_horizon(tmp_path: Path) -> None:
    result, arrays = _make(_uniform(tmp_path, model.SOIL, 83.0), tmp_path)
    assert result["flags"][0] == "sun 83.0 degrees from the zenith: hardly any light"
    assert (arrays[reflectance_path(20, "B04")] > 0).all()
    assert arrays[reflectance_path(20, "B04")].max() < 65535


def test_no_sun_is_refused(tmp_path: Path) -> None:
    source = _uniform(tmp_path, model.SOIL)
    write_whole(source, "conditions/geometry/sun_angles", np.stack([np.full((2, 2), 91.0), np.full((2, 2), 100.0)]))
    with pytest.raises(InputError, match=r"91\.0 degrees from the zenith"):
        begin_tile(source, None)


def test_no_data_at_all(tmp_path: Path) -> None:
    result, arrays = _make(_uniform(tmp_path, None), tmp_path)
    assert result["flags"] == [NO_WEATHER, NO_DEM, "no pixel with data", NO_DARK, NO_LAND]
    assert result["attrs"]["nodata_percentage"] == 100
    assert result["attrs"]["cloud_percentage"] == 0
    for path, values in arrays.items():
        if path.startswith(("measurements/reflectance", "quality/atmosphere", "conditions/mask")) and values.ndim == 2:
            assert not values.any(), path
    assert np.isfinite(list(result["record"].values())).all()
    json.dumps(result["attrs"], allow_nan=False)


def test_saturated_bands(tmp_path: Path) -> None:
    source = model.make_l1c(str(tmp_path / "l1c.zarr"), AOT)
    for name in ("B04", "B8A", "B09"):
        size = band(name).resolution
        path, edge = reflectance_path(size, name), 600 // size
        counts = zarr.open_group(zarr_store(source, read_only=True), mode="r")[path][...]
        counts[2 * edge : 3 * edge, :edge] = 65535
        write_whole(source, path, counts)
    result, arrays = _make(source, tmp_path)
    edge = 600 // 20
    there = (slice(2 * edge, 3 * edge), slice(0, edge))
    assert (arrays[reflectance_path(20, "B04")][there] == 65535).all()
    assert (arrays[reflectance_path(20, "B11")][there] < 65535).all()
    assert (arrays[SCL][there] == 1).all()
    assert (arrays[SCL] == 1).sum() == edge * edge
    # the tile is made without the light of surroundings, which is taken off the vegetation all the same
    thinned = AOT * np.exp(-model.elevation() / 2000)
    assert abs(result["record"]["aot_mean"] - thinned.mean()) < 0.05
    land = result["attrs"]["water_vapour_land"]
    # nothing is retrieved where B09 is saturated: the land's mean is in its place
    np.testing.assert_allclose(arrays[WVP][there] / 1000, land, atol=0.002)


def test_an_unknown_aerosol_is_refused(usual: str) -> None:
    assert begin_tile(usual, None, Corrections("maritime"))["conditions"].aerosol == "maritime"
    with pytest.raises(ConfigurationError, match="no aerosol volcanic"):
        Corrections("volcanic")
    with pytest.raises(ConfigurationError, match="slopes 'steep'"):
        Corrections(slopes="steep")  # type: ignore[arg-type]


def test_aerosol_that_varies_leaves_no_seam(reference_data: Path, tmp_path: Path) -> None:
    source = str(min((reference_data / "l2a/pixels/safe_decimated").glob("*.zip")))
    lon, _ = np.meshgrid(147.0 + 0.125 * np.arange(9), np.arange(9))
    (tmp_path / "meteo").mkdir()
    field = 0.05 + 0.5 * (lon - 147.0)
    write_cams(tmp_path / "meteo/AUX_CAMSFO", 147.0, -28.0, 0.125, {550.0: field}, datetime(2017, 12, 7))
    grid = open_tile(source).grid
    found = []
    for i, blocking in enumerate((Blocking(115_200, 1800), Blocking(38_400, 600))):
        url = str(tmp_path / f"{i}.zarr")
        result = make_surface(source, url, str(tmp_path), blocking)
        group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
        found.append({p: n[...] for p, n in group.members(max_depth=None) if isinstance(n, zarr.Array)})
        assert result["flags"][-1] == "too little dark vegetation: forecast aerosol taken"
    for path, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][path], err_msg=path)
    aot = found[0]["quality/atmosphere/r60m/aot"]
    assert aot.shape == grid.shape(60)
    seen = aot[aot.shape[0] // 2][aot[aot.shape[0] // 2] > 0].astype(float)
    assert seen[-1] - seen[0] > 100
    assert np.abs(np.diff(seen)).max() < 30
