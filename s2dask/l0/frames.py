"""Frames of a CADU stream: synchronised, derandomised, corrected, their headers read; block by block or in one go."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES, VC_COUNTER_MODULO
from s2dask.l0.frame_format import (
    AOS,
    SAMPLES,
    SENTINEL2_FORMATS,
    FrameFormat,
    choose,
    find_format,
    mask,
    randomiser,
    versions,
)
from s2dask.l0.reed_solomon import correct_frames, damaged_lanes, tables
from s2dask.l0.synchronisation import Position, gather, rule
from s2dask.l0.synchronisation import synchronise as find_frames

__all__ = ["FrameCounters", "FrameStream", "Frames", "decode_frames", "randomiser", "synchronise"]

FRAMES_AT_A_TIME: Final = 8192
"""Decoded in one go, whatever a block holds: 17 MB."""
SEARCH_BYTES: Final = 1 << 20
"""In which the format of an unknown mission is looked for; then twice as much, and so on."""
LONGEST_SEARCH: Final = 16 << 20

ENOUGH: Final = 8
"""Clean frames that settle which spacecraft a stream is of."""

@dataclass(frozen=True, slots=True)
class FrameCounters:
    """What it took to get frames; counters of blocks add up.

    Attributes
    ----------
    received : int
        Frames found.
    skipped_bits : int
        Bits in no frame.
    slips : int
        Times that a frame began at another bit of a byte than the one before.
    inverted : int
        Frames of inverted polarity.
    corrected, uncorrectable : int
        Frames; the latter with those whose header is of another version.
    corrected_codewords, corrected_symbols, uncorrectable_codewords : int
        Whatever became of their frames.
    """

    received: int = 0
    skipped_bits: int = 0
    slips: int = 0
    inverted: int = 0
    corrected: int = 0
    uncorrectable: int = 0
    corrected_codewords: int = 0
    corrected_symbols: int = 0
    uncorrectable_codewords: int = 0

    @property
    def skipped_bytes(self) -> int:
        """Whole bytes in no frame."""
        return self.skipped_bits // 8

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Good frames in the order of arrival, and what it took to get them.

    Attributes
    ----------
    spacecraft, channel : (frame) uint8
        Identifiers of spacecraft and virtual channel.
    counter : (frame) int64
        Virtual channel counter.
    pointer : (frame) int64
        First header pointer.
    zone : (frame, zone_bytes) uint8
        Packet zone: 1904 bytes with Sentinel-2.
    counters : FrameCounters
        Of these frames and of what was lost around them.
    randomised : bool
    """

    spacecraft: NDArray[np.uint8]
    channel: NDArray[np.uint8]
    counter: NDArray[np.int64]
    pointer: NDArray[np.int64]
    zone: NDArray[np.uint8]
    counters: FrameCounters
    randomised: bool

    @property
    def received(self) -> int:
        """Frames found, good or bad."""
        return self.counters.received

    @property
    def skipped_bytes(self) -> int:
        """Whole bytes in no frame."""
        return self.counters.skipped_bytes

    @property
    def corrected(self) -> int:
        """Good frames that had errors."""
        return self.counters.corrected

    @property
    def corrected_symbols(self) -> int:
        """Symbols put right."""
        return self.counters.corrected_symbols

    @property
    def uncorrectable(self) -> int:
        """Frames that are not here: too many errors, or a header of another version."""
        return self.counters.uncorrectable


def _frames(good: NDArray[np.uint8], zone_bytes: int, counters: FrameCounters, randomised: bool) -> Frames:
    """Read the headers of corrected frames (frame, coded_bytes) uint8 (CCSDS 732.0-B, section 4.1)."""
    head = good[:, :8].astype(np.int64)
    counter = (head[:, 2] << 16 | head[:, 3] << 8 | head[:, 4]) % VC_COUNTER_MODULO
    return Frames(
        (head[:, 0] << 2 | head[:, 1] >> 6).astype(np.uint8), (head[:, 1] & 0x3F).astype(np.uint8), counter,
        (head[:, 6] << 8 | head[:, 7]) & 0x7FF, good[:, 8 : 8 + zone_bytes], counters, randomised,
    )  # fmt: skip


class FrameStream:
    """Decode a CADU stream block by block; the same frames and counters come out for any cut of the stream.

    Parameters
    ----------
    where : str
        Name of the stream, for messages.
    formats : sequence of FrameFormat or None
        Which the frames may have, all of one length: the first frames tell which it is. None: any, to be found.

    Attributes
    ----------
    counters : FrameCounters
        Totals so far; those of a block are in its `Frames.counters`, and add up to these.
    format : FrameFormat or None
        None as long as no frame decoded.
    randomised : bool or None

    Examples
    --------
    Files that follow each other are one stream; blocks of some MB keep the memory low.

    >>> stream = FrameStream("ch_1")
    >>> for block in blocks:
    ...     frames = stream.feed(block)  # may hold no frame: the last one or two wait for what follows
    >>> frames = stream.finish()  # the rest

    A file that does not continue the one before is fed after a `finish`: format and randomiser stay known.
    """

    def __init__(self, where: str = "", formats: Sequence[FrameFormat] | None = SENTINEL2_FORMATS) -> None:
        self.where = where
        self.counters = FrameCounters()
        self._formats: tuple[FrameFormat, ...] = tuple(formats or ())
        self.format: FrameFormat | None = None
        self.randomised: bool | None = None
        self._rest = np.zeros(0, np.uint8)
        self._position = Position()
        self._sought = SEARCH_BYTES
        self._samples: NDArray[np.uint8] | None = None
        self._spacecraft: int | None = None
        self._phase: int | None = None
        self._end = 0

    def feed(self, block: bytes | bytearray | memoryview | NDArray[np.uint8]) -> Frames:
        """Take the next bytes and return the good frames that are complete and certain.

        Raises
        ------
        InputError
            When no frame of any known format is in the first 16 MiB of an unknown mission's stream.
        """
        new = block.reshape(-1) if isinstance(block, np.ndarray) else np.frombuffer(block, np.uint8)
        # compiled code tells arrays that may be written from others: one kind is enough
        self._rest = np.concatenate([self._rest, new]) if self._rest.size or not new.flags.writeable else new
        return self._decode(final=False)

    def finish(self) -> Frames:
        """Return the frames that waited for more bytes, count the rest as skipped, and forget the position."""
        frames = self._decode(final=True)
        self._rest, self._position, self._phase, self._end = self._rest[:0], Position(), None, 0
        return frames

    def _decode(self, final: bool) -> Frames:
        """Decode what is certain and keep the rest."""
        before, parts = self.counters, []
        self.counters = FrameCounters()
        if self._formats or self._find_format(final):
            more = True
            while more:
                good, more = self._next(final)
                parts.append(good)
            self._forget()
        if final:
            self._count(skipped_bits=max(0, 8 * self._rest.size - self._end))
        now, self.counters = self.counters, before + self.counters
        zone_bytes = self._formats[0].zone_bytes if self._formats else 0
        parts = [part for part in parts if len(part)] or [np.zeros((0, zone_bytes + 8), np.uint8)]
        return _frames(parts[0] if len(parts) == 1 else np.concatenate(parts), zone_bytes, now, bool(self.randomised))

    def _find_format(self, final: bool) -> bool:
        """Look for the format at the start of the stream."""
        while self._rest.size >= self._sought or final:
            found = find_format(self._rest[: self._sought])
            if found:
                self.format, self.randomised = found
                self._formats = (self.format,)
                return True
            if self._sought >= LONGEST_SEARCH:
                raise InputError(
                    f"no frame of a known format in the first {self._sought >> 20} MiB", self.where,
                    "the file is no stream of AOS frames with markers",
                )  # fmt: skip
            if self._sought >= self._rest.size:
                break
            self._sought *= 2
        return False

    def _next(self, final: bool) -> tuple[NDArray[np.uint8], bool]:
        """Return the next good frames (frame, coded_bytes) uint8, and whether there may be more."""
        known, pending = self.randomised is not None, self._samples
        room = FRAMES_AT_A_TIME if known else SAMPLES - (0 if pending is None else len(pending))
        chosen = self.format or self._formats[0]
        veil = mask(chosen.coded_bytes, self.randomised)
        codes = tables((self.format or self._formats[0]).code), tables((self.format or self._formats[-1]).code)
        frame = rule(chosen.cadu_bytes, veil, versions(self.randomised))
        starts, inverted = find_frames(self._rest, final, self._position, frame, codes, room)
        self._account(starts, inverted, frame.frame_bits)
        frames, lanes = gather(self._rest, starts, inverted, veil, chosen.code)
        more = starts.size == room
        if known:
            return self._settle(frames, lanes), more
        self._samples = frames if pending is None else np.concatenate([pending, frames])
        if not (more or final):
            return frames[:0], False
        return self._decide(), more

    def _decide(self) -> NDArray[np.uint8]:
        """Find out about format and randomiser by the first frames, and return the good ones of them."""
        frames, self._samples = self._samples, None
        if frames is None or not len(frames):
            return np.zeros((0, self._formats[0].coded_bytes), np.uint8)
        choice = choose(frames, self._formats)
        if choice:
            self.format, self.randomised = choice
        chosen = self.format or self._formats[0]
        frames ^= mask(chosen.coded_bytes, self.randomised)
        lanes = damaged_lanes(frames, chosen.code) if chosen.code else np.zeros(len(frames), np.int64)
        clean = _spacecraft(frames[(lanes == 0) & (frames[:, 0] >> 6 == AOS)])
        if clean.size >= ENOUGH:
            self._spacecraft = int(np.bincount(clean).argmax())
        return self._settle(frames, lanes)

    def _settle(self, frames: NDArray[np.uint8], lanes: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Correct frames, count, and return the good ones."""
        bad = np.flatnonzero(lanes)
        words, symbols, failed = correct_frames(frames, bad, lanes[bad], (self.format or self._formats[0]).code).T
        keep = frames[:, 0] >> 6 == AOS
        if self._spacecraft is not None:
            # the code is cyclic: bytes gained behind a marker can make other codewords, with a header of chance
            keep &= _spacecraft(frames) == self._spacecraft
        if self.randomised is None:
            keep[:] = False
        keep[bad[failed > 0]] = False
        self._count(
            corrected=int(keep[bad].sum()), uncorrectable=int((~keep).sum()), corrected_codewords=int(words.sum()),
            corrected_symbols=int(symbols.sum()), uncorrectable_codewords=int(failed.sum()),
        )  # fmt: skip
        return frames if keep.all() else frames[keep]

    def _account(self, starts: NDArray[np.int64], inverted: NDArray[np.bool_], frame_bits: int) -> None:
        """Count frames, slips and what lies between frames."""
        if not starts.size:
            return
        ends, phases = np.append(self._end, starts + frame_bits), starts % 8
        before = phases[0] if self._phase is None else self._phase
        self._count(
            received=starts.size, inverted=int(inverted.sum()),
            skipped_bits=int(np.maximum(starts - ends[:-1], 0).sum()),
            slips=int(np.count_nonzero(np.diff(phases, prepend=before))),
        )  # fmt: skip
        self._end, self._phase = int(ends[-1]), int(phases[-1])

    def _count(self, **more: int) -> None:
        self.counters += FrameCounters(**more)

    def _forget(self) -> None:
        """Drop the bytes that no decision needs any more."""
        position = self._position
        needed = position.at if position.searching or position.last < 0 else position.last
        drop = min(needed // 8, self._rest.size)
        self._rest = self._rest[drop:].copy()
        position.move(8 * drop)
        self._end -= 8 * drop


def _spacecraft(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the identifiers of the spacecraft in frame headers."""
    return (frames[:, 0].astype(np.int64) & 0x3F) << 2 | frames[:, 1] >> 6


def join(parts: Sequence[Frames]) -> Frames:
    """Return the frames of successive blocks as one."""
    counters = sum((part.counters for part in parts), FrameCounters())
    # blocks that came before the format was known have no zone
    full = [part for part in parts if part.zone.shape[1]] or parts[-1:]
    arrays = {
        name: np.concatenate([getattr(part, name) for part in full])
        for name in ("spacecraft", "channel", "counter", "pointer", "zone")
    }
    return Frames(**arrays, counters=counters, randomised=parts[-1].randomised)


def synchronise(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return the frames of a byte stream without their markers, (frame, 2040) uint8, a copy; and the bytes in none."""
    empty = mask(CADU_BYTES - ASM_BYTES, None)
    codes = tables(SENTINEL2_FORMATS[0].code), tables(SENTINEL2_FORMATS[-1].code)
    frame = rule(CADU_BYTES, empty, versions(None))
    starts, inverted = find_frames(data, True, Position(), frame, codes, data.size // ASM_BYTES + 1)
    covered = int(np.minimum(np.diff(starts), frame.frame_bits).sum()) + frame.frame_bits if starts.size else 0
    return gather(data, starts, inverted, empty)[0], (8 * data.size - covered) // 8


def decode_frames(
    data: NDArray[np.uint8], where: str, formats: Sequence[FrameFormat] | None = SENTINEL2_FORMATS
) -> Frames:
    """Synchronise, derandomise, check and correct the frames of one file (steps of EISPProcessor).

    Parameters
    ----------
    data : (byte) uint8
        Content of a DSDB file.
    where : str
        Its name, for messages.
    formats : sequence of FrameFormat or None
        See `FrameStream`.

    Raises
    ------
    InputError
        When nothing in the file decodes.
    """
    stream = FrameStream(where, formats)
    frames = join([stream.feed(data), stream.finish()])
    if not frames.received:
        raise InputError("no frame marker", where, "the file is no CADU stream: fetch it again")
    if not len(frames.counter):
        raise InputError("no codeword decodes", where, "the file is no Sentinel-2 CADU stream: fetch it again")
    return frames
