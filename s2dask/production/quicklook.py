"""The quick-look of a datastrip: cells of 320 m in ground geometry, their clouds and a picture, without decoding."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from s2dask.auxdata.gipp_radiometry import read_r2abca
from s2dask.auxdata.time import gps_to_utc
from s2dask.errors import InputMissing
from s2dask.geometry.angles import sun_angles
from s2dask.instrument import band
from s2dask.instrument.solar import reflectance_conversion
from s2dask.instrument.telemetry import ISP_HEAD_BYTES
from s2dask.io.schema import packet_path
from s2dask.io.storage import open_array
from s2dask.io.template import set_attributes
from s2dask.l0.codec import codec
from s2dask.l0.quicklook import (
    CIRRUS,
    NO_DATA,
    OPAQUE,
    QUICKLOOK_BANDS,
    average_lines,
    average_packed,
    cloud_mask,
    cloud_percentage,
    dark_level,
    sample,
)
from s2dask.production.initial_location import QUICKLOOK_METRES, locate, reference_band
from s2dask.production.setting import Setting, open_setting
from s2dask.production.strip import StripFacts, strip_facts

_METRES_PER_DEGREE: Final = 111_195.0
_BRIGHTEST: Final = 0.45
"""Reflectance that the picture shows as white."""
_COUNTS, _HIGHEST = 1e4, (1 << 15) - 1
"""Of the images of the quick-look for a reflectance of 1, and the highest, for images of 15 bits."""
_CLOUD_EDGE: Final = {OPAQUE: (255, 90, 90), CIRRUS: (90, 200, 255)}


@dataclass(frozen=True, eq=False)
class Quicklook:
    """A datastrip in cells of 320 m, in the geometry of its reference band.

    Attributes
    ----------
    facts : StripFacts
    setting : Setting
    lon, lat, height : (detector, line, column) float64
        Middle of each cell [degree, degree, m].
    bands : mapping of str to (detector, line, column) float32
        Top-of-atmosphere reflectance; NaN where there is none.
    sight : mapping of str to (2, detector, line, column) float64
        Line and column of each band's L1B image at which a cell is seen.
    location : dict
        As `s2dask.production.initial_location.locate`, with the ``cloud`` percentage of each granule.
    """

    facts: StripFacts
    setting: Setting
    lon: np.ndarray
    lat: np.ndarray
    height: np.ndarray
    bands: dict[str, np.ndarray]
    sight: dict[str, np.ndarray]
    location: dict[str, Any]

    @cached_property
    def mask(self) -> np.ndarray:
        """Preliminary cloud mask, (detector, line, column) uint8: 0 clear, 1 opaque, 2 cirrus, 255 no data."""
        return cloud_mask(self.bands)

    @property
    def lines_per_scene(self) -> int:
        """Lines of a granule."""
        return int(self.lon.shape[1]) // self.facts.scenes

    def granule(self, rank: int, scene: int) -> np.ndarray:
        """Return the cloud mask of a granule: `rank` of its detector, and scene."""
        return np.asarray(self.mask[rank, scene * self.lines_per_scene : (scene + 1) * self.lines_per_scene])


def coarse_cells(l0: str, detector: int, name: str, scene: int) -> np.ndarray:
    """Return the cells of 8 x 8 pixels of a granule and band, (line / 8, raw_column / 8) float32 [LSB].

    A codec that has ``decode_coarse(packets, status)``, which returns cells and bad rows, gives them without decoding
    the rest; uncompressed packets are averaged as they lie; any other codec decodes.
    """
    b, where = band(name), packet_path(detector, name)
    part = slice(scene * b.packets_per_scene, (scene + 1) * b.packets_per_scene)
    packets, status = (np.asarray(open_array(l0, f"{where}/{key}")[part]) for key in ("packets", "status"))
    used = strip_facts(l0).codec
    if used == "raw12":
        return average_packed(packets, status, ISP_HEAD_BYTES, b.raw_columns)
    decoder: Any = codec(used)
    if hasattr(decoder, "decode_coarse"):
        cells, bad = decoder.decode_coarse(packets, status)
        return np.where(bad[:, None], np.float32(np.nan), cells.astype(np.float32))
    return average_lines(*decoder.decode(packets, status))


def _reflectance(l0: str, setting: Setting, detector: int, name: str, cosine: np.ndarray) -> np.ndarray:
    """Return the cells of a strip as reflectance of each scene's sun, (line / 8, raw_column / 8)."""
    facts = strip_facts(l0)
    calibration = read_r2abca(setting.gipps.path("R2ABCA"), setting.gipps.unit)
    irradiance = calibration.solar_irradiance[name] * reflectance_conversion(
        gps_to_utc(int(facts.attrs["sensing_start_gps"]))
    )
    scenes = []
    for scene in range(facts.scenes):
        cells = coarse_cells(l0, detector, name, scene)
        scale = np.pi / (calibration.gains[name] * irradiance * cosine[scene])
        scenes.append((cells - np.float32(dark_level(cells))) * np.float32(scale))
    return np.concatenate(scenes)


def _detector(
    l0: str, setting: Setting, facts: StripFacts, detector: int, names: list[str]
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return place, reflectance and sight of the cells of a detector."""
    reference = band(reference_band(facts))
    step = QUICKLOOK_METRES / reference.resolution
    lines = np.arange(round(facts.scenes * reference.lines_per_scene / step)) * step + 0.5 * (step - 1)
    columns = np.arange(-(-reference.columns // step)) * step + 0.5 * (step - 1)
    line, column = np.meshgrid(lines, np.minimum(columns, reference.columns - 1), indexing="ij")
    place = np.stack(setting.model.direct(reference.name, detector, line, column, setting.terrain))
    per, middle = line.shape[0] // facts.scenes, line.shape[1] // 2
    cosine = np.array([
        np.cos(np.radians(_sun(setting, reference.name, detector, lines[row], place[:2, row, middle])))
        for row in range(per // 2, line.shape[0], per)
    ])  # fmt: skip
    shown, sight = {}, {}
    for name in names:
        if name == reference.name:
            sight[name] = np.stack([line, column])
        else:
            sight[name] = np.stack(setting.model.inverse(name, detector, *place))
        cells = _reflectance(l0, setting, detector, name, cosine)
        shown[name] = sample(cells, sight[name][0], sight[name][1], band(name), QUICKLOOK_METRES)
    return place, shown, sight


def _sun(setting: Setting, name: str, detector: int, line: float, place: np.ndarray) -> float:
    gps = int(setting.model.date(name, detector, [line])[0])
    return float(sun_angles(gps, place[:1], place[1:])[0][0])


def extract(l0: str, aux: str | None = None) -> Quicklook:
    """Extract and locate the quick-look of an L0 store (steps INIT_LOC_L0, QL_GEO, QL_CLOUD_MASK).

    Parameters
    ----------
    l0 : str
    aux : str, optional
        Folder of auxiliary files; default: the one named in the store.
    """
    facts, setting = strip_facts(l0), open_setting(l0, aux)
    names: list[str] = [name for name in QUICKLOOK_BANDS if name in facts.bands]
    if not names:
        raise InputMissing("no band of the quick-look", l0, f"it is made of {', '.join(QUICKLOOK_BANDS)}")
    parts = [_detector(l0, setting, facts, d, names) for d in facts.detectors]
    lon, lat, height = np.stack([place for place, _, _ in parts], 1)
    bands = {name: np.stack([shown[name] for _, shown, _ in parts]) for name in names}
    sight = {name: np.stack([seen[name] for _, _, seen in parts], 1) for name in names}
    found = locate(setting, facts, aux or str(facts.attrs["aux"]))
    out = Quicklook(facts, setting, lon, lat, height, bands, sight, found)
    for entry in found["granules"]:
        rank = facts.detectors.index(entry["detector"])
        entry["cloud"] = round(cloud_percentage(out.granule(rank, entry["scene"])), 6)
    return out


def quicklook(l0: str, aux: str | None = None, out_png: str | Path | None = None) -> Quicklook:
    """Locate a datastrip and judge its clouds, keep that in the store, and write the picture.

    Parameters
    ----------
    l0 : str
        L0 store; what is found goes to its root attribute ``location``, which the SAFE is made with.
    aux : str, optional
        Folder of auxiliary files; default: the one named in the store.
    out_png : str or Path, optional
        Picture of all detectors in ground geometry.
    """
    made = extract(l0, aux)
    set_attributes(l0, {"s2dask": made.facts.attrs | {"location": made.location}})
    strip_facts.cache_clear()
    if out_png is not None:
        Image.fromarray(picture(made)).save(out_png, format="PNG")
    return made


def _places(made: Quicklook) -> np.ndarray:
    """Return where each detector begins among the others, (detector, 2): line and column [cell], from 0 on."""
    middle = tuple(size // 2 for size in made.lon.shape[1:])
    lat0, lon0 = made.lat[(0, *middle)], made.lon[(0, *middle)]
    north = (made.lat - lat0) * _METRES_PER_DEGREE
    east = (made.lon - lon0) * _METRES_PER_DEGREE * np.cos(np.radians(lat0))
    down = np.array([plane[0, -1, middle[1]] - plane[0, 0, middle[1]] for plane in (east, north)])
    down /= np.hypot(*down)
    right = np.array([-down[1], down[0]])  # of the flight, seen from above: columns count from east to west
    if right @ [plane[0, middle[0], -1] - plane[0, middle[0], 0] for plane in (east, north)] < 0:
        right = -right
    at = np.stack([east[(slice(None), *middle)], north[(slice(None), *middle)]])
    places = np.round(np.stack([down @ at, right @ at], -1) / QUICKLOOK_METRES).astype(np.int64)
    return np.asarray(places - places.min(0))


def mosaic(made: Quicklook) -> dict[str, np.ndarray]:
    """Return the images of a quick-look by band, (line, column) uint16: all detectors side by side as they fly.

    Reflectance times 10,000, at least 1; 0 is where there is none. Neighbours share their overlap.
    """
    places, (_, lines, columns) = _places(made), made.lon.shape
    shape = tuple(int(v) for v in places.max(0) + np.array([lines, columns]))
    out = {name: np.zeros(shape, np.uint16) for name in made.bands}
    end = 0
    for rank in np.argsort(places[:, 1], kind="stable"):
        row, column = (int(v) for v in places[rank])
        skip = max(0, end - column) // 2
        end = column + columns
        for name, image in out.items():
            cells = made.bands[name][rank, :, skip:]
            values = np.clip(np.round(np.nan_to_num(cells) * _COUNTS), 1.0, _HIGHEST)
            image[row : row + lines, column + skip : end] = np.where(np.isfinite(cells), values, 0.0)
    return out


def _grid(made: Quicklook) -> tuple[np.ndarray, np.ndarray]:
    """Return longitudes and latitudes of the picture's columns and rows, 320 m apart."""
    south, north = np.nanmin(made.lat), np.nanmax(made.lat)
    step = QUICKLOOK_METRES / _METRES_PER_DEGREE
    step_lon = step / np.cos(np.radians(0.5 * (south + north)))
    lon = np.arange(np.nanmin(made.lon), np.nanmax(made.lon) + step_lon, step_lon)
    return lon, np.arange(north, south - step, -step)


def resampled(made: Quicklook) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which cell the places of a grid of 320 m in longitude and latitude show.

    Returns
    -------
    index : (row, column) int64
        In the flat cells, -1 where no detector looks. Where two do, the one that has it nearer to the middle of its
        image is shown.
    lon, lat : (column), (row) float64
    """
    lon, lat = _grid(made)
    x, y = np.meshgrid(lon, lat)
    height = np.nan_to_num(made.setting.terrain.height(x, y))
    name = reference_band(made.facts)
    step, shape = QUICKLOOK_METRES / band(name).resolution, made.lon.shape
    index = np.full(height.shape, -1, np.int64)
    nearest = np.full(height.shape, np.inf)
    for rank, detector in enumerate(made.facts.detectors):
        line, column = made.setting.model.inverse(name, detector, x, y, height)
        inside = (line > -0.5) & (line < step * shape[1] - 0.5) & (np.abs(column + 0.5) < band(name).columns)
        away = np.where(inside, np.abs(column - 0.5 * band(name).columns), np.inf)
        closer = away < nearest
        row, cell = ((np.nan_to_num(v) + 0.5) // step for v in (line, column))
        flat = (rank * shape[1] + row) * shape[2] + np.clip(cell, 0, shape[2] - 1)
        index[closer], nearest[closer] = flat[closer].astype(np.int64), away[closer]
    return index, lon, lat


def _stretched(made: Quicklook) -> np.ndarray:
    """Return the colours of the cells, (3, cell) uint8: red, green, blue, or one band in grey."""
    colours: list[str] = [name for name in ("B04", "B03", "B02") if name in made.bands]
    used = colours if len(colours) == 3 else (colours or list(made.bands))[:1] * 3
    values = np.stack([made.bands[name].ravel() for name in used])
    bright = np.clip(values / _BRIGHTEST, 0.0, 1.0) ** (1 / 1.8)
    # the bands do not begin together: the ends of the strip, which lack a colour, stay black
    return np.where(np.isfinite(values).all(0), np.maximum(bright * 255.0, 1.0), 0.0).astype(np.uint8)


def picture(made: Quicklook) -> np.ndarray:
    """Return the picture of a quick-look, (row, column, 3) uint8, north up.

    Black is where not all colours were seen; opaque clouds are outlined in red, cirrus in blue.
    """
    index, _, _ = resampled(made)
    shown = np.moveaxis(_stretched(made)[:, index], 0, -1)
    shown[index < 0] = 0
    mask = np.where((index < 0) | ~shown.any(-1), NO_DATA, made.mask.ravel()[index])
    for kind, colour in _CLOUD_EDGE.items():
        here = mask == kind
        inner = here.copy()
        for axis, shift in ((0, 1), (0, -1), (1, 1), (1, -1)):
            inner &= np.roll(here, shift, axis)
        shown[here & ~inner] = colour
    rows, columns = (np.flatnonzero(shown.any((axis, 2))) for axis in (1, 0))
    return shown[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if rows.size else shown
