"""How a datastrip is cut into virtual ones, and the units of each: one place for the plan and for the runner."""

from collections.abc import Mapping, Sequence

from s2dask.graph.unit import Unit
from s2dask.production.unit_table import Part, StripCut, strip_unit

Scenes = tuple[int, int]
"""First and last + 1."""


def cut_parts(scenes: int, per: int, needs: Mapping[str, Scenes]) -> tuple[Part, ...]:
    """Return the virtual datastrips of a datastrip.

    Parameters
    ----------
    scenes : int
    per : int
        Scenes of its own of each; of the last what is left.
    needs : mapping of str to (int, int)
        First scene and last + 1 that each tile is made of.
    """
    parts = []
    for number, first in enumerate(range(0, scenes, per), 1):
        stop = min(first + per, scenes)
        tiles = tuple(tile for tile, need in needs.items() if first <= need[0] < stop)
        parts.append(Part(number, first, stop, max([stop, *(needs[tile][1] for tile in tiles)]), tiles))
    return tuple(parts)


def made_again(parts: Sequence[Part]) -> float:
    """Return the share of granules that are made for more than one virtual datastrip, each counted as often [1]."""
    return sum(part.reach - part.stop for part in parts) / parts[-1].stop


def judging_unit(cut: StripCut, images: Sequence[Unit]) -> Unit:
    """Return the unit that judges those granules of a virtual datastrip that are its own.

    Parameters
    ----------
    cut : StripCut
        Of a virtual datastrip.
    images : sequence of Unit
        Its granules.
    """
    part = part_of(cut)
    own = [unit for unit in images if unit.spec["scenes"][0] < part.stop]
    return strip_unit(cut, own, part=part.number, deliver=False)


def awaited_by_tile(cut: StripCut, images: Sequence[Unit], need: Scenes) -> tuple[str, ...]:
    """Return the names of the units that a tile of a virtual datastrip waits for.

    Its granules are named beside the judgement, which stands when they are removed.
    """
    taken = set(cut.reading(need))
    return (cut.strip_name, *(u.name for u in images if u.kind == "L1B" and tuple(u.spec["scenes"]) in taken))


def clean_unit(cut: StripCut, tiles: Sequence[Unit]) -> Unit:
    """Return the unit that removes the images of a virtual datastrip, after its tiles."""
    last = tuple(unit.name for unit in tiles) or (cut.strip_name,)
    name = cut.strip_name.replace("STRIP", "CLEAN")
    return Unit(name=name, kind="CLEAN", spec=cut.spec(), after=last, priority=cut.priority + 2)


def part_of(cut: StripCut) -> Part:
    """Return the virtual datastrip that a cut is of; the whole is one too."""
    return cut.part or Part(0, 0, cut.scenes, cut.scenes)


def with_packets(packets: Sequence[Unit], images: Sequence[Unit], before: Sequence[Unit]) -> list[Unit]:
    """Return the units of packets that some images wait for and that no other has brought before."""
    awaited = {name for unit in images for name in unit.after} - {unit.name for unit in before}
    return [unit for unit in packets if unit.name in awaited]
