"""manifest.safe: every file of a SAFE with its size and checksum, and what the product is."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final

from lxml import etree

from s2dask.instrument import BANDS, bands_of
from s2dask.release.safe_product_xml import footprint
from s2dask.release.safe_xml import Element, add, datatake_start
from s2dask.release.tile_store import TileStore, iso

_XFDU: Final = "urn:ccsds:schema:xfdu:1"
_SAFE: Final = "http://www.esa.int/safe/sentinel/1.1"
_GML: Final = "http://www.opengis.net/gml"
COSPAR: Final = {"S2A": "2015-028A", "S2B": "2017-013A", "S2C": "2024-157A"}
_MASK_NAMES: Final = {
    "QUALIT": "QualityMask",
    "DETFOO": "DetectorFootprintMask",
    "CLASSI": "ClassificationMask",
    "CLDPRB": "CloudProbabilityMask",
    "SNWPRB": "SnowProbabilityMask",
}
_BLOCK: Final = 1 << 20


def checksum(path: Path, algorithm: str) -> str:
    """Return the hexadecimal digest of a file."""
    digest = hashlib.new(algorithm)
    with path.open("rb") as source:
        while block := source.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _band_label(name: str) -> str:
    resolution = BANDS[name].resolution
    return f"Band_{resolution}m_{bands_of(resolution).index(name) + 1}"


def object_id(path: str, level: str) -> str:
    """Return the identifier of a file in the manifest, as real products name it."""
    name = Path(path).stem
    if name.startswith("MTD_MSI"):
        return f"S2_Level-{level[1:]}_Product_Metadata"
    if name == "INSPIRE":
        return "INSPIRE_Metadata"
    if name == "MTD_TL":
        return f"S2_Level-{level[1:]}_Tile1_Metadata"
    if name == "MTD_DS":
        return f"S2_Level-{level[1:]}_Datastrip1_Metadata"
    parts = name.split("_")
    if path.endswith(".xml") and "/QI_DATA/" in path:
        what = "Datastrip1" if path.startswith("DATASTRIP/") else "Tile1"
        return f"{parts[0].title()}_OLQC_Report_{what}_InformationData"
    if parts[0] == "MSK":
        mask = _MASK_NAMES.get(parts[1], parts[1])
        detail = _band_label(parts[2]) if parts[2] in BANDS else parts[2]
        return f"{mask}_{detail}_Tile1_Data"
    if parts[-1] == "PVI":
        return "Preview_0_Tile1_Data"
    if name.startswith("AUX_ECMWFT"):
        return "ECMWF_Tile1_Data"
    if "/IMG_DATA/" in path:
        content, *size = parts[2:]
        label = _band_label(content) if content in BANDS and not size else "_".join(["Band", content, *size])
        return f"IMG_DATA_{label}_Tile1_Data"
    return name.replace("-", "_")


def _object(parent: Element, name: str, category: str, classification: str = "DESCRIPTION") -> Element:
    outer = add(parent, "metadataObject", ID=name, classification=classification, category=category)
    wrap = add(outer, "metadataWrap", textInfo=name, vocabularyName="Sentinel-SAFE", mimeType="text/xml")
    return add(wrap, "xmlData")


def _metadata(root: Element, store: TileStore) -> None:
    def safe(parent: Element, tag: str, text: str | None = None, /, **attributes: str) -> Element:
        return add(parent, f"{{{_SAFE}}}{tag}", text, **attributes)

    a, level = store.attrs, store.level[1:]
    out = add(root, "metadataSection")
    period = safe(_object(out, "acquisitionPeriod", "DMD"), "acquisitionPeriod")
    safe(period, "startTime", datatake_start(store))
    orbit = safe(_object(out, "measurementOrbitReference", "DMD"), "orbitReference")
    direction = str(a["orbit_direction"]).lower()
    safe(orbit, "orbitNumber", f"{int(a['absolute_orbit']):06d}", type="start", groundTrackDirection=direction)
    safe(orbit, "relativeOrbitNumber", str(int(a["relative_orbit"])), type="start")
    platform = safe(_object(out, "platform", "DMD"), "platform")
    if a["unit"] in COSPAR:
        safe(platform, "nssdcIdentifier", COSPAR[str(a["unit"])])
    safe(platform, "familyName", "SENTINEL")
    safe(platform, "number", str(a["unit"])[1:])
    safe(safe(platform, "instrument"), "familyName", "Multi-Spectral Instrument", abbreviation="MSI")
    safe(
        _object(out, "processing", "PDI", "PROVENANCE"),
        "processing",
        name=f"Generation of Level-{level} User Product",
        start=iso(store.names.tile.created, microseconds=True),
    )
    frame = safe(_object(out, "measurementFrameSet", "DMD"), "frameSet")
    outline = safe(frame, "footPrint", srsName="http://www.opengis.net/gml/srs/epsg.xml#4326")
    ring = " ".join(f"{latitude:.12g} {longitude:.12g}" for longitude, latitude in footprint(store.grid))
    add(outline, f"{{{_GML}}}coordinates", ring)


def manifest(store: TileStore, folder: Path) -> etree._Element:
    """Return manifest.safe of a complete SAFE folder.

    Parameters
    ----------
    store : TileStore
    folder : Path
        The SAFE folder; every file below it, but for the manifest itself, is listed with its size and SHA3-256.
    """
    level = store.level[1:]
    root = etree.Element(f"{{{_XFDU}}}XFDU", nsmap={"xfdu": _XFDU, "safe": _SAFE, "gml": _GML})
    root.set("version", f"esa/safe/sentinel/1.1/sentinel-2/msi/archive_l{level.lower()}_user_product")
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "manifest.safe")
    listed = {object_id(p.relative_to(folder).as_posix(), store.level): p for p in files}
    package = add(
        add(root, "informationPackageMap"),
        f"{{{_XFDU}}}contentUnit",
        unitType=f"Product_Level-{level}",
        textInfo=f"SENTINEL-2 MSI Level-{level} User Product",
        pdiID="processing",
        dmdID="acquisitionPeriod platform",
    )
    for name in listed:
        kind = "Metadata Unit" if name.endswith("Metadata") else "Measurement Data Unit"
        unit = add(package, f"{{{_XFDU}}}contentUnit", ID=f"{name}_Unit", unitType=kind)
        add(unit, "dataObjectPointer", dataObjectID=name)
    _metadata(root, store)
    objects = add(root, "dataObjectSection")
    for name, path in listed.items():
        mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        stream = add(add(objects, "dataObject", ID=name), "byteStream", mimeType=mime, size=path.stat().st_size)
        add(stream, "fileLocation", locatorType="URL", href=f"./{path.relative_to(folder).as_posix()}")
        add(stream, "checksum", checksum(path, "sha3_256"), checksumName="SHA3-256")
    return root
