"""The quality layer: eight MSK_QUALIT bits, the detector and one bit of our own, in one uint16 per pixel.

Bit order of MSK_QUALIT: PSD 14.8 and the EOPF flag list. Bits 8 to 11 hold the detector number. Bit 12 is no layer of
MSK_QUALIT: a pixel that reaches the end of the range only after its correction.
"""

from typing import Final

ANC_LOST: Final = 1
ANC_DEGRADED: Final = 2
MSI_LOST: Final = 4
MSI_DEGRADED: Final = 8
DEFECTIVE: Final = 16
NODATA: Final = 32
PARTIALLY_CORRECTED: Final = 64
SATURATED: Final = 128

FLAGS: Final = (
    ("ANC_LOST", ANC_LOST),
    ("ANC_DEG", ANC_DEGRADED),
    ("MSI_LOST", MSI_LOST),
    ("MSI_DEG", MSI_DEGRADED),
    ("QT_DEFECTIVE_PIXELS", DEFECTIVE),
    ("QT_NODATA_PIXELS", NODATA),
    ("QT_PARTIALLY_CORRECTED_PIXELS", PARTIALLY_CORRECTED),
    ("QT_SATURATED_PIXELS_L1A", SATURATED),
)
"""(name in the product, bit value) in layer order."""

INVALID: Final = MSI_LOST | NODATA
"""Bits that leave no usable count."""
DETECTOR_SHIFT: Final = 8
"""Position of the detector number in the quality layer."""
DETECTOR_MASK: Final = 0xF << DETECTOR_SHIFT
"""Bits of the detector number."""
SATURATED_L1B: Final = 0x1000
"""The corrected count reaches the end of the twelve bits (GIP_R2PARA ``SATURATED_PIXELS`` L1B or both)."""
