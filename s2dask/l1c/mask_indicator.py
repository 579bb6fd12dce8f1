"""How many pixels of a block carry each bit of the masks."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from s2dask.instrument.quality import DEFECTIVE, MSI_DEGRADED, MSI_LOST
from s2dask.kernels import kernel

COUNTED: Final = (("lost", MSI_LOST), ("degraded", MSI_DEGRADED), ("defective", DEFECTIVE))
"""Bits that are counted, by what they are called."""


@kernel
def _bits(quality, footprint, wanted, out):  # type: ignore[no-untyped-def]
    """Count the pixels with each of the wanted bits, and those that no detector looks at; most rows have no bit."""
    for r in range(quality.shape[0]):
        union, seen = np.uint8(0), 0
        for x in range(quality.shape[1]):
            union |= quality[r, x]
        for x in range(quality.shape[1]):
            seen += footprint[r, x] != 0
        out[wanted.size] += quality.shape[1] - seen
        for k in range(wanted.size):
            if union & wanted[k]:
                for x in range(quality.shape[1]):
                    out[k] += (quality[r, x] & wanted[k]) != 0


def mask_record(quality: NDArray[np.uint8], footprint: NDArray[np.uint8], prefix: str) -> dict[str, float]:
    """Return how many pixels of a block are lost, degraded, defective and unseen.

    Parameters
    ----------
    quality : (y, x) uint8
        MSK_QUALIT bits.
    footprint : (y, x) uint8
        Detector, 0 = none.
    prefix : str
    """
    wanted, out = np.array([bit for _, bit in COUNTED], np.uint8), np.zeros(len(COUNTED) + 1, np.int64)
    _bits(quality, footprint, wanted, out)
    names = (*(name for name, _ in COUNTED), "unseen")
    return {f"{prefix}.{name}": float(n) for name, n in zip(names, out, strict=True)}
