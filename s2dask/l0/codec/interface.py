"""What a codec is."""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

LOST: Final = 1
"""Status of a packet that did not arrive."""


class Codec(Protocol):
    """Decoder of source packets."""

    def decode(
        self, packets: NDArray[np.uint8], status: NDArray[np.uint8]
    ) -> tuple[NDArray[np.uint16], NDArray[np.bool_]]:
        """Return (16 packet, raw_column) uint16 counts, and which lines are bad, of (packet, byte) packets."""
        ...
