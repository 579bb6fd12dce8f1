"""Footprints as polygons, held to real granule metadata, and the tiles that they touch."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shapely
from lxml import etree
from numpy.typing import NDArray
from pyproj import Geod

from s2dask.auxdata.datastrip import read_datastrip
from s2dask.auxdata.terrain import Terrain
from s2dask.errors import InputError
from s2dask.geometry import ViewingModel
from s2dask.geometry.footprint import datastrip_footprint, granule_footprint, polygon_of, split_antimeridian
from s2dask.geometry.tiles import TILE_SIZE, tiles_of, zone_tiles
from s2dask.instrument import BANDS, band


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue("reference_data") / "geometry"


@pytest.fixture(scope="module")
def terrain(folder: Path) -> Terrain:
    return Terrain.open(folder / "dem", geoid=next(folder.glob("geoid/*.gtx")), missing="sea")


@pytest.fixture(scope="module")
def model(folder: Path) -> ViewingModel:
    return ViewingModel.from_datastrip(folder / "l1b", gipp=folder / "gipp", iers=next(folder.glob("iers/*.txt")))


def _declared(folder: Path) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Return detector, first line and corners (latitude, longitude, height) of the granules."""
    roots = [etree.parse(path).getroot() for path in sorted(folder.glob("l1b/GRANULE/*/*.xml"))]
    return [
        (
            int(root.findtext(".//DETECTOR_ID")), int(root.findtext(".//POSITION")) - 1,
            np.array(root.findtext(".//EXT_POS_LIST").split(), float).reshape(5, 3),
        )
        for root in roots
    ]  # fmt: skip


def test_footprints_of_real_granules(folder: Path, terrain: Terrain, model: ViewingModel) -> None:
    """All corners but one to 0.2 m; that one lies on a mountain which is 500 m higher in the processor's own DEM."""
    geod, far = Geod(ellps="WGS84"), []
    declared = _declared(folder)
    assert len(declared) == 72
    for detector, first, corners in declared:
        ring = np.array(granule_footprint(model, detector, first, terrain).exterior.coords)
        assert ring.shape == (5, 2)
        distance = np.array(geod.inv(*ring.T, corners[:, 1], corners[:, 0])[2])[:4]
        far += [(detector, *corner[:2]) for corner in corners[:4][distance > 0.2]]
        # seen from where the pixel is, every corner lies on its line of sight at some height
        heights = np.linspace(-50.0, 1900.0, 40)
        line, column = model.inverse("B04", detector, corners[:4, 1, None], corners[:4, 0, None], heights)
        pixel = np.array([[first, 0], [first + 2303, 0], [first + 2303, 2551], [first, 2551]])
        miss = np.nanmin(np.hypot(line - pixel[:, :1], column - pixel[:, 1:]), axis=1)
        assert miss.max() * 10.0 < 20.0
        assert np.median(distance) < 0.2
    assert len(far) == 2
    assert {detector for detector, *_ in far} == {8}
    np.testing.assert_allclose(far[0][1:], far[1][1:], atol=0.001)


def test_a_datastrip_covers_its_granules(folder: Path, terrain: Terrain, model: ViewingModel) -> None:
    images = {(d, name): (0, 6 * band(name).lines_per_scene) for d in range(1, 13) for name in BANDS}
    whole = datastrip_footprint(model, images, terrain)
    assert whole.geom_type == "Polygon"
    assert whole.is_valid
    assert not whole.interiors
    for _, _, corners in _declared(folder):
        assert whole.buffer(0.001).contains(shapely.Polygon(corners[:, 1::-1]))
    names = [tile.name for tile in tiles_of(whole)]
    # the tiles of both zones at 18 degrees west, those of the reference runs among them
    assert names == sorted(names)
    assert {"28SBA", "28SBB", "28SCB", "27SXS", "27SYR"} <= set(names)
    assert len(names) == 14


def _turned(model: ViewingModel, degrees: float) -> Any:
    """Return a stand-in for the model of a strip elsewhere around the Earth's axis: the rays know no longitude."""

    def direct(*args: Any) -> tuple[NDArray[np.float64], ...]:
        lon, lat, h = model.direct(*args)
        return (lon + degrees + 180.0) % 360.0 - 180.0, lat, h

    return SimpleNamespace(direct=direct)


def test_a_strip_across_the_antimeridian(folder: Path, model: ViewingModel) -> None:
    sea = Terrain((), None, "sea")
    images = {(d, "B02"): (0, 6 * 2304) for d in range(1, 13)}
    here = datastrip_footprint(model, images, sea)
    there = datastrip_footprint(_turned(model, -162.5), images, sea)
    assert there.geom_type == "MultiPolygon"
    assert there.is_valid
    assert there.area == pytest.approx(here.area, rel=1e-9)
    west, _, east, _ = there.bounds
    assert (west, east) == (-180.0, 180.0)
    zones = {tile.name[:2] for tile in tiles_of(there)}
    assert zones == {"60", "01"}


def test_rings_around_poles_and_turns() -> None:
    cap = polygon_of(np.arange(-180.0, 180.0, 5.0), np.full(72, 80.0))
    assert cap.area == pytest.approx(3600.0)
    assert cap.contains(shapely.Point(12.0, 89.9))
    box = polygon_of(np.array([179.0, -179.0, -179.0, 179.0]), np.array([0.0, 0.0, 1.0, 1.0]))
    assert box.geom_type == "MultiPolygon"
    assert box.area == pytest.approx(2.0)
    assert split_antimeridian(shapely.box(179.0, 0.0, 182.0, 1.0)).bounds == (-180.0, 0.0, 180.0, 1.0)
    assert split_antimeridian(shapely.box(-181.0, 0.0, -179.5, 1.0)).area == pytest.approx(1.5)
    with pytest.raises(InputError, match="fewer than three places"):
        polygon_of(np.array([1.0, np.nan, 3.0]), np.zeros(3))


REAL = """
33TTF 33TTG 34TBK 34TBM 35TKE 35TKG 36TTK 30TTM 31TBG 37TBG 38TKM 30UYE 32UQE 33UYV 31UGV 33VUL 27VUL 35VLL 34VCR
28VCR 28SCA 28RCU 35WLV 33WYV 33WXU 34WEE 31VCG 31VEF 31VEK 31VFL 32VKK 32VKQ 32VLR 31TGH 31TGN 21NZG 22NBH 20PPC
38LML 40KCB 13SFR 01KAB 01WCP 33XWJ 33XVP 46RER 55JEJ 10SDG 32TLQ 22HBD 47XMH 02QRM 28SBB 29SQV 26SPF 36SYJ 35VMC
"""
"""Tiles of products and of lists of the mission's tiles."""
LEFT_OUT = "33TTH 33TTN 34TBN 35TKH 36TTN 32TKQ 32UKU 33WUM 34WCS 35WLM 36WUS 22NAH 13RFR 31VFG 32XNR 34XDQ"
"""Squares on land that these lists do not hold: the zone to the west, or another latitude band, has them."""


@pytest.mark.row("IPF-27")
def test_the_grid_has_the_missions_tiles_and_no_others() -> None:
    real, left_out = set(REAL.split()), set(LEFT_OUT.split())
    zones = {(int(name[:2]), name[2] < "N") for name in real | left_out}
    names = {tile.name for zone, south in zones for tile in zone_tiles(zone, south)}
    assert real - names == set()
    assert left_out & names == set()
    assert max(tile.y for tile in zone_tiles(33, south=False)) == 9_400_020
    assert all(tile.x % 60 == 0 and tile.y % 20 == 0 for tile in zone_tiles(1, south=True))


@pytest.mark.row("IPF-27")
@pytest.mark.parametrize(
    ("place", "names"),
    [
        # a zone seam: tiles of both zones
        ((-18.05, 32.6, -17.95, 32.7), {"27SYS", "28SBB"}),
        # the equator: tiles of both hemispheres, the northern ones reach 9.8 km beyond it
        ((9.0, -0.05, 9.2, -0.02), {"32NNF", "32MNE", "32NMF", "32MME"}),
        # the antimeridian
        ((179.9, -17.0, 180.0, -16.9), {"60KZG", "01KAB"}),
        # 84 degrees north is the end
        ((10.0, 84.8, 11.0, 85.0), set()),
        ((10.0, -89.0, 11.0, -88.0), set()),
    ],
)
def test_tiles_of_a_small_place(place: tuple[float, ...], names: set[str]) -> None:
    found = tiles_of(shapely.box(*place))
    assert names <= {tile.name for tile in found} if names else not found


@pytest.mark.row("IPF-27")
def test_a_tile_is_touched_by_an_area_not_by_an_edge() -> None:
    from pyproj import Transformer

    tile = next(t for t in zone_tiles(28, south=False) if t.name == "28SCB")
    back = Transformer.from_crs(tile.crs, "EPSG:4326", always_xy=True)
    for inwards, touched in ((30.0, True), (-30.0, False)):
        x, y = tile.x + TILE_SIZE - inwards, tile.y - TILE_SIZE / 2
        lon, lat = back.transform(np.array([x, x + 900, x + 900]), np.array([y, y + 40, y - 40]))
        assert ("28SCB" in {t.name for t in tiles_of(polygon_of(lon, lat))}) is touched


def test_a_footprint_that_crosses_itself_is_refused() -> None:
    with pytest.raises(InputError, match="crosses itself"):
        tiles_of(shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]))


def test_the_footprint_of_a_real_l0_datastrip(folder: Path) -> None:
    """The tiles from the metadata's own polygon: the orbit over the Seychelles."""
    file = next((folder.parent / "ops" / "l0c").glob("S2B*.xml"))
    strip = read_datastrip(file)
    assert strip.level == "L0"
    text = etree.parse(file).getroot().findtext(".//Footprint/EXT_POS_LIST")
    lat, lon = np.array(text.split(), float).reshape(-1, 2)[:-1].T
    assert {tile.name[:3] for tile in tiles_of(polygon_of(lon, lat))} == {"40M"}
