"""What a file of frames holds, of whatever mission: format, damage, virtual channels, gaps, packets."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np

from s2dask.errors import InputError, InputMissing
from s2dask.instrument.telemetry import APID_IDLE, VC_COUNTER_MODULO
from s2dask.l0.frame_headers import COUNTER_MODULO, VERSIONS
from s2dask.l0.frames import Frames, FrameStream
from s2dask.l0.packet_stream import Packets, PacketStream

BLOCK_BYTES: Final = 8 << 20


def _blocks(path: Path) -> Iterator[bytes]:
    if not path.exists():
        raise InputMissing("no such file", str(path), "give a file of CADUs")
    if not path.is_file():
        raise InputError("not a file", str(path), "give one file of CADUs; a session is read by `s2dask l0 info`")
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", str(path)) from error


class _Channel:
    """One virtual channel, whose frames are counted by some modulus."""

    def __init__(self, modulo: int) -> None:
        self.stream, self.apids = PacketStream(), np.zeros(2048, np.int64)
        self.modulo, self._last = modulo, 0

    def feed(self, frames: Frames, chosen: slice | np.ndarray[Any, Any]) -> None:
        counter = self._counted_on(frames.counter[chosen])
        self.add(self.stream.feed(counter, frames.pointer[chosen], frames.zone[chosen]))

    def _counted_on(self, counter: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Return a short counter counted on beyond its modulus: what is lost is fewer frames than that."""
        if self.modulo == VC_COUNTER_MODULO:
            return counter
        steps = np.diff(counter, prepend=self._last) % self.modulo
        steps[:1] += self._last
        number = np.cumsum(steps)
        self._last = int(number[-1])
        return number % VC_COUNTER_MODULO

    def add(self, packets: Packets) -> None:
        high, low = packets.stream[packets.offset], packets.stream[packets.offset + 1]
        self.apids += np.bincount((high.astype(np.int64) & 7) << 8 | low, minlength=self.apids.size)

    def facts(self) -> dict[str, Any]:
        first, last = (number % self.modulo for number in self.stream.span or (0, 0))
        return {
            "frames": self.stream.frames,
            "repeated_frames": self.stream.duplicates,
            "first_counter": first,
            "last_counter": last,
            "missing_frames": self.stream.missing,
            "gaps": [{"after": after % self.modulo, "missing": missing} for after, missing in self.stream.gaps],
            "packets": int(self.apids.sum()),
        }


def report_frames(path: Path) -> dict[str, Any]:
    """Return what a file of CADUs holds.

    Parameters
    ----------
    path : Path
        Of AOS or TM frames with markers (CCSDS 131.0-B, 732.0-B, 132.0-B); version, length, code (shortened ones
        too), error control field and randomiser are found. Frames of USLP (732.1-B) are refused by name.

    Raises
    ------
    InputMissing, InputError
        When there is no such file, or no frame in it.
    """
    stream, channels, spacecraft = FrameStream(str(path), None), dict[int, _Channel](), set[int]()

    def sort(frames: Frames) -> None:
        spacecraft.update(np.unique(frames.spacecraft).tolist())
        there = np.unique(frames.channel).tolist()
        modulo = COUNTER_MODULO[stream.format.version] if stream.format else VC_COUNTER_MODULO
        for virtual in there:
            chosen = slice(None) if len(there) == 1 else frames.channel == virtual
            channels.setdefault(virtual, _Channel(modulo)).feed(frames, chosen)

    for block in _blocks(path):
        sort(stream.feed(block))
    sort(stream.finish())
    form, counters = stream.format, asdict(stream.counters)
    if form is None or not channels:
        raise InputError(
            "no frame of a known format", str(path), "the file is no stream of AOS or TM frames with markers"
        )
    apids = sum((channel.apids for channel in channels.values()), np.zeros(2048, np.int64))
    idle, apids[APID_IDLE] = int(apids[APID_IDLE]), 0
    counters["skipped_bytes"] = counters.pop("skipped_bits") // 8
    return {
        "file": path.name,
        "bytes": path.stat().st_size,
        "frames": counters.pop("received"),
        "frame_version": VERSIONS[form.version],
        "frame_length": form.cadu_bytes,
        "code": str(form.code) if form.code else None,
        "virtual_fill": form.fill,
        "error_control_field": form.checked,
        "basis": ("dual" if form.code.dual else "conventional") if form.code else None,
        "randomised": stream.randomised,
        "spacecraft": sorted(spacecraft),
        "corrected_frames": counters.pop("corrected"),
        "uncorrectable_frames": counters.pop("uncorrectable"),
        "inverted_frames": counters.pop("inverted"),
        **counters,
        "virtual_channels": {str(virtual): channels[virtual].facts() for virtual in sorted(channels)},
        "packets": {str(apid): int(apids[apid]) for apid in np.flatnonzero(apids)},
        "idle_packets": idle,
    }


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None:
        return "none"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def frame_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield the report as lines of text for a person."""
    for key, value in facts.items():
        if isinstance(value, dict):
            continue
        yield f"{key.replace('_', ' '):<26}{_shown(value)}"
    yield ""
    yield f"{'virtual channel':>15}{'frames':>12}{'first':>10}{'last':>10}{'missing':>10}{'gaps':>6}{'packets':>10}"
    for virtual, c in facts["virtual_channels"].items():
        yield (
            f"{virtual:>15}{c['frames']:>12}{c['first_counter']:>10}{c['last_counter']:>10}"
            f"{c['missing_frames']:>10}{len(c['gaps']):>6}{c['packets']:>10}"
        )
    for virtual, c in facts["virtual_channels"].items():
        for gap in c["gaps"]:
            yield f"virtual channel {virtual}: {gap['missing']} frames missing after counter {gap['after']}"
    yield ""
    yield f"{'APID':>15}{'packets':>12}"
    for apid, count in facts["packets"].items():
        yield f"{apid:>15}{count:>12}"
