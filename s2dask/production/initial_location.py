"""Where a datastrip lies, by its own orbit and attitude: footprints and angles of its granules (INIT_LOC_L0)."""

from pathlib import Path
from typing import Any, Final

import numpy as np

from s2dask.auxdata.iers import EarthOrientation
from s2dask.geometry.angles import itrf, sun_angles, view_angles
from s2dask.geometry.viewing import ViewingModel
from s2dask.instrument import band
from s2dask.production.setting import AuxFolder, Setting
from s2dask.production.strip import StripFacts

REFERENCES: Final = ("B04", "B03", "B02", "B08")
"""Bands in whose geometry a datastrip is described: the first that is there."""
_MJD_GPS_EPOCH: Final = 44244
QUICKLOOK_METRES: Final = 320
"""Edge of a quick-look pixel: 32 lines and columns of 10 m, as in real products."""


def reference_band(facts: StripFacts) -> str:
    """Return the band in whose geometry the strip is described: B04 where it is there, as in real products."""
    return next((name for name in REFERENCES if name in facts.bands), facts.bands[0])


def _ground(setting: Setting, name: str, detector: int, line: Any, column: Any) -> np.ndarray:
    """Return latitude, longitude, height of image points, (…, 3)."""
    lon, lat, height = setting.model.direct(name, detector, line, column, setting.terrain)
    return np.stack([lat, lon, height], -1)


def _counter_clockwise(ring: np.ndarray) -> np.ndarray:
    """Return a ring (corner, 3) of latitude, longitude, height, closed and counter-clockwise seen from above."""
    lat, lon = ring[:, 0], ring[:, 1]
    area = np.sum(lon * np.roll(lat, -1) - np.roll(lon, -1) * lat)
    ordered = ring if area > 0 else ring[::-1]
    return np.concatenate([ordered, ordered[:1]])


def _granule(setting: Setting, facts: StripFacts, detector: int, scene: int) -> dict[str, Any]:
    name = reference_band(facts)
    b, model = band(name), setting.model
    first, last = scene * b.lines_per_scene - 0.5, (scene + 1) * b.lines_per_scene - 0.5
    right = b.columns - 0.5
    ring = _ground(setting, name, detector, [first, last, last, first], [-0.5, -0.5, right, right])
    line = np.array([0.5 * (first + last)])
    centre = _ground(setting, name, detector, line, [0.5 * (right - 0.5)])
    lat, lon, height = centre.T
    view = view_angles(model, name, detector, line, lon, lat, height)
    sun = sun_angles(int(model.date(name, detector, line)[0]), lon, lat)
    return {
        "detector": detector, "scene": scene, "footprint": _counter_clockwise(ring).tolist(),
        "centre": centre[0].tolist(), "incidence": [float(v[0]) for v in view], "sun": [float(v[0]) for v in sun],
    }  # fmt: skip


def _outline(setting: Setting, facts: StripFacts) -> np.ndarray:
    """Return the outline of the strip: down one side, across the last lines, up the other side, back."""
    name = reference_band(facts)
    b = band(name)
    lines = np.arange(facts.scenes + 1) * b.lines_per_scene - 0.5
    right, detectors = b.columns - 0.5, facts.detectors
    down = _ground(setting, name, detectors[0], lines, np.full(lines.size, -0.5))
    bottom = [_ground(setting, name, d, [lines[-1]] * 2, [-0.5, right]) for d in detectors]
    up = _ground(setting, name, detectors[-1], lines[::-1], np.full(lines.size, right))
    top = [_ground(setting, name, d, [lines[0]] * 2, [right, -0.5]) for d in detectors[::-1]]
    ring = np.concatenate([down, *bottom, up, *top])
    fresh = np.abs(np.diff(ring[:, :2], axis=0, prepend=np.nan)).sum(1) != 0
    return _counter_clockwise(ring[fresh])


def _place(setting: Setting, name: str, detector: int, line: float, column: float) -> dict[str, Any]:
    """Return orientation of the track, angles and pixel size at a place of an image."""
    model = setting.model
    near = _ground(setting, name, detector, [line, line + 1, line], [column, column, column + 1])
    here, ahead, beside = itrf(near[:, 1], near[:, 0], near[:, 2])
    lat, lon = np.radians(near[:, 0]), np.radians(near[:, 1])
    east, north = (lon[1] - lon[0]) * np.cos(lat[0]), lat[1] - lat[0]
    lat_lon = near[:1, 1], near[:1, 0]
    view = view_angles(model, name, detector, np.array([line]), *lat_lon, near[:1, 2])
    sun = sun_angles(int(model.date(name, detector, [line])[0]), *lat_lon)
    return {
        "orientation": float(np.degrees(np.arctan2(east, north)) % 360.0),
        "incidence": [float(v[0]) for v in view], "sun": [float(v[0]) for v in sun],
        "pixel": [float(np.linalg.norm(ahead - here)), float(np.linalg.norm(beside - here))],
    }  # fmt: skip


def _header(setting: Setting, facts: StripFacts, scene: int) -> dict[str, Any]:
    name = reference_band(facts)
    b, d = band(name), facts.detectors
    line = (scene + 0.5) * b.lines_per_scene - 0.5
    middle = d[len(d) // 2]
    places = {"begin": (d[0], 0.0), "center": (middle, 0.5 * (b.columns - 1)), "end": (d[-1], b.columns - 2.0)}
    return {
        "gps": int(setting.model.date(name, middle, [line])[0]),
        "line": int(line * b.resolution // QUICKLOOK_METRES),
        # from the commanded attitude, which is not in the telemetry that is known
        "attitude": [0.0, 0.0, 0.0],
    } | {key: _place(setting, name, detector, line, column) for key, (detector, column) in places.items()}


def _descending(model: ViewingModel, gps: int) -> bool:
    return bool(model.state(gps + 500_000_000)[0][2] < model.state(gps - 500_000_000)[0][2])


def locate(setting: Setting, facts: StripFacts, aux: str) -> dict[str, Any]:
    """Return where a strip and its granules lie (step INIT_LOC_L0).

    Parameters
    ----------
    setting : Setting
        Viewing model and terrain.
    facts : StripFacts
    aux : str
        Folder of auxiliary files.

    Returns
    -------
    dict
        JSON-able. ``granules``: detector, scene, ``footprint`` (corner: latitude, longitude, height; counter-clockwise,
        closed), ``centre``, ``incidence`` and ``sun`` (zenith, azimuth); ``footprint`` of the strip; ``headers`` at the
        middle of each scene; ``direction``; ``iers``, ``gipps`` and ``dem``: what it was made with.
    """
    start = int(facts.attrs["sensing_start_gps"])
    folder, gipps = AuxFolder(aux), setting.gipps
    name = reference_band(facts)
    bulletin = folder.bulletin
    pole_x, pole_y, ut1 = (float(v) for v in np.ravel(_orientation(bulletin, start)))
    spamod = gipps.path("SPAMOD").name
    return {
        "granules": [_granule(setting, facts, d, scene) for d in facts.detectors for scene in range(facts.scenes)],
        "footprint": _outline(setting, facts).tolist(),
        "headers": [_header(setting, facts, scene) for scene in range(facts.scenes)],
        "direction": "DESCENDING" if _descending(setting.model, start) else "ASCENDING",
        "reference_band": name,
        "iers": {"file": bulletin.stem, "ut1_utc": ut1, "pole": [pole_x, pole_y]},
        "gipps": [Path(name).stem for name in gipps.names], "dem": _terrain_name(folder),
        "measured": _validity(spamod),
    }  # fmt: skip


def _orientation(bulletin: Path, gps: int) -> np.ndarray:
    return EarthOrientation.from_bulletin(bulletin).at(np.array([_MJD_GPS_EPOCH + gps / 86400e9]))


def _terrain_name(folder: AuxFolder) -> str:
    found = sorted(p for p in (folder.gipp.parent / "dem").iterdir() if p.suffix in (".tif", ".dt1", ".dt2"))
    return found[0].stem if found else "None"


def _validity(gipp: str) -> str:
    """Return the start of validity of a GIPP, ISO: the calibration that the location rests on is of that date."""
    text = gipp.split("_V", 1)[1][:15]
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}T{text[9:11]}:{text[11:13]}:{text[13:15]}"
