"""Constants of the space link: frames, virtual channels, packets, APIDs.

Source: EISP acquisition reports, real L0 granules and SAD files (see the measured constants of the reference
chapter on telemetry). The assignment of detectors to WICOMs is known for D01 (VCM 1, WICOM 2, second input); the
rest is inferred from its regularity.
"""

from typing import Final

ASM: Final = 0x1ACFFC1D
"""Attached synchronisation marker."""
ASM_BYTES: Final = 4
CADU_BYTES: Final = 2044
"""Channel access data unit: marker and Reed-Solomon coded frame."""
RS_CODEWORD: Final = 255
RS_DATA: Final = 239
RS_INTERLEAVE: Final = 8
VCDU_HEADER_BYTES: Final = 6
MPDU_HEADER_BYTES: Final = 2
MPDU_ZONE_BYTES: Final = RS_DATA * RS_INTERLEAVE - VCDU_HEADER_BYTES - MPDU_HEADER_BYTES
"""Packet zone of a frame: 1904 bytes."""
NO_FIRST_HEADER: Final = 0x7FF
"""First-header pointer of a frame in which no packet begins."""
VC_COUNTER_MODULO: Final = 1 << 24

VCID_HALF_SCENE: Final = {1: 4, 2: 20}
"""Virtual channel of each half scene; half scene n comes on channel n."""
VCID_SAD: Final = 2
"""Virtual channel of the satellite ancillary data (channel 2)."""
VCID_IDLE: Final = 63

PACKET_PRIMARY_BYTES: Final = 6
CUC_BYTES: Final = 7
"""GPS time: four bytes of seconds since 1980-01-06, three of fraction."""
ISP_UNKNOWN_BYTES: Final = 5
ISP_RECORDS_BYTES: Final = 96
ISP_HEAD_BYTES: Final = PACKET_PRIMARY_BYTES + CUC_BYTES + ISP_UNKNOWN_BYTES + ISP_RECORDS_BYTES
CRC_BYTES: Final = 2
ANNOTATION_BYTES: Final = 20
"""Annotation before each packet in an L0 file."""
SEQUENCE_MODULO: Final = 1 << 14

APID_GPS: Final = 774
APID_AOCS: Final = 182
APID_MSI_THERMAL: Final = 150


def apid(detector: int, band_index: int) -> int:
    """Return the APID of a detector (1–12) and band index (0–12): 256 VCM + 32 WICOM + 16 input + band."""
    vcm = 1 if detector <= 6 else 0
    rank = (6 if vcm else 12) - detector
    return 256 * vcm + 16 * rank + band_index


def detector_and_band(image_apid: int) -> tuple[int, int] | None:
    """Return (detector, band index) of an image APID, None for any other APID."""
    vcm, rest = divmod(image_apid, 256)
    rank, band_index = divmod(rest, 16)
    if vcm > 1 or rank > 5 or band_index > 12:
        return None
    return (6 if vcm else 12) - rank, band_index


def half_scene(detector: int) -> int:
    """Return the half scene, and so the channel, of a detector: VCM 0 is half scene 1, VCM 1 is half scene 2."""
    return 2 if detector <= 6 else 1
