"""A strip of one scene with real geometry and patterned L1B images, in stores on disk, for the tests of L1C."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import radiometry_model

from s2dask.auxdata.datastrip import read_datastrip
from s2dask.instrument import band, unit
from s2dask.io import schema
from s2dask.io.grids import TileGrid
from s2dask.io.schema_strip import conditions
from s2dask.io.template import create
from s2dask.io.writer import write_block, write_whole

GRID = TileGrid("28SCB", "EPSG:32628", 305_040, 3_628_020, 6_000, 4_800)
BANDS = ("B03", "B10", "B11")
RHO = {"B03": 0.30, "B10": 0.03, "B11": 0.40}
DETECTORS = (8, 9)
SKIPPED_SCENES = 3


def _aux(root: Path, reference: Path) -> Path:
    """Link the real geometry files into an auxiliary folder."""
    for kind in ("gipp", "dem", "geoid", "iers"):
        (root / kind).mkdir(parents=True)
    for file in (reference / "gipp").iterdir():
        # the reference SPAMOD is listed by its datastrip, though it holds from a later date on
        name = file.name.replace("V20210421T233000", "V20150622T000000")
        (root / "gipp" / name).symlink_to(file)
    (root / "gipp" / radiometry_model.gipp_name("R2ABCA")).write_text(radiometry_model.r2abca(), "utf-8")
    for file in (reference / "dem").rglob("*.dt*"):
        (root / "dem" / f"{file.parent.name}_{file.name}").symlink_to(file)
    for file in (reference / "geoid").iterdir():
        (root / "geoid" / file.name).symlink_to(file)
    (root / "dem" / "SEA").touch()
    bulletin = next((reference / "iers").glob("*.txt"))
    (root / "iers" / bulletin.name).symlink_to(bulletin)
    return root


def _counts(name: str, detector: int) -> np.ndarray:
    """Return counts that make RHO under the sun of the tile, give or take a pattern and the sun's own course."""
    b, of = band(name), unit("S2A").bands[name]
    level = RHO[name] * np.cos(np.radians(25.0)) * of.gain * of.solar_irradiance * 0.975 / np.pi
    line, column = np.mgrid[0 : b.lines_per_scene, 0 : b.columns]
    wave = 1 + 0.05 * np.sin(line / 7.0 + detector) * np.cos(column / 9.0)
    return np.round(100 + level * wave).astype(np.uint16)


@dataclass(frozen=True)
class Session:
    """Stores of a strip of one scene that sees the tile."""

    l0: str
    l1b: str
    aux: str


def make_session(root: Path, reference: Path) -> Session:
    """Write the stores of the strip, on the geometry of a folder of reference data."""
    aux, strip = _aux(root / "aux", reference), read_datastrip(reference / "l1b")
    t = strip.trajectory
    later = round(SKIPPED_SCENES * 2304 * strip.line_period * 1e9)
    attrs = {
        "level": "L0", "unit": "S2A", "detectors": list(DETECTORS), "bands": list(BANDS), "scenes": 1, "codec": "raw12",
        "line_period": strip.line_period, "aux": str(aux), "baseline": "05.11",
        "datatake_id": "GS2A_20200816T120221_026904_N05.11", "absolute_orbit": 26904, "relative_orbit": 23,
        "sensing_start_gps": strip.sensing[0], "sensing_stop_gps": strip.sensing[1],
    }  # fmt: skip
    l0, l1b = str(root / "l0.zarr"), str(root / "l1b.zarr")
    sizes = (len(t.position_time), len(t.attitude_time))
    create(l0, conditions(2, len(BANDS), *sizes), {"s2dask": attrs})
    write_whole(l0, "conditions/ephemeris/gps_time", t.position_time)
    write_whole(l0, "conditions/ephemeris/position", t.position)
    write_whole(l0, "conditions/attitude/gps_time", t.attitude_time)
    write_whole(l0, "conditions/attitude/quaternion", t.quaternion)
    dates = [[strip.first_line_date[d, name] + later for name in BANDS] for d in DETECTORS]
    write_whole(l0, "conditions/datation/first_line_date", dates)
    create(l1b, schema.l1b(DETECTORS, BANDS, 1, *sizes), {"s2dask": attrs})
    session = Session(l0, l1b, str(aux))
    fill(session, BANDS, _counts)
    return session


def fill(session: Session, names: tuple[str, ...], counts: Callable[[str, int], np.ndarray]) -> None:
    """Write images of some bands: what `counts` makes of band and detector."""
    for d in DETECTORS:
        for name in names:
            path = schema.image_path(d, name)
            write_block(session.l1b, {path: counts(name, d)}, {path: (0, 0)})
