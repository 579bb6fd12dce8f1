"""Virtual datastrips: a long datastrip in ranges of scenes, each with its own images, judgement and tiles.

Packets, orbit, attitude and dates stay one store: what a tile is made of is the same to the bit, wherever its datastrip
is cut. Only the images are apart, in stores of the shape of the whole that hold the granules of a range and of those
beyond its end that its tiles take; each is removed when its last tile is delivered. A tile is made of one of them: that
which holds the first of its scenes.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from s2dask.auxdata.gipp_set import GippSet
from s2dask.graph.tasks import TaskGraph
from s2dask.graph.unit import Unit
from s2dask.io.grids import TileGrid
from s2dask.io.storage import remove
from s2dask.l1c.resampling import filter_of
from s2dask.production.identity import folder_digest, identified_granules, part_identity, strip_identity
from s2dask.production.image_store import open_images
from s2dask.production.ingest import StripUpdate
from s2dask.production.marks import forget
from s2dask.production.order import Order
from s2dask.production.ortho import strip_lines
from s2dask.production.part_table import (
    Scenes,
    awaited_by_tile,
    clean_unit,
    cut_parts,
    judging_unit,
    made_again,
    with_packets,
)
from s2dask.production.resampling import DEFAULT
from s2dask.production.setting import open_setting
from s2dask.production.strip import strip_facts
from s2dask.production.tile_list import grid_unit, grids_wanted
from s2dask.production.tile_scenes import tile_scenes
from s2dask.production.unit_table import Part, StripCut, l1b_units, strip_unit
from s2dask.production.work import Context, Done, Told

_log = logging.getLogger(__name__)


def _needs(l0: str, aux: str, grids: Sequence[TileGrid], order: Order) -> dict[str, Scenes]:
    facts, setting = strip_facts(l0), open_setting(l0, aux)
    chosen = filter_of(order.resampling.settled(setting.gipps).interpolation or DEFAULT)
    lines = strip_lines(facts)
    found = {grid.tile_id: tile_scenes(setting.model, grid, lines, facts.detectors, chosen) for grid in grids}
    # a tile that seems to show nothing says so itself, when it is made
    return {tile: (0, 1) if scenes is None else scenes for tile, scenes in found.items()}


def virtual_units(
    context: Context, cut: StripCut, packets: Sequence[Unit], update: StripUpdate, gipps: GippSet, told: Told
) -> list[Unit]:
    """Return the units of a datastrip that is split, and make the empty stores of its images.

    Parameters
    ----------
    context : Context
        Of its session; the order says how many scenes a virtual datastrip has.
    cut : StripCut
    packets : sequence of Unit
        Those of its L0.
    update : StripUpdate
    gipps : GippSet
    told : Told
        Hears how it is cut: ``split``, per datastrip.

    Returns
    -------
    list of Unit
        Virtual datastrip after virtual datastrip, each with the packets that no other has needed before.
    """
    order, shared = context.order, dict(cut.shared or {})
    l0, aux, suffix = (str(shared[key]) for key in ("l0", "aux", "suffix"))
    covers = grids_wanted(cut, order, told)
    needs = _needs(l0, aux, list(covers), order)
    parts = cut_parts(cut.scenes, order.split or cut.scenes, needs)
    told.facts[f"split{suffix}"] = {
        "parts": [[part.first, part.stop, part.reach, list(part.tiles)] for part in parts],
        "made_again": made_again(parts),
    }
    _log.info("%s: %d virtual datastrips, %.1f %% of its granules made again", l0, len(parts), 100 * made_again(parts))
    cuts = [replace(cut, part=part, shared=shared | {"images": _store(context, suffix, part)}) for part in parts]
    whole = replace(cut, shared=shared | {"images": str(context.work / f"l1b{suffix}-whole.zarr")})
    graph = TaskGraph()
    for one in (*cuts, whole):
        held = (0, 0) if one.part is None else (one.part.first, one.part.reach)
        images = str((one.shared or {})["images"])
        graph.add(f"RADIO_INIT-{one.strip_name}", open_images, l0, images, "L1B", gipps, held)
    context.graph("L1B", graph)
    closed = strip_identity("L1B", update, aux, order, gipps)
    inputs = {"strip": closed, "aux": folder_digest(aux)}
    units: list[Unit] = []
    for one, part in zip(cuts, parts, strict=True):
        mine = _images_of_part(one, part, packets, update, gipps, order)
        units += with_packets(packets, mine, units)
        units += [*mine, *_tiles_of_part(one, part, mine, covers, needs, order, inputs)]
    judged = [unit for unit in units if unit.kind == "STRIP"]
    closing = strip_unit(whole, [*packets, *judged], deliver=False)
    return [*units, replace(closing, identity=strip_identity("L1B", update, aux, order, gipps, split=order.split))]


def _store(context: Context, suffix: str, part: Part) -> str:
    # its scenes are in the name: what a process remembers of a store holds for as long as it has this name
    return str(context.work / f"l1b{suffix}-v{part.number}-{part.first:03d}-{part.reach - 1:03d}.zarr")


def _images_of_part(
    cut: StripCut, part: Part, packets: Sequence[Unit], update: StripUpdate, gipps: GippSet, order: Order
) -> list[Unit]:
    """Return the units of the granules of a virtual datastrip, and the one that judges those of its own."""
    granules = identified_granules(l1b_units(cut, packets), update, gipps)
    identity = part_identity(update, cut.around((part.first, part.stop)), part.number, order, gipps)
    return [*granules, replace(judging_unit(cut, granules), identity=identity)]


def _tiles_of_part(
    cut: StripCut, part: Part, images: Sequence[Unit], covers: Mapping[TileGrid, float], needs: Mapping[str, Scenes],
    order: Order, inputs: Mapping[str, str],
) -> list[Unit]:  # fmt: skip
    """Return the units of the tiles of a virtual datastrip, and the one that removes its images after them."""
    grids = {grid.tile_id: grid for grid in covers}
    tiles = [
        grid_unit(
            cut, grids[name], order, inputs, awaited_by_tile(cut, images, needs[name]), covers[grids[name]]
        )
        for name in part.tiles
    ]  # fmt: skip
    return tiles if order.keep else [*tiles, clean_unit(cut, tiles)]


def run_clean(context: Context) -> Done:
    """Remove the images of a virtual datastrip (kind CLEAN)."""
    store = str(context.unit.spec["images"])
    forget(store)
    remove(store)
    return Done(Told())
