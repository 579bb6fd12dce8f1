"""L1B lines computed from an L0 store when they are asked for."""

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

import numpy as np

from s2dask.auxdata.gipp_set import GippSet
from s2dask.instrument import band
from s2dask.l1b.stage import GranuleBand
from s2dask.production.strip import process_scene, strip_facts

KEPT_BYTES: Final = 400_000_000
"""Images of granules that a source keeps in memory."""


@dataclass
class OnDemandSource:
    """The L1B images of an L0 datastrip; the granules used last are kept.

    Attributes
    ----------
    l0 : str
        L0 store.
    gipps : GippSet
    """

    l0: str
    gipps: GippSet
    _granules: "OrderedDict[tuple[int, str, int], GranuleBand]" = field(
        default_factory=OrderedDict, repr=False, compare=False
    )
    _bytes: int = field(default=0, repr=False, compare=False)
    _lock: Any = field(default_factory=Lock, repr=False, compare=False)

    def __getstate__(self) -> dict[str, Any]:
        return {"l0": self.l0, "gipps": self.gipps}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def lines(self, band_name: str) -> int:
        """Return the number of lines of the images of a band."""
        return strip_facts(self.l0).scenes * band(band_name).lines_per_scene

    def _granule(self, detector: int, name: str, scene: int) -> GranuleBand:
        key = (detector, name, scene)
        with self._lock:
            if key not in self._granules:
                made = process_scene(self.l0, self.gipps, detector, (name,), scene)[name]
                if not isinstance(made, GranuleBand):  # pragma: no cover - an intermediate, which nobody asked for
                    raise TypeError(type(made))
                self._granules[key] = made
                self._bytes += _size(made)
                while self._bytes > KEPT_BYTES and len(self._granules) > 1:
                    self._bytes -= _size(self._granules.popitem(last=False)[1])
            self._granules.move_to_end(key)
            return self._granules[key]

    def read(self, detector: int, band_name: str, line0: int, line1: int) -> tuple[np.ndarray, np.ndarray]:
        """Return (counts, quality) of lines [line0, line1), both (line, column) uint16."""
        per = band(band_name).lines_per_scene
        line1 = min(line1, self.lines(band_name))
        parts = []
        for scene in range(line0 // per, -(-line1 // per)):
            granule = self._granule(detector, band_name, scene)
            cut = slice(max(line0 - scene * per, 0), min(line1 - scene * per, per))
            parts.append((granule.counts[cut], granule.quality[cut]))
        counts = np.concatenate([p[0] for p in parts])
        return counts, np.concatenate([p[1] for p in parts])


def _size(granule: GranuleBand) -> int:
    return granule.counts.nbytes + granule.quality.nbytes
