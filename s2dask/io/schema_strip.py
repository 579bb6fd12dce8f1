"""Schemas of the datastrip levels L0, L1A and L1B."""

from collections.abc import Sequence
from typing import Any

from s2dask.instrument import Band, band
from s2dask.instrument.quality import FLAGS
from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.io.variables import Schema, spec

STRIP_DETECTOR_BITS = "bits 8 to 11 hold the detector number"


def image_path(detector: int, band_name: str) -> str:
    """Return the path of the image of a detector and band: ``measurements/d05/b04/img``."""
    return f"measurements/d{detector:02d}/{band_name.lower()}/img"


def mask_path(detector: int, band_name: str) -> str:
    """Return the path of the quality layer that goes with the image."""
    return f"quality/d{detector:02d}/{band_name.lower()}/mask"


def packet_path(detector: int, band_name: str) -> str:
    """Return the group of the source packets of a detector and band."""
    return f"measurements/d{detector:02d}/{band_name.lower()}"


def downlink_path(detector: int, band_name: str) -> str:
    """Return the path of the downlink times of the packets of a detector and band."""
    return f"conditions/downlink/d{detector:02d}/{band_name.lower()}/time"


def packet_bytes(b: Band, codec: str) -> int:
    """Return the bytes of one source packet of a band under a codec."""
    if codec == "raw12":
        return ISP_HEAD_BYTES + 16 * b.raw_columns * 3 // 2 + CRC_BYTES
    return b.packet_length


def conditions(detectors: int, bands: int, points: int, samples: int) -> Schema:
    """Return the ancillary variables that every strip level carries."""
    gps = "nanoseconds since 1980-01-06T00:00:00 (GPS)"
    return {
        "conditions/ephemeris/gps_time": spec("point", (points,), "int64", "date of the GPS point", gps),
        "conditions/ephemeris/position": spec("point xyz", (points, 3), "float64", "position, ITRF", "m"),
        "conditions/ephemeris/velocity": spec("point xyz", (points, 3), "float64", "velocity, ITRF", "m s-1"),
        "conditions/attitude/gps_time": spec("sample", (samples,), "int64", "date of the attitude", gps),
        "conditions/attitude/quaternion": spec(
            "sample xyzw", (samples, 4), "float64", "attitude, body to EME2000, scalar last"
        ),
        "conditions/datation/detector": spec("detector", (detectors,), "int64", "detector number"),
        "conditions/datation/band": spec("band", (bands,), "int64", "band index, B01 = 0 to B12 = 12"),
        "conditions/datation/first_line_date": spec(
            "detector band", (detectors, bands), "int64", "date of the centre of line 0", gps
        ),
    }


def l0(detectors: Sequence[int], bands: Sequence[str], scenes: int, codec: str, points: int, samples: int) -> Schema:
    """Return the schema of an L0 datastrip: packets as bytes plus an index, one chunk per scene."""
    out = conditions(len(detectors), len(bands), points, samples)
    for d in detectors:
        for name in bands:
            b = band(name)
            n, per, size = b.packets_per_scene * scenes, b.packets_per_scene, packet_bytes(b, codec)
            where = packet_path(d, name)
            out[f"{where}/packets"] = spec(
                "packet byte", (n, size), "uint8", "instrument source packets", chunks=(per, size), codec=codec
            )
            out[f"{where}/sequence_count"] = spec("packet", (n,), "uint16", "packet sequence count", chunks=(per,))
            out[f"{where}/packet_time"] = spec(
                "packet", (n,), "int64", "date of the first line", "nanoseconds since 1980-01-06T00:00:00 (GPS)",
                chunks=(per,),
            )
            out[f"{where}/frames"] = spec(
                "packet", (n,), "uint16", "frames that carry the packet, 0 not known", chunks=(per,)
            )
            out[downlink_path(d, name)] = spec(
                "packet", (n,), "int64", "time at which the packet began to be received (UTC), 0 not known",
                "nanoseconds since 2000-01-01T00:00:00", chunks=(per,),
            )
            out[f"{where}/status"] = spec(
                "packet", (n,), "uint8", "packet status", chunks=(per,), fill_value=1,
                flag_values=[0, 1, 2], flag_meanings="complete lost degraded",
            )
    return out


def _images(
    detectors: Sequence[int], bands: Sequence[str], lines: dict[str, int], raw: bool, level: str
) -> Schema:
    flags: dict[str, Any] = {
        "flag_masks": [bit for _, bit in FLAGS],
        "flag_meanings": " ".join(name for name, _ in FLAGS),
        "comment": STRIP_DETECTOR_BITS,
    }
    out: Schema = {}
    for d in detectors:
        for name in bands:
            b = band(name)
            columns = b.raw_columns if raw else b.columns
            shape, chunks = (lines[name], columns), (b.lines_per_scene, columns)
            extra = {} if raw else {"radio_add_offset": -100}
            out[image_path(d, name)] = spec(
                "line column", shape, "uint16", f"{level} counts of detector {d}, band {name}", "digital_counts",
                chunks=chunks, **extra,
            )
            out[mask_path(d, name)] = spec(
                "line column", shape, "uint16", "quality layer (MSK_QUALIT and detector)", chunks=chunks, **flags
            )
    return out


def l1a(
    detectors: Sequence[int], bands: Sequence[str], scenes: int, points: int, samples: int
) -> Schema:
    """Return the schema of an L1A datastrip: raw counts, blind pixels included."""
    lines = {name: band(name).lines_per_scene * scenes for name in bands}
    return conditions(len(detectors), len(bands), points, samples) | _images(detectors, bands, lines, True, "L1A")


def l1b(
    detectors: Sequence[int], bands: Sequence[str], scenes: int, points: int, samples: int
) -> Schema:
    """Return the schema of an L1B datastrip: equalised counts + 100, radiance = (DN - 100) / A."""
    lines = {name: band(name).lines_per_scene * scenes for name in bands}
    return conditions(len(detectors), len(bands), points, samples) | _images(detectors, bands, lines, False, "L1B")
