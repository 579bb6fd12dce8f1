"""The SAFE of housekeeping telemetry (PRD_HKTM): the transfer frames of a session as they came, and their annotations.

Manifest, names and the two files are those of the real product at hand (S2A, 2019): no inventory, MD5, data in one file
of 1912 bytes per frame and one of 18 bytes per frame.
"""

import shutil
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
from lxml import etree
from numpy.typing import NDArray

from s2dask import __version__
from s2dask.errors import InputMissing
from s2dask.instrument.telemetry import HKTM_ANNOTATION_BYTES
from s2dask.release.names import HousekeepingName
from s2dask.release.safe_manifest import COSPAR, checksum
from s2dask.release.safe_xml import Element, add
from s2dask.release.tile_store import SITE, iso

_XFDU: Final = "urn:ccsds:schema:xfdu:1"
_SAFE: Final = "http://www.esa.int/safe/sentinel-1.0"
_S2: Final = f"{_SAFE}/sentinel-2"
_HKTM: Final = f"{_S2}/hktm"
_SCHEMAS: Final = {"measurementSchema": "s2-level-0.xsd", "measurementAnnotationSchema": "s2-level-0-annot.xsd"}
BIT_RATE: Final = 280
"""Of a channel of the link, as the real product has it [Mbit/s]."""
_CYCLE: Final = 143
"""Orbits."""


@dataclass(frozen=True, slots=True, eq=False)
class Housekeeping:
    """The housekeeping telemetry of a session.

    Attributes
    ----------
    unit, session : str
    orbit, relative_orbit : int
        Of the downlink.
    created, start, stop : datetime
        The first and the last frame began to be received from start to stop.
    frames : (frame, 1912) uint8
        Transfer frames, without marker and check symbols.
    notes : (frame * 18) uint8
        Their annotations.
    gaps : tuple of (int, int)
        After how many frames some are missing, and how many.
    corrected : (int, int)
        Frames that had errors, and symbols put right.
    """

    unit: str
    session: str
    orbit: int
    relative_orbit: int
    created: datetime
    start: datetime
    stop: datetime
    frames: NDArray[np.uint8] = field(repr=False)
    notes: NDArray[np.uint8] = field(repr=False)
    gaps: tuple[tuple[int, int], ...]
    corrected: tuple[int, int]

    @property
    def name(self) -> HousekeepingName:
        """Name of the product."""
        return HousekeepingName(self.unit, self.start, self.stop)


def write_hktm(product: Housekeeping, folder: Path, schemas: str | Path | None = None) -> Path:
    """Write the SAFE folder of housekeeping telemetry into a folder and return it.

    Parameters
    ----------
    product : Housekeeping
    folder : Path
    schemas : str or Path, optional
        Folder with the XSD files of the mission, which go into ``rep-info``; without it that stays empty.
    """
    if product.notes.size != HKTM_ANNOTATION_BYTES * len(product.frames):
        raise ValueError(f"{product.notes.size} bytes annotate {len(product.frames)} frames")
    safe = folder / f"{product.name}.SAFE"
    (safe / "rep-info").mkdir(parents=True)
    if schemas is not None:
        for name in _SCHEMAS.values():
            source = Path(schemas) / name
            if not source.is_file():
                raise InputMissing("a schema is missing", str(source), "give the folder of the mission's XSD files")
            shutil.copyfile(source, safe / "rep-info" / name)
    product.frames.tofile(safe / product.name.measurement)
    product.notes.tofile(safe / product.name.annotation)
    root = _manifest(product, safe)
    etree.ElementTree(root).write(safe / "manifest.safe", xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return safe


def _safe(parent: Element, tag: str, text: object = None, /, **attributes: object) -> Element:
    return add(parent, f"{{{_SAFE}}}{tag}", text, **attributes)


def _object(parent: Element, name: str, title: str, category: str = "DMD", of: str = "DESCRIPTION") -> Element:
    outer = add(parent, "metadataObject", ID=name, classification=of, category=category)
    return add(add(outer, "metadataWrap", mimeType="text/xml", vocabularyName="SAFE", textInfo=title), "xmlData")


def _package(root: Element) -> None:
    unit = f"{{{_XFDU}}}contentUnit"
    package = add(
        add(root, "informationPackageMap"), unit, unitType="SAFE Archive Information Package",
        textInfo="Sentinel-2 HKTM Level 0 Package", dmdID="acquisitionPeriod platform", pdiID="processing",
    )  # fmt: skip
    measured = add(
        package, unit, unitType="Measurement Data Unit", repID="measurementSchema",
        dmdID="measurementOrbitReference measurementQualityInformation measurementAnnotation",
    )
    add(measured, "dataObjectPointer", dataObjectID="measurementData")
    noted = add(
        package, unit, unitType="Metadata Unit", textInfo="Annotation for Measurement Data",
        repID="measurementAnnotationSchema",
    )
    add(noted, "dataObjectPointer", dataObjectID="measurementAnnotData")


def _described(out: Element, product: Housekeeping) -> None:
    period = _safe(_object(out, "acquisitionPeriod", "Acquisition Period"), "acquisitionPeriod")
    _safe(period, "startTime", iso(product.start, microseconds=True))
    _safe(period, "stopTime", iso(product.stop, microseconds=True))
    platform = _safe(_object(out, "platform", "Platform Description"), "platform")
    _safe(platform, "nssdcIdentifier", COSPAR.get(product.unit, "unknown"))
    _safe(platform, "familyName", "SENTINEL-2")
    _safe(platform, "number", product.unit[2:])
    general = _object(out, "generalProductInformation", "General product information")
    alone = add(general, f"{{{_HKTM}}}standAloneProductInformation")
    add(alone, f"{{{_HKTM}}}content", "X-Band Recorded HKTM transfer frames")
    add(alone, f"{{{_HKTM}}}contentType", "Transfer Frames")
    add(alone, f"{{{_HKTM}}}byteOrder", "LITTLE_ENDIAN", dataObjectID="measurementData")
    add(alone, f"{{{_HKTM}}}averageBitRate", BIT_RATE, dataObjectID="measurementData")
    orbit = _safe(_object(out, "measurementOrbitReference", "Orbit Reference"), "orbitReference")
    for tag, number in (("orbitNumber", product.orbit), ("relativeOrbitNumber", product.relative_orbit)):
        for kind in ("start", "stop"):
            _safe(orbit, tag, number, type=kind)
    _safe(orbit, "cycleNumber", product.orbit // _CYCLE)


def _processed(out: Element, product: Housekeeping) -> None:
    times = dict.fromkeys(("start", "stop"), iso(product.created, microseconds=True))
    where = {"country": "unknown", "name": "unknown", "organisation": "unknown", "site": SITE}
    made = _safe(
        _object(out, "processing", "Processing", "PDI", "PROVENANCE"), "processing",
        name="Generation of Sentinel-2 HKTM L0 Product", **times,
    )  # fmt: skip
    _safe(_safe(made, "facility", **where), "software", name="s2dask", version=__version__)
    level0 = _safe(made, "resource", name=f"{product.name}.SAFE", role="Level 0 data")
    step = _safe(level0, "processing", name="HKTM Level 0 processing")
    source = _safe(step, "resource", name=product.session, role="HKTM Telemetry")
    _safe(_safe(source, "processing", name="Downlink"), "facility", **where)


def _quality(out: Element, product: Housekeeping) -> None:
    quality = _safe(_object(out, "measurementQualityInformation", "Quality Information"), "qualityInformation")
    for after, missing in product.gaps:
        entry = _safe(quality, "missingElements")
        _safe(_safe(entry, "location"), "path", "measurements/tp", following=after)
        _safe(entry, "count", value=missing)
        _safe(entry, "cause", type="UNKNOWN")
    properties = add(_safe(quality, "extension"), f"{{{_S2}}}qualityProperties")
    for tag, value in (
        ("dataObjectID", "measurementData"), ("numOfElements", len(product.frames)),
        ("numOfMissingElements", sum(missing for _, missing in product.gaps)),
        ("numOfRSCorrectedElements", product.corrected[0]), ("numOfRSCorrectedSymbols", product.corrected[1]),
    ):  # fmt: skip
        add(properties, f"{{{_S2}}}{tag}", value)


def _schema(out: Element, name: str) -> None:
    entry = add(out, "metadataObject", ID=name, classification="SYNTAX", category="REP")
    add(
        entry, "metadataReference", mimeType="text/xml", vocabularyName="SDF", locatorType="URL",
        href=f"./rep-info/{_SCHEMAS[name]}",
    )


def _manifest(product: Housekeeping, safe: Path) -> etree._Element:
    """Return manifest.safe of a folder whose files are there."""
    root = etree.Element(f"{{{_XFDU}}}XFDU", nsmap={"xfdu": _XFDU, "s2": _S2, "s2hktm": _HKTM, "safe": _SAFE})
    root.set("version", "esa/safe/sentinel-1.0/sentinel-2/hktm/level-0")
    _package(root)
    out = add(root, "metadataSection")
    _described(out, product)
    _processed(out, product)
    _quality(out, product)
    _schema(out, "measurementSchema")
    notes = add(out, "metadataObject", ID="measurementAnnotation", classification="DESCRIPTION", category="DMD")
    add(notes, "dataObjectPointer", dataObjectID="measurementAnnotData")
    _schema(out, "measurementAnnotationSchema")
    objects, name = add(root, "dataObjectSection"), product.name
    for data, schema, file, title in (
        ("measurementData", "measurementSchema", name.measurement, {}),
        ("measurementAnnotData", "measurementAnnotationSchema", name.annotation,
         {"textInfo": "Annotation for Measurement File"}),
    ):  # fmt: skip
        entry, path = add(objects, "dataObject", ID=data, repID=schema), safe / file
        stream = add(entry, "byteStream", mimeType="application/octetstream", size=path.stat().st_size)
        add(stream, "fileLocation", locatorType="URL", **title, href=f"./{file}")
        add(stream, "checksum", checksum(path, "md5"), checksumName="MD5")
    return root
