"""Measured quality of a simulated tile: clean, it stays inside; what is seeded shows in its indicator with its size."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import zarr
from rasterio.transform import Affine
from system_model import Run
from typer import Typer
from typer.testing import CliRunner

from s2dask.commands import qc_geolocation
from s2dask.errors import InputError
from s2dask.instrument.quality import NODATA
from s2dask.io.grids import TileGrid
from s2dask.io.schema import image_path, mask_path, reflectance_path
from s2dask.io.storage import open_array
from s2dask.production.blocks import default_blocking
from s2dask.production.ortho import finish_tile, start_tile, write_ortho
from s2dask.production.reference_image import measure_location
from s2dask.qc.indicators import indicators_of


def _facts(url: str) -> dict[str, Any]:
    attrs: Any = zarr.open_group(url, mode="r").attrs["s2dask"]
    return dict(attrs)


def _write(store: zarr.Group, path: str, values: np.ndarray) -> None:
    image: Any = store[path]
    image[...] = values


def _changed(made: Run, folder: Path, change: Callable[[zarr.Group], None]) -> str:
    """Copy the L1B store of a run and change its images."""
    l1b = str(shutil.copytree(made.store("L1B"), folder / "l1b.zarr"))
    change(zarr.open_group(l1b, mode="r+"))
    return l1b


def _measured(made: Run, folder: Path, l1b: str, aux: str | None = None, resolution: int = 10) -> dict[str, Any]:
    """Make the orthoimages of one resolution again and return the result of the tile."""
    url, l0, grid = str(folder / "l1c.zarr"), made.store("L0"), TileGrid.of(_facts(made.store("L1C")))
    blocking = default_blocking(grid)
    init = json.loads(json.dumps(start_tile(l0, aux, grid, blocking, url)))
    blocks = [write_ortho(l0, l1b, aux, url, block, init) for block in blocking.blocks(grid, resolution)]
    return finish_tile(url, init, blocks, [dict.fromkeys(("classi.opaque", "classi.cirrus", "classi.snow"), 0.0)])


def _statuses(result: dict[str, Any]) -> dict[str, str]:
    return {check["id"]: check["status"] for check in result["checks"]}


def test_a_clean_tile_stays_inside(made: Run) -> None:
    l1c, l2a = (_facts(made.store(level)) for level in ("L1C", "L2A"))
    record = l1c["record"]
    assert record["band_shift"] < 0.2
    assert max(record[f"{name}.band_shift"] for name in ("b02", "b03", "b11", "b12")) < 0.05
    assert record["footprint_holes"] == record["solar_irradiance_deviation"] == 0
    assert record["reflectance_conversion_deviation"] < 1e-4
    assert 0 <= record["radiometric_offset_residual"] < 0.02
    assert l2a["record"]["scl_inconsistent"] < 1
    assert abs(l2a["record"]["aot_minus_cams_pull"]) < 3
    assert abs(l2a["record"]["wv_minus_ecmwf_pull"]) < 3
    for facts in (l1c, l2a):
        assert {check["status"] for check in facts["checks"]} == {"PASSED"}
        assert not [name for name in facts["record"] if "patch0" in name or "seam" in name or name.startswith("sane.")]
    trend = {(i.indicator, i.band) for i in indicators_of(l1c)}
    assert {
        ("band_shift", ""),
        ("band_shift", "B02"),
        ("footprint_holes", "B04"),
        ("negative_percentage", "B10"),
    } <= trend
    assert ("negative_percentage", "B02") in {(i.indicator, i.band) for i in indicators_of(l2a)}


def test_a_shifted_band_is_told_by_its_size(made: Run, tmp_path: Path) -> None:
    def two_lines(store: zarr.Group) -> None:
        path = image_path(6, "B02")
        _write(store, path, np.roll(np.asarray(store[path]), 2, axis=0))

    result = _measured(made, tmp_path, _changed(made, tmp_path, two_lines))
    clean, record = _facts(made.store("L1C"))["record"], result["record"]
    apart = [record[f"b02.band_shift_{axis}"] - clean[f"b02.band_shift_{axis}"] for axis in "xy"]
    # two lines of 10 m along a track that runs some 13 degrees from south
    assert np.hypot(*apart) == pytest.approx(2.0, abs=0.1)
    assert np.degrees(np.arctan2(-apart[0], apart[1])) == pytest.approx(13, abs=4)
    assert record["b03.band_shift"] == clean["b03.band_shift"]
    assert record["band_shift"] == record["b02.band_shift"]
    assert _statuses(result)["Band_Shift"] == "FAILED"


def test_lost_lines_are_holes_of_the_footprint(made: Run, tmp_path: Path) -> None:
    def lose(store: zarr.Group) -> None:
        image, mask = (np.asarray(store[path(6, "B08")]) for path in (image_path, mask_path))
        lost = np.arange(image.shape[0]) % 100 < 20
        image[lost], mask[lost] = 0, mask[lost] | NODATA
        for path, values in ((image_path(6, "B08"), image), (mask_path(6, "B08"), mask)):
            _write(store, path, values)

    result = _measured(made, tmp_path, _changed(made, tmp_path, lose))
    # one line in five, and the pixels beside them whose interpolation they would enter
    assert 19 < result["record"]["b08.footprint_holes"] < 26
    assert result["record"]["b02.footprint_holes"] == 0
    assert _statuses(result)["Footprint_Holes"] == "FAILED"


def test_a_wrong_offset_shows_in_the_darkest_pixels(made: Run, tmp_path: Path) -> None:
    def lift(store: zarr.Group) -> None:
        facts = _facts(made.store("L1C"))
        for name in ("B01", "B09", "B10"):
            scale = facts["physical_gains"][name] * facts["solar_irradiance"][name] * facts["reflectance_conversion"]
            counts = 0.1 * scale * np.cos(np.radians(facts["solar_zenith"])) / np.pi
            path = image_path(6, name)
            _write(store, path, np.round(np.asarray(store[path]) + counts).astype(np.uint16))

    result = _measured(made, tmp_path, _changed(made, tmp_path, lift), resolution=60)
    clean = _facts(made.store("L1C"))["record"]["b10.darkest_reflectance"]
    assert result["record"]["radiometric_offset_residual"] == pytest.approx(clean + 0.1, abs=0.006)
    assert _statuses(result)["Radiometric_Offset"] == "FAILED"


@pytest.fixture
def reference(made: Run, tmp_path: Path) -> Path:
    """Write the B04 of the tile as a raster that lies 12 m farther west and 7 m farther north than it says."""
    facts = _facts(made.store("L1C"))
    grid = TileGrid.of(facts)
    counts = open_array(made.store("L1C"), reflectance_path(10, "B04"))[...]
    place = Affine(10.0, 0.0, grid.x0 - 12.0, 0.0, -10.0, grid.y0 + 7.0)
    folder = tmp_path / "aux" / "reference"
    folder.mkdir(parents=True)
    kind = {"driver": "GTiff", "dtype": "uint16", "count": 1, "crs": grid.crs, "transform": place, "nodata": 0}
    with rasterio.open(folder / "gri.tif", "w", width=counts.shape[1], height=counts.shape[0], **kind) as raster:
        raster.write(counts, 1)
    return folder / "gri.tif"


def test_location_against_a_reference_image(made: Run, reference: Path) -> None:
    found = measure_location(made.store("L1C"), str(reference))
    assert found["geolocation_east"] == pytest.approx(12, abs=0.6)
    assert found["geolocation_north"] == pytest.approx(-7, abs=0.6)
    assert found["geolocation_error"] == pytest.approx(np.hypot(12, 7), abs=0.6)
    assert found["geolocation_patches"] >= 20
    app = Typer()
    app.callback()(lambda: None)
    qc_geolocation.register(app)
    told = CliRunner().invoke(app, ["geolocation", made.store("L1C"), "--reference", str(reference)])
    assert told.exit_code == 0
    assert "m off" in told.output


def test_a_reference_in_the_auxiliary_folder_is_used_by_the_blocks(made: Run, reference: Path) -> None:
    aux = reference.parents[1]
    for folder in (made.session / "aux").iterdir():
        (aux / folder.name).symlink_to(folder)
    result = _measured(made, aux.parent, made.store("L1B"), str(aux))
    assert result["record"]["geolocation_east"] == pytest.approx(12, abs=0.6)
    assert _statuses(result)["Geolocation_Error"] == "FAILED"


def test_a_reference_of_another_place_is_refused(made: Run, tmp_path: Path) -> None:
    kind = {"driver": "GTiff", "dtype": "uint16", "count": 1, "crs": "EPSG:32633", "width": 64, "height": 64}
    with rasterio.open(tmp_path / "far.tif", "w", transform=Affine(10, 0, 5e5, 0, -10, 5e6), **kind) as raster:
        raster.write(np.arange(4096, dtype=np.uint16).reshape(1, 64, 64))
    with pytest.raises(InputError, match="too few patches"):
        measure_location(made.store("L1C"), str(tmp_path / "far.tif"))
