"""A small L0 datastrip for the tests of Level-1A: lines, what the instrument makes of them, and its GIPP files."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from radiometry_model import gipp_name

from s2dask.auxdata.gipp_equalisation import OnboardEqualisation, OnboardTable, write_r2eob2
from s2dask.auxdata.gipp_rearrangement import SwirRearrangement, write_r2swir
from s2dask.auxdata.gipp_record import Taps
from s2dask.auxdata.gipp_scenario import operational_scenario, write_r2para
from s2dask.instrument import LINE_PERIOD, band
from s2dask.instrument.telemetry import CRC_BYTES, ISP_HEAD_BYTES
from s2dask.io import schema
from s2dask.io.storage import open_array
from s2dask.io.template import create

SENSING = 1_281_500_000_000_000_000
"""GPS [ns]: August 2020."""
THIRD = np.array([2.0, 8.0, -1.0]) / 9
"""Parabola through three lines, a third of a line before the middle one."""


def table(name: str, seed: int = 0, slopes: tuple[float, float] = (1.005, 0.995)) -> OnboardTable:
    """Return an on-board table of a band: dark about 440 LSB, slopes within half a percent of those given."""
    random, n = np.random.default_rng([seed, band(name).index]), band(name).raw_columns
    draws = (
        random.normal(440, 3, n), random.normal(slopes[0], 0.002, n), random.normal(slopes[1], 0.002, n),
        random.normal(700, 50, n),
    )  # fmt: skip
    return OnboardTable(*(np.round(v, 6) for v in draws))


def equalised(x: NDArray[np.float64], t: OnboardTable) -> NDArray[np.float64]:
    """Return what the instrument makes of the counts of its converter, before it rounds."""
    y = x - t.dark
    return np.where(y <= t.zs, t.a1 * y, t.a2 * y + (t.a1 - t.a2) * t.zs)


def downlinked(x: NDArray[np.uint16], t: OnboardTable) -> NDArray[np.uint16]:
    """Return the equalised counts in twelve bits."""
    return np.clip(np.floor(equalised(x.astype(np.float64), t) + 0.5), 0, 4095).astype(np.uint16)


def staggered(ground: NDArray[np.uint16], shift: NDArray[np.int8]) -> NDArray[np.uint16]:
    """Return the lines in which column c shows the ground of line l + shift(c); the ends are repeated."""
    last = ground.shape[0] - 1
    line = np.clip(np.arange(last + 1)[:, np.newaxis] + shift.astype(int), 0, last)
    return np.take_along_axis(ground, line, axis=0)


def packed(lines: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Return (packet, byte) source packets of sixteen lines in packed twelve bits."""
    rows = lines.reshape(lines.shape[0] // 16, -1).astype(np.uint32)
    pairs = rows[:, 0::2] << 12 | rows[:, 1::2]
    body = np.stack([pairs >> 16, pairs >> 8 & 255, pairs & 255], -1).astype(np.uint8).reshape(rows.shape[0], -1)
    return np.pad(body, ((0, 0), (ISP_HEAD_BYTES, CRC_BYTES)))


def ancillary_times(lines_seconds: float, step: float) -> NDArray[np.int64]:
    """Return the dates of samples from ten seconds before the sensing to ten after it, GPS [ns]."""
    return (SENSING + 1e9 * np.arange(-10, lines_seconds + 10, step)).astype(np.int64)


def write_l0(
    url: Path,
    lines: Mapping[str, NDArray[np.uint16]],
    detector: int = 6,
    lost: Mapping[str, tuple[int, ...]] | None = None,
    degraded: Mapping[str, tuple[int, ...]] | None = None,
    attitude_gap: tuple[float, float] | None = None,
    **attrs: object,
) -> str:
    """Write the L0 store of one detector.

    Parameters
    ----------
    url : Path
    lines : mapping of str to (line, raw_column) uint16
        As downlinked, whole scenes.
    detector : int
    lost, degraded : mapping of str to tuple of int, optional
        Packets of a band.
    attitude_gap : (float, float), optional
        Seconds of the sensing between which no attitude was received.
    **attrs
        Of its root.
    """
    names = tuple(lines)
    scenes = lines[names[0]].shape[0] // band(names[0]).lines_per_scene
    points, samples = ancillary_times(3.6 * scenes, 1.0), ancillary_times(3.6 * scenes, 0.1)
    if attitude_gap is not None:
        seconds = (samples - SENSING) / 1e9
        samples = samples[(seconds < attitude_gap[0]) | (seconds > attitude_gap[1])]
    facts = {
        "level": "L0", "unit": "S2A", "detectors": [detector], "bands": list(names), "scenes": scenes,
        "codec": "raw12", "line_period": LINE_PERIOD, "sensing_start_gps": SENSING,
        "sensing_stop_gps": SENSING + int(3.608e9 * scenes), "aux": "",
    }  # fmt: skip
    variables = schema.l0([detector], names, scenes, "raw12", points.size, samples.size)
    create(str(url), variables, {"s2dask": facts | attrs})

    def write(path: str, values: object) -> None:
        open_array(str(url), path, mode="r+")[...] = values

    write("conditions/ephemeris/gps_time", points)
    write("conditions/attitude/gps_time", samples)
    write("conditions/datation/first_line_date", SENSING)
    for name, image in lines.items():
        where, packets = schema.packet_path(detector, name), packed(image)
        status = np.zeros(packets.shape[0], np.uint8)
        status[list((lost or {}).get(name, ()))] = 1
        status[list((degraded or {}).get(name, ()))] = 2
        packets[status == 1] = 0
        write(f"{where}/packets", packets)
        write(f"{where}/status", status)
    return str(url)


def write_onboard(
    folder: Path, tables: Mapping[int, Mapping[str, OnboardTable]], detector: int = 6, unit: str = "S2A"
) -> None:
    """Write GIP_R2EOB2 of every band from tables by NUC table and band."""
    for name in next(iter(tables.values())):
        sets = {identity: {detector: by_band[name]} for identity, by_band in tables.items()}
        path = folder / gipp_name("R2EOB2", name, unit)
        path.write_text(write_r2eob2(OnboardEqualisation(unit, path.name, name, sets)), encoding="utf-8")


def write_rearrangement(folder: Path, shifts: Mapping[str, NDArray[np.int8]], detector: int = 6) -> None:
    """Write GIP_R2SWIR with the shifts of three bands, and a GIP_R2PARA that wants L1A re-arranged."""
    taps = Taps(3, 1, 1, THIRD)
    lines = {(name, detector): shift for name, shift in shifts.items()}
    swir, para = (folder / gipp_name(kind) for kind in ("R2SWIR", "R2PARA"))
    swir.write_text(write_r2swir(SwirRearrangement("S2A", swir.name, taps, lines)), encoding="utf-8")
    scenario = replace(operational_scenario("S2A", para.name), swir_rearrangement=True)
    para.write_text(write_r2para(scenario), encoding="utf-8")
