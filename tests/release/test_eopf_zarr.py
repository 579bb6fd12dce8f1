"""The delivered Zarr: the values of the working store, in ESA's form and in that of map servers."""

from pathlib import Path

import numpy as np
import pytest
import zarr
from release_model import GRID, image, make_l1c, make_l2a

from s2dask.instrument import BANDS
from s2dask.io.opener import open_product, open_tree
from s2dask.io.schema import toa_uncertainty_path
from s2dask.io.storage import open_array
from s2dask.release.eopf_form import OVERVIEWS, labels
from s2dask.release.tile_store import TileStore
from s2dask.release.zarr_copy import copy_zarr

CPM_ATTRIBUTES = {
    "long_name",
    "short_name",
    "dtype",
    "units",
    "standard_name",
    "flag_masks",
    "flag_values",
    "flag_meanings",
    "scale_factor",
    "add_offset",
    "valid_min",
    "valid_max",
    "coordinates",
    "_FillValue",
}
"""What the structure convention of EOPF CPM 3.0.0 allows on a variable, as far as ours use it."""
B02 = "measurements/reflectance/r10m/b02"


@pytest.mark.parametrize("form", ["eopf", "geozarr"])
@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_values_are_those_of_the_working_store(tmp_path: Path, level: str, form: str) -> None:
    before = TileStore.open((make_l1c if level == "L1C" else make_l2a)(tmp_path / "work.zarr"), level)
    after = TileStore.open(copy_zarr(before, str(tmp_path / "copy.zarr"), form), level)  # type: ignore[arg-type]
    text = set(labels())
    assert before.arrays.keys() <= after.arrays.keys()
    for path in before.arrays.keys() - text:
        np.testing.assert_array_equal(before.read(path), after.read(path))
    assert after.attrs == before.attrs
    assert "zstd" in str(open_array(after.url, B02).compressors[0])
    assert list(after.read("conditions/geometry/angle")) == ["zenith", "azimuth"]
    assert list(after.read("conditions/geometry/band")) == [name.lower() for name in BANDS]
    node = open_tree(after.url)["measurements/reflectance/r10m"]
    assert "spatial_ref" in node.coords
    assert "WGS 84 / UTM zone 28N" in node["spatial_ref"].attrs["crs_wkt"]


def test_the_eopf_form_has_only_what_its_structure_allows(tmp_path: Path) -> None:
    url = copy_zarr(TileStore.open(make_l1c(tmp_path / "work.zarr")), str(tmp_path / "copy.zarr"))
    root = zarr.open_group(url, mode="r")
    assert set(root.attrs) == {"stac_discovery", "other_metadata"}
    assert {path.split("/")[0] for path, _ in root.members()} == {"measurements", "quality", "conditions"}
    for path, array in root.members(max_depth=None):
        if isinstance(array, zarr.Array) and array.ndim > 1:
            assert {"long_name", "short_name", "dtype"} <= set(array.attrs) <= CPM_ATTRIBUTES, path
            assert array.shards is None
    assert open_array(url, B02).chunks == GRID.shape(10)  # a whole tile has ESA's 1830


def test_the_geozarr_form_has_its_conventions_and_overviews(tmp_path: Path) -> None:
    url = copy_zarr(TileStore.open(make_l1c(tmp_path / "work.zarr")), str(tmp_path / "copy.zarr"), "geozarr")
    root = zarr.open_group(url, mode="r")
    pyramid = root["measurements/reflectance"].attrs
    levels = pyramid["multiscales"]["layout"]  # type: ignore[call-overload, index]
    assert [level["asset"] for level in levels] == [f"r{r}m" for r in (10, 20, 60, *OVERVIEWS)]  # type: ignore[index, union-attr, call-overload]
    assert {c["name"] for c in pyramid["zarr_conventions"]} == {"multiscales", "spatial:", "proj:"}  # type: ignore[index, union-attr, call-overload]
    for r in (10, 20, 60, *OVERVIEWS):
        group = root[f"measurements/reflectance/r{r}m"].attrs
        assert group["proj:code"] == "EPSG:32628"
        assert tuple(group["spatial:transform"]) == GRID.transform(r)  # type: ignore[arg-type]
        assert tuple(group["spatial:shape"]) == GRID.shape(r)  # type: ignore[arg-type]
    assert set(root.attrs) >= {"zarr_conventions", "spatial:bbox", "proj:code"}
    assert root[B02].attrs["grid_mapping"] == "spatial_ref"


def test_an_overview_is_the_mean_of_the_pixels_with_data(tmp_path: Path) -> None:
    url = copy_zarr(TileStore.open(make_l1c(tmp_path / "work.zarr")), str(tmp_path / "copy.zarr"), "geozarr")
    counts = image(GRID, 10, 1).astype(np.float64)
    got = open_array(url, "measurements/reflectance/r120m/b02")[...]
    cell = counts[:12, :12]
    assert got[0, 0] == np.floor(cell[cell > 0].mean() + 0.5)  # type: ignore[index]
    assert got[1, 1] == np.floor(counts[12:24, 12:24].mean() + 0.5)  # type: ignore[index]
    overview = open_product(url)["measurements/reflectance/r720m"]
    assert overview["b12"].shape == GRID.shape(720)
    assert float(overview["x"][0]) == GRID.x0 + 360


def test_a_large_image_is_sharded(tmp_path: Path) -> None:
    from s2dask.io.variables import spec
    from s2dask.release.eopf_form import delivered

    variable = spec("y x", (10980, 10980), "uint16", "b02", chunks=(1830, 1830), grid_mapping="spatial_ref")
    assert (delivered(B02, variable, "geozarr").shards, delivered(B02, variable, "geozarr").chunks) == (
        (3660, 3660),
        (610, 610),
    )
    assert (delivered(B02, variable, "eopf").shards, delivered(B02, variable, "eopf").chunks) == (None, (1830, 1830))


def test_an_l2a_takes_the_masks_of_its_l1c(tmp_path: Path) -> None:
    l1c, l2a = TileStore.open(make_l1c(tmp_path / "1.zarr")), TileStore.open(make_l2a(tmp_path / "2.zarr"))
    tree = open_product(copy_zarr(l2a.with_masks(l1c), str(tmp_path / "copy.zarr")))
    assert tree.attrs["s2dask"]["l1c_tile"] == str(l1c.names.tile)
    for path in ("quality/mask/r10m/b02", "conditions/mask/l1c_classification/r60m/b00"):
        np.testing.assert_array_equal(tree[path].values, l1c.read(path))


def test_both_forms_give_each_other(tmp_path: Path) -> None:
    first = copy_zarr(TileStore.open(make_l1c(tmp_path / "work.zarr")), str(tmp_path / "1.zarr"))
    second = copy_zarr(TileStore.open(first), str(tmp_path / "2.zarr"), "geozarr")
    third = copy_zarr(TileStore.open(second), str(tmp_path / "3.zarr"))
    files = sorted(p.relative_to(first) for p in Path(first).rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(third) for p in Path(third).rglob("*") if p.is_file())
    assert all((Path(first) / f).read_bytes() == (Path(third) / f).read_bytes() for f in files)


def test_the_uncertainty_of_l1c_is_delivered_and_decoded(tmp_path: Path) -> None:
    store = TileStore.open(make_l1c(tmp_path / "work.zarr"))
    tree = open_product(copy_zarr(store, str(tmp_path / "copy.zarr")))
    coded = store.read(toa_uncertainty_path("B02"))
    layer = tree["quality/uncertainty/r10m/b02"]
    np.testing.assert_allclose(np.nan_to_num(layer.values), coded * 1e-4, rtol=1e-6)
    assert layer.attrs["flag_meanings"] == "of_255_steps_or_more_or_saturated"
