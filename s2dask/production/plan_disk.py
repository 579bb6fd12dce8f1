"""How much disk a run takes: what its tasks leave in the folder of working stores, and when that goes again."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final

from s2dask.graph.cost import Work
from s2dask.graph.unit import Unit
from s2dask.production.plan_work import Stage

BYTES: Final[Mapping[str, float]] = {
    "EISPProcessor": 0.94, "MSI_Merge": 0.92, "RADIO_AB": 1.4, "DECOMP": 1.4, "UNFORMAT_SAFE_GR": 1.4,
    "GEN_ORTHO_TOA-r10m": 1.4, "GEN_ORTHO_TOA-r20m": 1.4, "GEN_ORTHO_TOA-r60m": 1.4, "L2A_AC": 57.0,
    "FORMAT_ZARR": 1.14, "FORMAT_TCI": 0.4, "FORMAT_IMG": 0.78,
}  # fmt: skip
"""That a task leaves for each byte, pixel or sample of its size [B], coded and compressed as it is stored.

Measured on a simulated session of two detectors, 13 bands and 20 km of clouds and land, to Level-2A.
"""
_TRANSIENT: Final = ("TILE", "L1C", "L2A")


def left_by(work: Work) -> float:
    """Return what tasks of one step and size leave on the disk [B]."""
    step = work.step
    if step.startswith("FORMAT_") and step not in BYTES:
        step = step.split("-", maxsplit=1)[0]
    return work.count * work.mega * 1e6 * BYTES.get(step, 0.0)


class Disk:
    """The working folder of a simulated run, and what it has delivered.

    Attributes
    ----------
    now, most : float
        In the folder at the moment, and at most so far [B].
    delivered : float
        [B]
    """

    def __init__(self, units: Sequence[Unit], stages: Sequence[Sequence[Stage]]) -> None:
        self._units = units
        self._left = [[sum(left_by(work) for work in stage) for stage in of_unit] for of_unit in stages]
        self._product = [
            sum(left_by(work) for stage in of_unit for work in stage if work.step.startswith("FORMAT_"))
            for of_unit in stages
        ]
        self._counted = [0] * len(units)
        self._images: dict[str, float] = {}
        self.now = self.most = self.delivered = 0.0

    def advance(self, k: int, stage: int) -> None:
        """Note that unit k has ended its stages before one."""
        fresh = sum(self._left[k][self._counted[k] : stage])
        self._counted[k] = stage
        self.now += fresh
        self.most = max(self.most, self.now)

    def end(self, k: int) -> None:
        """Note that unit k has ended: the stores of a tile go, its products are moved to where they are delivered."""
        unit = self._units[k]
        self.advance(k, len(self._left[k]))
        if unit.kind in _TRANSIENT:
            self.now -= sum(self._left[k])
            self.delivered += self._product[k]
        elif unit.kind in ("L1A", "L1B"):
            part = _part(unit.name)
            self._images[part] = self._images.get(part, 0.0) + sum(self._left[k])
        elif unit.kind == "CLEAN":
            self.now -= self._images.pop(_part(unit.name), 0.0)


def _part(name: str) -> str:
    """Return what the names of the units of a virtual datastrip share: ``V1`` of ``L1B-V1-D05-G008-015``, ``2-V1``."""
    return "-".join(takewhile(lambda word: word.isdecimal() or word.startswith("V"), name.split("-")[1:]))
