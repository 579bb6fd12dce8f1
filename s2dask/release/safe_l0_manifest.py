"""manifest.safe and Inventory_Metadata.xml of granules and datastrips, as real ones of Level 0 are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, cast

import numpy as np
from lxml import etree

from s2dask import __version__
from s2dask.instrument import BANDS, bands_of
from s2dask.release.safe_manifest import COSPAR, checksum
from s2dask.release.safe_xml import Element, add, number
from s2dask.release.tile_store import SITE, iso

_XFDU: Final = "urn:ccsds:schema:xfdu:1"
_SAFE: Final = "http://www.esa.int/safe/sentinel-1.0"
_NAMESPACES: Final = {"xfdu": _XFDU, "gml": "http://www.opengis.net/gml", "safe": _SAFE}
_INVENTORY: Final = "https://psd-12.sentinel2.eo.esa.int/PSD/Inventory_Metadata.xsd"
_MODES: Final = {"INS-NOBS": "Nominal_Observation", "INS-VIC": "Vicarious_Calibration"}
_TITLES: Final = {
    "IMG_DATA": "Image Data container", "QI_DATA": "Quality control container", "ANC_DATA": "Ancilliary datas",
    "AUX_DATA": "Auxilliary datas",
}
"""Of the parts of the package, spelled as in real manifests."""


@dataclass(frozen=True, slots=True)
class Product:
    """What manifest and inventory say of a product beside its files.

    Attributes
    ----------
    kind : str
        ``Granule`` or ``Datastrip``.
    name, parent, metadata : str
        Identifier, that of the datastrip (of a granule), name of the metadata file.
    unit, datatake, mode, baseline : str
        ``S2A``, datatake identifier, ``INS-NOBS``, ``05.11``.
    orbit, relative_orbit, detector : int
        Absolute orbit; the detector is 0 for a datastrip.
    created, start, stop : datetime
    footprint : (corner, 3) float64
        Latitude, longitude, height, closed.
    cloud, quality : float
        [%]
    ascending : bool
    auxiliary : tuple of str
        Names of the auxiliary files used.
    level : str
        ``L0``, ``L1A`` or ``L1B``.
    """

    kind: str
    name: str
    parent: str
    metadata: str
    unit: str
    datatake: str
    mode: str
    baseline: str
    orbit: int
    relative_orbit: int
    detector: int
    created: datetime
    start: datetime
    stop: datetime
    footprint: np.ndarray
    cloud: float
    quality: float
    ascending: bool
    auxiliary: tuple[str, ...]
    level: str = "L0"

    @property
    def title(self) -> str:
        """Level and kind as the metadata write them: ``Level-1B_Granule``."""
        return f"Level-{self.level[1:]}_{self.kind}"


def _identifiers(path: str, title: str) -> tuple[str, str, str]:
    """Return folder, identifier of the object and of its unit, as real manifests have them."""
    folder, _, name = path.rpartition("/")
    stem = Path(name).stem
    if not folder:
        return "", f"S2_{title}_Metadata", f"S2_{title}_Metadata_Unit"
    if folder == "IMG_DATA":
        band = BANDS[stem.rsplit("_", 1)[-1]]
        label = f"IMG_DATA_Band_{band.resolution}m_{bands_of(band.resolution).index(band.name) + 1}"
        return folder, f"{label}_Band", f"{label}_Unit"
    if "_MSK_" in stem:
        label = f"QUALIT_{stem.rsplit('_', 2)[-2]}"
        return folder, f"{label}_Data", f"{label}_Unit"
    label = f"ANC{stem.split('_AUX_S')[1][:5]}" if folder == "ANC_DATA" else f"QLK_L0_Band{stem.rsplit('_B', 1)[-1]}"
    return folder, f"{label}_Data", f"{label}_Unit"


def _package(root: Element, product: Product, listed: Sequence[tuple[str, str, str]]) -> None:
    unit, title = f"{{{_XFDU}}}contentUnit", product.title
    package = add(
        add(root, "informationPackageMap"), unit, dmdID="acquisitionPeriod platform", pdiID="processing",
        textInfo=f"SENTINEL-2 MSI {title} PDI", unitType=f"Product_{title.split('_')[0]}",
    )  # fmt: skip
    described = {"ID": f"S2_{title}_Metadata_Unit", "repID": f"S2_{title}_Schema"}
    metadata = add(package, unit, **described, unitType="Metadata Unit")
    add(metadata, "dataObjectPointer", dataObjectID=f"S2_{title}_Metadata")
    for folder, text in _TITLES.items():
        holder = add(package, unit, ID=folder, textInfo=text)
        for where, name, label in listed:
            if where != folder:
                continue
            if folder == "IMG_DATA":
                places = "measurementOrbitReference measurementFrameSet"
                inner = add(holder, unit, ID=label, dmdID=places, unitType="Measurement Data Unit")
            else:
                inner = add(holder, unit, ID=label, unitType="Data Unit")
            add(inner, "dataObjectPointer", dataObjectID=name)


def _object(parent: Element, name: str, category: str, classification: str) -> Element:
    outer = add(parent, "metadataObject", ID=name, category=category, classification=classification)
    return add(add(outer, "metadataWrap"), "xmlData")


def _safe(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    return add(parent, f"{{{_SAFE}}}{tag}", text, **attributes)


def _metadata(root: Element, product: Product) -> None:
    out, title = add(root, "metadataSection"), product.title
    level, kind = title.split("_")
    platform = _safe(_object(out, "platform", "DMD", "DESCRIPTION"), "platform")
    _safe(platform, "nssdcIdentifier", COSPAR.get(product.unit, "unknown"))
    _safe(platform, "familyName", "Sentinel")
    _safe(platform, "number", product.unit[1:])
    instrument = _safe(platform, "instrument")
    _safe(instrument, "familyName", "Multi-Spectral Instrument", abbreviation="MSI")
    _safe(instrument, "mode", _MODES.get(product.mode, "unknown"), identifier=product.mode)
    unknown = {"country": "unknown", "name": "unknown", "organisation": "unknown"}
    start = iso(product.created, microseconds=True)
    processing = _safe(
        _object(out, "processing", "PDI", "PROVENANCE"), "processing", name=f"Archiving of PDI {level} {kind} Product",
        start=start,
    )
    _safe(processing, "facility", **unknown, site=SITE)
    resource = _safe(processing, "resource", name="unknown", role=f"PDI {level} {kind} Product")
    made = _safe(resource, "processing", name=f"{product.level} Processing of Raw Data", start=start)
    facility = _safe(made, "facility", **unknown, site=SITE)
    _safe(facility, "resource", name=".//ANC_DATA/", role="Ancillary data")
    for name in product.auxiliary:
        _safe(facility, "resource", name=name, role="Auxiliary data")
    period = _object(out, "acquisitionPeriod", "DMD", "DESCRIPTION")
    _safe(period, "acquisitionPeriod", startTime=iso(product.start, microseconds=True))
    orbit = _safe(_object(out, "measurementOrbitReference", "DMD", "DESCRIPTION"), "orbitReference")
    # real manifests have the datatake here and no direction; the direction is known, so it is said
    direction = "ascending" if product.ascending else "descending"
    _safe(orbit, "orbitNumber", product.datatake, type="start", groundTrackDirection=direction)
    _safe(orbit, "relativeOrbitNumber", product.relative_orbit, type="start")
    add(out, "metadataObject", ID="measurementFrameSet", category="DMD", classification="DESCRIPTION")
    information = {"ID": f"S2_{title}_Information", "category": "DMD", "classification": "DESCRIPTION"}
    add(add(out, "metadataObject", **information), "dataObjectPointer", dataObjectID=f"S2_{title}_Metadata")
    for label in (f"S2_{title}", "Inventory_Metadata", "OLQC_Report"):
        schema = add(out, "metadataObject", ID=f"{label}_Schema", category="REP", classification="SYNTAX")
        stem = f"{label}_Metadata" if label.endswith(kind) else label
        add(
            schema, "metadataReference", href=f"rep_info/{stem}.xsd", locatorType="URL", mimeType="text/xml",
            vocabularyName="SDF",
        )


def manifest(product: Product, folder: Path) -> etree._Element:
    """Return manifest.safe of a folder whose data and metadata are complete.

    Notes
    -----
    Images, ancillary data, quick-looks and metadata are listed with size and SHA3-256 (upper case, as since 2022); the
    reports, which check the manifest too, and the inventory come later and are not in it, as in real products.
    """
    root = etree.Element(f"{{{_XFDU}}}XFDU", nsmap=_NAMESPACES)
    root.set("version", f"esa/safe/sentinel-1.0/sentinel-2/msi/archive_{product.level.lower()}_datastrip")
    order = {name: b.index for name, b in BANDS.items()}
    data = sorted(p for p in folder.rglob("*") if p.suffix in (".bin", ".jp2"))
    data.sort(key=lambda p: order.get(p.stem.removesuffix(f"_MSI{product.level}")[-3:], 0))
    files = [*data, folder / product.metadata]
    listed = [_identifiers(p.relative_to(folder).as_posix(), product.title) for p in files]
    _package(root, product, listed)
    _metadata(root, product)
    objects = add(root, "dataObjectSection")
    for (where, name, _), path in zip(listed, files, strict=True):
        extra = {} if where else {"repID": f"S2_{product.title}_Schema"}
        mime = {".bin": "application/octet-stream", ".xml": "text/xml"}.get(path.suffix, "image/jpeg")
        entry = add(objects, "dataObject", ID=name, **extra)
        stream = add(entry, "byteStream", mimeType=mime, size=path.stat().st_size)
        add(stream, "fileLocation", href=f"./{path.relative_to(folder).as_posix()}", locatorType="URL")
        add(stream, "checksum", checksum(path, "sha3_256").upper(), checksumName="SHA3-256")
    return root


def _utc(moment: datetime) -> str:
    return f"UTC={moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}"


def inventory(product: Product, folder: Path) -> etree._Element:
    """Return Inventory_Metadata.xml; Data_Size is the sum of all files but itself [byte]."""
    root = etree.Element(f"{{{_INVENTORY}}}Inventory_Metadata", nsmap=cast("dict[str, str]", {None: _INVENTORY}))
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and p.name != "Inventory_Metadata.xml")

    def put(tag: str, value: object, parent: Element = root) -> Element:
        return add(parent, f"{{{_INVENTORY}}}{tag}", value)

    put("File_ID", product.name)
    if product.parent:
        put("Parent_ID", product.parent)
    put("Group_ID", product.datatake)
    put("File_Name", product.name)
    put("File_Version", product.baseline)
    put("System", "S2PDGS-DPC")
    put("Source", f"{product.level}_Processor")
    put("Source_Sw_Version", ".".join("".join(c for c in part if c.isdigit()) for part in __version__.split(".")[:3]))
    put("Generation_Time", _utc(product.created))
    put("Validity_Start", _utc(product.start))
    put("Validity_Stop", _utc(product.stop))
    put("Start_Orbit_Number", f"{product.orbit:06d}")
    put("Stop_Orbit_Number", f"{product.orbit:06d}")
    place = put("Geographic_Localization", None)
    put("GEO_TYPE", "Polygon", place)
    points = put("List_Of_Geo_Pnt", None, place)
    points.set("count", str(len(product.footprint)))
    for lat, lon, *_ in product.footprint:
        point = put("Geo_Pnt", None, points)
        put("LATITUDE", number(float(lat)), point)
        put("LONGITUDE", number(float(lon)), point)
    put("Quality_Info", product.quality)
    put("Data_Size", size)
    put("File_Type", f"MSI_{product.level:_<3}_{'GR' if product.detector else 'DS'}")
    if product.detector:
        put("Detector", f"{product.detector:02d}")
    put("File_Class", "NOM")
    put("Sensor_Code", "MSI")
    put("Sensor_Mode", "VIC" if product.mode == "INS-VIC" else "NOM")
    put("Acquisition_Station", SITE)
    put("Processing_Station", SITE)
    put("Satellite_Code", product.unit)
    put("Ascending_Flag", product.ascending)
    put("CloudPercentage", product.cloud)
    return root
