"""When the frames of a session came: what the station's times and the frame counters tell of each virtual channel.

A station tells when a channel of a session began and ended (DSIB: time_start, time_stop), not when each frame came.
That is inferred: the frames of a channel come at a constant rate, which the modulator of a link keeps, from the first
to the last of them; lost ones inside a virtual channel are counted by its counter. The mission's own annotation has the
time that the front end stamps on each frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s2dask.instrument.telemetry import VC_COUNTER_MODULO
from s2dask.l0.channel_file import FileResult
from s2dask.l0.join import Joined

UNKNOWN: Final = 0
"""Downlink time of a packet that did not come, or that nobody dated."""


@dataclass(frozen=True, slots=True)
class Reception:
    """The frames of one virtual channel of a session.

    Attributes
    ----------
    channel, virtual : int
        Channel of the session and virtual channel.
    first : int
        Counter of its first frame.
    frames : int
        Frames that came, each once.
    missing : int
        Frames missing between the first and the last.
    gaps : int
        Stretches of missing frames.
    begun, ended : float
        Where its first frame begins and its last ends among the frames of the channel, 0 to 1.
    """

    channel: int
    virtual: int
    first: int
    frames: int
    missing: int
    gaps: int
    begun: float
    ended: float

    def window(self, start: int, stop: int) -> tuple[int, int]:
        """Return when its first frame began and its last ended, for a channel from `start` to `stop` [ns]."""
        length = stop - start
        return start + round(self.begun * length), start + round(self.ended * length)

    def times(self, counter: ArrayLike, start: int, stop: int) -> NDArray[np.int64]:
        """Return when frames began to come.

        Parameters
        ----------
        counter : (frame) integer
            Virtual channel counters.
        start, stop : int
            Of the channel [ns], of any epoch.
        """
        low, high = self.window(start, stop)
        rank = (np.asarray(counter, np.int64) - self.first) % VC_COUNTER_MODULO
        return low + np.round(rank * ((high - low) / (self.frames + self.missing))).astype(np.int64)


def receptions(results: Sequence[FileResult], joined: Mapping[int, Joined]) -> tuple[Reception, ...]:
    """Return what came of each virtual channel of a session.

    Parameters
    ----------
    results : sequence of FileResult
        Of its files, in any order; those of a channel follow each other by their names.
    joined : mapping of int to Joined
        By virtual channel.
    """
    out = []
    for virtual, whole in joined.items():
        for channel in sorted({r.channel for r in results if virtual in r.parts}):
            files = sorted((r for r in results if r.channel == channel), key=lambda r: r.name)
            before = np.cumsum([0, *(r.good_frames for r in files)]).tolist()
            ranks = [
                (b + r.parts[virtual].ranks[0], b + r.parts[virtual].ranks[1])
                for b, r in zip(before, files, strict=False)
                if virtual in r.parts
            ]
            missing = sum(number for _, number in whole.gaps)
            out.append(
                Reception(
                    channel, virtual, whole.first % VC_COUNTER_MODULO, whole.last - whole.first + 1 - missing, missing,
                    len(whole.gaps), min(r[0] for r in ranks) / before[-1], (max(r[1] for r in ranks) + 1) / before[-1],
                )
            )  # fmt: skip
    return tuple(out)
