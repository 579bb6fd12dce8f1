"""Fuzz: damaged, hostile and random packets; the parsers refuse or read them, and never look outside the bytes.

The long run is marked slow; NUMBA_BOUNDSCHECK=1 makes every index of a kernel an error of its own.
"""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import MPDU_ZONE_BYTES, VC_COUNTER_MODULO
from s2dask.l0.ancillary import parse_samples
from s2dask.l0.ancillary_tables import demultiplex, split_files, split_kinds
from s2dask.l0.packet_counts import count_packets
from s2dask.l0.packet_file import annotations, file_bytes, read_frame_notes, read_packets
from s2dask.l0.packet_stream import Packets, PacketStream
from s2dask.l0.packets import index_packets
from s2dask.simulate.coding import ancillary_packets, append_crc, idle_packet, image_packets

START = 1_281_614_557_123_456_789
Bytes = NDArray[np.uint8]


def _packet(random: np.random.Generator) -> Bytes:
    """Return a packet: an image, ancillary, idle or any other one, at times with a head that lies and a right sum."""
    date = START + random.integers(0, 10**11, 1)
    kind = random.integers(0, 4)
    if kind == 0:
        columns = int(2 * random.integers(1, 60))
        packet = image_packets(np.zeros((16, columns), np.uint16), int(random.integers(0, 2048)), date)
    elif kind == 1:
        apid = int(random.choice([150, 182, 598, 774, 790, 3]))
        packet = ancillary_packets(apid, int(random.integers(0, 256)), date, random.normal(size=(1, 4)))
    elif kind == 2:
        packet = idle_packet(int(random.integers(7, 3000)))[None]
    else:
        packet = random.integers(0, 256, (1, int(random.integers(7, 6000))), np.uint8)
    for _ in range(random.integers(0, 4)):
        packet[0, random.integers(0, min(30, packet.shape[1]))] = random.integers(0, 256)
    if random.random() < 0.7 and kind != 2:
        append_crc(packet)
    out: Bytes = packet[0]
    return out


def _frames(random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], Bytes]:
    """Return counters, pointers and zones of packets, a few of them wrong."""
    packets = [_packet(random) for _ in range(random.integers(1, 25))]
    starts = np.cumsum([0, *(p.size for p in packets)])[:-1]
    stream = np.concatenate(packets)
    n = -(-stream.size // MPDU_ZONE_BYTES)
    zone = np.zeros((n, MPDU_ZONE_BYTES), np.uint8)
    zone.reshape(-1)[: stream.size] = stream
    first = np.full(n, 0x7FF)
    first[(starts // MPDU_ZONE_BYTES)[::-1]] = (starts % MPDU_ZONE_BYTES)[::-1]
    counter = (random.integers(0, VC_COUNTER_MODULO) + np.arange(n)) % VC_COUNTER_MODULO
    for _ in range(random.integers(0, 5)):
        first[random.integers(0, n)] = random.choice([0, 1, 1898, 1903, 1904, 2000, 0x7FE, 0x7FF])
        zone[random.integers(0, n), random.integers(0, MPDU_ZONE_BYTES)] = random.integers(0, 256)
    if random.random() < 0.3:
        counter[random.integers(0, n)] = random.integers(0, VC_COUNTER_MODULO)
    order = random.permutation(n) if random.random() < 0.3 else np.sort(random.integers(0, n, n))
    return counter[order], first[order], zone[order]


def _look(stream: Bytes, found: Packets, random: np.random.Generator) -> None:
    """Read packets in every way that there is."""
    assert (found.offset >= 0).all()
    assert (found.size >= 7).all()
    assert (found.offset + found.size <= stream.size).all()
    assert (found.frames >= 1).all()
    for kind in ("image", "ancillary"):
        index = index_packets(stream, found.offset, found.size, kind)
        count_packets(index)
        demultiplex(stream, index)
        split_kinds(index, ["image", "ancillary", "housekeeping"])
        notes = annotations(index.size, index.time // 1000, np.ones_like(index.size), 2)
        split_files(stream, index, notes, (START, START + 10**10) if random.random() < 0.5 else None)
    packets = [found.packet(k) for k in range(len(found))]
    for apid in (774, 182):
        parse_samples(packets, apid)


def _try(seed: int) -> None:
    random = np.random.default_rng(seed)
    counter, first, zone = _frames(random)
    stream, cuts = PacketStream(), np.sort(random.integers(0, counter.size + 1, random.integers(0, 6)))
    given = 0
    for rows in np.split(np.arange(counter.size), cuts):
        found = stream.feed(counter[rows], first[rows], zone[rows])
        given += rows.size
        assert stream.frames + stream.duplicates == given
        _look(found.stream, found, random)
    assert stream.missing == sum(n for _, n in stream.gaps)
    packets = [_packet(random) for _ in range(random.integers(1, 9))]
    size = np.array([p.size for p in packets])
    notes = annotations(size, np.full(size.size, 10**14), np.full(size.size, 3), 20)
    data = file_bytes(np.concatenate(packets), np.cumsum(size) - size, size, notes)
    for _ in range(random.integers(0, 3)):
        data[random.integers(0, data.size)] = random.integers(0, 256)
    data = data[: random.integers(0, data.size + 1)] if random.random() < 0.5 else data
    for read in (read_packets, read_frame_notes):
        try:
            read(data, "fuzz")
        except InputError:
            continue


def test_some_hundred_bad_streams() -> None:
    for seed in range(400):
        _try(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(3))
def test_ten_minutes_of_bad_streams(part: int) -> None:
    seed, end = int(time.time()) + part * 10**9, time.monotonic() + 200
    while time.monotonic() < end:
        _try(seed)
        seed += 1
