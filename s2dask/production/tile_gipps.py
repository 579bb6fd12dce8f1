"""What the GIPPs say of tiles, cloud masks and pictures, where they are among the auxiliary files.

None of the three is needed: without GIP_TILPAR the tiles are computed, without GIP_MASPAR clouds are found by published
thresholds, without GIP_CONVER the true colour image has the stretch of the product specification.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from s2dask.auxdata.gipp_production import Conversion
from s2dask.auxdata.gipp_resampling import MaskParameters, TileDescription, TilingParameters
from s2dask.auxdata.gipp_set import GippSet
from s2dask.auxdata.gipp_types import gipp_type
from s2dask.errors import ConfigurationError, InputError
from s2dask.geometry.tiles import TILE_SIZE, tile_corner
from s2dask.io.grids import TileGrid
from s2dask.io.schema import ANGLE_STEP
from s2dask.l1c.cloud_rule import CloudRule

Curves = dict[str, list[float]]
"""Lowest and highest reflectance and gamma of the true colour image by band."""
_RESOLUTIONS: Final = ("10", "20", "60")


@lru_cache(maxsize=2)
def _tiles(gipps: GippSet) -> dict[str, TileDescription] | None:
    """Return the tiles of GIP_TILPAR by name, None where there is no such file."""
    if not gipps.has("TILPAR"):
        return None
    path = gipps.path("TILPAR")
    found: TilingParameters = gipp_type("TILPAR").read(path, gipps.unit)
    for what, step in (("ALONG_LINES", found.line_step), ("ALONG_COLUMNS", found.column_step)):
        if step != ANGLE_STEP:
            raise InputError(
                f"GRID_STEP/{what} is {step:g} m", path.name, f"angles are given every {ANGLE_STEP} m, as in products"
            )
    return {tile.name.removeprefix("T"): tile for part in found.representations for tile in part.tiles}


def listed(gipps: GippSet, names: Sequence[str]) -> tuple[str, ...]:
    """Return those of some tiles that GIP_TILPAR lists; all of them without one."""
    tiles = _tiles(gipps)
    return tuple(names) if tiles is None else tuple(name for name in names if name in tiles)


def check_tile(gipps: GippSet, grid: TileGrid) -> None:
    """Refuse a tile that GIP_TILPAR does not list, or that it has elsewhere or of another size."""
    tiles = _tiles(gipps)
    if tiles is None:
        return
    name, file = grid.tile_id, gipps.path("TILPAR").name
    if name not in tiles:
        raise ConfigurationError(f"no tile {name}", file, f"it lists {len(tiles)} tiles; name one of them")
    told, (crs, x, y) = tiles[name], tile_corner(name)
    if (told.code, told.unit, told.x, told.y) != (crs, "m", x, y):
        raise InputError(
            f"tile {name} at {told.x:g}, {told.y:g} {told.unit} in {told.code}",
            file,
            f"it lies at {x:g}, {y:g} in {crs}",
        )
    for resolution in _RESOLUTIONS:
        size, pixels = told.sizes[resolution], TILE_SIZE // int(resolution)
        if (size.rows, size.columns, size.x_step, -size.y_step) != (pixels, pixels, int(resolution), int(resolution)):
            raise InputError(
                f"tile {name} of {size.rows} x {size.columns} pixels of {size.x_step:g} x {size.y_step:g} m", file,
                f"it has {pixels} x {pixels} at {resolution} m",
            )  # fmt: skip


def cloud_rule(gipps: GippSet) -> CloudRule | None:
    """Return the thresholds of GIP_MASPAR, None where there is no such file.

    Notes
    -----
    The structure is public, the unit of the thresholds and of the sizes is not: they are taken as reflectance and as
    pixels of the mask. What is no reflectance is refused.
    """
    if not gipps.has("MASPAR"):
        return None
    path = gipps.path("MASPAR")
    p: MaskParameters = gipp_type("MASPAR").read(path, gipps.unit)
    try:
        return CloudRule(p.blue.band, p.blue.threshold, p.cirrus, p.swir.band, p.swir.threshold, p.erosion, p.dilation)
    except ConfigurationError as error:
        raise InputError(f"CLOUD_DETECTION: {error.what}", path.name, error.remedy) from error


def colour_curves(gipps: GippSet) -> Curves | None:
    """Return the curves of GIP_CONVER, None where there is no such file."""
    if not gipps.has("CONVER"):
        return None
    found: Conversion = gipp_type("CONVER").read(gipps.path("CONVER"), gipps.unit)
    return {name: [curve.lowest, curve.highest, curve.gamma] for name, curve in found.bands.items()}
