"""Datatakes: what is made of each type, how many products, and where a session is cut into datastrips."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import DETECTORS, SCENE_SECONDS

_L0, _L0_L1A, _L0_L1C = ("L0",), ("L0", "L1A"), ("L0", "L1B", "L1C")
LEVELS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        # DatatakeType.java of COPRS processing-sentinel-2 (2024-04-11)
        "NOBS": (*_L0_L1C, "L2A"), "VIC": _L0_L1C, "RAW": ("L0", "L1A", "L1B", "L1C", "L2A"),
        "DASC": _L0_L1A, "ABSR": _L0_L1A, "EOBS": _L0_L1A,
        # datatake_s2.py of maas-cds
        "DARK-O": _L0_L1A, "DARK-C": _L0_L1A, "SUN": _L0_L1A, "HKTM": _L0, "MSMOON": _L0,
    }
)  # fmt: skip
"""Levels by datatake type; of any other type L0 alone."""
KINDS: Final = (
    "INS-NOBS", "INS-VIC", "INS-RAW", "INS-DASC", "INS-ABSR", "INS-EOBS", "INS-IMG", "INS-MOON", "INS-TST",
    "INS-NOBD", "INS-EOBD", "INS-ABSD", "INS-VICD", "INS-DASD",
)  # fmt: skip
"""Datatake types that product metadata know (PSD 15, A_DATATAKE_TYPE)."""
NOMINAL: Final = KINDS[0]
RAW_WITHOUT_L2A: Final[Mapping[str, datetime]] = MappingProxyType(
    {"S2A": datetime(2026, 7, 23, tzinfo=UTC), "S2C": datetime(2026, 8, 1, tzinfo=UTC)}
)
"""From when on no L2A is made of RAW datatakes (datatake_s2.py of maas-cds)."""
GRANULES_PER_SCENE: Final[Mapping[str, int]] = MappingProxyType({"RAW": 4})
"""Where it is not one per detector."""
MINIMUM_SCENES: Final = 4
"""Of a datastrip that goes beyond L0: 48 granules (minGrRequired of the L1 preparation worker)."""
_TRIMMED: Final = 2
"""Scenes of L0 that L1 loses: its first and last serve as margins (datatake_s2.py of maas-cds)."""
_SCENE: Final = SCENE_SECONDS * 1e9
_ALIGNED: Final = 2000
"""Scenes of one datastrip follow each other to so many ns: the clock counts in 60 ns, the line period is held."""
_SPREAD: Final = 8
"""A clock that GPS does not steer has a pace and a jitter of its own: so many of its median are allowed."""


def _plain(kind: str) -> str:
    return kind.strip().upper().removeprefix("INS-")


def levels_of(kind: str, unit: str = "", start: datetime | None = None, *, degraded: bool = False) -> tuple[str, ...]:
    """Return the levels that are made of a datatake.

    Parameters
    ----------
    kind : str
        Datatake type, with or without ``INS-``.
    unit, start : optional
        Of the sensing: some rules end at a date.
    degraded : bool
        Whether orbit or attitude are not good enough: then L0 only.
    """
    plain = _plain(kind)
    levels = _L0 if degraded else LEVELS.get(plain, _L0)
    stop = RAW_WITHOUT_L2A.get(unit) if plain == "RAW" else None
    return tuple(k for k in levels if k != "L2A") if stop and start and start >= stop else levels


def expected_products(
    kind: str,
    scenes: int,
    levels: tuple[str, ...] | None = None,
    *,
    detectors: int = len(DETECTORS),
    minimum: int = MINIMUM_SCENES,
    tiles: int | None = None,
) -> dict[str, int | None]:
    """Return how many products a datastrip gives, by type: ``L0_DS``, ``L0_GR`` …; None where the tiles decide.

    Parameters
    ----------
    kind : str
        Datatake type.
    scenes : int
    levels : tuple of str, optional
        Default: those of the type.
    detectors : int
        That were switched on.
    minimum : int
        Scenes that a datastrip needs to go beyond L0.
    tiles : int, optional
        Under the datastrip, when known.
    """
    per = GRANULES_PER_SCENE.get(_plain(kind), detectors)
    out: dict[str, int | None] = {}
    for level in levels or levels_of(kind):
        if level == "L0":
            out |= {"L0_DS": 1, "L0_GR": scenes * per}
        elif scenes < minimum:
            continue
        elif level in ("L1A", "L1B"):
            out |= {f"{level}_DS": 1, f"{level}_GR": max(scenes - _TRIMMED, 0) * per}
        else:
            out |= {f"{level}_DS": 1, f"{level}_TL": tiles, f"{level}_TC": tiles}
    return out


class ImageChannel(NamedTuple):
    """The scenes of one detector and band.

    Attributes
    ----------
    begun : (packet) int64
        When the scene of each packet began, GPS [ns].
    scene_bytes : int
        Bytes of the packets of one scene.
    """

    begun: NDArray[np.int64]
    scene_bytes: int


def scenes_begun(begun: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the start of each scene, (scene) int64 GPS [ns] rising, from that of each packet's scene."""
    dates = np.sort(begun)
    first = np.flatnonzero(np.diff(dates, prepend=np.int64(np.iinfo(np.int64).min // 2)) > _SCENE / 2)
    middle: NDArray[np.int64] = dates[(first + np.append(first[1:], dates.size) - 1) // 2]
    return middle


def _pace(starts: Iterable[NDArray[np.int64]]) -> tuple[float, float]:
    """Return how long a scene lasts by the clock of the instrument, and how far from that two may follow [ns]."""
    steps = np.concatenate([np.zeros(0, np.int64), *(np.diff(begun) for begun in starts)]).astype(np.float64)
    steps = steps[np.abs(steps - _SCENE) < 1e-3 * _SCENE]
    if not steps.size:
        return _SCENE, float(_ALIGNED)
    pace = float(np.median(steps))
    if abs(pace - _SCENE) <= _ALIGNED:
        pace = _SCENE
    return pace, max(float(_ALIGNED), _SPREAD * float(np.median(np.abs(steps - pace))))


def cut_datastrips(images: Mapping[tuple[int, str], ImageChannel], lost_bytes: int) -> list[int]:
    """Return the dates [GPS ns] at which the images of a session are cut into datastrips, rising.

    Parameters
    ----------
    images : mapping of (detector, band) to ImageChannel
    lost_bytes : int
        Of image packets that the lost frames may have held.

    Notes
    -----
    Detectors and bands begin up to 3 s apart, less than a scene: together they show no hole within a datastrip. A
    hole is one of a loss, and no cut, if the scenes after it keep the pace of those before it and the lost frames
    suffice to fill it.
    """
    starts = {key: scenes_begun(image.begun) for key, image in images.items() if image.begun.size}
    dates = np.sort(np.concatenate([np.zeros(0, np.int64), *starts.values()]))
    cuts = []
    scene, loose = _pace(starts.values())
    for at in np.flatnonzero(np.diff(dates) > scene + loose):
        wanted, aligned = 0, True
        for key, begun in starts.items():
            k = int(np.searchsorted(begun, dates[at], side="right"))
            if 0 < k < begun.size:
                step = float(begun[k] - begun[k - 1])
                number = round(step / scene)
                aligned = aligned and abs(step - number * scene) <= loose
                wanted += (number - 1) * images[key].scene_bytes
        if not aligned or not 0 < wanted <= lost_bytes:
            cuts.append(int(dates[at] + (dates[at + 1] - dates[at]) // 2))
    return cuts
