"""STAC items: the right facts in the right fields, in the JSON file and in the root of the store."""

import json
from pathlib import Path

import pytest
from release_model import GRID, NAMES, make_l1c, make_l2a

from s2dask.release.stac import root_attributes, stac_item, write_stac
from s2dask.release.tile_store import TileStore


@pytest.mark.parametrize("level", ["L1C", "L2A"])
def test_item_states_the_tile(tmp_path: Path, level: str) -> None:
    store = TileStore.open((make_l1c if level == "L1C" else make_l2a)(tmp_path / "t.zarr"), level)
    item = stac_item(store, {"safe": "./a.SAFE", "rgb": "./a_rgb.png"})
    facts = item["properties"]
    assert item["id"] == NAMES[level]
    assert item["stac_version"] == "1.1.0"
    assert facts["product:type"] == f"S02MSI{level}"
    assert facts["datetime"] == "2020-08-16T12:02:26.790Z"
    assert facts["start_datetime"] == "2020-08-16T12:02:25.123Z"
    assert (facts["sat:absolute_orbit"], facts["sat:relative_orbit"]) == (26904, 23)
    assert facts["sat:orbit_state"] == "descending"
    assert facts["proj:code"] == "EPSG:32628"
    assert facts["proj:bbox"] == [360000, 3687600, 363000, 3690000]
    assert facts["proj:shape"] == list(GRID.shape(10))
    assert facts["view:sun_elevation"] == 64.5
    assert facts["eo:cloud_cover"] == 12.5
    assert facts["platform"] == "sentinel-2a"
    assert len(item["assets"]["safe"]["eo:bands"]) == (13 if level == "L1C" else 12)
    assert item["assets"]["safe"]["eo:bands"][0]["center_wavelength"] == 0.4427
    assert "eo:bands" not in item["assets"]["rgb"]
    west, south, east, north = item["bbox"]
    ring = item["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert all(west <= x <= east and south <= y <= north for x, y in ring)


def test_every_prefix_is_declared_and_every_extension_used(tmp_path: Path) -> None:
    item = stac_item(TileStore.open(make_l1c(tmp_path / "t.zarr")))
    declared = {url.split("/")[3] for url in item["stac_extensions"]}
    used = {key.split(":")[0] for key in item["properties"] if ":" in key}
    assert {{"projection": "proj"}.get(name, name) for name in declared} == used


def test_file_and_root_attributes(tmp_path: Path) -> None:
    store = TileStore.open(make_l1c(tmp_path / "t.zarr"))
    item = stac_item(store)
    path = write_stac(item, tmp_path / "item.json")
    root = root_attributes(store)
    assert root.keys() == {"stac_discovery", "other_metadata"}
    assert root["stac_discovery"] == json.loads(path.read_text("utf-8")) == item
    assert root["other_metadata"]["horizontal_CRS_code"] == "EPSG:32628"
    assert root["other_metadata"]["s2dask"]["tile_id"] == "28SCB"
