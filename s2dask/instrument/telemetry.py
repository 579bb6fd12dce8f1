"""Constants of the space link: frames, virtual channels, packets, APIDs.

Source: EISP acquisition reports, real L0 granules and SAD files (see the measured constants of the reference
chapter on telemetry). The assignment of detectors to WICOMs is known for D01 (VCM 1, WICOM 2, second input); the
rest is inferred from its regularity.
"""

from typing import Final, NamedTuple

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
IDLE_ONLY: Final = 0x7FE
"""First-header pointer of a frame that holds idle data and no packet."""
VC_COUNTER_MODULO: Final = 1 << 24

VCID_HALF_SCENE: Final = {1: 4, 2: 20}
"""Virtual channel of each half scene; half scene n comes on channel n."""
VCID_SAD: Final = 2
"""Virtual channel of the satellite ancillary data (channel 2)."""
VCID_IDLE: Final = 63

PACKET_PRIMARY_BYTES: Final = 6
PACKET_MAX_BYTES: Final = PACKET_PRIMARY_BYTES + (1 << 16)
CUC_BYTES: Final = 7
"""GPS time: four bytes of seconds since 1980-01-06, three of fraction."""
ISP_UNKNOWN_BYTES: Final = 5
ISP_RECORDS_BYTES: Final = 96
ISP_HEAD_BYTES: Final = PACKET_PRIMARY_BYTES + CUC_BYTES + ISP_UNKNOWN_BYTES + ISP_RECORDS_BYTES
CRC_BYTES: Final = 2
ANNOTATION_BYTES: Final = 20
"""Annotation before each packet in an L0 file."""
HKTM_ANNOTATION_BYTES: Final = 18
"""Annotation of each transfer frame of an HKTM product; the frame itself stands there without marker and code."""
HKTM_FRAME_BYTES: Final = RS_DATA * RS_INTERLEAVE
SEQUENCE_MODULO: Final = 1 << 14
STR_SEQUENCE_MODULO: Final = SEQUENCE_MODULO - 1
"""The packet counters of the star trackers go from 16382 to 0."""

SAD_SERVICE: Final = bytes.fromhex("10031900")
"""Service header of an ancillary packet: service 3, subtype 25."""
SAD_STRUCTURE_AT: Final = PACKET_PRIMARY_BYTES + len(SAD_SERVICE) + CUC_BYTES
"""Where 0x1F and the structure identifier (SID) stand in an ancillary packet; the data follow."""

APID_IDLE: Final = 0x7FF
APID_GPS: Final = 774
APID_AOCS: Final = 182
APID_MSI_THERMAL: Final = 150
APID_STAR_TRACKERS: Final = (598, 614, 630)
SAD_SOURCES: Final = {
    APID_MSI_THERMAL: "thermal",
    APID_AOCS: "attitude",
    **dict.fromkeys(APID_STAR_TRACKERS, "attitude"),
    **dict.fromkeys((APID_GPS, 779, 780, 781), "ephemeris"),
    **dict.fromkeys((790, 795, 796, 797), "ephemeris"),
}
"""What the packets of an ancillary APID tell: MSI, AOCS, star trackers A, B and C, GPS nominal and redundant."""


class ImageAddress(NamedTuple):
    """Where the packets of an image APID come from.

    Attributes
    ----------
    vcm : int
        Half of the unit: 0 is half scene 1, 1 is half scene 2.
    wicom : int
        Compressor, 0 to 2.
    channel : int
        Detector in the compressor, 0 or 1.
    detector : int
        1 to 12.
    band_index : int
        0 to 12.
    """

    vcm: int
    wicom: int
    channel: int
    detector: int
    band_index: int

    @property
    def apid(self) -> int:
        """The APID."""
        return 256 * self.vcm + 32 * self.wicom + 16 * self.channel + self.band_index


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


def image_address(image_apid: int) -> ImageAddress | None:
    """Return where the packets of an image APID come from, None for any other APID."""
    found = detector_and_band(image_apid)
    if found is None:
        return None
    rank = image_apid % 256 // 16
    return ImageAddress(image_apid // 256, rank // 2, rank % 2, *found)


def packet_kind(any_apid: int) -> str:
    """Return what packets of an APID are: ``image``, ``ancillary``, ``idle`` or, as the rest, ``housekeeping``."""
    if detector_and_band(any_apid) is not None:
        return "image"
    if any_apid in SAD_SOURCES:
        return "ancillary"
    return "idle" if any_apid == APID_IDLE else "housekeeping"


def channel_kind(virtual_channel: int) -> str:
    """Return what a virtual channel carries; all that is known of the housekeeping one is that it is no other."""
    if virtual_channel in VCID_HALF_SCENE.values():
        return "image"
    named = {VCID_SAD: "ancillary", VCID_IDLE: "idle"}
    return named.get(virtual_channel, "housekeeping")


def half_scene(detector: int) -> int:
    """Return the half scene, and so the channel, of a detector: VCM 0 is half scene 1, VCM 1 is half scene 2."""
    return 2 if detector <= 6 else 1
