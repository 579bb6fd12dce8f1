"""When and how a datastrip was received: what the store of L0 keeps of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from s2dask.auxdata.time import iso
from s2dask.instrument import band
from s2dask.instrument.telemetry import VCID_HALF_SCENE, half_scene
from s2dask.io.schema_strip import downlink_path
from s2dask.l0.reception import UNKNOWN
from s2dask.l0.session import Session
from s2dask.l0.stage import StripPlan

EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


def _nanoseconds(date: datetime) -> int:
    """Return a UTC date as the annotations count it, from 2000 on without leap seconds."""
    return (date - EPOCH) // timedelta(microseconds=1) * 1000


def _date(since: int) -> str:
    return iso(EPOCH + timedelta(microseconds=since // 1000), 6)


def received(session: Session) -> dict[int, tuple[int, int]]:
    """Return start and stop of the channels that the station has told [ns since 2000]."""
    return {
        c.number: (_nanoseconds(c.received[0]), _nanoseconds(c.received[1])) for c in session.channels if c.received
    }


def downlink_facts(plan: StripPlan, session: Session) -> dict[str, Any]:
    """Return what the root of a store says of the reception of its session.

    Returns
    -------
    dict
        ``start``, ``stop``: of the image frames, null when no DSIB tells the times of their channels;
        ``virtual_channels``: frames that came, each once, frames missing and gaps, counter of the first frame, times.
    """
    told = received(session)
    channels: dict[str, Any] = {}
    images: list[int] = []
    for r in plan.reception:
        window = r.window(*told[r.channel]) if r.channel in told else None
        if window and r.virtual in VCID_HALF_SCENE.values():
            images += window
        channels[str(r.virtual)] = {
            "channel": r.channel, "frames": r.frames, "missing_frames": r.missing, "gaps": r.gaps,
            "first_counter": r.first, "start": window and _date(window[0]), "stop": window and _date(window[1]),
        }  # fmt: skip
    return {
        "start": _date(min(images)) if images else None, "stop": _date(max(images)) if images else None,
        "virtual_channels": channels,
    }  # fmt: skip


def downlink_times(plan: StripPlan, session: Session) -> Mapping[str, np.ndarray]:
    """Return when each packet of a strip began to be received, by the path in its store.

    Returns
    -------
    mapping of str to (packet) int64
        UTC since 2000 [ns]; 0 for packets that did not come, and where no DSIB tells the times of the channel.
    """
    told, heard = received(session), {r.virtual: r for r in plan.reception}
    out = {}
    for (detector, name), table in plan.tables.items():
        times = np.full(plan.scenes * band(name).packets_per_scene, UNKNOWN, np.int64)
        reception = heard[VCID_HALF_SCENE[half_scene(detector)]]
        if reception.channel in told:
            # annotations count microseconds
            times[table.number] = reception.times(table.frame, *told[reception.channel]) // 1000 * 1000
        out[downlink_path(detector, name)] = times
    return out
