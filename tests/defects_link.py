"""Kinds of defects of a session as it comes: frames, files, clocks."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from defects_model import Bench, Verdict, judged, receive, stored
from system_model import announce, cut_files

from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES, CUC_BYTES, PACKET_PRIMARY_BYTES, VCID_HALF_SCENE
from s2dask.io.schema import packet_path
from s2dask.l0.frames import FrameStream
from s2dask.simulate.coding import PacketMultiplexer, append_crc
from s2dask.simulate.telemetry import IDLE_LEAD

FRAMES = 300
"""In a file where a session is cut into files."""
Seed = Callable[[Path], None]


def _files(session: Path, channel: int) -> list[Path]:
    return sorted(session.rglob(f"*_ch{channel}_DSDB_*.raw"))


def _rewrite(session: Path, channel: int, frames: np.ndarray) -> None:
    """Give the only file of a channel other frames (frame, 2044), and its DSIB the bytes of them."""
    (path,), (dsib,) = _files(session, channel), list(session.rglob(f"*_ch{channel}_DSIB.xml"))
    path.write_bytes(frames.tobytes())
    announce(dsib, [path])


def _frames(session: Path, channel: int) -> np.ndarray:
    (path,) = _files(session, channel)
    return np.frombuffer(path.read_bytes(), np.uint8).reshape(-1, CADU_BYTES).copy()


def lost_frames(session: Path) -> None:
    frames = _frames(session, 2)
    chosen = np.random.default_rng(1).choice(np.arange(IDLE_LEAD, len(frames) // 2), 5, replace=False)
    _rewrite(session, 2, np.delete(frames, chosen, axis=0))


def beyond_correction(session: Path) -> None:
    random, frames = np.random.default_rng(2), _frames(session, 2)
    for k in random.choice(np.arange(IDLE_LEAD, len(frames) // 2), 4, replace=False):
        at = ASM_BYTES + random.choice(CADU_BYTES - ASM_BYTES, 400, replace=False)
        frames[k, at] ^= random.integers(1, 256, at.size, np.uint8)
    _rewrite(session, 2, frames)


def lost_scene(session: Path) -> None:
    frames = _frames(session, 2)
    images = np.arange(len(frames))
    # the second of the two scenes of detector 6, but for its last packets
    last = int(np.searchsorted(np.cumsum(_of_images(frames)), _of_images(frames).sum()))
    _rewrite(session, 2, frames[(images < last * 0.55) | (images > last * 0.98)])


def _of_images(frames: np.ndarray) -> np.ndarray:
    found = FrameStream("session")
    channel = np.concatenate([found.feed(frames.reshape(-1)).channel, found.finish().channel])
    return np.asarray(channel == VCID_HALF_SCENE[2])


def missing_file(session: Path) -> None:
    cut_files(session, FRAMES)[2][1].unlink()


def truncated_file(session: Path) -> None:
    path = cut_files(session, FRAMES)[2][1]
    path.write_bytes(path.read_bytes()[:-100_000])


def foreign_file(session: Path) -> None:
    path = cut_files(session, FRAMES)[2][1]
    path.write_bytes(np.random.default_rng(3).integers(0, 256, path.stat().st_size, np.uint8).tobytes())


def doubled_file(session: Path) -> None:
    path = cut_files(session, FRAMES)[2][1]
    folder = session / "RETRANSFER" / path.parent.parent.name / path.parent.name
    folder.mkdir(parents=True)
    shutil.copy(path, folder / path.name)


def wrong_order(session: Path) -> None:
    files = cut_files(session, FRAMES)[2]
    one, other = files[1].read_bytes(), files[2].read_bytes()
    files[1].write_bytes(other), files[2].write_bytes(one)


def broken_dsib(session: Path) -> None:
    (dsib,) = session.rglob("*_ch2_DSIB.xml")
    dsib.write_bytes(dsib.read_bytes()[:300])


def clock_jump(session: Path) -> None:
    """Let the clock jump by half a second in the second scene: packets are coded anew with their dates."""
    frames, stream = _frames(session, 2), FrameStream("session")
    parts = [stream.feed(frames.reshape(-1)), stream.finish()]
    zones = np.concatenate([p.zone[p.channel == VCID_HALF_SCENE[2]] for p in parts]).reshape(-1).copy()
    images = _of_images(frames)
    at, rank, starts = 0, 0, []
    while at + PACKET_PRIMARY_BYTES < zones.size:
        size = (int(zones[at + 4]) << 8 | int(zones[at + 5])) + PACKET_PRIMARY_BYTES + 1
        packet = zones[at : at + size]
        if (int(packet[0]) << 8 | int(packet[1])) & 0x7FF in range(256, 269) and rank >= 72:
            when = packet[PACKET_PRIMARY_BYTES : PACKET_PRIMARY_BYTES + CUC_BYTES]
            ticks = int.from_bytes(when.tobytes(), "big") + (1 << 23)
            when[:] = np.frombuffer(ticks.to_bytes(CUC_BYTES, "big"), np.uint8)
            append_crc(packet[np.newaxis])
        starts.append(at)
        at, rank = at + size, rank + 1
    again = PacketMultiplexer(VCID_HALF_SCENE[2]).push(zones[:at], np.array(starts))
    first, last = (int(np.flatnonzero(images)[k]) for k in (0, -1))
    _rewrite(session, 2, np.concatenate([frames[:first], again, frames[last + 1 :]]))


def lost_attitude(session: Path) -> None:
    """Lose the ancillary packets of the middle of the pass."""
    frames = _frames(session, 2)
    found = FrameStream("session")
    channel = np.concatenate([found.feed(frames.reshape(-1)).channel, found.finish().channel])
    house = np.flatnonzero(channel == 2)
    cut = house[house.size // 3 : 2 * house.size // 3]
    _rewrite(session, 2, np.delete(frames, cut, axis=0))


def link_kind(seed: Seed) -> Callable[[Bench, Path], Verdict]:
    """Return what a defect of the session makes of Level-0."""

    def run(bench: Bench, folder: Path) -> Verdict:
        session = Path(shutil.copytree(bench.session, folder / "session"))
        seed(session)
        return judged(lambda: Verdict.of(receive(session, folder / "packets", folder / "l0.zarr")))

    return run


def same_packets(seed: Seed) -> Callable[[Bench, Path], Verdict]:
    """Return whether Level-0 is the same in spite of a defect: nothing has to notice what does no harm."""

    def run(bench: Bench, folder: Path) -> Verdict:
        found = link_kind(seed)(bench, folder)
        url = str(folder / "l0.zarr")
        same = not found.refused and all(
            np.array_equal(stored(url, path), stored(bench.l0, path))
            for path in (f"{packet_path(d, n)}/packets" for d in (6, 7) for n in ("B01", "B09"))
        )
        return Verdict(found.made, found.failed, "" if not same else "mended")

    return run
