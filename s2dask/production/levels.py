"""The graphs of each level: which tasks, on what, in which order. Functions here only add named tasks."""

from collections.abc import Sequence
from dataclasses import dataclass

from s2dask.auxdata.gipp_set import GippSet
from s2dask.graph.tasks import Ref, TaskGraph
from s2dask.io.grids import TileGrid
from s2dask.production import ortho, strip, surface
from s2dask.production.blocks import Blocking
from s2dask.qc.checks import run_checks


@dataclass(frozen=True, slots=True)
class TilePlan:
    """One tile to make.

    Attributes
    ----------
    grid : TileGrid
    blocking : Blocking
    l1c, l2a : str
        Stores to fill.
    """

    grid: TileGrid
    blocking: Blocking
    l1c: str
    l2a: str

    @property
    def name(self) -> str:
        """``T28SCB``."""
        return f"T{self.grid.tile_id}"


def add_l1b(graph: TaskGraph, l0: str, l1b: str, gipps: GippSet) -> Ref:
    """Add one task per granule (detector x scene) and the reduction of their records."""
    facts = strip.strip_facts(l0)
    granules = [
        graph.add(f"RADIO_AB-D{detector:02d}-G{scene:03d}", strip.write_scene, l0, l1b, gipps, detector, scene)
        for detector in facts.detectors
        for scene in range(facts.scenes)
    ]
    return graph.add("OLQC_DS_L1B-all", strip.finish_l1b, l1b, granules)


def add_l1c(graph: TaskGraph, plan: TilePlan, l0: str, l1b: str, aux: str | None, ready: Ref) -> Ref:
    """Add the tasks of one L1C tile: geometry, blocks of every resolution, masks, finish."""
    init = graph.add(f"TILE_INIT-{plan.name}", ortho.start_tile, l0, aux, plan.grid, plan.blocking, plan.l1c, after=(ready,))
    blocks = [
        graph.add(f"GEN_ORTHO_TOA-{plan.name}-{block.name}", ortho.write_ortho, l0, l1b, aux, plan.l1c, block, init)
        for resolution in (10, 20, 60)
        for block in plan.blocking.blocks(plan.grid, resolution)
    ]
    masks = [
        graph.add(f"MASK_S2-{plan.name}-{block.name}", ortho.write_classification, plan.l1c, block, after=tuple(blocks))
        for block in plan.blocking.blocks(plan.grid, 60)
    ]
    return graph.add(f"TILE_FINALIZE-{plan.name}", ortho.finish_tile, plan.l1c, init, blocks, masks)


def add_l2a(graph: TaskGraph, plan: TilePlan, source: str, aux: str | None, ready: Sequence[Ref] = ()) -> Ref:
    """Add the tasks of one L2A tile: start, statistics per block, atmosphere, correction per block, finish."""
    begin = graph.add(f"L2A_INIT-{plan.name}", surface.start_tile, source, aux, plan.l2a, plan.grid, plan.blocking, after=tuple(ready))
    statistics = [
        graph.add(f"L2A_DDV-{plan.name}-{block.name}", surface.gather, source, block, begin)
        for block in plan.blocking.blocks(plan.grid, 20)
    ]
    state = graph.add(f"L2A_AOT_WV-{plan.name}", surface.solve, begin, statistics)
    blocks = [
        graph.add(f"L2A_AC-{plan.name}-{block.name}", surface.write_surface, source, plan.l2a, block, begin, state)
        for resolution in (10, 20, 60)
        for block in plan.blocking.blocks(plan.grid, resolution)
    ]
    return graph.add(f"L2A_FINALIZE-{plan.name}", surface.finish_tile, plan.l2a, begin, state, blocks)


def check(level: str, record: dict[str, float]) -> list[dict[str, object]]:
    """Run the checks of a level on its record."""
    return [result.as_dict() for result in run_checks(level, record)]
