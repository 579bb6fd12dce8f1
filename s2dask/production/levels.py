"""The graphs of each level: which tasks, on what, in which order. Functions here only add named tasks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from s2dask.auxdata.gipp_set import GippSet
from s2dask.graph.tasks import Ref, TaskGraph
from s2dask.io.grids import TileGrid
from s2dask.l0.session import Session
from s2dask.l0.stage import decode_file
from s2dask.production import ingest, ortho, strip, surface
from s2dask.production.blocks import Blocking


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


def add_l0(graph: TaskGraph, session: Session, aux: str, l0: str, work: str) -> Ref:
    """Add one task per file of a session and the plan of its datastrips; it returns the counters of each."""
    files = [
        graph.add(f"EISPProcessor-ch{channel.number}-{i + 1:05d}", decode_file, path, channel.number, work)
        for channel in session.channels
        for i, path in enumerate(channel.files)
    ]
    return graph.add("MSI_Merge-plan", ingest.start_strips, files, session, aux, l0, work)


def add_packets(graph: TaskGraph, l0: str, work: str, rank: int = 0) -> list[Ref]:
    """Add one task per detector and scene, which moves its packets into the L0 store of the datastrip of that rank."""
    facts = strip.strip_facts(l0)
    return [
        graph.add(f"MSI_Merge-D{d:02d}-G{scene:03d}", ingest.write_packets, l0, work, d, scene, facts.bands, rank)
        for scene in range(facts.scenes)
        for d in facts.detectors
    ]


def add_l1b(graph: TaskGraph, l0: str, l1b: str, gipps: GippSet, packets: Mapping[str, Ref]) -> Ref:
    """Add one task per granule (detector x scene) and the reduction of their records.

    A granule waits for its own packets and those of its neighbours, whose lines its margins take.
    """
    facts = strip.strip_facts(l0)
    init = graph.add("RADIO_INIT-all", strip.start_l1b, l0, l1b)
    granules = []
    for scene in range(facts.scenes):
        for d in facts.detectors:
            around = [f"MSI_Merge-D{d:02d}-G{k:03d}" for k in (scene - 1, scene, scene + 1)]
            ready = (init, *(packets[key] for key in around if key in packets))
            name = f"RADIO_AB-D{d:02d}-G{scene:03d}"
            granules.append(graph.add(name, strip.write_scene, l0, l1b, gipps, d, scene, after=ready))
    return graph.add("OLQC_DS_L1B-all", strip.finish_l1b, l1b, granules)


def add_l1c(graph: TaskGraph, plan: TilePlan, l0: str, l1b: str, aux: str | None) -> Ref:
    """Add the tasks of one L1C tile: geometry, blocks of every resolution, masks, finish."""
    init = graph.add(f"TILE_INIT-{plan.name}", ortho.start_tile, l0, aux, plan.grid, plan.blocking, plan.l1c)
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
        after=tuple(ready),
    )  # fmt: skip
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

