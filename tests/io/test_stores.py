"""Templates, block writes, validation and opening of our own stores."""

import time
from pathlib import Path

import numpy as np
import pytest

from s2dask.errors import InputError, InputMissing, SchemaError
from s2dask.instrument import BANDS, DETECTORS
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.opener import open_tree
from s2dask.io.strips import StripSource
from s2dask.io.template import create
from s2dask.io.validation import differences, validate
from s2dask.io.variables import Schema
from s2dask.io.writer import write_block, write_coordinates, write_whole

GRID = TileGrid("28SCB", "EPSG:32628", 300000, 3700020, 1200, 2400)


def small_l1b() -> Schema:
    return schema.l1b([5], ["B01", "B02"], scenes=2, points=4, samples=10)


def test_a_full_l1b_hierarchy_is_created_fast(tmp_path: Path) -> None:
    whole = schema.l1b(DETECTORS, tuple(BANDS), scenes=40, points=100, samples=1000)
    start = time.process_time()
    create(str(tmp_path / "l1b.zarr"), whole, {})
    assert time.process_time() - start < 10.0
    validate(str(tmp_path / "l1b.zarr"), whole)


def test_block_round_trip_and_strip_source(tmp_path: Path) -> None:
    url = str(tmp_path / "l1b.zarr")
    create(url, small_l1b(), {"s2dask": {"unit": "S2A"}})
    block = np.arange(384 * 425, dtype=np.uint16).reshape(384, 425)
    image, mask = schema.image_path(5, "B01"), schema.mask_path(5, "B01")
    write_block(url, {image: block, mask: block // 2}, {image: (384, 0), mask: (384, 0)})
    source = StripSource(url)
    counts, quality = source.read(5, "B01", 380, 390)
    assert source.lines("B01") == 768
    assert not counts[:4].any()
    np.testing.assert_array_equal(counts[4:], block[:6])
    np.testing.assert_array_equal(quality[4:], block[:6] // 2)


def test_a_block_that_cuts_a_chunk_is_refused(tmp_path: Path) -> None:
    url = str(tmp_path / "l1b.zarr")
    create(url, small_l1b(), {})
    image = schema.image_path(5, "B01")
    with pytest.raises(SchemaError, match="cuts a chunk"):
        write_block(url, {image: np.zeros((100, 425), np.uint16)}, {image: (10, 0)})


def test_tile_product_opens_as_reflectance(tmp_path: Path) -> None:
    url = str(tmp_path / "l1c.zarr")
    tile = schema.l1c(GRID, [5], ["B02", "B05", "B01"])
    create(url, tile, {"stac_discovery": {}}, profile="delivery")
    write_coordinates(url, tile, GRID)
    path = schema.reflectance_path(10, "B02")
    values = np.full((240, 120), 3000, np.uint16)
    values[0, 0] = 0
    write_block(url, {path: values}, {path: (0, 0)})
    image = open_tree(url)["measurements/reflectance/r10m/b02"]
    assert image.chunks is not None
    read = image.values
    assert np.isnan(read[0, 0])
    np.testing.assert_allclose(read[1, 1], 0.2, atol=1e-6)
    assert open_tree(url)["measurements/reflectance/r10m/x"].values[0] == 300005.0
    assert open_tree(url, decoded=False)["measurements/reflectance/r10m/b02"].dtype == np.uint16
    assert open_tree(url)["conditions/geometry/sun_angles"].shape == (2, 2, 2)


def test_validator_names_what_is_wrong(tmp_path: Path) -> None:
    url = str(tmp_path / "x.zarr")
    create(url, small_l1b(), {})
    other = schema.l1b([5, 6], ["B01"], scenes=3, points=4, samples=10)
    found = list(differences(url, other))
    assert any("measurements/d06/b01/img is missing" in text for text in found)
    assert any("measurements/d05/b01/img has shape (768, 425), expected (1152, 425)" in text for text in found)
    with pytest.raises(SchemaError, match="another level"):
        validate(url, other)
    with pytest.raises(InputError, match="nowhere"):
        list(differences(str(tmp_path / "nowhere"), other))


def test_missing_product_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputMissing, match=r"absent\.zarr"):
        open_tree(str(tmp_path / "absent.zarr"))


def test_small_variables(tmp_path: Path) -> None:
    url = str(tmp_path / "x.zarr")
    create(url, small_l1b(), {})
    write_whole(url, "conditions/attitude/gps_time", np.arange(10))
    assert open_tree(url)["conditions/attitude/gps_time"].values.tolist() == list(range(10))


def test_l2a_schema_has_every_delivered_band() -> None:
    whole = schema.l2a(GRID)
    assert schema.reflectance_path(60, "B09") in whole
    assert schema.reflectance_path(60, "B10") not in whole
    assert whole["conditions/mask/l2a_classification/r20m/scl"].shape == (120, 60)
