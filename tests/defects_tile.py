"""Kinds of defects of geometry, location and reflectance: in L1B, or in what is told of orbit and Earth."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import zarr
from defects_model import Bench, Verdict, again, change, judged, stored
from rasterio.transform import Affine
from scipy.spatial.transform import Rotation

from s2dask.instrument import BANDS
from s2dask.instrument.quality import NODATA
from s2dask.io.schema import image_path, mask_path
from s2dask.io.template import set_attributes
from s2dask.production.strip import strip_facts
from s2dask.simulate.gipp import write_geometric
from s2dask.simulate.platform import focal_plane, spacecraft_model

Edit = Callable[[str], None]
PIXEL = 1.2545e-5
"""Tangent of 10 m."""


def in_l1b(edit: Edit, to: str = "L1C") -> Callable[[Bench, Path], Verdict]:
    """Return what a change of the L1B store makes of the tile."""

    def run(bench: Bench, folder: Path) -> Verdict:
        l1b = bench.copy_of(bench.l1b, folder)
        edit(l1b)
        return judged(lambda: again(bench, folder, "L1C", to, l1b=l1b))

    return run


def in_l0(edit: Edit) -> Callable[[Bench, Path], Verdict]:
    """Return what a change of orbit, attitude or dates in the L0 store makes of the tile."""

    def run(bench: Bench, folder: Path) -> Verdict:
        l0 = bench.copy_of(bench.l0, folder)
        edit(l0)
        strip_facts.cache_clear()
        return judged(lambda: again(bench, folder, "L1C", "L1C", l0=l0))

    return run


def in_aux(edit: Callable[[Path], None], first: str = "L1C", to: str = "L1C") -> Callable[[Bench, Path], Verdict]:
    """Return what a change of the auxiliary files makes of the levels that use them."""

    def run(bench: Bench, folder: Path) -> Verdict:
        aux = bench.copy_aux(folder)
        edit(aux)
        return judged(lambda: again(bench, folder, first, to, aux=aux))

    return run


def _scaled(url: str, detector: int, name: str, gain: float) -> None:
    path = image_path(detector, name)
    counts = stored(url, path)
    light = np.rint(100 + gain * (counts.astype(float) - 100))
    change(url, path, np.where(counts > 0, np.clip(light, 1, 65534), 0).astype(np.uint16))


def _lift(url: str) -> None:
    """Add a reflectance of 0.1 to every band, as an offset that is applied twice does."""
    from s2dask.auxdata.time import gps_to_utc
    from s2dask.instrument import unit
    from s2dask.instrument.solar import reflectance_conversion

    facts = strip_facts(url)
    factor = reflectance_conversion(gps_to_utc(int(facts.attrs["sensing_start_gps"])))
    for name in facts.bands:
        told, path = unit(facts.unit).bands[name], image_path(6, name)
        counts = stored(url, path)
        more = 0.1 * told.gain * told.solar_irradiance * factor * np.cos(np.radians(25.0)) / np.pi
        change(url, path, np.where(counts > 0, np.rint(counts + more), 0).astype(np.uint16))


def _holes(url: str) -> None:
    counts, mask = (stored(url, path(6, "B08")) for path in (image_path, mask_path))
    lost = np.arange(counts.shape[0]) % 200 < 20
    counts[lost], mask[lost] = 0, mask[lost] | NODATA
    change(url, image_path(6, "B08"), counts)
    change(url, mask_path(6, "B08"), mask)


def _lost_chunk(url: str) -> None:
    """Delete the files of the image of a band: where there is no chunk, Zarr reads zeros."""
    shutil.rmtree(Path(url) / image_path(6, "B07") / "c")


def _gain_of_one_detector(url: str) -> None:
    _scaled(url, 7, "B04", 1.08)


def _gain_of_one_band(url: str) -> None:
    for d in strip_facts(url).detectors:
        _scaled(url, d, "B8A", 1.03)


GAIN_OF_ONE_DETECTOR, GAIN_OF_ONE_BAND = in_l1b(_gain_of_one_detector), in_l1b(_gain_of_one_band)
HOLES, LOST_CHUNK, LIFTED = in_l1b(_holes), in_l1b(_lost_chunk), in_l1b(_lift)


def shifted_directions(name: str, pixels: float) -> Callable[[Path], None]:
    """Return what shifts the viewing directions of a band along the track, in its own pixels."""

    def edit(aux: Path) -> None:
        told, step = focal_plane(name), PIXEL * BANDS[name].resolution / 10
        tangents = {key: value + np.array([[0.0], [pixels * step]]) for key, value in told.tangents.items()}
        write_geometric(aux / "gipp", "S2A", [replace(told, tangents=tangents)], spacecraft_model())

    return edit


WRONG_DIRECTIONS, WRONG_DIRECTIONS_20 = in_aux(shifted_directions("B03", 1.0)), in_aux(shifted_directions("B11", 1.0))


def _attitude(bias: float) -> Edit:
    """Tell an attitude that is off by an angle about the roll axis [rad]."""

    def edit(url: str) -> None:
        path = "conditions/attitude/quaternion"
        told = (Rotation.from_quat(stored(url, path)) * Rotation.from_rotvec([bias, 0, 0])).as_quat()
        change(url, path, told * np.where(told[:, 3:] < 0, -1.0, 1.0))

    return edit


ATTITUDE = in_l0(_attitude(4e-5))


def _dates(url: str) -> None:
    """Tell line dates that are 5 ms late: 33 m."""
    path = "conditions/datation/first_line_date"
    change(url, path, stored(url, path) + 5_000_000)


LATE_DATES = in_l0(_dates)


def attitude_alone(bench: Bench, folder: Path) -> Verdict:
    """Tell a wrong attitude where there is no reference image."""
    l0, aux = bench.copy_of(bench.l0, folder), bench.copy_aux(folder)
    shutil.rmtree(aux / "reference")
    _attitude(4e-5)(l0)
    strip_facts.cache_clear()
    return judged(lambda: again(bench, folder, "L1C", "L1C", l0=l0, aux=aux))


def _no_dem(aux: Path) -> None:
    (aux / "dem" / "dem.tif").unlink()
    (aux / "dem" / "SEA").unlink()


def _sea(aux: Path) -> None:
    (aux / "dem" / "dem.tif").unlink()


def _dem(values: Callable[[np.ndarray], np.ndarray], east: float = 0.0) -> Callable[[Path], None]:
    def edit(aux: Path) -> None:
        path = aux / "dem" / "dem.tif"
        with rasterio.open(path) as raster:
            heights, profile = raster.read(1), raster.profile
        t = profile["transform"]
        profile["transform"] = Affine(t.a, t.b, t.c + east, t.d, t.e, t.f)
        with rasterio.open(path, "w", **profile) as raster:
            raster.write(values(heights).astype(np.float32), 1)

    return edit


NO_DEM, SEA = in_aux(_no_dem), in_aux(_sea)
DEM_SHIFTED = in_aux(_dem(lambda h: h, 0.05))
DEM_IN_FEET = in_aux(_dem(lambda h: h * 3.28084))
DEM_NAN = in_aux(_dem(lambda h: np.where(h > -1000, np.nan, h)))


def _irradiance(aux: Path) -> None:
    (path,) = (aux / "gipp").glob("*GIP_R2ABCA*")
    text = path.read_text("utf-8")
    found = re.findall(r"<SOLAR_IRRADIANCE[^>]*>([^<]+)<", text)
    path.write_text(text.replace(f">{found[3]}<", f">{1.03 * float(found[3]):.4f}<"), "utf-8")


WRONG_IRRADIANCE = in_aux(_irradiance)


def _gain(factor: float) -> Callable[[Path], None]:
    def edit(aux: Path) -> None:
        (path,) = (aux / "gipp").glob("*GIP_R2ABCA*")
        text = path.read_text("utf-8")

        def times(found: re.Match[str]) -> str:
            return f"{found[1]}{factor * float(found[2]):.6f}<"

        path.write_text(re.sub(r"(<PHYSICAL_GAINS[^>]*>)([^<]+)<", times, text), "utf-8")

    return edit


WRONG_GAIN, GAIN_TEN_TIMES = in_aux(_gain(1.03)), in_aux(_gain(10.0))


def _date(url: str) -> None:
    """State a start of the sensing that is two months late."""
    attrs: Any = zarr.open_group(url, mode="r").attrs["s2dask"]
    late = {key: int(attrs[key]) + 60 * 86_400 * 10**9 for key in ("sensing_start_gps", "sensing_stop_gps")}
    set_attributes(url, {"s2dask": {**attrs, **late}})


WRONG_DATE = in_l0(_date)
