"""Where the images of a plan lie: footprint, tiles, how much of each is covered, and which granules see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from s2dask.auxdata.datastrip import Trajectory
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.iers import EarthOrientation
from s2dask.auxdata.terrain import Terrain
from s2dask.auxdata.time import gps_to_utc
from s2dask.geometry.footprint import datastrip_footprint
from s2dask.geometry.tiles import TILE_SIZE, Tile
from s2dask.geometry.tiles import tiles_of as tiles_touched
from s2dask.geometry.viewing import ViewingModel, read_geometry
from s2dask.instrument import LINE_PERIOD, band
from s2dask.production.initial_location import REFERENCES
from s2dask.production.setting import AuxFolder
from s2dask.production.tile_gipps import listed

CELLS: Final = 40
"""Elevation rasters that a plan reads at most; beyond that the ground is the geoid, which moves an edge by 2 km at
most: 8000 m seen from the side of the swath."""
Key = tuple[int, str]


@dataclass(frozen=True, slots=True)
class StripGround:
    """A datastrip on the ground.

    Attributes
    ----------
    tiles : tuple of Tile
        In alphabetical order.
    cover : mapping of str to float
        Share of a tile that the images cover, by name.
    granules : mapping of str to int
        Granules (detector x scene) that see a tile, by name.
    needs : mapping of str to (int, int)
        First scene and last + 1 of those, and of their neighbours, by name.
    footprint : geometry
        Longitude and latitude [degree].
    flags : tuple of str
        What was assumed.
    """

    tiles: tuple[Tile, ...]
    cover: Mapping[str, float]
    granules: Mapping[str, int]
    needs: Mapping[str, tuple[int, int]]
    footprint: BaseGeometry
    flags: tuple[str, ...]


@lru_cache(maxsize=64)
def _to_map(crs: str) -> Transformer:
    return Transformer.from_crs("EPSG:4326", crs, always_xy=True)


def _square(tile: Tile) -> BaseGeometry:
    return shapely.box(tile.x, tile.y - TILE_SIZE, tile.x + TILE_SIZE, tile.y)


def _on_map(shape: BaseGeometry, tile: Tile) -> BaseGeometry:
    """Return the part of a shape in longitude and latitude near a tile, on its map."""
    transformer = _to_map(tile.crs)
    middle = transformer.transform(tile.x + TILE_SIZE / 2, tile.y - TILE_SIZE / 2, direction="INVERSE")
    reach = 1.5 / max(float(np.cos(np.radians(middle[1]))), 0.08)
    near = shapely.intersection(
        shape, shapely.box(middle[0] - reach, middle[1] - 1.5, middle[0] + reach, middle[1] + 1.5)
    )
    return shapely.transform(near, lambda xy: np.stack(transformer.transform(xy[:, 0], xy[:, 1]), -1))


def tile_cover(footprint: BaseGeometry, tile: Tile) -> float:
    """Return the share of a tile that a footprint of longitude and latitude [degree] covers."""
    shared = shapely.intersection(shapely.make_valid(_on_map(footprint, tile)), _square(tile))
    return min(float(shapely.area(shared)) / TILE_SIZE**2, 1.0)


def strip_model(
    trajectory: Trajectory, first_line_date: Mapping[Key, int], sensing: tuple[int, int], unit: str, aux: str
) -> tuple[ViewingModel, GippSet]:
    """Return the viewing model of a datastrip that no store holds yet, and the GIPPs that hold for it.

    Parameters
    ----------
    trajectory : Trajectory
    first_line_date : mapping of (int, str) to int
        By detector and band, GPS [ns].
    sensing : (int, int)
        Start and stop, GPS [ns].
    unit : str
    aux : str
        Folder of auxiliary files.
    """
    folder = AuxFolder(aux)
    start, stop = (gps_to_utc(t) for t in sensing)
    gipps = GippSet.open(folder.gipp, unit, start, stop)
    directions, spacecraft = read_geometry(gipps, {name for _, name in first_line_date})
    eop = EarthOrientation.from_bulletin(folder.bulletin)
    model = ViewingModel.build(trajectory, first_line_date, LINE_PERIOD, directions, spacecraft, eop)
    return model, gipps


def _terrain(aux: str) -> tuple[Terrain, tuple[str, ...]]:
    terrain = AuxFolder(aux).terrain()
    if len(terrain.cells) <= CELLS:
        return terrain, ()
    return Terrain((), None, "sea"), (
        f"the ground is at height 0: the plan does not read {len(terrain.cells)} rasters",
    )


def _granules(
    model: ViewingModel, detectors: tuple[int, ...], name: str, scenes: int, terrain: Terrain
) -> NDArray[np.object_]:
    """Return the outlines of the granules, (detector x scene) polygons of longitude and latitude."""
    b = band(name)
    lines = np.arange(scenes + 1) * b.lines_per_scene - 0.5
    rings = []
    for d in detectors:
        left, right = (
            np.stack(model.direct(name, d, lines, np.full(lines.size, column), terrain)[:2], -1)
            for column in (-0.5, b.columns - 0.5)
        )
        rings.append(np.stack([left[:-1], right[:-1], right[1:], left[1:]], 1))
    corners = np.concatenate(rings)
    # one across the antimeridian runs on beyond 180 degrees
    corners[..., 0] = np.unwrap(corners[..., 0], period=360.0, axis=1)
    return np.asarray(shapely.polygons(corners), object)


def _inverse(transformer: Transformer, places: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(transformer.transform(places[:, 0], places[:, 1], direction="INVERSE"), -1)


def _seen_by(tiles: tuple[Tile, ...], outlines: NDArray[np.object_]) -> dict[str, NDArray[np.intp]]:
    """Return which outlines touch each tile, all turns of the longitude considered."""
    tree = shapely.STRtree(outlines)
    out = {}
    for tile in tiles:
        transformer = _to_map(tile.crs)
        ring = shapely.segmentize(_square(tile), TILE_SIZE / 8)
        square = shapely.transform(ring, partial(_inverse, transformer))
        turned = [affinity.translate(square, turn) for turn in (-360.0, 0.0, 360.0)]
        out[tile.name] = np.unique(np.concatenate([tree.query(one, "intersects") for one in turned]))
    return out


def _needs(seen: NDArray[np.intp], scenes: int) -> tuple[int, int]:
    """Return first scene and last + 1 of some granules, a neighbour on each side: of other bands, and margins."""
    found = seen % scenes if seen.size else np.zeros(1, np.intp)
    return max(int(found.min()) - 1, 0), min(int(found.max()) + 2, scenes)


def lie_of_strip(model: ViewingModel, gipps: GippSet, images: Mapping[Key, int], scenes: int, aux: str) -> StripGround:
    """Return where a datastrip lies.

    Parameters
    ----------
    model : ViewingModel
    gipps : GippSet
        GIP_TILPAR, where it is there, tells which tiles are made.
    images : mapping of (int, str) to int
        Lines by detector and band.
    scenes : int
    aux : str
        Folder of auxiliary files.
    """
    terrain, flags = _terrain(aux)
    footprint = datastrip_footprint(model, {key: (0, lines) for key, lines in images.items()}, terrain)
    touched = tiles_touched(footprint)
    wanted = set(listed(gipps, [tile.name for tile in touched]))
    tiles = tuple(tile for tile in touched if tile.name in wanted)
    names = {name for _, name in images}
    reference = next((name for name in REFERENCES if name in names), min(names))
    detectors = tuple(sorted({d for d, _ in images}))
    seen = _seen_by(tiles, _granules(model, detectors, reference, scenes, terrain))
    # a sliver that only another band sees counts as one granule
    granules = {name: max(found.size, 1) for name, found in seen.items()}
    needs = {name: _needs(found, scenes) for name, found in seen.items()}
    return StripGround(tiles, {t.name: tile_cover(footprint, t) for t in tiles}, granules, needs, footprint, flags)
