"""How a session is cut into units, and what they are called: one place for the plan and for the runner.

``s2dask.production.unit_table`` makes `Unit`s from plain facts (detectors, scenes, tiles, group size), without reading
anything. The plan prices them before anything runs; the runner adds places and identities to them and runs them.

=========  =====================================  ==========================  ===================================
kind       name                                   of                          after
=========  =====================================  ==========================  ===================================
SESSION    ``SESSION``                            a session                   nothing
L0         ``L0-D05-G008-015``                    a detector x some scenes    ``SESSION``
L1B        ``L1B-D05-G008-015``                   a detector x some scenes    L0 of the scenes that it reads
STRIP      ``STRIP``                              a datastrip                 all its L1B (at level L0: all its L0)
TILE       ``TILE-T28SCB``                        a tile of a datastrip       ``STRIP``
=========  =====================================  ==========================  ===================================

Names of a second datastrip of the session say so: ``L0-2-D05-G008-015``, ``STRIP-2``, ``TILE-2-T28SCB``. Those of a
virtual datastrip (`Part`) do so too: ``L1B-V1-D05-G008-015``, ``STRIP-V1``; its tiles are named as ever.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from s2dask.errors import ConfigurationError
from s2dask.graph.unit import NOMINAL, Unit

GROUP: Final = 8
"""Scenes of an L0 or L1B unit: 15 to 60 core seconds, some 770 units for the 255 scenes of 60 GB."""
MARGIN: Final = 1
"""Scenes before and after its own that an L1B unit reads lines of: all margins are shorter than a scene."""
SESSION: Final = "SESSION"
"""Name of the unit that decodes the files of a session and cuts its datastrips."""


@dataclass(frozen=True, slots=True)
class Part:
    """A virtual datastrip: scenes whose images and tiles are made, and left, together.

    Attributes
    ----------
    number : int
        From 1 on.
    first, stop : int
        First scene of its own and last + 1; every scene is that of one part.
    reach : int
        Last scene + 1 that its tiles take, at least `stop`: the scenes from `stop` on are made for them once more.
    tiles : tuple of str
        Those whose first scene is one of its own.
    """

    number: int
    first: int
    stop: int
    reach: int
    tiles: tuple[str, ...] = ()


def units_at_once(workers: int) -> int:
    """Return how many units run side by side: while one waits for its last tasks, others keep the workers busy."""
    return workers + 2


@dataclass(frozen=True, slots=True)
class StripCut:
    """A datastrip and how it is cut.

    Attributes
    ----------
    detectors : tuple of int
    scenes : int
    rank : int
        Of the datastrip in its session, from 0 on.
    group : int
        Scenes of an L0 or L1B unit.
    priority : int
    shared : mapping
        What the spec of every unit says beside what is its own: places, options; JSON-able.
    part : Part, optional
        Virtual datastrip whose images are meant; default: those of the whole.
    """

    detectors: tuple[int, ...]
    scenes: int
    rank: int = 0
    group: int = GROUP
    priority: int = NOMINAL
    shared: Mapping[str, Any] | None = None
    part: Part | None = None

    def __post_init__(self) -> None:
        if self.group < 1:
            raise ConfigurationError(f"groups of {self.group} scenes", "group", "1 or more")
        if self.scenes < 1 or not self.detectors:
            raise ConfigurationError("no granule", "datastrip", "a datastrip has a scene and a detector at least")

    @property
    def groups(self) -> tuple[tuple[int, int], ...]:
        """First scene and last + 1 of every group."""
        ends = (0, self.scenes) if self.part is None else (self.part.first, self.part.stop, self.part.reach)
        return tuple(
            (k, min(k + self.group, stop)) for first, stop in pairwise(ends) for k in range(first, stop, self.group)
        )

    @property
    def strip_name(self) -> str:
        """``STRIP``, ``STRIP-2``; of a virtual datastrip ``STRIP-V1``."""
        return f"STRIP{self._mark}"

    @property
    def whole(self) -> "StripCut":
        """The datastrip that a virtual one is a part of."""
        return replace(self, part=None)

    @property
    def _rank(self) -> str:
        return f"-{self.rank + 1}" if self.rank else ""

    @property
    def _mark(self) -> str:
        return self._rank if self.part is None else f"{self._rank}-V{self.part.number}"

    def granules_name(self, kind: str, detector: int, scenes: tuple[int, int]) -> str:
        """``L1B-D05-G008-015`` for detector 5 and scenes (8, 16)."""
        return f"{kind}{self._mark}-D{detector:02d}-G{scenes[0]:03d}-{scenes[1] - 1:03d}"

    def tile_name(self, tile: str) -> str:
        """``TILE-T28SCB``."""
        return f"TILE{self._rank}-T{tile.removeprefix('T')}"

    def around(self, scenes: tuple[int, int]) -> tuple[int, int]:
        """Return the scenes that are read for some: with the margins, as far as the datastrip goes."""
        return max(scenes[0] - MARGIN, 0), min(scenes[1] + MARGIN, self.scenes)

    def reading(self, scenes: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Return the groups that hold some scenes."""
        return tuple(g for g in self.groups if g[0] < scenes[1] and scenes[0] < g[1])

    def spec(self, **own: Any) -> dict[str, Any]:
        """Return the spec of a unit: what all share, the rank of the datastrip, and its own."""
        return {**(self.shared or {}), "strip": self.rank, **own}


def session_unit(priority: int = NOMINAL, shared: Mapping[str, Any] | None = None) -> Unit:
    """Return the unit that decodes the files of a session and cuts its datastrips."""
    return Unit(name=SESSION, kind="SESSION", spec=dict(shared or {}), priority=priority)


def l0_units(strip: StripCut, granules: Sequence[tuple[int, int]] | None = None) -> tuple[Unit, ...]:
    """Return the units that move the packets of a datastrip, scene after scene.

    Parameters
    ----------
    strip : StripCut
    granules : sequence of (int, int), optional
        Detector and scene of those whose packets are to be moved; default: all. A unit without any is left out.
    """
    wanted = None if granules is None else set(granules)
    return tuple(
        Unit(
            name=strip.granules_name("L0", d, g), kind="L0", spec=strip.spec(detector=d, scenes=list(g)),
            after=(SESSION,), priority=strip.priority,
        )
        for g in strip.groups
        for d in strip.detectors
        if wanted is None or any((d, scene) in wanted for scene in range(*g))
    )  # fmt: skip


def l1b_units(strip: StripCut, before: Sequence[Unit] = (), kind: str = "L1B") -> tuple[Unit, ...]:
    """Return the units that make the L1B granules of a datastrip, or of a virtual one, scene after scene.

    Parameters
    ----------
    strip : StripCut
    before : sequence of Unit
        Those of its L0; a unit waits for those of them that move what it reads: its own scenes and its margins.
    kind : {"L1B", "L1A"}
    """
    there = {unit.name for unit in before}

    def needed(d: int, g: tuple[int, int]) -> tuple[str, ...]:
        whole = strip.whole
        names = (whole.granules_name("L0", d, group) for group in whole.reading(whole.around(g)))
        return tuple(name for name in names if name in there)

    return tuple(
        Unit(
            name=strip.granules_name(kind, d, g), kind=kind,
            spec=strip.spec(detector=d, scenes=list(g), reads=list(strip.around(g))),
            after=needed(d, g), priority=strip.priority,
        )
        for g in strip.groups
        for d in strip.detectors
    )  # fmt: skip


def strip_unit(strip: StripCut, before: Sequence[Unit] = (), **own: Any) -> Unit:
    """Return the unit that closes a datastrip, judges it and lists its tiles; it waits for those that make it."""
    return Unit(
        name=strip.strip_name, kind="STRIP", spec=strip.spec(**own), after=tuple(unit.name for unit in before),
        priority=strip.priority,
    )  # fmt: skip


def tile_units(strip: StripCut, tiles: Sequence[str], after: Sequence[str] | None = None) -> tuple[Unit, ...]:
    """Return the units that make and deliver the tiles of a datastrip, in the order given.

    Parameters
    ----------
    strip : StripCut
    tiles : sequence of str
        ``28SCB``, with or without a ``T`` in front.
    after : sequence of str, optional
        Names of the units that they wait for; default: that which closes the datastrip.
    """
    awaited = (strip.strip_name,) if after is None else tuple(after)
    return tuple(
        Unit(
            name=strip.tile_name(tile), kind="TILE", spec=strip.spec(tile=tile.removeprefix("T")), after=awaited,
            priority=strip.priority,
        )
        for tile in tiles
    )  # fmt: skip
