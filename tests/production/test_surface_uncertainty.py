"""How well surface reflectance is known, as a product of the whole stage tells it, and as it is delivered."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import surface_model as model
import xarray as xr
import zarr
from lxml import etree
from release_model import attributes

from s2dask.instrument import band
from s2dask.instrument.uncertainty import NOISE_FACTOR, SYSTEMATIC_STEP
from s2dask.io.schema import noise_gain_path, uncertainty_path
from s2dask.io.storage import zarr_store
from s2dask.io.template import set_attributes
from s2dask.io.tiles import open_tile
from s2dask.l2a.options import Corrections
from s2dask.l2a.stage import CORRECTED, AtmosphereState, Window, air_above, surface_reflectance
from s2dask.l2a.tile_images import read_image
from s2dask.l2a.uncertainty_tile import Radiometry, grains_above, uncertainty_of
from s2dask.production.blocks import Blocking, default_blocking
from s2dask.production.surface import begin_tile, gather, make_surface, solve
from s2dask.release.safe_l2a import write_safe_l2a
from s2dask.release.tile_store import TileStore
from s2dask.release.zarr_copy import copy_zarr

AOT = 0.28
LAYERS = {uncertainty_path(name, part) for name in CORRECTED for part in ("random", "systematic")}


def _arrays(url: str) -> dict[str, np.ndarray]:
    group = zarr.open_group(zarr_store(url, read_only=True), mode="r")
    return {path: node[...] for path, node in group.members(max_depth=None) if isinstance(node, zarr.Array)}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    known = ("tile_id", "crs", "x0", "y0", "width", "height", "name")
    facts = {key: value for key, value in attributes("L1C", model.GRID).items() if key not in known}
    return model.make_l1c(str(tmp_path_factory.mktemp("uncertainty") / "l1c.zarr"), AOT, **facts)


@pytest.fixture(scope="module")
def product(source: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("uncertainty") / "l2a.zarr")
    make_surface(source, url, None, Blocking(3000, 3000))
    return url


def test_every_band_has_two_layers_at_its_own_resolution(product: str) -> None:
    arrays = _arrays(product)
    assert {path for path in arrays if path.startswith("quality/uncertainty/") and "/b" in path} == LAYERS
    for path in LAYERS:
        resolution = int(path.split("/r")[1].split("m/")[0])
        per = 60 // resolution
        nothing = np.repeat(np.repeat(model.targets(), per, 0), per, 1) == model.NO_DATA
        np.testing.assert_array_equal(arrays[path] == 0, nothing)
    with xr.open_zarr(product, group="quality/uncertainty/r10m", consolidated=False) as opened:
        sigma = opened["b04_systematic"].load()
    assert sigma.dtype.kind == "f"
    assert int(np.isnan(sigma).sum()) == int((arrays[uncertainty_path("B04", "systematic")] == 0).sum())
    assert 0.002 < float(sigma.median()) < 0.1


def test_without_them_all_else_is_the_same(source: str, product: str, tmp_path: Path) -> None:
    url = str(tmp_path / "l2a.zarr")
    make_surface(source, url, None, Blocking(3000, 3000), Corrections(uncertainty=False))
    plain, whole = _arrays(url), _arrays(product)
    assert {path for path in whole.keys() - plain.keys() if "/b" in path} == LAYERS
    for path, values in plain.items():
        np.testing.assert_array_equal(values, whole[path], err_msg=path)


def test_the_noise_follows_the_interpolation_of_l1c(source: str, product: str, tmp_path: Path) -> None:
    """Weights that are the same everywhere say the same as their mean alone; others say so pixel by pixel."""
    named, layered = (str(tmp_path / f"{name}.zarr") for name in ("named", "layered"))
    attrs = dict(zarr.open_group(source, mode="r").attrs["s2dask"])  # type: ignore[call-overload]
    for url, more in ((named, {}), (layered, {"noise_gain": True})):
        shutil.copytree(source, url)
        set_attributes(url, {"s2dask": attrs | {"mean_noise_gain": 0.8} | more})
    for name in CORRECTED:
        path, shape = noise_gain_path(band(name).resolution, name), model.GRID.shape(band(name).resolution)
        gain = np.full(shape, 0.8, np.float32)
        gain[:, : shape[1] // 4] = 0.3
        zarr.open_group(layered, mode="r+").create_array(path, data=gain)
    made = []
    for url in (named, layered):
        make_surface(url, f"{url}_l2a", None, Blocking(3000, 3000))
        made.append(_arrays(f"{url}_l2a"))
    usual, part = _arrays(product), model.GRID.shape(10)[1] // 4
    for path in LAYERS:
        if path.endswith("systematic"):
            np.testing.assert_array_equal(made[0][path], made[1][path])
            np.testing.assert_array_equal(made[0][path], usual[path])
    path = uncertainty_path("B08", "random")
    np.testing.assert_array_equal(made[0][path][:, part:], made[1][path][:, part:])
    own, mean, little = (arrays[path][:, :part].astype(float) for arrays in (usual, made[0], made[1]))
    some = (own > 10) & (mean < 255)
    assert some.mean() > 0.5
    # what is noise of the counts is a share of all: the rest is their rounding
    ratio = (np.square(mean) - np.square(own))[some].mean() / (np.square(mean) - np.square(little))[some].mean()
    assert ratio == pytest.approx((0.8 - NOISE_FACTOR**2) / (0.8 - 0.3), abs=0.03)


@pytest.mark.parametrize("form", ["eopf", "geozarr"])
def test_the_delivered_zarr_carries_them(product: str, tmp_path: Path, form: str) -> None:
    target = copy_zarr(TileStore.open(product, "L2A"), str(tmp_path / "out.zarr"), form)  # type: ignore[arg-type]
    made, own = _arrays(target), _arrays(product)
    for path in LAYERS:
        np.testing.assert_array_equal(made[path], own[path])
    with xr.open_zarr(target, group="quality/uncertainty/r20m", consolidated=False) as opened:
        assert opened["b11_random"].dtype.kind == "f"


def test_the_safe_states_accuracies_and_has_no_layers(product: str, tmp_path: Path) -> None:
    record = TileStore.open(product, "L2A").attrs["record"]
    safe = write_safe_l2a(product, tmp_path)
    assert not [path for path in safe.rglob("*") if "uncertainty" in path.name or "random" in path.name]
    for name in ("MTD_TL.xml", "MTD_MSIL2A.xml"):
        root = etree.fromstring(next(safe.rglob(name)).read_bytes())
        for what in ("radiative_transfer", "water_vapour", "aot"):
            tag = what.upper() + ("" if what == "radiative_transfer" else "_RETRIEVAL") + "_ACCURACY"
            assert float(next(root.iter(tag)).text or "nan") == pytest.approx(record[f"{what}_accuracy"], abs=1e-3)
    assert 0.3 < record["radiative_transfer_accuracy"] < 10


@pytest.mark.parametrize("name", ["B01", "B02", "B04", "B8A", "B12"])
@pytest.mark.parametrize("surroundings", [True, False])
def test_wrong_aerosol_moves_pixels_as_far_as_stated(source: str, name: str, surroundings: bool) -> None:
    """What is stated with and without an error of the aerosol differs by what wrong aerosol does to the pixels."""
    corrections = Corrections(surroundings=surroundings)
    tile, begin = open_tile(source), begin_tile(source, None, corrections)
    blocks = default_blocking(model.GRID).blocks(model.GRID, 20)
    state = solve(begin, [gather(source, block, begin) for block in blocks])
    sigma, own = 0.03, band(name).resolution
    rows, columns = model.GRID.shape(60)
    cells = Window(60, slice(0, rows), slice(0, columns))
    window = cells.at(own, model.GRID.shape(own))
    image = read_image(tile, name, window)

    def with_aerosol(deviation: float, wrong: float) -> AtmosphereState:
        field = np.full(state.aerosol.aot.shape, 1.0)
        aerosol = replace(state.aerosol, aot=state.aerosol.aot + wrong, sigma=deviation * field)
        return replace(state, aerosol=aerosol, digest=f"{state.digest} {deviation} {wrong} {surroundings}")

    def stated(deviation: float) -> np.ndarray:
        told = with_aerosol(deviation, 0.0)
        grains, air = grains_above(tile, told, None, cells), air_above(tile, told, None, cells)
        radiometry = Radiometry.of(tile.attrs, name)
        return uncertainty_of(told, grains, air, name, radiometry, image, window)[1].astype(float)

    def corrected(wrong: float) -> np.ndarray:
        told = with_aerosol(sigma, wrong)
        return surface_reflectance(tile, told, air_above(tile, told, None, cells), name, own).astype(float)

    moved = (corrected(sigma) - corrected(-sigma)) / 2e4 / SYSTEMATIC_STEP
    some, none = stated(sigma), stated(0.0)
    expected = np.hypot(moved, none)
    valid = (some > 0) & (some < 255) & np.isfinite(image) & (image < 1)
    assert valid.mean() > 0.5
    assert np.abs(some - expected)[valid].max() <= 2 + 0.06 * expected[valid].max()
    assert np.abs(some - expected)[valid].mean() < 0.6
