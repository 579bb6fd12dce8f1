"""The tiles that a datastrip calls for, as units."""

from collections.abc import Mapping
from dataclasses import replace

from s2dask.graph.unit import Unit
from s2dask.io.grids import TileGrid
from s2dask.production.footprint import footprint_of, tile_grid, tiles_under
from s2dask.production.identity import tile_identity
from s2dask.production.order import Order
from s2dask.production.plan_ground import tile_cover
from s2dask.production.setting import open_setting
from s2dask.production.strip import strip_facts
from s2dask.production.unit_table import StripCut, tile_units
from s2dask.production.work import Told


def grid_unit(
    cut: StripCut, grid: TileGrid, order: Order, inputs: Mapping[str, str], after: tuple[str, ...] | None = None,
    cover: float = 1.0,
) -> Unit:  # fmt: skip
    """Return the unit of a tile.

    Parameters
    ----------
    cut : StripCut
        What it is made of; `shared` says up to which level.
    grid : TileGrid
    order : Order
    inputs : mapping of str to str
        Digests of what it is made of.
    after : tuple of str, optional
        Units that it waits for; default: that which closes the datastrip.
    cover : float
        Share of it that the images cover [1].
    """
    (unit,) = tile_units(cut, [grid.tile_id], after)
    identity = tile_identity(grid.facts(), order, str((cut.shared or {})["to"]), inputs)
    spec = {**unit.spec, "grid": grid.facts(), "cover": round(cover, 4)}
    return replace(unit, spec=spec, identity=identity, priority=cut.priority + 1)


def tiles_wanted(
    cut: StripCut, order: Order, inputs: Mapping[str, str], told: Told, after: tuple[str, ...] | None = None
) -> list[Unit]:
    """Return the units of the tiles to make of a datastrip."""
    return [grid_unit(cut, grid, order, inputs, after, cover) for grid, cover in grids_wanted(cut, order, told).items()]


def grids_wanted(cut: StripCut, order: Order, told: Told) -> dict[TileGrid, float]:
    """Return the tiles to make of a datastrip: those it touches, of the one asked for if one is.

    Each comes with the share of it that the images cover [1].
    """
    shared = cut.shared or {}
    store, aux = str(shared["l0"]), str(shared["aux"])
    setting = open_setting(store, aux)
    footprint = footprint_of(setting, strip_facts(store))
    touched = tiles_under(footprint, setting.gipps)
    grids = order.grids or [tile_grid(name) for name in touched]
    strangers = [grid.tile_id for grid in grids if grid.tile_id not in touched]
    told.unseen.extend(f"{store} touches {', '.join(touched)}, not {name}" for name in strangers)
    return {grid: tile_cover(footprint, touched[grid.tile_id]) for grid in grids if grid.tile_id in touched}
