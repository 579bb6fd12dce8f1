"""The graphs of each level: which tasks, on what, in which order. Functions here only add named tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from s2dask.auxdata.gipp_set import GippSet
from s2dask.graph.tasks import Ref, TaskGraph
from s2dask.io.grids import TileGrid
from s2dask.l0.blocks import Block
from s2dask.l0.datatake import levels_of
from s2dask.l0.session import Session
from s2dask.l0.stage import decode_file
from s2dask.l2a.options import DEFAULT, Corrections
from s2dask.production import ingest, l1a_strip, ortho, strip, surface
from s2dask.production.blocks import Blocking
from s2dask.production.order import LEVELS
from s2dask.production.resampling import USUAL, Resampling


@dataclass(frozen=True, slots=True)
class TilePlan:
    """One tile to make.

    Attributes
    ----------
    grid : TileGrid
    blocking : Blocking
    l1c, l2a : str
        Stores to fill.
    how : Resampling
        Of L1C.
    corrections : Corrections
        Of L2A.
    created : datetime, optional
        When its products are made; default: now.
    """

    grid: TileGrid
    blocking: Blocking
    l1c: str
    l2a: str
    how: Resampling = USUAL
    corrections: Corrections = DEFAULT
    created: datetime | None = None

    @property
    def name(self) -> str:
        """``T28SCB``."""
        return f"T{self.grid.tile_id}"


def last_level(asked: str, kind: str, unit: str, start: datetime) -> str:
    """Return the last level to make of a datatake when one is asked for: that, or the last before it that its type has.

    Parameters
    ----------
    asked : str
        ``L1A`` is made of any type, for it has to be named to be made.
    kind : str
        Datatake type.
    unit, start
        Of the sensing.
    """
    made = levels_of(kind, unit, start)
    return asked if asked == "L1A" else [k for k in made if LEVELS.index(k) <= LEVELS.index(asked)][-1]


def add_file(graph: TaskGraph, block: Block, work: str) -> Ref:
    """Add the task that decodes one file of a session; it returns a `FileResult`."""
    name = f"EISPProcessor-ch{block.channel}-{block.number:05d}-{block.key}"
    return graph.add(name, decode_file, block.url, block.channel, work)


def add_plan(graph: TaskGraph, files: Sequence[Ref], session: Session, aux: str, l0: str, work: str) -> Ref:
    """Add the plan of the datastrips of a session; it returns a `StripUpdate` of each."""
    return graph.add("MSI_Merge-plan", ingest.update_strips, files, session, aux, l0, work)


def add_packets(
    graph: TaskGraph, l0: str, work: str, strip: int, detector: int, scene: int, bands: Sequence[str]
) -> Ref:
    """Add the task that moves the packets of a detector and scene into the L0 store of its datastrip."""
    key = f"MSI_Merge-D{detector:02d}-G{scene:03d}"
    return graph.add(key, ingest.write_packets, l0, work, detector, scene, bands, strip)


def add_l1a_granule(graph: TaskGraph, l0: str, l1a: str, gipps: GippSet, detector: int, scene: int) -> Ref:
    """Add the task of an L1A granule (detector x scene); its packets and those of its margins must be there."""
    key = f"DECOMP-D{detector:02d}-G{scene:03d}"
    return graph.add(key, l1a_strip.write_l1a_granule, l0, l1a, gipps, detector, scene)


def add_l1b_granule(graph: TaskGraph, l0: str, l1b: str, gipps: GippSet, detector: int, scene: int) -> Ref:
    """Add the task of an L1B granule (detector x scene); its packets and those of its margins must be there."""
    key = f"RADIO_AB-D{detector:02d}-G{scene:03d}"
    return graph.add(key, strip.write_scene, l0, l1b, gipps, detector, scene)


def add_l1c(graph: TaskGraph, plan: TilePlan, l0: str, l1b: str, aux: str | None) -> Ref:
    """Add the tasks of one L1C tile: geometry, blocks of every resolution, masks, finish."""
    init = graph.add(
        f"TILE_INIT-{plan.name}", ortho.start_tile, l0, aux, plan.grid, plan.blocking, plan.l1c, plan.how, plan.created
    )
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
    begin = graph.add(
        f"L2A_INIT-{plan.name}", surface.start_tile, source, aux, plan.l2a, plan.grid, plan.blocking,
        plan.corrections,
        after=tuple(ready),
    )  # fmt: skip
    statistics = [
        graph.add(f"L2A_DDV-{plan.name}-{block.name}", surface.gather, source, block, begin, stays=True)
        for block in plan.blocking.blocks(plan.grid, 20)
    ]
    state = graph.add(f"L2A_AOT_WV-{plan.name}", surface.solve, begin, statistics, stays=True)
    blocks = [
        graph.add(f"L2A_AC-{plan.name}-{block.name}", surface.write_surface, source, plan.l2a, block, begin, state)
        for block in plan.blocking.blocks(plan.grid, 20)
    ]
    return graph.add(f"L2A_FINALIZE-{plan.name}", surface.finish_tile, plan.l2a, begin, state, blocks, plan.created)
