"""Outside readers, each in an interpreter of its own, return the pixels that our reader returns.

``S2DASK_READERS_PYTHON`` names one with xarray-eopf 0.2.6, rasterio 1.5, pystac, stactools-sentinel2 and satpy,
``S2DASK_EOPF_PYTHON`` one of Python 3.13 with eopf 3.0.0; a reader that is not there is skipped with the reason.
"""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from release_model import GRID, NAMES, image, make_l1c, make_l2a

from s2dask.instrument import BANDS, band
from s2dask.io.datastrip_document import write_document
from s2dask.io.opener import open_product
from s2dask.io.schema import reflectance_path
from s2dask.production.convert import convert
from s2dask.release.eopf_form import ZarrForm
from s2dask.release.stac import stac_item, write_stac
from s2dask.release.tile import release_l1c, release_l2a
from s2dask.release.tile_store import TileStore
from s2dask.release.zarr_copy import copy_zarr

LEVELS = ["L1C", "L2A"]


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("delivered")
    l1c, l2a = make_l1c(where / "l1c.zarr"), make_l2a(where / "l2a.zarr")
    for url in (l1c, l2a):
        write_document(url, b"<Level-1B_DataStrip_ID><General_Info/></Level-1B_DataStrip_ID>")
    release_l1c(l1c, str(where))
    release_l2a(l2a, str(where), l1c)
    return where


def product(delivered: Path, level: str, suffix: str) -> Path:
    return delivered / NAMES[level] / f"{NAMES[level]}{suffix}"


def interpreter(variable: str, module: str) -> str:
    python = os.environ.get(variable)
    if not python:
        pytest.skip(f"{variable} names no interpreter")
    found = subprocess.run([python, "-c", f"import {module}"], check=False, capture_output=True, timeout=120)
    if found.returncode:
        pytest.skip(f"{python} has no {module}")
    return python


def run(python: str, program: str, *arguments: object) -> None:
    """Run a program of an outside reader; what it prints is the message of a failure."""
    command = [python, "-W", "ignore", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def reflectances(tree: xr.DataTree) -> dict[str, xr.DataArray]:
    """Return the native images of a product by path."""
    return {
        f"{node.path}/{name}": tree[f"{node.path}/{name}"]
        for node in tree["measurements/reflectance"].subtree
        if node.name in ("r10m", "r20m", "r60m")
        for name in node.data_vars
    }


@pytest.mark.parametrize("form", ["eopf", "geozarr"])
@pytest.mark.parametrize("level", LEVELS)
def test_plain_xarray(delivered: Path, tmp_path: Path, level: str, form: ZarrForm) -> None:
    url = str(product(delivered, level, ".zarr"))
    if form == "geozarr":
        url = copy_zarr(TileStore.open(url), str(tmp_path / "g.zarr"), form)
    check_plain(url, str(product(delivered, level, ".SAFE")))


def check_plain(url: str, safe: str | None = None) -> None:
    """Compare what xarray makes of a product by itself with what our readers make of it, and of its SAFE."""
    ours, wanted = open_product(url), reflectances(open_product(safe or url))
    with xr.open_datatree(url) as plain:
        found = reflectances(plain)
        assert found.keys() == wanted.keys() == reflectances(ours).keys()
        assert set(plain.attrs) >= {"stac_discovery", "other_metadata"}
        for path, image_of in wanted.items():
            values = found[path].values
            assert values.dtype.kind == "f"
            np.testing.assert_array_equal(values, ours[path].values)
            np.testing.assert_allclose(values, image_of.values, atol=1e-6)
            assert np.isnan(values).any()
    group, name = next(iter(wanted)).rsplit("/", 1)
    with xr.open_zarr(url, group=group) as images:
        np.testing.assert_array_equal(images[name].values, ours[f"{group}/{name}"].values)


@pytest.mark.parametrize("form", ["eopf", "geozarr"])
def test_plain_xarray_of_a_product_before_the_offset(reference_data: Path, tmp_path: Path, form: ZarrForm) -> None:
    found = sorted(reference_data.rglob("S2?_MSIL1C_*_N0[123]*.zip"))
    if not found:
        pytest.skip(f"no L1C product of a baseline before 04.00 in {reference_data}")
    made = convert(str(found[0]), str(tmp_path / "a.zarr"), form)
    check_plain(made, str(found[0]))
    with xr.open_zarr(made, group="measurements/reflectance/r20m", mask_and_scale=False) as raw:
        assert raw["b05"].attrs["add_offset"] == 0.0


@pytest.mark.parametrize("mode", ["STRUCTURE", "METADATA"])
@pytest.mark.parametrize("level", LEVELS)
def test_the_cpm_validator_has_no_objection(delivered: Path, level: str, mode: str) -> None:
    python = interpreter("S2DASK_EOPF_PYTHON", "eopf")
    command = [str(Path(python).with_name("eopf")), "validate", str(product(delivered, level, ".zarr")), "--mode", mode]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said[-2000:]
    assert "is valid" in said
    assert "ERROR" not in said


_XARRAY_EOPF = """
import sys, numpy as np, xarray as xr
url, level, expected = sys.argv[1:]
expected = np.load(expected)
for key, want in expected.items():
    resolution, name = key.split("_")
    got = xr.open_dataset(url, engine="eopf-zarr", resolution=int(resolution), variables=name)[name]
    assert got.shape == want.shape, (key, got.shape)
    np.testing.assert_allclose(got.values, want, atol=1e-6, equal_nan=True)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_xarray_eopf(delivered: Path, tmp_path: Path, level: str) -> None:
    python = interpreter("S2DASK_READERS_PYTHON", "xarray_eopf")
    url = product(delivered, level, ".zarr")
    ours = open_product(str(url))
    bands = [(band(name).resolution, name.lower()) for name in BANDS if level == "L1C" or name != "B10"]
    paths = {f"{r}_{name}": f"measurements/reflectance/r{r}m/{name}" for r, name in bands}
    there = {key: ours[path].values for key, path in paths.items() if path.rsplit("/", 1)[0] in ours and path in ours}
    np.savez(tmp_path / "expected.npz", **there)
    run(python, _XARRAY_EOPF, url, level, tmp_path / "expected.npz")


_GDAL_ZARR = """
import sys, json, numpy as np, rasterio
url, expected, form = sys.argv[1:]
for path, want in np.load(expected).items():
    with rasterio.open(f'ZARR:"{url}":/{path}') as source:
        np.testing.assert_array_equal(source.read(1), want)
        assert (source.scales[0], source.offsets[0]) == (1e-4, -0.1)
        assert (source.transform.c, source.transform.f) == (360000, 3690000)
        if form == "geozarr":
            assert source.crs.to_epsg() == 32628
"""


@pytest.mark.parametrize("form", ["eopf", "geozarr"])
def test_gdal_reads_the_zarr(delivered: Path, tmp_path: Path, form: str) -> None:
    python = interpreter("S2DASK_READERS_PYTHON", "rasterio")
    url = str(product(delivered, "L1C", ".zarr"))
    if form == "geozarr":  # GDAL knows shards since 3.13; images of this size have none
        url = copy_zarr(TileStore.open(url), str(tmp_path / "g.zarr"), "geozarr")
    wanted = {
        reflectance_path(band(name).resolution, name): image(GRID, band(name).resolution, band(name).index)
        for name in ("B02", "B8A", "B10")
    }
    np.savez(tmp_path / "expected.npz", **wanted)
    run(python, _GDAL_ZARR, url, tmp_path / "expected.npz", form)


_STACTOOLS = """
import sys
from stactools.sentinel2.stac import create_item
item = create_item(sys.argv[1])
assert item.properties["proj:code"] == "EPSG:32628", item.properties
assert item.properties["grid:code"] == "MGRS-28SCB", item.properties
assert item.properties["eo:cloud_cover"] == 12.5 or sys.argv[2] == "L2A"
assert {"blue", "nir", "swir22"} <= set(item.assets), list(item.assets)
import rasterio
with rasterio.open(item.assets["blue"].href) as source:
    assert source.shape == (240, 300)
"""


@pytest.mark.row("IPF-34")
@pytest.mark.parametrize("level", LEVELS)
def test_stactools_makes_an_item_of_the_safe(delivered: Path, level: str) -> None:
    python = interpreter("S2DASK_READERS_PYTHON", "stactools.sentinel2")
    run(python, _STACTOOLS, product(delivered, level, ".SAFE"), level)


_SATPY = """
import sys, glob, numpy as np
from satpy import Scene
safe, level, expected = sys.argv[1:]
files = [f for f in glob.glob(safe + "/**/*", recursive=True) if f.endswith((".jp2", ".xml"))]
wanted = np.load(expected)
scene = Scene(filenames=files, reader="msi_safe" if level == "L1C" else "msi_safe_l2a")
scene.load(list(wanted))
for name, want in wanted.items():
    got = scene[name]
    assert got.attrs["area"].crs.to_epsg() == 32628
    np.testing.assert_allclose(got.values / 100, want, atol=2e-6, equal_nan=True)
"""


@pytest.mark.parametrize("level", LEVELS)
def test_satpy_calibrates_the_safe(delivered: Path, tmp_path: Path, level: str) -> None:
    python = interpreter("S2DASK_READERS_PYTHON", "satpy, bottleneck, defusedxml, geotiepoints")
    ours = open_product(str(product(delivered, level, ".SAFE")))
    wanted = {}
    for name in ("B02", "B04"):
        values = ours[reflectance_path(10, name)].values
        # saturated pixels are satpy's infinity
        wanted[name] = np.where(image(GRID, 10, band(name).index) == 65535, np.inf, values)
    np.savez(tmp_path / "expected.npz", **wanted)
    run(python, _SATPY, product(delivered, level, ".SAFE"), level, tmp_path / "expected.npz")


_PYSTAC = """
import sys, json, pystac
item = pystac.Item.from_file(sys.argv[1])
from pystac.validation.local_validator import LocalValidator
errors = list(LocalValidator().item_validator().iter_errors(json.load(open(sys.argv[1]))))
assert not errors, [str(e.message) for e in errors]
assert item.geometry["coordinates"][0][0] == item.geometry["coordinates"][0][-1]
"""


@pytest.mark.parametrize("form", ["eopf", "geozarr"])
@pytest.mark.parametrize("level", LEVELS)
def test_the_item_is_valid_stac(delivered: Path, tmp_path: Path, level: str, form: ZarrForm) -> None:
    python = interpreter("S2DASK_READERS_PYTHON", "pystac.validation")
    path = product(delivered, level, ".json")
    if form == "geozarr":
        item = stac_item(TileStore.open(str(product(delivered, level, ".zarr"))), {"zarr": "./a.zarr"}, form)
        path = write_stac(item, tmp_path / "item.json")
    run(python, _PYSTAC, path)
    item = json.loads(path.read_text("utf-8"))
    assert item["stac_version"] == "1.1.0"
    assert item["assets"]["zarr"]["type"].endswith("multiscales" if form == "geozarr" else "version=3")
