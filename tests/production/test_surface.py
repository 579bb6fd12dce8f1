"""The loop closed: a known surface, seen through an atmosphere written apart, comes back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import surface_model as model
import zarr

from s2dask.errors import ConfigurationError, InputMissing
from s2dask.instrument import BANDS
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.schema import L2A_BANDS, reflectance_path
from s2dask.io.storage import zarr_store
from s2dask.io.tiles import open_tile
from s2dask.io.validation import differences
from s2dask.l2a.atmosphere_indicator import atmosphere_indicators
from s2dask.l2a.options import Corrections
from s2dask.production.blocks import Blocking
from s2dask.production.surface import begin_tile, gather, l2a_dataset, make_surface, solve, start_tile

AOT = 0.28
SCL = "conditions/mask/l2a_classification/r{}m/scl"


def _arrays(url: str) -> dict[str, np.ndarray]:
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    return {path: node[...] for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}


@pytest.fixture(scope="module")
def tile(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("surface")
    return model.make_l1c(str(folder / "l1c.zarr"), AOT), model.make_aux(folder / "aux")


@pytest.fixture(scope="module")
def product(tile: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict]:
    url = str(tmp_path_factory.mktemp("surface") / "l2a.zarr")
    return url, make_surface(tile[0], url, tile[1], Blocking(3000, 3000))


def _targets(resolution: int) -> np.ndarray:
    per = 60 // resolution
    return np.repeat(np.repeat(model.targets(), per, 0), per, 1)


def test_the_surface_comes_back(tile: tuple[str, str], tmp_path: Path) -> None:
    # each pixel of the tile is seen as if all around were like it
    make_surface(tile[0], str(tmp_path / "l2a.zarr"), tile[1], None, Corrections(surroundings=False))
    arrays = _arrays(str(tmp_path / "l2a.zarr"))
    worst = {}
    for resolution, names in L2A_BANDS.items():
        kind = _targets(resolution)
        for name in names:
            counts = arrays[reflectance_path(resolution, name)]
            error = (counts.astype(float) - 1000) / 1e4 - model.surfaces(name, resolution)
            for target in (model.GRASS, model.SOIL, model.WATER):
                worst[resolution, name, target] = float(np.sqrt(np.mean(error[kind == target] ** 2)))
            assert (counts[kind == model.NO_DATA] == 0).all()
            assert (counts[kind != model.NO_DATA] > 0).all()
    assert max(worst.values()) < 0.008, worst
    snow = _targets(20) == model.SNOW
    b03 = (arrays[reflectance_path(20, "B03")][snow].astype(float) - 1000) / 1e4
    np.testing.assert_allclose(b03, 0.93, atol=0.02)


def test_atmosphere(product: tuple[str, dict]) -> None:
    arrays, record = _arrays(product[0]), product[1]["record"]
    thinned = AOT * np.exp(-model.elevation() / 2000)
    assert abs(record["aot_mean"] - thinned.mean()) < 0.05
    seen = model.targets() != model.NO_DATA
    expected = model.WATER_VAPOUR * np.exp(-model.elevation() / 2000)
    land = np.isin(model.targets(), (model.GRASS, model.SOIL, model.WATER))
    vapour = arrays["quality/atmosphere/r60m/wvp"] / 1000
    assert np.abs(vapour - expected)[land].max() < 0.1
    assert not vapour[~seen].any()
    fine = np.repeat(np.repeat(arrays["quality/atmosphere/r60m/wvp"], 6, 0), 6, 1)
    np.testing.assert_array_equal(fine, arrays["quality/atmosphere/r10m/wvp"])
    aot = arrays["quality/atmosphere/r20m/aot"]
    there = aot > 0
    np.testing.assert_array_equal(there, _targets(20) != model.NO_DATA)
    assert np.abs(aot / 1000 - np.repeat(np.repeat(thinned, 3, 0), 3, 1))[there].max() < 0.06
    assert abs(aot[there].mean() / 1000 - record["aot_mean"]) < 1e-5
    assert 0.01 < record["aot_uncertainty"] < 0.12
    assert 0.05 < record["water_vapour_uncertainty"] < 0.25


@pytest.mark.parametrize("resolution", [20, 60])
def test_classes(product: tuple[str, dict], resolution: int) -> None:
    found, kind = _arrays(product[0])[SCL.format(resolution)], _targets(resolution)
    assert (found[kind == model.NO_DATA] == 0).all()
    for target, expected in model.SCL.items():
        share = (found[kind == target] == expected).mean()
        assert share > (0.9 if target == model.SHADOW else 0.99), (target, np.bincount(found[kind == target]))
    assert ((found == 3) & (kind != model.SHADOW)).sum() == 0


def test_confidence(product: tuple[str, dict]) -> None:
    arrays, kind = _arrays(product[0]), _targets(20)
    assert (arrays["quality/probability/r20m/cld"][kind == model.CLOUD] > 65).all()
    assert (arrays["quality/probability/r20m/snw"][kind == model.SNOW] > 65).all()
    clear = np.isin(kind, (model.GRASS, model.WATER, model.NO_DATA))
    assert not arrays["quality/probability/r20m/cld"][clear].any()


@pytest.mark.parametrize("blocking", [Blocking(960, 960), Blocking(1560, 780)])
def test_another_cut_gives_the_same_bits(
    tile: tuple[str, str], product: tuple[str, dict], tmp_path: Path, blocking: Blocking
) -> None:
    result = make_surface(tile[0], str(tmp_path / "l2a.zarr"), tile[1], blocking)
    whole, cut = _arrays(product[0]), _arrays(str(tmp_path / "l2a.zarr"))
    assert whole.keys() == cut.keys()
    for path, values in whole.items():
        np.testing.assert_array_equal(values, cut[path], err_msg=path)
    assert result["record"] == product[1]["record"]


def test_what_the_product_says(product: tuple[str, dict]) -> None:
    url, result = product
    attrs = dict(zarr.open_group(zarr_store(url, read_only=True), mode="r").attrs["s2dask"])
    assert list(differences(url, schema.l2a(model.GRID, 2, {10: 300, 20: 150, 60: 50}, True))) == []
    assert (attrs["level"], attrs["boa_add_offset"], attrs["tile_id"]) == ("L2A", -1000, "28SCB")
    assert attrs["name"].startswith("S2A_MSIL2A_20200816T120221")
    assert "radio_add_offset" not in attrs
    assert attrs["flags"] == []
    assert attrs["aot_retrieval_method"] == "DDV"
    assert {check["status"] for check in attrs["checks"]} == {"PASSED"}
    kind = model.targets()
    seen = (kind != model.NO_DATA).sum()
    assert abs(attrs["cloud_percentage"] - 100 * (kind == model.CLOUD).sum() / seen) < 0.1
    assert abs(attrs["nodata_percentage"] - 100 * (kind == model.NO_DATA).mean()) < 1e-4
    assert abs(attrs["record"]["water_percentage"] - 100 * (kind == model.WATER).sum() / seen) < 0.1
    assert result["path"] == url
    np.testing.assert_allclose(_arrays(url)["conditions/geometry/mean_sun_angles"], model.SUN)


def test_what_is_measured_of_the_product(tile: tuple[str, str], product: tuple[str, dict]) -> None:
    record = product[1]["record"]
    assert record["scl_inconsistent"] < 0.5
    # the forecast has 0.4 cm more than there is
    assert record["wv_minus_ecmwf"] == pytest.approx(-0.4, abs=0.1)
    assert -2 < record["wv_minus_ecmwf_pull"] < -0.5
    assert 0 <= record["aot_interpolated_percentage"] < 100
    assert "aot_minus_cams" not in record
    blocks = list(Blocking(3000, 3000).blocks(model.GRID, 20))
    begin = begin_tile(tile[0], tile[1])
    state = solve(begin, [gather(tile[0], block, begin) for block in blocks])
    forecast = replace(state.nodes, aot=state.aerosol.aot - 0.12, aot_height=np.full_like(state.aerosol.aot, 0.0))
    told = atmosphere_indicators(replace(state, nodes=forecast), forecast=False)
    # the aerosol of the image, brought down to the height of the forecast
    lower = state.aerosol.aot * (np.exp(state.aerosol.decay * state.aerosol.reference) - 1)
    assert told["aot_minus_cams"] == pytest.approx(0.12 + lower.mean(), abs=1e-3)
    assert 0.5 < told["aot_minus_cams_pull"] < 3
    assert "wv_minus_ecmwf" not in told


def test_lazily_and_with_nothing_written(tile: tuple[str, str], product: tuple[str, dict]) -> None:
    arrays = _arrays(product[0])
    lazy = l2a_dataset(tile[0], ("B04", "B8A", "SCL"), tile[1])
    assert lazy["b04"].chunks is not None
    computed = lazy.compute(scheduler="synchronous")
    np.testing.assert_array_equal(computed["scl"], arrays[SCL.format(20)])
    for name in ("B04", "B8A"):
        counts = arrays[reflectance_path(20, name)]
        expected = np.where(counts == 0, np.nan, (counts.astype(float) - 1000) / 1e4)
        np.testing.assert_allclose(computed[name.lower()], expected, atol=1e-6)
    with pytest.raises(ConfigurationError, match="no B08 at 20 m"):
        l2a_dataset(tile[0], ("B08",), resolution=20)


def test_without_auxiliary_data_it_says_so(tmp_path: Path) -> None:
    source = model.make_l1c(str(tmp_path / "l1c.zarr"), AOT)
    result = make_surface(source, str(tmp_path / "l2a.zarr"))
    attrs = dict(zarr.open_group(zarr_store(str(tmp_path / "l2a.zarr")), mode="r").attrs["s2dask"])
    assert attrs["flags"] == ["no weather: standard pressure and ozone assumed", "no DEM: sea level assumed"]
    assert abs(result["record"]["aot_mean"] - AOT * np.exp(-model.elevation().mean() / 2000)) < 0.1


def test_what_is_refused(tile: tuple[str, str], tmp_path: Path) -> None:
    blocking, url = Blocking(3000, 3000), str(tmp_path / "l2a.zarr")
    other = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 6000, 3000)
    with pytest.raises(ConfigurationError, match="on the grid of its L1C"):
        start_tile(*tile, url, other, blocking)
    short = model.make_l1c(str(tmp_path / "l1c.zarr"), AOT, bands=[n for n in BANDS if n not in ("B09", "B12")])
    with pytest.raises(InputMissing, match="no band B09, B12"):
        start_tile(short, None, url, model.GRID, blocking)
    assert not Path(url).exists()


def test_a_real_product(reference_data: Path, tmp_path: Path) -> None:
    source = str(min((reference_data / "l2a/pixels/safe_decimated").glob("*.zip")))
    result = make_surface(source, str(tmp_path / "l2a.zarr"))
    record, arrays = result["record"], _arrays(str(tmp_path / "l2a.zarr"))
    # A dry plain of New South Wales in December, without a cloud; the forecast says 1.39 to 1.50 cm at sea level.
    assert abs(record["water_vapour_mean"] - 1.44) < 0.1 * 1.44 + 0.2
    assert 0.05 < record["water_vapour_uncertainty"] < 0.2
    assert record["not_vegetated_percentage"] > 85
    assert record["cloud_percentage"] < 1
    assert 275 < record["ozone_mean"] < 279
    red, near = (arrays[reflectance_path(20, name)] for name in ("B04", "B8A"))
    assert red.shape == open_tile(source).grid.shape(20)
    medians = [(np.median(v[v > 0]) - 1000) / 1e4 for v in (red, near)]
    np.testing.assert_allclose(medians, [0.157, 0.273], atol=0.02)
