"""What a SAFE's MTD_MSIL1C.xml and MTD_TL.xml say, in the terms of our own tile products."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from lxml import etree

from s2dask.errors import InputError
from s2dask.instrument import BANDS
from s2dask.io.safe_archive import SafeArchive

BAND_NAMES = tuple(BANDS)
"""Band of each bandId of the metadata."""
_FIRST_WITH_OFFSET: Final = 4.0
"""Baseline from which counts carry an offset."""
Angles = dict[tuple[str, int], np.ndarray]


@dataclass(frozen=True)
class SafeMetadata:
    """The metadata of a tile.

    Attributes
    ----------
    attrs : dict
        The keys of the root attribute ``s2dask`` of a tile store, as far as the product states them.
    rows, columns : int
        Size of the whole tile at 10 m (NROWS, NCOLS), whatever the images hold.
    sun : (angle, y, x) float64 [deg]
        Zenith and azimuth, nodes every 5 km.
    views : mapping of (band, detector) to (angle, y, x) float64 [deg]
        NaN where unseen.
    mean_views : mapping of band to (zenith, azimuth) [deg]
    images : mapping of band to str
        File names; at L2A those of each band's own resolution, where it is delivered.
    layers : mapping of (content, resolution [m]) to str
        Every image of an L2A product: ``("AOT", 20)``; empty at L1C.
    masks : tuple of str
        Files of the masks that the tile metadata name.
    """

    attrs: dict[str, Any]
    rows: int
    columns: int
    sun: np.ndarray
    views: Angles
    mean_views: dict[str, tuple[float, float]]
    images: dict[str, str]
    layers: dict[tuple[str, int], str]
    masks: tuple[str, ...]


class _Document:
    """Element look-up by local path, with errors that name the file."""

    def __init__(self, archive: SafeArchive, name: str) -> None:
        self.root = archive.xml(name)
        self.where = archive.describe(name)

    def all(self, path: str, below: etree._Element | None = None) -> list[etree._Element]:
        """Return every element at a path of local names, at any depth."""
        query = ".//" + "/".join(f"{{*}}{part}" for part in path.split("/"))
        return list((self.root if below is None else below).iterfind(query))

    def text(self, path: str, below: etree._Element | None = None) -> str:
        """Return the text of the first element at a path."""
        found = self.all(path, below)
        if not found or not (found[0].text or "").strip():
            raise InputError(f"{path} is missing", self.where, "the metadata are incomplete: fetch the product again")
        return str(found[0].text).strip()

    def number(self, path: str, below: etree._Element | None = None) -> float:
        """Return a number at a path."""
        text = self.text(path, below)
        try:
            return float(text)
        except ValueError:
            raise InputError(f"{path} is no number: {text}", self.where, "fetch the product again") from None

    def by_band(self, path: str, key: str = "bandId") -> dict[str, float]:
        """Return the numbers of elements that carry a band number."""
        return {self.band(element, key): self._float(element) for element in self.all(path)}

    def band(self, element: etree._Element, key: str = "bandId") -> str:
        """Return the name of the band whose number an element carries."""
        value = element.get(key) or ""
        if not value.isdigit() or int(value) >= len(BAND_NAMES):
            raise InputError(f"{element.tag} has {key}={value!r}", self.where, "expected 0 to 12")
        return BAND_NAMES[int(value)]

    def _float(self, element: etree._Element) -> float:
        try:
            return float(element.text or "")
        except ValueError:
            raise InputError(f"{element.tag} is no number: {element.text!r}", self.where, "fetch again") from None

    def grid(self, element: etree._Element, path: str) -> np.ndarray:
        """Return the values of an angle grid, (y, x)."""
        try:
            lines = self.all(f"{path}/Values_List/VALUES", element)
            return np.stack([np.array((line.text or "").split(), np.float64) for line in lines])
        except ValueError as error:
            raise InputError(f"angle grid {path} is broken ({error})", self.where, "fetch the product again") from error


def _angles(tile: _Document) -> tuple[np.ndarray, Angles]:
    grids = tile.all("Sun_Angles_Grid")
    if not grids:
        raise InputError("Sun_Angles_Grid is missing", tile.where, "fetch the product again")
    sun = np.stack([tile.grid(grids[0], "Zenith"), tile.grid(grids[0], "Azimuth")])
    views: Angles = {}
    for element in tile.all("Viewing_Incidence_Angles_Grids"):
        key = tile.band(element), int(element.get("detectorId") or 0)
        values = np.stack([tile.grid(element, "Zenith"), tile.grid(element, "Azimuth")])
        if values.shape != sun.shape:
            raise InputError(f"viewing grid {key} has shape {values.shape}", tile.where, "fetch the product again")
        views[key] = np.where(np.isnan(values), views[key], values) if key in views else values
    return sun, views


def _listed(product: _Document, archive: SafeArchive) -> Iterator[tuple[str, str]]:
    """Yield (name in the metadata, file) of each image that the product lists."""
    present = {name.removesuffix(".jp2"): name for name in archive.names if name.endswith(".jp2")}
    for element in product.all("Granule/IMAGE_FILE"):
        listed = (element.text or "").strip()
        if listed not in present:
            raise InputError("the image is missing", archive.describe(f"{listed}.jp2"), "fetch the product again")
        yield listed, present[listed]


def _layers(product: _Document, archive: SafeArchive) -> dict[tuple[str, int], str]:
    """Return the image file of each content and resolution of an L2A product."""
    out: dict[tuple[str, int], str] = {}
    for listed, path in _listed(product, archive):
        found = re.search(r"_([A-Z0-9]{3})_(10|20|60)m$", listed)
        if found:
            out[found[1], int(found[2])] = path
    if not out:
        raise InputError("lists no image", product.where, "give a product of 2018 or later, one tile each")
    return out


def _masks(tile: _Document, archive: SafeArchive) -> tuple[str, ...]:
    """Return the files of the masks that the tile metadata name; one that is not there is an error.

    Read as absent it would say that every pixel is good.
    """
    present = {PurePosixPath(name).name: name for name in archive.names if "/QI_DATA/" in name}
    out: list[str] = []
    for element in tile.all("Pixel_Level_QI/MASK_FILENAME"):
        listed = PurePosixPath((element.text or "").strip()).name
        if listed not in present:
            raise InputError("the mask is missing", archive.describe(f"QI_DATA/{listed}"), "fetch the product again")
        out.append(present[listed])
    return tuple(out)


def _images(product: _Document, archive: SafeArchive) -> dict[str, str]:
    """Return the image file of each band that the product lists; a listed file that is not there is an error."""
    out = {listed[-3:]: path for listed, path in _listed(product, archive) if listed[-3:] in BANDS}
    if not out:
        raise InputError("lists no band image", product.where, "give a product of 2016-12 or later, one tile each")
    return {band: out[band] for band in BAND_NAMES if band in out}


def _offset(product: _Document, name: str) -> dict[str, float]:
    """Return the offset of each band [counts]; products before baseline 04.00 have none."""
    offsets = product.by_band(name, "band_id")
    baseline = product.number("PROCESSING_BASELINE")
    if baseline >= _FIRST_WITH_OFFSET and not any(offsets.values()):
        raise InputError(
            f"baseline {baseline:05.2f} has offsets, {name} states none", product.where,
            "the metadata are wrong: fetch the product again",
        )
    return {band: offsets.get(band, 0.0) for band in BAND_NAMES}


def _datatake(product: _Document) -> dict[str, Any]:
    found = product.all("Datatake")
    identifier = (found[0].get("datatakeIdentifier") or "") if found else ""
    match = re.fullmatch(r"GS2[A-Z]_\d{8}T\d{6}_(\d{6})_N\d\d\.\d\d", identifier)
    if match is None:
        raise InputError(f"datatakeIdentifier is {identifier!r}", product.where, "fetch the product again")
    return {
        "datatake_id": identifier,
        "absolute_orbit": int(match[1]),
        "unit": "S2" + product.text("SPACECRAFT_NAME")[-1],
        "relative_orbit": int(product.number("SENSING_ORBIT_NUMBER")),
        "orbit_direction": product.text("SENSING_ORBIT_DIRECTION"),
    }


def _milliseconds(text: str) -> str:
    """Return an ISO date with three decimals of the second."""
    head, _, tail = text.removesuffix("Z").partition(".")
    return f"{head}.{(tail + '000')[:3]}Z"


def _checks(product: _Document) -> list[dict[str, str]]:
    return [
        {"id": element.get("checkType") or "", "status": (element.text or "").strip()}
        for element in product.all("quality_check")
    ]


def product_facts(archive: SafeArchive) -> dict[str, Any]:
    """Return what an L1C or L2A SAFE says of itself, without its tile metadata."""
    product = _Document(archive, archive.one("MTD_MSIL[12][AC].xml"))
    tile = re.search(r"_T(\d\d[A-Z]{3})_", archive.name)
    return {
        "level": product.text("PROCESSING_LEVEL").removeprefix("Level-"),
        **_datatake(product),
        "tile_id": tile[1] if tile else "",
        "sensing_start": _milliseconds(product.text("PRODUCT_START_TIME")),
        "baseline": product.text("PROCESSING_BASELINE"),
        "generation_time": product.text("GENERATION_TIME"),
        "cloud_percentage": product.number("Cloud_Coverage_Assessment"),
        "images": len(product.all("IMAGE_FILE")),
        "checks": _checks(product),
    }


def _coding(product: _Document, level: str) -> dict[str, Any]:
    """Return quantification and offsets, which the two levels name differently."""
    if level == "L1C":
        offsets, quantification = _offset(product, "RADIO_ADD_OFFSET"), product.number("QUANTIFICATION_VALUE")
        key = "radio_add_offset"
    else:
        offsets, quantification = _offset(product, "BOA_ADD_OFFSET"), product.number("BOA_QUANTIFICATION_VALUE")
        key = "boa_add_offset"
    if not quantification > 0:
        raise InputError(f"quantification is {quantification}", product.where, "fetch the product again")
    whole = {band: int(value) for band, value in offsets.items()}
    return {"quantification": int(quantification), key: whole[BAND_NAMES[0]], f"{key}s": whole}


def _place(tile: _Document) -> tuple[dict[str, Any], int, int]:
    """Return the facts of the grid, and its rows and columns at 10 m."""
    sizes = {e.get("resolution"): e for e in tile.all("Tile_Geocoding/Size")}
    corners = {e.get("resolution"): e for e in tile.all("Tile_Geocoding/Geoposition")}
    if "10" not in sizes or "10" not in corners:
        raise InputError("Tile_Geocoding has no 10 m grid", tile.where, "fetch the product again")
    rows, columns = (int(tile.number(name, sizes["10"])) for name in ("NROWS", "NCOLS"))
    tile_id = re.search(r"_T(\d\d[A-Z]{3})_", tile.text("TILE_ID"))
    if tile_id is None:
        raise InputError("TILE_ID names no tile", tile.where, "fetch the product again")
    sensing = _milliseconds(tile.text("General_Info/SENSING_TIME"))
    return {
        "tile_id": tile_id[1],
        "crs": tile.text("HORIZONTAL_CS_CODE"),
        "x0": int(tile.number("ULX", corners["10"])),
        "y0": int(tile.number("ULY", corners["10"])),
        "width": 10 * columns,
        "height": 10 * rows,
        "sensing_start": sensing,
        "sensing_stop": sensing,
    }, rows, columns


def read_metadata(archive: SafeArchive, level: str = "L1C") -> SafeMetadata:
    """Read the product and tile metadata of an L1C or L2A SAFE."""
    product = _Document(archive, archive.one(f"MTD_MSI{level}.xml"))
    tile = _Document(archive, archive.one("GRANULE/*/MTD_TL.xml"))
    sun, views = _angles(tile)
    place, rows, columns = _place(tile)
    layers = _layers(product, archive) if level == "L2A" else {}
    if layers:
        images = {name: layers[name, b.resolution] for name, b in BANDS.items() if (name, b.resolution) in layers}
    else:
        images = _images(product, archive)
    coding = _coding(product, level)
    offsets = next(key for key in coding if key.endswith("offsets"))
    bands = [name for name in BAND_NAMES if name in images or any(name == content for content, _ in layers)]
    attrs: dict[str, Any] = {
        "level": level,
        **_datatake(product),
        **place,
        "baseline": product.text("PROCESSING_BASELINE"),
        "detectors": sorted({detector for _, detector in views}),
        "bands": bands,
        **coding,
        offsets: {name: coding[offsets][name] for name in bands},
        "reflectance_conversion": product.number("Reflectance_Conversion/U"),
        "solar_irradiance": product.by_band("SOLAR_IRRADIANCE"),
        "physical_gains": product.by_band("PHYSICAL_GAINS"),
        "solar_zenith": tile.number("Mean_Sun_Angle/ZENITH_ANGLE"),
        "solar_azimuth": tile.number("Mean_Sun_Angle/AZIMUTH_ANGLE"),
        "cloud_percentage": product.number("Cloud_Coverage_Assessment"),
        "checks": _checks(product),
        "record": {},
        "name": archive.name.removesuffix(".SAFE"),
        "generation_time": product.text("GENERATION_TIME"),
    }
    means = {
        tile.band(e): (tile.number("ZENITH_ANGLE", e), tile.number("AZIMUTH_ANGLE", e))
        for e in tile.all("Mean_Viewing_Incidence_Angle")
    }
    return SafeMetadata(attrs, rows, columns, sun, views, means, images, layers, _masks(tile, archive))
