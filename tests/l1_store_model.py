"""Small L1A and L1B datastrip stores with known pixels, located and described, without a session before them."""

from pathlib import Path
from typing import Any

import numpy as np

from s2dask.instrument import BANDS, LINE_PERIOD, SCENE_SECONDS, band, unit
from s2dask.instrument.quality import DEFECTIVE, DETECTOR_SHIFT, FLAGS, MSI_DEGRADED, MSI_LOST, NODATA
from s2dask.io import schema
from s2dask.io.template import create
from s2dask.io.writer import write_whole

START = 1_281_614_561_083_370_687
LOST = (7, "B12")
"""Detector and band of which scene 1 has lost and degraded packets."""


def location(detectors: tuple[int, ...], scenes: int) -> dict[str, Any]:
    """Return the root attribute ``location``."""
    ring = [[32.8, -17.3, 40.0], [32.6, -17.3, 40.0], [32.6, -17.0, 40.0], [32.8, -17.0, 40.0], [32.8, -17.3, 40.0]]
    angles = {"incidence": [2.0, 100.0], "sun": [25.0, 135.0]}
    place = {"orientation": 193.0, "pixel": [10.5, 9.9], **angles}
    return {
        "granules": [
            {"detector": d, "scene": s, "footprint": ring, "centre": [32.7, -17.1, 40.0], "cloud": 10.0 * s, **angles}
            for d in detectors for s in range(scenes)
        ],
        "footprint": ring, "direction": "DESCENDING", "reference_band": "B09",
        "headers": [{"gps": START, "line": 36, "attitude": [0, 0, 0], "begin": place, "center": place, "end": place}],
        "iers": {"file": "bulletina", "ut1_utc": -0.2, "pole": [0.17, 0.4]}, "dem": "None",
        "gipps": ["S2A_OPER_GIP_BLINDP_MPC__20200801T000000_V20150622T000000_21000101T000000_B00"],
        "measured": "2020-08-01T00:00:00",
    }  # fmt: skip


def radiometry(names: tuple[str, ...], **changes: Any) -> dict[str, Any]:
    """Return the root attribute ``radiometry`` of an L1B store."""
    flight = unit("S2A").bands
    return {
        "physical_gains": {name: flight[name].gain for name in names}, "radio_add_offset": -100,
        "swir_rearrangement": False, "equalised": {name: [True, True] for name in names},
        "crosstalk_optical": False, "crosstalk_electronic": True, "remove_blind_pixels": True, "binning": True,
        "saturated_pixels": True, "defective_pixels": "true", "no_data_pixels": "true", "restored": False,
        "restoration": {name: ["NONE", 0, 4095] for name in names}, "spectra": {},
        "noise": {name: [0.5, 0.04] for name in names}, "accuracy": dict.fromkeys(names, 5.0),
        "refining": {"rgm": "COMPUTED", "refined": False}, "reference_images": [], "degraded_ancillary": 0.0,
    } | changes  # fmt: skip


def image(level: str, detector: int, name: str, scenes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return counts and quality of a band, both (line, column) uint16."""
    b = band(name)
    columns = b.columns if level == "L1B" else b.raw_columns
    y, x = np.mgrid[0 : b.lines_per_scene * scenes, 0:columns]
    counts = (200 + 40 * b.index + detector + (3 * y + 2 * x) % 900 + (x * y) % 7).astype(np.uint16)
    quality = np.full(counts.shape, detector << DETECTOR_SHIFT, np.uint16)
    quality[:, 5] |= DEFECTIVE
    for rank, (_, bit) in enumerate(FLAGS):
        quality[40 + rank, 10 + rank] |= bit
    if (detector, name) == LOST and scenes > 1:
        first = b.lines_per_scene
        quality[first + 48 : first + 96] |= MSI_LOST | NODATA
        counts[first + 48 : first + 96] = 0
        quality[first + 160 : first + 176] |= MSI_DEGRADED
    return counts, quality


def strip_store(
    folder: Path, level: str = "L1B", detectors: tuple[int, ...] = (6, 7), names: tuple[str, ...] = ("B09", "B12"),
    scenes: int = 2, **changes: Any,
) -> str:  # fmt: skip
    """Make a store with `image` in it and return its URL; `changes` go into ``radiometry``."""
    url, random = str(folder / f"{level.lower()}.zarr"), np.random.default_rng(4)
    first = [[START + 1_000_000 * (band(n).index + d) for n in names] for d in detectors]
    attrs = {
        "level": level, "unit": "S2A", "absolute_orbit": 26904, "relative_orbit": 23, "baseline": "05.11",
        "datatake_id": "GS2A_20200816T120223_026904_N05.11", "sensing_start": "2020-08-16T12:02:23.098Z",
        "sensing_start_gps": first[0][0], "sensing_stop_gps": first[-1][-1] + round(scenes * SCENE_SECONDS * 1e9),
        "line_period": LINE_PERIOD, "detectors": list(detectors), "bands": list(names), "scenes": scenes,
        "codec": "ccsds122", "equalization_mode": True, "nuc_table_id": 3,
        "location": location(detectors, scenes), "radiometry": radiometry(names, **changes),
    }  # fmt: skip
    variables = {"L1A": schema.l1a, "L1B": schema.l1b}[level](detectors, names, scenes, 12, 30)
    create(url, variables, {"s2dask": attrs})
    seconds = START - 3_000_000_000 + np.arange(12) * 1_000_000_000
    write_whole(url, "conditions/ephemeris/gps_time", seconds)
    write_whole(url, "conditions/ephemeris/position", random.integers(-7 * 10**9, 7 * 10**9, (12, 3)) / 1e3)
    write_whole(url, "conditions/ephemeris/velocity", random.integers(-(10**7), 10**7, (12, 3)) / 1e3)
    write_whole(url, "conditions/attitude/gps_time", seconds[0] + np.arange(30) * 500_000_000)
    quaternion = random.normal(size=(30, 4))
    quaternion /= np.linalg.norm(quaternion, axis=1)[:, None]
    write_whole(url, "conditions/attitude/quaternion", quaternion)
    write_whole(url, "conditions/datation/detector", detectors)
    write_whole(url, "conditions/datation/band", [BANDS[n].index for n in names])
    write_whole(url, "conditions/datation/first_line_date", first)
    for d in detectors:
        for name in names:
            counts, quality = image(level, d, name, scenes)
            write_whole(url, schema.image_path(d, name), counts)
            write_whole(url, schema.mask_path(d, name), quality)
    return url
