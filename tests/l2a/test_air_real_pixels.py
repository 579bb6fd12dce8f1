"""Aerosol and water vapour from real pixels: a mountain forest on two days, through the functions of production."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import rasterio
import zarr
from affine import Affine
from pyproj import Transformer
from rasterio.errors import NotGeoreferencedWarning

from s2dask.auxdata.time import utc_to_gps
from s2dask.instrument import BANDS, band
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.storage import zarr_store
from s2dask.io.template import create
from s2dask.io.writer import write_whole
from s2dask.production.blocks import Blocking
from s2dask.production.surface import make_surface
from s2dask.simulate.sky import sun_position

EDGE = 960
SERIES = ("2015-07-11", "2015-08-20", "2015-09-09")
"""The second day is overcast."""
VISIBLE = ("B02", "B03", "B04", "B05")


class Day(NamedTuple):
    """A patch of one day: what its product says, and 20 m reflectance above and below the atmosphere by band."""

    record: dict[str, float]
    attrs: dict[str, Any]
    scl: np.ndarray
    above: dict[str, np.ndarray]
    below: dict[str, np.ndarray]


def _means(image: np.ndarray, factor: int) -> np.ndarray:
    return image.reshape(image.shape[0] // factor, factor, image.shape[1] // factor, factor).mean((1, 3))


def _write(url: str, grid: TileGrid, time: str, images: dict[str, np.ndarray]) -> tuple[float, float]:
    """Write an L1C tile of one detector from counts without offset, and return longitude and latitude of its middle."""
    middle = grid.x0 + grid.width / 2, grid.y0 - grid.height / 2
    lon, lat = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True).transform(*middle)
    zenith, azimuth = sun_position(utc_to_gps(time), np.array(lon), np.array(lat))
    attrs = {
        "level": "L1C", "unit": "S2A", "tile_id": grid.tile_id, "crs": grid.crs, "x0": grid.x0, "y0": grid.y0,
        "width": grid.width, "height": grid.height, "decimation": grid.decimation, "detectors": [6],
        "bands": list(BANDS), "quantification": 10000, "radio_add_offset": 0, "solar_zenith": float(zenith),
    }  # fmt: skip
    create(url, schema.l1c(grid, (6,)), {"s2dask": attrs})
    for name, image in images.items():
        size = band(name).resolution
        write_whole(url, schema.reflectance_path(size, name), np.rint(image).astype(np.uint16))
        write_whole(url, schema.footprint_path(size, name), np.where(image > 0, 6, 0).astype(np.uint8))
    nodes = (grid.height // 5000 + 2, grid.width // 5000 + 2)
    angles = np.stack([np.full(nodes, float(v)) for v in (zenith, azimuth)])
    write_whole(url, "conditions/geometry/sun_angles", angles)
    view = np.array([4.0, 105.0])[:, None, None]
    write_whole(url, "conditions/geometry/viewing_incidence_angles", np.broadcast_to(view, (13, 1, 2, *nodes)))
    return float(lon), float(lat)


def _surface(pixels: Any, folder: Path) -> Day:
    """Write a patch as an L1C tile with a level DEM, and make its surface product."""
    box, counts = pixels["bbox_utm33n"], pixels["l1c_dn"][: EDGE // 10, : EDGE // 10].astype(np.float64)
    grid = TileGrid("33TWL", "EPSG:32633", round(float(box[0])), round(float(box[3])), EDGE, EDGE)
    url, aux, out = str(folder / "l1c.zarr"), folder / "aux", str(folder / "l2a.zarr")
    images = {name: _means(counts[..., i], band(name).resolution // 10) for i, name in enumerate(BANDS)}
    lon, lat = _write(url, grid, f"{pixels['sensing_time']}Z", images)
    for kind in ("dem", "geoid"):
        (aux / kind).mkdir(parents=True)
    place = {"transform": Affine(0.001, 0, lon - 0.02, 0, -0.001, lat + 0.02), "crs": "EPSG:4326"}
    shape = {"width": 40, "height": 40, "count": 1, "dtype": "float32"}
    with rasterio.open(aux / "dem/local.tif", "w", driver="GTiff", **shape, **place) as raster:
        raster.write(np.full((40, 40), np.median(pixels["dem_m"]), np.float32), 1)
    result = make_surface(url, out, str(aux), Blocking(EDGE, EDGE))
    group = zarr.open_group(zarr_store(out, read_only=True), mode="r")
    above = {name: _means(counts[..., i], 2) / 1e4 for i, name in enumerate(BANDS)}
    below = {n: (group[schema.reflectance_path(20, n)][...] - 1000.0) / 1e4 for n in (*VISIBLE, "B8A")}
    scl = group["conditions/mask/l2a_classification/r20m/scl"][...]
    return Day(result["record"], dict(group.attrs["s2dask"]), scl, above, below)


@pytest.fixture(scope="module")
def days(reference_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Day]:
    out = {}
    for day in SERIES:
        with np.load(reference_data / "l2a/pixels" / f"eolearn_L1C_{day}.npz") as pixels:
            out[day] = _surface(pixels, tmp_path_factory.mktemp("eolearn"))
    return out


def test_the_air_is_that_of_the_place(days: dict[str, Day]) -> None:
    overcast = days["2015-08-20"]
    assert overcast.attrs["aot_retrieval_method"] == "DEFAULT"
    assert overcast.attrs["cloud_percentage"] > 90
    for day in ("2015-07-11", "2015-09-09"):
        attrs, record = days[day].attrs, days[day].record
        assert attrs["aot_retrieval_method"] == "DDV"
        # clear summer air, 700 m above the sea; forests of July are less red beside B12 than the relation has them, by
        # what its uncertainty allows: 0.03 to 0.3 within one standard deviation
        assert record["aot_mean"] + record["aot_uncertainty"] > 0.03
        assert 0.0 < record["aot_mean"] < 0.3
        assert 0.02 < record["aot_uncertainty"] < 0.1
        assert 0.7 < record["water_vapour_mean"] < 2.5
        assert record["vegetation_percentage"] > 95


def test_colour_of_the_forest_is_steadier_below_the_atmosphere(days: dict[str, Day]) -> None:
    clear = [days[day] for day in SERIES if days[day].attrs["cloud_percentage"] < 5]
    assert len(clear) == 2
    # The forest itself is a fifth darker in September, in the infrared too: the sun is 15 degrees lower. What the
    # atmosphere adds is in its colour, reflectance over that of B8A.
    for name in VISIBLE:
        above, below = (
            float(np.std([(side[name] / side["B8A"]) for side in sides], axis=0).mean())
            for sides in ([day.above for day in clear], [day.below for day in clear])
        )
        assert below < 0.7 * above, (name, above, below)
    blue_above, blue_below = (
        np.std([side["B02"].mean() for side in s]) for s in zip(*[d[3:] for d in clear], strict=True)
    )
    assert blue_below < blue_above


def test_vegetation_is_as_blue_and_red_as_vegetation(days: dict[str, Day]) -> None:
    for day in ("2015-07-11", "2015-09-09"):
        below = {name: float(np.median(image)) for name, image in days[day].below.items()}
        assert 0.01 < below["B02"] < below["B04"] + 0.005
        assert below["B04"] < below["B03"] < below["B05"] < below["B8A"]


def test_a_whole_tile_of_forest_in_summer(reference_data: Path, tmp_path: Path) -> None:
    where = reference_data / "l2a/pixels/l1c_19UDP_20170729_preview160m"
    grid = TileGrid("19UDP", "EPSG:32619", 399960, 5400000, 109800, 109800, 16)
    images = {}
    for name in BANDS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(where / f"{name}.jp2") as raster:
                image = raster.read(1).astype(np.float64)
        factor = band(name).resolution // 10
        rows, columns = grid.shape(band(name).resolution)
        filled = np.zeros((rows * factor, columns * factor))
        filled[: image.shape[0], : image.shape[1]] = image[: filled.shape[0], : filled.shape[1]]
        seen = _means((filled > 0).astype(float), factor) == 1
        images[name] = np.where(seen, _means(filled, factor), 0)
    _write(str(tmp_path / "l1c.zarr"), grid, "2017-07-29T15:35:57Z", images)
    result = make_surface(str(tmp_path / "l1c.zarr"), str(tmp_path / "l2a.zarr"), None, Blocking(115_200, 1800))
    group = zarr.open_group(zarr_store(str(tmp_path / "l2a.zarr"), read_only=True), mode="r")
    assert dict(group.attrs["s2dask"])["aot_retrieval_method"] == "DDV"
    record = result["record"]
    # summer in the Gulf of Saint Lawrence, between clouds
    assert 0.05 < record["aot_mean"] < 0.35
    assert 0.03 < record["aot_uncertainty"] < 0.1
    assert 0.8 < record["water_vapour_mean"] < 3.0
    aot = group["quality/atmosphere/r60m/aot"][...] / 1000
    there = aot > 0
    assert aot[there].max() < 0.5
    for axis in (0, 1):
        both = np.diff(there.astype(int), axis=axis) == 0
        steps = np.abs(np.diff(aot, axis=axis))[both]
        assert steps.max() < 0.05  # over 960 m: a field, not a patchwork
