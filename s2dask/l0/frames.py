"""Frames of a CADU stream: synchronised, derandomised, corrected, their headers read; block by block or in one go."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES
from s2dask.l0.frame_format import (
    SAMPLES,
    SENTINEL2_FORMATS,
    FrameFormat,
    choose,
    find_format,
    mask,
    randomiser,
    versions,
)
from s2dask.l0.frame_headers import VERSIONS, checksums_good, read_headers, spacecraft
from s2dask.l0.received_frames import NOTE, FrameCounters, Frames, join
from s2dask.l0.reed_solomon import tables
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


_Good = tuple[NDArray[np.uint8], NDArray[np.void]]
"""Corrected frames (frame, coded_bytes) and their notes (frame)."""


def _frames(good: _Good, form: FrameFormat, counters: FrameCounters, randomised: bool) -> Frames:
    """Read the headers of corrected frames."""
    frames, notes = good
    end = form.lead + form.zone_bytes
    return Frames(
        *read_headers(frames, form.version), frames[:, form.lead : end], frames[:, : form.lead], notes, counters,
        randomised,
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
        self._samples: _Good | None = None
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
        form = self._formats[0] if self._formats else _NOTHING
        parts = [part for part in parts if len(part[1])] or [_no_frames(form)]
        return _frames(parts[0] if len(parts) == 1 else _joined(parts), form, now, bool(self.randomised))

    def _find_format(self, final: bool) -> bool:
        """Look for the format at the start of the stream."""
        while self._rest.size >= self._sought or final:
            found = find_format(self._rest[: self._sought], self.where)
            if found:
                self.format, self.randomised = found
                self._formats = (self.format,)
                return True
            if self._sought >= LONGEST_SEARCH:
                raise InputError(
                    f"no frame of a known format in the first {self._sought >> 20} MiB", self.where,
                    f"the file is no stream of {' or '.join(VERSIONS.values())} frames with markers",
                )  # fmt: skip
            if self._sought >= self._rest.size:
                break
            self._sought *= 2
        return False

    @property
    def _form(self) -> FrameFormat:
        """The format, or one of those it may be."""
        return self.format or self._formats[0]

    def _next(self, final: bool) -> tuple[_Good, bool]:
        """Return the next good frames, and whether there may be more."""
        known, pending, form = self.randomised is not None, self._samples, self._form
        room = FRAMES_AT_A_TIME if known else SAMPLES - (0 if pending is None else len(pending[1]))
        veil = mask(form.coded_bytes, self.randomised)
        codes = tables(form.whole_code), tables((self.format or self._formats[-1]).whole_code)
        frame = rule(form.cadu_bytes, veil, versions(self.randomised, form.version))
        starts, inverted, wrong = find_frames(self._rest, final, self._position, frame, codes, room)
        self._account(starts, inverted, wrong, frame.frame_bits)
        frames, lanes = gather(self._rest, starts, inverted, veil, form.whole_code)
        notes = np.zeros(starts.size, NOTE)
        notes["marker"], notes["inverted"] = wrong, inverted
        more = starts.size == room
        if known:
            return self._settle((frames, notes), form.damaged(frames) if form.fill else lanes), more
        self._samples = _joined([pending, (frames, notes)]) if pending else (frames, notes)
        if not (more or final):
            return _no_frames(form), False
        return self._decide(), more

    def _decide(self) -> _Good:
        """Find out about format and randomiser by the first frames, and return the good ones of them."""
        samples, self._samples = self._samples, None
        if samples is None or not len(samples[1]):
            return _no_frames(self._form)
        frames = samples[0]
        choice = choose(frames, self._formats)
        if choice:
            self.format, self.randomised = choice
        frames ^= mask(self._form.coded_bytes, self.randomised)
        lanes, version = self._form.damaged(frames), self._form.version
        clean = spacecraft(frames[(lanes == 0) & (frames[:, 0] >> 6 == version)], version)
        if clean.size >= ENOUGH:
            self._spacecraft = int(np.bincount(clean).argmax())
        return self._settle(samples, lanes)

    def _settle(self, received: _Good, lanes: NDArray[np.int64]) -> _Good:
        """Correct frames, count, and return the good ones."""
        (frames, notes), form = received, self._form
        bad = np.flatnonzero(lanes)
        words, symbols, failed = form.correct(frames, bad, lanes[bad]).T
        notes["symbols"][bad] = symbols
        keep = frames[:, 0] >> 6 == form.version
        if self._spacecraft is not None:
            # the code is cyclic: bytes gained behind a marker can make other codewords, with a header of chance
            keep &= spacecraft(frames, form.version) == self._spacecraft
        if form.checked:
            keep &= checksums_good(frames[:, : form.data_bytes])
        if self.randomised is None:
            keep[:] = False
        keep[bad[failed > 0]] = False
        self._count(
            corrected=int(keep[bad].sum()), uncorrectable=int((~keep).sum()), corrected_codewords=int(words.sum()),
            corrected_symbols=int(symbols.sum()), uncorrectable_codewords=int(failed.sum()),
        )  # fmt: skip
        return received if keep.all() else (frames[keep], notes[keep])

    def _account(
        self, starts: NDArray[np.int64], inverted: NDArray[np.bool_], wrong: NDArray[np.uint8], frame_bits: int
    ) -> None:
        """Count frames, slips and what lies between frames."""
        if not starts.size:
            return
        ends, phases = np.append(self._end, starts + frame_bits), starts % 8
        before = phases[0] if self._phase is None else self._phase
        self._count(
            received=starts.size, inverted=int(inverted.sum()),
            damaged_markers=int(np.count_nonzero(wrong)),
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


_NOTHING: Final = FrameFormat(ASM_BYTES + 8, None)
"""Of a stream whose format is not known: no zone."""


def _no_frames(form: FrameFormat) -> _Good:
    return np.zeros((0, form.coded_bytes), np.uint8), np.zeros(0, NOTE)


def _joined(parts: Sequence[_Good]) -> _Good:
    return np.concatenate([frames for frames, _ in parts]), np.concatenate([notes for _, notes in parts])


def synchronise(data: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int]:
    """Return the frames of a byte stream without their markers, (frame, 2040) uint8, a copy; and the bytes in none."""
    empty = mask(CADU_BYTES - ASM_BYTES, None)
    codes = tables(SENTINEL2_FORMATS[0].code), tables(SENTINEL2_FORMATS[-1].code)
    frame = rule(CADU_BYTES, empty, versions(None))
    starts, inverted, _ = find_frames(data, True, Position(), frame, codes, data.size // ASM_BYTES + 1)
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
