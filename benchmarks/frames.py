"""Frames on one core: synchronisation, randomiser, Reed-Solomon check and headers of a stream fed in blocks.

    NUMBA_NUM_THREADS=1 taskset -c 0 python benchmarks/frames.py [figures.jsonl]

Ours does all of it; memcpy only copies the bytes, and the peers, where they are installed, only check the codewords
(reedsolo, galois) of frames that are cut, cleared of the randomiser and de-interleaved for them before. Medians of CPU
time are reported.
"""

import importlib
import resource
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from reporting import Case, alternate, cpu_seconds, report

from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES, MPDU_ZONE_BYTES, RS_CODEWORD, RS_DATA, RS_INTERLEAVE
from s2dask.l0.frames import FrameStream, randomiser
from s2dask.l0.reed_solomon import ReedSolomon, correct_frames, damaged, damaged_lanes
from s2dask.simulate.coding import frames

Bytes = NDArray[np.uint8]
FRAMES: Final = 4096
BLOCKS: Final = 8
REPEATS: Final = 7
PARITY: Final = RS_CODEWORD - RS_DATA


def _peer(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"  {name}: peer not installed")
        return None


def _stream(seed: int) -> Bytes:
    zones = np.random.default_rng(seed).integers(0, 256, (FRAMES, MPDU_ZONE_BYTES), np.uint8)
    return frames(zones, np.full(FRAMES, 0x7FF, np.uint16), 4, 0)


def _decode(block: Bytes) -> int:
    stream, good = FrameStream("stream"), 0
    for _ in range(BLOCKS):
        good += stream.feed(block).counter.size
    return good + stream.finish().counter.size


def _codewords(sent: Bytes, count: int) -> Bytes:
    bare = sent[:count, ASM_BYTES:] ^ randomiser()
    return bare.reshape(count, RS_CODEWORD, RS_INTERLEAVE).transpose(0, 2, 1).reshape(-1, RS_CODEWORD).copy()


def _reedsolo(words: Bytes) -> Callable[[], object] | None:
    module = _peer("reedsolo")
    if module is None:
        return None
    generator = int(np.uint8(_alpha(11)))
    codec = module.RSCodec(PARITY, fcr=128 - PARITY // 2, prim=0x187, generator=generator, c_exp=8)
    data = [bytearray(w.tobytes()) for w in words]
    return lambda: [codec.check(word) for word in data]


def _alpha(power: int) -> int:
    value = 1
    for _ in range(power):
        value = value << 1 ^ (0x187 if value & 0x80 else 0)
    return value


def _galois(words: Bytes) -> Callable[[], object] | None:
    module = _peer("galois")
    if module is None:
        return None
    field = module.GF(2**8, irreducible_poly=0x187)
    code = module.ReedSolomon(RS_CODEWORD, RS_DATA, field=field, alpha=field(_alpha(11)), c=128 - PARITY // 2)
    data = field(words)
    return lambda: code.detect(data)


def _clean() -> Case:
    sent = _stream(1)
    block, words = sent.ravel(), _codewords(sent, 64)
    few = _codewords(sent, 2)
    contestants: dict[str, tuple[Callable[[], object], int]] = {
        "ours": (lambda: _decode(block), BLOCKS * block.nbytes),
        "memcpy": (lambda: [block.copy() for _ in range(BLOCKS)], BLOCKS * block.nbytes),
    }
    for name, work, size in (("reedsolo", _reedsolo(few), few.nbytes), ("galois", _galois(words), words.nbytes)):
        if work:
            work()
            contestants[name] = work, size
    if _decode(block) != BLOCKS * FRAMES:
        raise SystemExit("frames were lost: the figures would mean nothing")
    seconds = alternate({name: work for name, (work, _) in contestants.items()}, REPEATS)
    speed = {name: contestants[name][1] / 1e6 / value for name, value in seconds.items()}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    return Case("clean frames, RS(255,239) I=8", speed, "MB/s", {"peak MiB": peak})


def _others() -> list[Case]:
    block = _stream(2).ravel()
    bits = np.packbits(np.insert(np.unpackbits(block), 0, [1, 0, 1]))
    noise = np.random.default_rng(3).integers(0, 256, block.size, np.uint8)
    zeros = {parity: np.zeros((2000, 255 * 4), np.uint8) for parity in (16, 32)}
    for random in zeros.values():
        random[:] = np.random.default_rng(4).integers(0, 256, random.shape, np.uint8)
    works: dict[str, tuple[Callable[[], object], int]] = {
        "clean frames, 3 bits late": (lambda: _decode(bits), BLOCKS * bits.nbytes),
        "no frames, a search": (lambda: _decode(noise), BLOCKS * noise.nbytes),
        "check alone, RS(255,239) I=4": (lambda: damaged(zeros[16], ReedSolomon(16, 4)), zeros[16].nbytes),
        "check alone, RS(255,223) I=4 dual": (lambda: damaged(zeros[32], ReedSolomon(32, 4, True)), zeros[32].nbytes),
    }
    out = []
    for title, (work, size) in works.items():
        work()
        seconds = alternate({"ours": work, "memcpy": lambda: [block.copy() for _ in range(BLOCKS)]}, REPEATS)
        speed = {"ours": size / 1e6 / seconds["ours"], "memcpy": BLOCKS * block.nbytes / 1e6 / seconds["memcpy"]}
        out.append(Case(title, speed, "MB/s"))
    return out


def _correction() -> None:
    """Print what a bad codeword costs, by its number of errors."""
    bare, random = (_stream(5)[:, ASM_BYTES:] ^ randomiser()).copy(), np.random.default_rng(6)
    ranks = np.arange(500)
    for errors in (1, 4, 8, 9, 30):
        hurt = bare[:500].copy()
        for row in hurt:
            row[RS_INTERLEAVE * random.choice(RS_CODEWORD, errors, replace=False)] ^= 0x5A
        code = ReedSolomon(PARITY, RS_INTERLEAVE)
        lanes = damaged_lanes(hurt, code)
        correct_frames(hurt[:1].copy(), ranks[:1], lanes[:1], code)
        seconds = cpu_seconds(lambda: correct_frames(hurt, ranks, lanes, code))  # noqa: B023 - called at once
        print(f"  {errors:>2} errors in a codeword {seconds / ranks.size * 1e6:6.1f} us")


def main() -> None:
    """Measure and print."""
    print(f"  {FRAMES * CADU_BYTES / 1e6:.1f} MB a block, {BLOCKS} blocks")
    report("frames", [_clean(), *_others()])
    _correction()


if __name__ == "__main__":
    main()
