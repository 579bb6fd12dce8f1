"""The housekeeping telemetry of a session: its frames out of the files of both channels, for the PRD_HKTM product."""

import pickle
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import unit
from s2dask.instrument.telemetry import CADU_BYTES, VC_COUNTER_MODULO
from s2dask.l0.channel_file import HOUSEKEEPING, FileResult, housekeeping_rows
from s2dask.l0.packet_file import frame_notes, split_frames
from s2dask.l0.session import Session
from s2dask.production.downlink import EPOCH, received
from s2dask.release.safe_hktm import Housekeeping

_RECEIVED: Final = "housekeeping.pickle"
"""The files of a session that hold housekeeping telemetry no product has yet."""


def _of_channel(
    files: Sequence[FileResult], window: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.void], NDArray[np.int64]]:
    """Return frames, rows and downlink times [us since 2000] of a channel, whose frames come at a constant rate."""
    total, before = sum(r.good_frames for r in files), 0
    frames: list[NDArray[np.uint8]] = []
    rows, times = [np.zeros(0, HOUSEKEEPING)], [np.zeros(0, np.int64)]
    for result in files:
        if result.housekeeping is not None:
            frames.append(split_frames(np.fromfile(result.housekeeping, np.uint8), result.name))
            rows.append(housekeeping_rows(result))
            share = (before + rows[-1]["rank"].astype(np.float64)) / total
            times.append(window[0] // 1000 + np.round(share * ((window[1] - window[0]) / 1000)).astype(np.int64))
        before += result.good_frames
    empty = np.zeros((0, split_frames(np.zeros(1912, np.uint8), "").shape[1]), np.uint8)
    return np.concatenate([empty, *frames]), np.concatenate(rows), np.concatenate(times)


def _in_order(rows: NDArray[np.void]) -> tuple[NDArray[np.int64], list[tuple[int, int]]]:
    """Return the ranks of the rows of a virtual channel by counter, each once, and what is missing between them."""
    half = VC_COUNTER_MODULO // 2
    number = (rows["counter"].astype(np.int64) - int(rows["counter"][0]) + half) % VC_COUNTER_MODULO - half
    found, order = np.unique(number, return_index=True)
    missing = np.diff(found) - 1
    return order, [(int(k) + 1, int(missing[k])) for k in np.flatnonzero(missing)]


def housekeeping(results: Sequence[FileResult], session: Session) -> Housekeeping | None:
    """Return the housekeeping telemetry of a session, None when there is none.

    Parameters
    ----------
    results : sequence of FileResult
        Of every file of the session, in any order.
    session : Session

    Notes
    -----
    Frames are in the order of their virtual channels and counters, whatever the order of the files; one that came twice
    is there once. When a frame came is inferred as for packets, see `s2dask.l0.reception`.
    """
    told = received(session)
    frames, notes, times, gaps = [], [], [], []
    count = corrected = symbols = 0
    for channel in sorted({r.channel for r in results if r.housekeeping}):
        files = sorted((r for r in results if r.channel == channel), key=lambda r: r.name)
        data, rows, date = _of_channel(files, told.get(channel, (0, 0)))
        for virtual in np.unique(rows["channel"]):
            mine = np.flatnonzero(rows["channel"] == virtual)
            order, lost = _in_order(rows[mine])
            chosen = mine[order]
            gaps += [(count + after, number) for after, number in lost]
            frames.append(data[chosen])
            had = rows[chosen]
            notes.append(frame_notes(date[chosen], CADU_BYTES, channel, had["inverted"], had["marker"]))
            times.append(date[chosen])
            count += chosen.size
            corrected += int(np.count_nonzero(had["symbols"]))
            symbols += int(had["symbols"].sum())
    if not count:
        return None
    when = np.concatenate(times)
    start, stop = (EPOCH + np.timedelta64(int(t), "us").item() for t in (when.min(), when.max()))
    if not when.any():
        start = stop = session.start
    relative = unit(session.unit).relative_orbit(session.orbit) if session.orbit else 0
    return Housekeeping(
        session.unit, session.id, session.orbit, relative, datetime.now(UTC).replace(microsecond=0), start, stop,
        np.concatenate(frames), np.concatenate(notes), tuple(gaps), (corrected, symbols),
    )  # fmt: skip


def keep_housekeeping(results: Sequence[FileResult], session: Session, work: str) -> None:
    """Note in a work folder which files of a session hold housekeeping telemetry, for `take_housekeeping`."""
    if any(r.housekeeping for r in results):
        fresh = Path(work) / f"{_RECEIVED}.fresh"
        fresh.write_bytes(pickle.dumps((tuple(results), session)))
        fresh.replace(Path(work) / _RECEIVED)


def take_housekeeping(work: str) -> Housekeeping | None:
    """Return the housekeeping telemetry noted in a work folder, once: a session has one product of it."""
    path = Path(work) / _RECEIVED
    if not path.is_file():
        return None
    results, session = pickle.loads(path.read_bytes())  # noqa: S301 - our own file, made above
    path.unlink()
    return housekeeping(results, session)
