"""A long channel of a session: frames made on the fly, decoded to packets, planned; memory must not grow with it.

``python benchmarks/session.py [HISTORY] [--gigabytes G]``. One process makes CADUs and pipes them, nothing of them is
stored; the other decodes them file by file, as `decode_file` does. Packet files are removed once they are complete.
The peer is what the machine can do at best: to write the same bytes to the same disk.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from reporting import Case, report

from s2dask.instrument import BANDS, LINE_PERIOD
from s2dask.instrument.telemetry import (
    APID_AOCS,
    APID_GPS,
    CADU_BYTES,
    VCID_HALF_SCENE,
    VCID_SAD,
    apid,
    half_scene,
)
from s2dask.l0.channel_file import BLOCK, FileResult, decode_blocks
from s2dask.l0.strip_plan import plan_strips
from s2dask.simulate.coding import PacketMultiplexer, ancillary_packets, append_crc, cuc, image_packets, primary_header

CHANNEL = 2
FRAMES_PER_FILE = 153_900
START = 1_281_614_557_000_000_000
SCENE_BYTES = 117_700_000
"""CADUs of one scene on one channel, about."""
Bytes = NDArray[np.uint8]


def _memory(key: str) -> float:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def _scene(scene: int, payload: Bytes) -> Iterator[tuple[Bytes, NDArray[np.int64]]]:
    """Yield the packets of a scene of one channel, end to end, an eighth at a time: packets of the mission's sizes."""
    for eighth in range(8):
        parts = []
        for d in (d for d in range(1, 13) if half_scene(d) == CHANNEL):
            for b in BANDS.values():
                per = b.packets_per_scene // 8
                counts = np.arange(eighth * per, (eighth + 1) * per)
                number = 16 * (scene * b.packets_per_scene + counts)
                packets = np.empty((per, b.packet_length), np.uint8)
                packets[:] = payload[: b.packet_length]
                packets[:, :6] = primary_header(apid(d, b.index), counts, b.packet_length)
                packets[:, 6:13] = cuc(START + np.round(number * LINE_PERIOD * b.line_factor * 1e9).astype(np.int64))
                append_crc(packets)
                parts.append(packets)
        sizes = np.concatenate([np.full(len(p), p.shape[1]) for p in parts])
        yield np.concatenate([p.ravel() for p in parts]), np.cumsum(sizes) - sizes


def _make(scenes: int, write: int) -> None:
    """Write the CADUs of a channel to a pipe: images, then ancillary data."""
    payload = np.random.default_rng(1).integers(0, 256, 30_000, np.uint8)
    with os.fdopen(write, "wb", buffering=0) as pipe:
        images = PacketMultiplexer(VCID_HALF_SCENE[CHANNEL], 8_671_068)
        for scene in range(scenes):
            for stream, starts in _scene(scene, payload):
                _push(pipe, images.push(stream, starts))
        _push(pipe, images.flush())
        house = PacketMultiplexer(VCID_SAD)
        seconds = round(scenes * 3.607772) + 20
        dates = START - 10_000_000_000 + np.arange(seconds, dtype=np.int64) * 1_000_000_000
        for identifier, sid, width in ((APID_GPS, 1, 6), (APID_AOCS, 105, 4)):
            packets = ancillary_packets(identifier, sid, dates, np.ones((seconds, width)))
            _push(pipe, house.push(packets.ravel(), np.arange(seconds) * packets.shape[1]))
        _push(pipe, house.flush())


def _push(pipe: IO[bytes], frames: Bytes) -> None:
    data = memoryview(frames.tobytes())
    while data:
        data = data[pipe.write(data) :]


def _pieces(pipe: IO[bytes], limit: int) -> Iterator[bytes]:
    """Yield the pieces of one file of the stream."""
    while limit and (piece := pipe.read(min(BLOCK, limit))):
        limit -= len(piece)
        yield piece


def _warm_up(folder: Path) -> None:
    packets = image_packets(np.zeros((64, 1296), np.uint16), apid(6, 0), START + np.arange(4))
    frames = PacketMultiplexer(VCID_HALF_SCENE[CHANNEL]).push(packets.ravel(), np.arange(4) * packets.shape[1])
    decode_blocks(iter([frames.tobytes()]), CHANNEL, folder / "warm", "warm")


def _disk(folder: Path) -> float:
    """Return how fast this disk takes packets [MB/s]."""
    data, path = os.urandom(BLOCK), folder / "disk"
    start = time.perf_counter()
    with path.open("wb") as file:
        for _ in range(100):
            file.write(data)
    seconds = time.perf_counter() - start
    path.unlink()
    return 100 * BLOCK / 1e6 / seconds


def measure(gigabytes: float, folder: Path) -> Case:
    """Decode a channel of that size and return what it took."""
    scenes = max(round(gigabytes * 1e9 / SCENE_BYTES), 2)
    _warm_up(folder)
    disk, base = _disk(folder), _memory("VmRSS")
    read, write = os.pipe()
    maker = get_context("fork").Process(target=_make, args=(scenes, write))
    maker.start()
    os.close(write)
    results: list[FileResult] = []
    size, at_first, cpu, clock = 0, 0.0, time.process_time(), time.perf_counter()
    with os.fdopen(read, "rb", buffering=BLOCK) as pipe:
        while first := pipe.read(BLOCK):
            name = f"DSDB_{len(results) + 1:05d}"
            pieces = chain((first,), _pieces(pipe, FRAMES_PER_FILE * CADU_BYTES - len(first)))
            results.append(decode_blocks(pieces, CHANNEL, folder / name, name))
            size += results[-1].counters["frames"] * CADU_BYTES
            for virtual, part in results[-1].parts.items():
                if virtual != VCID_SAD:
                    os.truncate(part.stream, 0)
            at_first = at_first or _memory("VmHWM")
            peak = _memory("VmHWM")
            print(f"{size / 1e9:8.3f} GB  peak {peak:.0f} MB", file=sys.stderr, flush=True)
    maker.join()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    start = time.process_time()
    (plan,) = plan_strips(results, "S2A_20200816120219026904", str(folder))
    planning = time.process_time() - start
    wanted = scenes * 6 * sum(b.packets_per_scene for b in BANDS.values())
    if plan.counters["packets"] != wanted or plan.counters["missing_frames"] or plan.scenes != scenes:
        raise SystemExit(f"{plan.counters} of {wanted} packets")
    extra = {
        "GB": size / 1e9, "scenes": scenes, "packets": wanted, "clock_MB/s": size / 1e6 / clock, "base_MB": base,
        "peak_first_file_MB": at_first, "peak_decoded_MB": peak, "peak_planned_MB": _memory("VmHWM"),
        "plan_s": planning,
    }  # fmt: skip
    return Case("session channel", {"ours": size / 1e6 / cpu, "disk": disk}, "MB/s", extra)


def main() -> None:
    """Measure one channel."""
    parser = argparse.ArgumentParser()
    parser.add_argument("history", nargs="?")
    parser.add_argument("--gigabytes", type=float, default=1.0)
    options = parser.parse_args()
    sys.argv = [sys.argv[0], *([options.history] if options.history else [])]
    with tempfile.TemporaryDirectory() as folder:
        report("session", [measure(options.gigabytes, Path(folder))])


if __name__ == "__main__":
    main()
