"""The schemas of all levels, by name."""

from s2dask.io.schema_strip import downlink_path, image_path, l0, l1a, l1b, mask_path, packet_bytes, packet_path
from s2dask.io.schema_tile import (
    ANGLE_STEP,
    CHUNK,
    L2A_BANDS,
    angle_nodes,
    footprint_path,
    l1c,
    l2a,
    noise_gain_path,
    quality_path,
    reflectance_path,
    toa_uncertainty_path,
    uncertainty_path,
)

__all__ = [
    "ANGLE_STEP",
    "CHUNK",
    "L2A_BANDS",
    "angle_nodes",
    "downlink_path",
    "footprint_path",
    "image_path",
    "l0",
    "l1a",
    "l1b",
    "l1c",
    "l2a",
    "mask_path",
    "noise_gain_path",
    "packet_bytes",
    "packet_path",
    "quality_path",
    "reflectance_path",
    "toa_uncertainty_path",
    "uncertainty_path",
]
