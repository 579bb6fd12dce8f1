"""Packets on one core: reassembly from packet zones, checksums, heads.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/packets.py [figures.jsonl]

A virtual channel of source packets of the mission's three lengths, 40 MB at a time, as a DSDB file brings them; the
zones are a column of the decoded frames, as they come from the decoder. Extraction is the walk and the copy into one
stream. The peer of it is a copy of the same bytes, which no extraction can beat; that of the checksums is binascii,
which is C. Medians of CPU time are reported.
"""

import binascii

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, report

from s2dask.instrument import BANDS
from s2dask.instrument.telemetry import MPDU_ZONE_BYTES
from s2dask.l0.packet_stream import Packets, PacketStream
from s2dask.l0.packets import crc_good, index_packets
from s2dask.simulate.coding import PacketMultiplexer, append_crc, primary_header, pseudo_noise

FRAMES, REPEATS = 20_000, 7
Bytes = NDArray[np.uint8]


def _packets() -> list[Bytes]:
    """Return packets of all bands with random content, some more bytes than the frames hold."""
    random, total = np.random.default_rng(0), 0
    out: list[Bytes] = []
    while total < FRAMES * MPDU_ZONE_BYTES:
        for b in BANDS.values():
            packet = random.integers(0, 256, (1, b.packet_length), np.uint8)
            packet[:, :6] = primary_header(336 + b.index, np.array([len(out)]), b.packet_length)
            append_crc(packet)
            out.append(packet[0])
            total += packet.size
    return out


def _frames(packets: list[Bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64], Bytes]:
    """Return counters, pointers and zones (a view of the frames) of packets."""
    sizes = np.array([p.size for p in packets])
    frames = PacketMultiplexer(20).push(np.concatenate(packets), np.cumsum(sizes) - sizes)[:FRAMES, 4:]
    frames ^= pseudo_noise()
    pointer = (frames[:, 6].astype(np.int64) << 8 | frames[:, 7]) & 0x7FF
    return np.arange(FRAMES), pointer, frames[:, 8 : 8 + MPDU_ZONE_BYTES]


def main() -> None:
    """Measure and print."""
    counter, pointer, zone = _frames(_packets())

    def extract() -> Packets:
        return PacketStream().feed(counter, pointer, zone)

    found = extract()
    # end to end, without what the last frame begins
    stream = found.stream[: int(found.offset[-1] + found.size[-1])]
    giga = zone.size / 1e9
    seconds = alternate({"ours": extract, "copy": lambda: np.ascontiguousarray(zone)}, REPEATS)
    frames = PacketStream()

    def in_blocks() -> None:
        for k in range(0, FRAMES, 500):
            frames.feed(
                counter[k : k + 500] + frames.frames // FRAMES * FRAMES, pointer[k : k + 500], zone[k : k + 500]
            )

    in_blocks()
    blocks = alternate({"blocks": in_blocks}, REPEATS)["blocks"]
    cases = [
        Case(
            "packet extraction", {n: giga / s for n, s in seconds.items()}, "GB/s",
            {"GB/s in blocks of 1 MB": giga / blocks, "packets": float(len(found))},
        )
    ]  # fmt: skip
    places = list(zip(found.offset.tolist(), (found.offset + found.size).tolist(), strict=True))
    content = memoryview(found.stream.tobytes())
    checks = alternate(
        {
            "ours": lambda: crc_good(found.stream, found.offset, found.size),
            "binascii": lambda: [binascii.crc_hqx(content[a:b], 0xFFFF) for a, b in places],
        },
        REPEATS,
    )
    mega = stream.size / 1e6
    cases.append(Case("checksums", {n: mega / s for n, s in checks.items()}, "MB/s"))
    index = alternate({"ours": lambda: index_packets(found.stream, found.offset, found.size, "image")}, REPEATS)
    cases.append(Case("heads and checksums", {"ours": mega / index["ours"]}, "MB/s"))
    report("packets", cases)


if __name__ == "__main__":
    main()
