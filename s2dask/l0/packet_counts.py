"""How many packets came, were lost, damaged or sent twice, by APID; and how many frames, as CADIP's QualityInfo."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument import BANDS
from s2dask.instrument.telemetry import (
    APID_STAR_TRACKERS,
    SEQUENCE_MODULO,
    STR_SEQUENCE_MODULO,
    detector_and_band,
)
from s2dask.l0.datation import packet_step
from s2dask.l0.packets import PacketIndex

_BANDS = tuple(BANDS.values())


@dataclass(frozen=True, slots=True)
class PacketCount:
    """Packets of one APID.

    Attributes
    ----------
    received : int
        With a right checksum, each once.
    lost : int
        That the counter tells are missing between the first and the last one.
    degraded : int
        With a wrong checksum, in the place of one that is missing; they are not lost.
    repeated : int
        That came again.
    """

    received: int
    lost: int
    degraded: int
    repeated: int


def sequence_modulo(apid: int) -> int:
    """Return after how many packets the counter of an APID is 0 again.

    Notes
    -----
    Of image packets: with every scene. Star trackers skip 16383 (seen in real files).
    """
    image = detector_and_band(apid)
    if image is not None:
        return _BANDS[image[1]].packets_per_scene
    return STR_SEQUENCE_MODULO if apid in APID_STAR_TRACKERS else SEQUENCE_MODULO


def ranks(apid: int, count: NDArray[np.int64], time: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the counters of packets counted on beyond their modulus, from any origin.

    Parameters
    ----------
    apid : int
    count, time : (packet) int64
        Of packets with a right checksum, of any order. Time is GPS [ns]: it tells how many scenes of images are
        missing; for ancillary packets, whose rates are their own, only in which order they were made.
    """
    modulo = sequence_modulo(apid)
    image = detector_and_band(apid)
    if image is not None:
        step = packet_step(_BANDS[image[1]])
        begun = time - np.round(count * step).astype(np.int64)
        scene = np.round((begun - begun.min()) / (step * modulo)).astype(np.int64) if begun.size else begun
        return scene * modulo + count
    order = np.argsort(time, kind="stable")
    steps = np.diff(count[order]) % modulo
    out = np.empty_like(count)
    out[order] = np.cumsum(np.concatenate([count[order][:1], steps]))
    return out


def count_packets(index: PacketIndex) -> dict[int, PacketCount]:
    """Count the packets of every APID that has one with a right checksum.

    Notes
    -----
    A packet with a wrong checksum may lie about its APID, its count and its date. It counts as degraded if its count
    is that of a packet missing there: images by their dates too, which no other packet has.
    """
    out = {}
    for apid in np.unique(index.apid[index.good]).tolist():
        of = index.apid == apid
        good, bad = of & index.good, of & ~index.good
        known = ranks(apid, index.count[good], index.time[good])
        values = np.unique(known)
        missing = int(values[-1] - values[0]) + 1 - values.size
        degraded = _in_gaps(apid, index, good, bad, known) if missing and bad.any() else 0
        out[apid] = PacketCount(values.size, missing - degraded, degraded, int(known.size - values.size))
    return out


def _in_gaps(
    apid: int, index: PacketIndex, good: NDArray[np.bool_], bad: NDArray[np.bool_], known: NDArray[np.int64]
) -> int:
    """Return how many missing packets are there with a wrong checksum."""
    modulo, first = sequence_modulo(apid), int(known.min())
    values = np.unique(known)
    order = np.argsort(known, kind="stable")
    time, rank = index.time[good][order], known[order]
    # where the date of the damaged packet puts it between the good ones, to a packet's date
    place = np.interp(index.time[bad], time, rank) if time.size > 1 else np.full(int(bad.sum()), float(first))
    offset = (index.count[bad] - np.round(place).astype(np.int64) + modulo // 2) % modulo - modulo // 2
    at = np.round(place).astype(np.int64) + offset
    return np.setdiff1d(at[(at > values[0]) & (at < values[-1])], values).size


@dataclass(frozen=True, slots=True)
class FrameCount:
    """Transfer frames of one channel.

    Attributes
    ----------
    acquired : int
        Frames received.
    corrected, uncorrectable : int
        Among them.
    idle, idle_corrected : int
        Among the acquired and the corrected ones, those of the idle channel.
    """

    acquired: int
    corrected: int
    uncorrectable: int
    idle: int = 0
    idle_corrected: int = 0

    def __add__(self, other: "FrameCount") -> "FrameCount":
        return FrameCount(
            self.acquired + other.acquired,
            self.corrected + other.corrected,
            self.uncorrectable + other.uncorrectable,
            self.idle + other.idle,
            self.idle_corrected + other.idle_corrected,
        )

    def quality_info(self) -> dict[str, int]:
        """Return the counters under the names of CADIP's QualityInfo.

        Notes
        -----
        A frame that cannot be corrected has no virtual channel that could be believed: it counts as one of data.
        """
        data, corrected = self.acquired - self.idle, self.corrected - self.idle_corrected
        return {
            "AcquiredTFs": self.acquired,
            "ErrorTFs": self.corrected + self.uncorrectable,
            "CorrectedTFs": self.corrected,
            "UncorrectableTFs": self.uncorrectable,
            "DataTFs": data,
            "ErrorDataTFs": corrected + self.uncorrectable,
            "CorrectedDataTFs": corrected,
            "UncorrectableDataTFs": self.uncorrectable,
        }
