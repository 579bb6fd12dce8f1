"""The uncompressed form: sixteen lines of packed 12-bit counts in a packet."""

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputError
from s2dask.instrument import BANDS, LINES_PER_PACKET
from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.kernels import kernel
from s2dask.l0.codec.interface import LOST


@kernel
def _unpack(packets, head, bad, out):  # type: ignore[no-untyped-def]
    per = out.shape[1] * 3 // 2
    for k in range(packets.shape[0]):
        if bad[k]:
            out[16 * k : 16 * k + 16] = 0
            continue
        at = head
        for line in range(16 * k, 16 * k + 16):
            for i in range(0, per, 3):
                a, b, c = np.uint16(packets[k, at + i]), np.uint16(packets[k, at + i + 1]), packets[k, at + i + 2]
                column = i // 3 * 2
                out[line, column] = a << np.uint16(4) | b >> np.uint16(4)
                out[line, column + 1] = (b & np.uint16(15)) << np.uint16(8) | c
            at += per


class Raw12:
    """Sixteen lines of packed 12-bit counts after the packet's head."""

    def decode(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return counts and bad lines; every line of a lost packet is bad and 0."""
        payload = packets.shape[1] - ISP_HEAD_BYTES - CRC_BYTES
        columns, rest = divmod(payload * 2, 3 * LINES_PER_PACKET)
        if rest or columns not in {b.raw_columns for b in BANDS.values()}:
            size = packets.shape[1]
            raise InputError(f"packets of {size} bytes hold no raw12 lines", "codec", "name the right codec")
        bad = status == LOST
        out = np.empty((LINES_PER_PACKET * packets.shape[0], columns), np.uint16)
        _unpack(packets, ISP_HEAD_BYTES, bad, out)
        return out, np.repeat(bad, LINES_PER_PACKET)
