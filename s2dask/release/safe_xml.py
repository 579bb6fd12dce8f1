"""Building blocks of the metadata files of a SAFE: elements, documents, the sections that several files share."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from lxml import etree

from s2dask.instrument import BANDS
from s2dask.release.name_form import parse_compact_time
from s2dask.release.tile_store import TileStore, iso

PSD: Final = "https://psd-14.sentinel2.eo.esa.int/PSD"
"""Base of the namespaces of the metadata files (PSD 14)."""
_XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_L2A_AUXILIARY: Final = (
    "SNOW_CLIMATOLOGY_MAP",
    "ESACCI_WaterBodies_Map",
    "ESACCI_LandCover_Map",
    "ESACCI_SnowCondition_Map_Dir",
)
Element = etree._Element


def document(namespace: str, name: str) -> Element:
    """Return the root of a metadata file: ``n1:<name>`` in a namespace of the PSD."""
    root = etree.Element(f"{{{namespace}}}{name}", nsmap={"n1": namespace, "xsi": _XSI})
    root.set(f"{{{_XSI}}}schemaLocation", f"{namespace} {namespace}")
    return root


def section(root: Element, name: str, **attributes: str) -> Element:
    """Append a first-level element, which has the namespace of the root."""
    return etree.SubElement(root, f"{{{etree.QName(root).namespace}}}{name}", attributes)


def add(parent: Element, name: str, value: object = None, /, **attributes: object) -> Element:
    """Append an element with a text and attributes; numbers are written in full."""
    element = etree.SubElement(parent, name, {key: str(text) for key, text in attributes.items()})
    if value is not None:
        element.text = value if isinstance(value, str) else number(value)
    return element


def number(value: Any) -> str:
    """Return a number as the metadata have it: integers bare, others with the digits that they need."""
    if isinstance(value, (bool, np.bool_)):
        return "true" if value else "false"
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    return "NaN" if np.isnan(value) else repr(float(value))


def write_document(root: Element, path: Path) -> None:
    """Write a metadata file, UTF-8, indented."""
    etree.indent(root, "  ")
    path.write_bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=False))


def add_datatake(parent: Element, store: TileStore, **attributes: str) -> Element:
    """Append what the product and the datastrip say about the datatake."""
    a = store.attrs
    tag = "Datatake_Info" if attributes else "Datatake"
    out = add(parent, tag, datatakeIdentifier=a["datatake_id"], **attributes)
    add(out, "SPACECRAFT_NAME", f"Sentinel-{str(a['unit'])[1:]}")
    add(out, "DATATAKE_TYPE", "INS-NOBS")
    add(out, "DATATAKE_SENSING_START", datatake_start(store))
    add(out, "SENSING_ORBIT_NUMBER", int(a["relative_orbit"]))
    add(out, "SENSING_ORBIT_DIRECTION", a["orbit_direction"])
    return out


def datatake_start(store: TileStore) -> str:
    """Return the start of the datatake, ISO, to the millisecond where it is known."""
    stated = store.attrs.get("datatake_start")
    return str(stated) if stated else iso(parse_compact_time(str(store.attrs["datatake_id"])[5:20]))


def add_by_band(parent: Element, name: str, values: Mapping[str, Any], key: str = "bandId", **attributes: str) -> None:
    """Append an element per band, in the mission's order, its number in attribute `key`."""
    for band_name, b in BANDS.items():
        if band_name in values:
            add(parent, name, values[band_name], **{key: b.index}, **attributes)


def add_reflectance_conversion(parent: Element, store: TileStore) -> None:
    """Append the factor of the Sun's distance and the solar irradiance of each band."""
    conversion = add(parent, "Reflectance_Conversion")
    add(conversion, "U", float(store.attrs["reflectance_conversion"]))
    irradiance = add(conversion, "Solar_Irradiance_List")
    add_by_band(irradiance, "SOLAR_IRRADIANCE", store.attrs["solar_irradiance"], unit="W/m²/µm")


def add_display_order(parent: Element) -> None:
    """Append which bands are red, green and blue."""
    order = add(parent, "Image_Display_Order")
    for name, index in (("RED_CHANNEL", 3), ("GREEN_CHANNEL", 2), ("BLUE_CHANNEL", 1)):
        add(order, name, index)


def add_gipps(parent: Element, store: TileStore) -> None:
    """Append the GIPPs that the tile's attributes list (key ``gipps``)."""
    gipps = add(parent, "GIPP_List")
    for name in sorted(store.attrs.get("gipps") or ()):
        add(gipps, "GIPP_FILENAME", name, type=str(name)[9:19], version="0000")


def add_references(parent: Element, store: TileStore) -> None:
    """Append the DEM, IERS bulletin and meteorology used (keys ``dem``, ``iers_bulletin``, ``ecmwf``)."""
    a = store.attrs
    add(parent, "PRODUCTION_DEM_TYPE", str(a.get("dem") or "None"))
    add(parent, "IERS_BULLETIN_FILENAME", str(a.get("iers_bulletin") or "None"))
    add(parent, "GRI_List")
    if a.get("ecmwf"):
        add(parent, "ECMWF_DATA_REF", str(a["ecmwf"]))


def add_coding(parent: Element, store: TileStore) -> None:
    """Append quantification and offsets, which the two levels name differently."""
    quantification = int(store.attrs["quantification"])
    if store.level == "L1C":
        add(parent, "QUANTIFICATION_VALUE", quantification, unit="none")
        offsets = add(parent, "Radiometric_Offset_List")
        values = dict.fromkeys(BANDS, int(store.attrs["radio_add_offset"]))
        add_by_band(offsets, "RADIO_ADD_OFFSET", values, "band_id")
        return
    listed = add(parent, "QUANTIFICATION_VALUES_LIST")
    add(listed, "BOA_QUANTIFICATION_VALUE", quantification, unit="none")
    add(listed, "AOT_QUANTIFICATION_VALUE", 1000.0, unit="none")
    add(listed, "WVP_QUANTIFICATION_VALUE", 1000.0, unit="cm")
    offsets = add(parent, "BOA_ADD_OFFSET_VALUES_LIST")
    add_by_band(offsets, "BOA_ADD_OFFSET", dict.fromkeys(BANDS, int(store.attrs["boa_add_offset"])), "band_id")


def add_surface_references(parent: Element, store: TileStore) -> None:
    """Append what L2A alone uses: the table of the atmosphere (key ``lut``) and static maps: there are none."""
    add(add(parent, "LUT_List"), "LUT_FILENAME", str(store.attrs.get("lut") or "None"))
    for name in _L2A_AUXILIARY:
        add(parent, name, "None")


def _values(parent: Element, name: str, grid: np.ndarray) -> None:
    out = add(parent, name)
    add(out, "COL_STEP", 5000, unit="m")
    add(out, "ROW_STEP", 5000, unit="m")
    lines = add(out, "Values_List")
    for row in grid:
        add(lines, "VALUES", " ".join("NaN" if np.isnan(v) else f"{v:.6g}" for v in row))


def add_angle_grid(parent: Element, grid: np.ndarray) -> None:
    """Append zenith and azimuth grids, (angle, y, x) [deg], six significant digits as in real products."""
    _values(parent, "Zenith", grid[0])
    _values(parent, "Azimuth", grid[1])


def add_mean_angle(parent: Element, angles: Iterable[float]) -> None:
    """Append a zenith and an azimuth [deg]."""
    zenith, azimuth = angles
    add(parent, "ZENITH_ANGLE", float(zenith), unit="deg")
    add(parent, "AZIMUTH_ANGLE", float(azimuth), unit="deg")
