"""A pass as a ground station hands it out: DSDB files of CADUs and a DSIB per channel, with the defects of a link."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import numpy as np
from numpy.typing import NDArray

from s2dask.auxdata.time import gps_to_utc, iso
from s2dask.instrument.telemetry import ASM_BYTES, CADU_BYTES, VCID_IDLE
from s2dask.simulate.coding import Bytes, idle_frames

FRAMES_PER_FILE: Final = 20_000
"""About 41 MB; a station's files hold 153 900."""
IDLE_LEAD: Final = 16
VCID_HOUSEKEEPING: Final = 3
"""Of the simulated frames; the mission's own is not public, it is any that has no other name."""
APID_HOUSEKEEPING: Final = 1000
"""Likewise."""
HOUSEKEEPING_CHANNEL: Final = 1
"""Of the session, as in the annotations of a real product."""


def write_dsib(
    folder: Path, session: str, channel: int, names: Sequence[str], size: int, times: tuple[int, int]
) -> None:
    """Write the DSIB of a channel: its files, their bytes together, begin and end of the session (GPS [ns])."""
    files = "\n".join(f"    <dsdb_name>{name}</dsdb_name>" for name in names)
    begin, end = (iso(gps_to_utc(t)) for t in times)
    text = f"""<?xml version="1.0" encoding="UTF-8"?>
<DCSU_Session_Information_Block>
  <session_id>{session}</session_id>
  <time_start>{begin}</time_start>
  <time_stop>{end}</time_stop>
  <time_created>{begin}</time_created>
  <time_finished>{end}</time_finished>
  <data_size>{size}</data_size>
  <dsdb_list>
{files}
  </dsdb_list>
</DCSU_Session_Information_Block>
"""
    (folder / f"DCS_01_{session}_ch{channel}_DSIB.xml").write_text(text, "utf-8")


class ChannelWriter:
    """Writes the frames of one channel of a session.

    Parameters
    ----------
    folder : Path
        Of the session.
    session, channel : str, int
    seed : int
    bit_errors : float
        Probability that a byte is received wrong.
    lost : sequence of int
        Ranks of frames that never arrive.
    """

    def __init__(
        self, folder: Path, session: str, channel: int, seed: int, bit_errors: float, lost: NDArray[np.int64]
    ) -> None:
        self._folder = folder / f"DCS_01_{session}_dat" / f"ch_{channel}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._session, self._channel = session, channel
        self._random = np.random.default_rng([seed, channel, 0xCADE])
        self._bit_errors, self._lost = bit_errors, lost
        self._file: IO[bytes] | None = None
        self._names: list[str] = []
        self._in_file = self.sent = self.bytes = 0

    def write(self, frames: Bytes) -> None:
        """Add frames (frame, 2044), less those that the link loses."""
        rank = self.sent + np.arange(frames.shape[0])
        self.sent += frames.shape[0]
        frames = frames[~np.isin(rank, self._lost)]
        if self._bit_errors:
            hit = self._random.random((frames.shape[0], CADU_BYTES - ASM_BYTES), np.float32) < self._bit_errors
            noise = self._random.integers(1, 256, int(hit.sum()), np.uint8)
            frames[:, ASM_BYTES:][hit] ^= noise
        while frames.shape[0]:
            if self._file is None or self._in_file == FRAMES_PER_FILE:
                self._next_file()
            part = frames[: FRAMES_PER_FILE - self._in_file]
            self._file.write(part.tobytes())  # type: ignore[union-attr]
            self._in_file += part.shape[0]
            self.bytes += part.nbytes
            frames = frames[part.shape[0] :]

    def _next_file(self) -> None:
        if self._file is not None:
            self._file.close()
        name = f"DCS_01_{self._session}_ch{self._channel}_DSDB_{len(self._names) + 1:05d}.raw"
        self._names.append(name)
        self._file = (self._folder / name).open("wb")
        self._in_file = 0

    def idle(self) -> None:
        """Add some frames of the idle channel."""
        self.write(idle_frames(IDLE_LEAD, 0, VCID_IDLE))

    def close(self, start: int, stop: int) -> None:
        """Close the last file and write the DSIB.

        Parameters
        ----------
        start, stop : int
            Of the session, GPS [ns].
        """
        if self._file is not None:
            self._file.close()
        write_dsib(self._folder, self._session, self._channel, self._names, self.bytes, (start, stop))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
