"""What a unit will do and cost, from its spec: for the plan before a run, and for the units that a run calls for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from s2dask.graph.cost import CostModel, shipped_costs
from s2dask.graph.cost_history import calibrated_costs
from s2dask.graph.unit import Cost, Unit
from s2dask.instrument import BANDS
from s2dask.io.grids import TileGrid
from s2dask.io.storage import filesystem
from s2dask.production.order import Order
from s2dask.production.plan_source import StripShape
from s2dask.production.plan_work import (
    Delivery,
    Stage,
    TileShape,
    granule_packet_bytes,
    granule_pixels,
    l0_stages,
    l1b_stages,
    session_stages,
    strip_stages,
    tile_pixels,
    tile_stages,
)
from s2dask.production.strip import StripFacts, strip_facts

SAMPLE_BYTES = 2
"""Of counts; images have as much again of quality."""


Strip = StripFacts | StripShape
"""A datastrip: of a store, or as a plan found it."""


@dataclass(frozen=True, slots=True)
class UnitWork:
    """What a unit will do.

    Attributes
    ----------
    stages : tuple of Stage
        Tasks of one stage run side by side.
    pixels, bytes_in, bytes_out : int
        Computed, read, written [pixel, B, B].
    tasks : int
        Beyond those of the stages: such as the cost model does not know.
    """

    stages: tuple[Stage, ...] = ()
    pixels: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    tasks: int = 0

    def cost(self, costs: CostModel) -> Cost:
        """Return what that costs."""
        works = [work for stage in self.stages for work in stage]
        return Cost(
            self.tasks + sum(work.count for work in works), self.pixels, self.bytes_in, self.bytes_out,
            costs.peak_bytes(works), costs.total(works),
        )  # fmt: skip


def image_bytes(bands: Sequence[str]) -> int:
    """Return the bytes of a granule of L1A or L1B: counts and quality, not compressed."""
    return 2 * SAMPLE_BYTES * granule_pixels(bands)


def work_of_session(files: Sequence[int], strips: Sequence[Strip]) -> UnitWork:
    """Return the work on a session of files [B] that holds datastrips; none: they are not known yet."""
    granules = sum(s.scenes * len(s.detectors) for s in strips)
    packets = sum(s.scenes * len(s.detectors) * granule_packet_bytes(s.bands, s.codec) for s in strips)
    return UnitWork(
        session_stages(files, granules, strips[0].bands if strips else ()), 0, sum(files), packets
    )  # fmt: skip


def work_of_import(strip: Strip) -> UnitWork:
    """Return the work on a real L1B product."""
    granules = strip.scenes * len(strip.detectors)
    made = granules * image_bytes(strip.bands)
    stages = l1b_stages(granules, strip.bands, "UNFORMAT_SAFE_GR")
    return UnitWork(stages, granules * granule_pixels(strip.bands), made, made)


def work_of_tile(unit: Unit, shape: TileShape, to: str, delivery: Delivery, *, from_l1c: bool = False) -> UnitWork:
    """Return the work on a tile; a plan counts the granules that it takes, a run reads those parts that it needs."""
    pixels, own = tile_pixels(shape, to, from_l1c=from_l1c), SAMPLE_BYTES * tile_pixels(shape, "L1C")
    if from_l1c:
        read = own
    else:
        read = int(unit.spec["granules"]) * image_bytes(shape.bands) if "granules" in unit.spec else 2 * own
    stages = tile_stages(shape, to, delivery, from_l1c=from_l1c, masks=unit.spec.get("l1c") is not None)
    return UnitWork(stages, pixels, read, SAMPLE_BYTES * pixels)


def work_of(unit: Unit, strip: Strip) -> UnitWork:
    """Return the work of a unit of a datastrip that is no tile.

    Parameters
    ----------
    unit : Unit
        Of kind L0, L1A, L1B, STRIP or CLEAN.
    strip : Strip
        Its datastrip.
    """
    spec, pixels = unit.spec, granule_pixels(strip.bands)
    packets = granule_packet_bytes(strip.bands, strip.codec)
    if unit.kind == "L0":
        scenes = len(spec["moves"]) if "moves" in spec else spec["scenes"][1] - spec["scenes"][0]
        return UnitWork(l0_stages(scenes, strip.bands, strip.codec), 0, scenes * packets, scenes * packets)
    if unit.kind in ("L1A", "L1B"):
        made, read = (spec[key][1] - spec[key][0] for key in ("scenes", "reads"))
        stages = l1b_stages(made, strip.bands, "DECOMP" if unit.kind == "L1A" else "RADIO_AB")
        return UnitWork(stages, made * pixels, read * packets, made * image_bytes(strip.bands))
    if unit.kind == "CLEAN" or spec.get("level") == "L0":
        return UnitWork()
    granules = strip.scenes * len(strip.detectors)
    return UnitWork(strip_stages(granules))


@lru_cache(maxsize=4)
def _costs(history: str | None) -> CostModel:
    return shipped_costs() if history is None else calibrated_costs(history)


def priced(units: Iterable[Unit], order: Order) -> tuple[Unit, ...]:
    """Return the units that a session or a product calls for with their costs.

    Parameters
    ----------
    units : iterable of Unit
        Whose specs say where the store of their datastrip is.
    order : Order
    """
    costs = _costs(order.history)
    return tuple(replace(unit, cost=_work(unit, order).cost(costs)) for unit in units)


def _work(unit: Unit, order: Order) -> UnitWork:
    strip = strip_facts(str(unit.spec["l0"]))
    if unit.kind not in ("TILE", "L1C", "L2A"):
        work = work_of(unit, strip)
        safe = unit.kind == "STRIP" and "safe" in order.formats and unit.spec.get("deliver")
        return replace(work, tasks=strip.scenes * len(strip.detectors) + 1) if safe else work
    grid = TileGrid(**unit.spec["grid"])
    shape = TileShape(grid, strip.bands, unit.spec["cover"], order.blocking)
    return work_of_tile(unit, shape, unit.spec["to"], order.delivery, from_l1c=unit.kind == "L2A")


def priced_root(unit: Unit, order: Order) -> Unit:
    """Return the first unit of a run with its cost, as far as it shows before anything is decoded.

    Parameters
    ----------
    unit : Unit
        Of a session, or of a real product; the granules of an L1B product are counted only when it is imported.
    order : Order
    """
    if unit.kind == "SESSION":
        fs, path = filesystem(order.source)
        found = fs.find(path, detail=True).items() if fs.exists(path) else ()
        work = work_of_session([int(f["size"]) for name, f in found if name.endswith(".raw")], ())
    elif unit.kind == "TILE":
        shape = TileShape(TileGrid(**unit.spec["grid"]), tuple(BANDS))
        work = work_of_tile(unit, shape, "L2A", order.delivery, from_l1c=True)
    else:
        return unit
    return replace(unit, cost=work.cost(_costs(order.history)))
