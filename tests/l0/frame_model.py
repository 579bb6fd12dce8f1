"""Frames of any code for the tests, by the definitions of the standard (CCSDS 131.0-B) and with no code of ours."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.telemetry import ASM
from s2dask.simulate.coding import pseudo_noise

Bytes = NDArray[np.uint8]
MARKER = np.frombuffer(ASM.to_bytes(4, "big"), np.uint8)
TO_DUAL = (0x8D, 0xEF, 0xEC, 0x86, 0xFA, 0x99, 0xAF, 0x7B)
"""Of each bit of a conventional symbol, the most significant first (annex on the transformation)."""


@cache
def powers() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return powers and logarithms of alpha."""
    power, logarithm = np.zeros(510, np.int64), np.zeros(256, np.int64)
    value = 1
    for i in range(255):
        power[i] = power[i + 255] = value
        logarithm[value] = i
        value = value << 1 ^ (0x187 if value & 0x80 else 0)
    return power, logarithm


def times(a: NDArray[np.int64], b: int) -> NDArray[np.int64]:
    """Return products in the field."""
    power, logarithm = powers()
    return np.where((a == 0) | (b == 0), 0, power[logarithm[a] + logarithm[b]])


def dual(symbols: Bytes) -> Bytes:
    """Return conventional symbols in the dual representation."""
    table = np.zeros(256, np.uint8)
    for bit, row in enumerate(TO_DUAL):
        table ^= np.where(np.arange(256) >> (7 - bit) & 1, row, 0).astype(np.uint8)
    return table[symbols]


def encode(data: Bytes, parity: int) -> Bytes:
    """Return codewords (word, 255) of conventional data (word, 255 - parity)."""
    power, _ = powers()
    generator = np.ones(1, np.int64)
    for j in range(128 - parity // 2, 128 + parity // 2):
        root = int(power[11 * j % 255])
        generator = np.append(generator, 0) ^ np.append(0, times(generator, root))
    rest = np.zeros((len(data), parity), np.int64)
    for symbol in data.T.astype(np.int64):
        lead = symbol ^ rest[:, 0]
        rest = np.concatenate([rest[:, 1:], np.zeros((len(data), 1), np.int64)], 1)
        rest ^= np.stack([times(lead, int(g)) for g in generator[1:]], 1)
    return np.concatenate([data, rest.astype(np.uint8)], 1)


@dataclass(frozen=True)
class Mission:
    """What the frames of a mission are like."""

    parity: int = 16
    interleave: int = 8
    dual: bool = False
    randomised: bool = True

    def frames(self, count: int, channel: int = 4, counter: int = 0, seed: int = 0) -> Bytes:
        """Return frames (frame, byte) of random content, with markers; no packet begins in any."""
        data = (255 - self.parity) * self.interleave
        bare = np.random.default_rng(seed).integers(0, 256, (count, data), np.uint8)
        bare[:, :2] = 0x4A, 0x80 | channel
        number = (counter + np.arange(count)) % (1 << 24)
        bare[:, 2], bare[:, 3], bare[:, 4] = number >> 16, number >> 8 & 255, number & 255
        bare[:, 5], bare[:, 6:8] = 0, (0x07, 0xFF)
        return self.coded(bare)

    def coded(self, bare: Bytes) -> Bytes:
        """Return frames with markers of what is to be sent (frame, byte)."""
        size = 255 * self.interleave
        words = bare.reshape(len(bare), -1, self.interleave).transpose(0, 2, 1).reshape(-1, 255 - self.parity)
        # the data are what they are in either representation: the code is that of what they stand for
        if self.dual:
            back = np.argsort(dual(np.arange(256, dtype=np.uint8))).astype(np.uint8)
            coded = dual(encode(back[words], self.parity))
        else:
            coded = encode(words, self.parity)
        out = coded.reshape(len(bare), self.interleave, 255).transpose(0, 2, 1).reshape(len(bare), size)
        if self.randomised:
            out = out ^ np.resize(pseudo_noise()[:255], size)
        return np.concatenate([np.tile(MARKER, (len(bare), 1)), out], 1)


def hit(frames: Bytes, interleave: int, lanes: int, errors: int, seed: int) -> Bytes:
    """Return frames with `errors` wrong symbols in each of the first `lanes` codewords of each."""
    random, out = np.random.default_rng(seed), frames.copy()
    for row in out:
        for lane in range(lanes):
            places = 4 + lane + interleave * random.choice(255, errors, replace=False)
            row[places] ^= random.integers(1, 256, errors, np.uint8)
    return out
