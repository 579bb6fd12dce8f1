"""Granules, one detector and one scene: their packets, and which of them change when a file comes late or again."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import SCENE_SECONDS, band
from s2dask.l0.datation import packet_step
from s2dask.l0.strip_plan import Key, PacketTable, StripPlan

COMPLETE, LOST, DEGRADED = 0, 1, 2


def _dates(
    table: PacketTable, chosen: NDArray[np.intp], scene: int, name: str, line_period: float
) -> NDArray[np.int64]:
    """Return the dates of all packets of a granule: those that did not come keep the pace of those that did.

    They follow from the granule alone, so that it does not change with what happens to others.
    """
    per, step = band(name).packets_per_scene, packet_step(band(name), line_period)
    after: NDArray[np.int64] = np.round(np.arange(per) * step).astype(np.int64)
    good = chosen[table.good[chosen]]
    if good.size:
        start = table.time[good] - after[table.number[good] - scene * per]
        return after + (int(start[0]) + round(float(np.mean(start - start[0]))))
    # whole nanoseconds before they are added: a date of GPS in float64 is good to 256 ns only
    return after + (table.first_line_date - table.shift) + round(scene * per * step)


def gather_packets(plan: StripPlan, detector: int, name: str, scene: int) -> dict[str, NDArray[np.generic]]:
    """Return the packets of one detector, band and scene.

    Returns
    -------
    dict
        ``packets`` (packet, byte) uint8, ``sequence_count`` (packet) uint16, ``packet_time`` (packet) int64 GPS [ns],
        ``status`` (packet) uint8: 0 complete, 1 lost, 2 degraded, ``frames`` (packet) uint16: how many carry it.
    """
    per, table = band(name).packets_per_scene, plan.tables[detector, name]
    packets = np.zeros((per, table.size), np.uint8)
    status = np.full(per, LOST, np.uint8)
    chosen = np.flatnonzero(table.number // per == scene)
    time, frames = _dates(table, chosen, scene, name, plan.datation.clock_period), np.zeros(per, np.uint16)
    for rank in np.unique(table.stream[chosen]):
        data = np.memmap(plan.streams[rank], np.uint8, mode="r")
        for k in chosen[table.stream[chosen] == rank]:
            place = table.number[k] - scene * per
            packets[place] = data[table.offset[k] : table.offset[k] + table.size]
            time[place], frames[place] = table.time[k], table.frames[k]
            status[place] = COMPLETE if table.good[k] else DEGRADED
    return {
        "packets": packets, "sequence_count": np.arange(per, dtype=np.uint16), "packet_time": time, "status": status,
        "frames": frames,
    }  # fmt: skip


def _same(before: StripPlan, after: StripPlan, key: Key, scenes: tuple[int, int]) -> bool:
    """Tell whether a granule and band is the same in two plans, byte by byte where it comes from other files."""
    per = band(key[1]).packets_per_scene
    old, new = before.tables[key], after.tables[key]
    mine = [np.flatnonzero(t.number // per == scene) for t, scene in zip((old, new), scenes, strict=True)]
    if old.size != new.size or mine[0].size != mine[1].size:
        return False
    if not mine[0].size:
        dates = [
            _dates(plan.tables[key], rows, scene, key[1], plan.datation.clock_period)
            for plan, rows, scene in zip((before, after), mine, scenes, strict=True)
        ]
        return bool((dates[0] == dates[1]).all())
    same = (old.number[mine[0]] - scenes[0] * per) == (new.number[mine[1]] - scenes[1] * per)
    same &= (old.time[mine[0]] == new.time[mine[1]]) & (old.good[mine[0]] == new.good[mine[1]])
    same &= old.frames[mine[0]] == new.frames[mine[1]]
    if not same.all():
        return False
    where = [
        [Path(plan.streams[rank]).name for rank in table.stream[rows]]
        for plan, table, rows in ((before, old, mine[0]), (after, new, mine[1]))
    ]
    moved = np.array([a != b for a, b in zip(*where, strict=True)]) | (old.offset[mine[0]] != new.offset[mine[1]])
    return all(
        (_bytes(before, old, i) == _bytes(after, new, j)).all()
        for i, j in zip(mine[0][moved], mine[1][moved], strict=True)
    )


def _bytes(plan: StripPlan, table: PacketTable, k: int) -> NDArray[np.uint8]:
    return np.memmap(
        plan.streams[table.stream[k]], np.uint8, mode="r", offset=int(table.offset[k]), shape=(table.size,)
    )


def _granules(plan: StripPlan) -> Iterator[tuple[Key, int]]:
    return ((key, scene) for key in sorted(plan.tables) for scene in range(plan.scenes))


def changed_granules(before: StripPlan | None, after: StripPlan) -> tuple[tuple[int, str, int], ...]:
    """Return (detector, band, scene of `after`) of the granules whose packets are others than before, or new.

    Parameters
    ----------
    before : StripPlan or None
        None: all of them.
    after : StripPlan
        Scenes are matched by their dates: the strip may have got an earlier beginning.
    """
    shift = round((after.start - before.start) / (SCENE_SECONDS * 1e9)) if before else 0
    return tuple(
        (*key, scene)
        for key, scene in _granules(after)
        if before is None
        or key not in before.tables
        or not 0 <= scene + shift < before.scenes
        or not _same(before, after, key, (scene + shift, scene))
    )


def granule_digest(plan: StripPlan, detector: int, scene: int) -> str:
    """Return the digest of what settles the packets of a detector and scene, all bands: equal digests, equal packets.

    Files are named by the address of their content, so that no packet has to be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for name in plan.bands:
        table, per = plan.tables[detector, name], band(name).packets_per_scene
        rows = np.flatnonzero(table.number // per == scene)
        streams, rank = np.unique(table.stream[rows], return_inverse=True)
        told = f"{name} {table.size} {plan.codec} {[Path(plan.streams[k]).name for k in streams]}"
        digest.update(told.encode())
        columns = (
            table.number[rows] - scene * per, table.time[rows], rank, table.offset[rows], table.good[rows],
            table.frames[rows], _dates(table, rows, scene, name, plan.datation.clock_period),
        )  # fmt: skip
        for column in columns:
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def granules_of(changed: Sequence[tuple[int, str, int]]) -> dict[tuple[int, int], tuple[str, ...]]:
    """Return the bands by (detector, scene): the units of work behind what changed."""
    out: dict[tuple[int, int], tuple[str, ...]] = {}
    for detector, name, scene in changed:
        out[detector, scene] = (*out.get((detector, scene), ()), name)
    return out
