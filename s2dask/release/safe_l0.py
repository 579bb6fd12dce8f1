"""The SAFE form of Level 0: a folder for the datastrip, and one for each granule (detector x scene)."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from s2dask.errors import InputMissing
from s2dask.instrument import LINES_PER_PACKET
from s2dask.instrument.telemetry import VCID_HALF_SCENE, half_scene
from s2dask.instrument.timing import SCENE_SECONDS
from s2dask.io.safe_l0 import DEGRADED, LOST
from s2dask.qc.checks import CheckResult
from s2dask.release.jpeg2000 import write_jp2
from s2dask.release.name_form import parse_iso
from s2dask.release.names import DatastripName, GranuleName
from s2dask.release.safe_l0_ancillary import annotation, write_ancillary
from s2dask.release.safe_l0_manifest import Product, inventory, manifest
from s2dask.release.safe_l0_reports import sensor_inspections, write_item_reports
from s2dask.release.safe_l0_strip import LOCATION, L0Strip, datastrip_facts, granule_facts
from s2dask.release.safe_l0_xml import datastrip_metadata, granule_metadata
from s2dask.release.safe_xml import write_document

_PICTURE_CODING = 60
"""Resolution whose coding parameters the quick-looks take [m]: the coarsest."""
_SCHEMAS = ("S2_PDI_{title}_Metadata.xsd", "Inventory_Metadata.xsd", "OLQC_Report.xsd")


def write_safe_l0(
    url: str,
    folder: Path,
    created: datetime,
    schemas: str | Path | None = None,
    pictures: Mapping[str, NDArray[np.uint16]] | None = None,
) -> list[Path]:
    """Write the SAFE of an L0 store: the datastrip and all its granules.

    Parameters
    ----------
    url : str
        L0 store that the quick-look has located.
    folder : Path
        Where the product folders appear.
    created : datetime
        UTC; part of every name.
    schemas : str or Path, optional
        Folder with the XSD files of the mission, which go into ``rep_info``; they are not part of this package. Without
        it ``rep_info`` stays empty.
    pictures : mapping of str to (line, column) uint16, optional
        Images of the quick-look by band, for ``QI_DATA`` of the datastrip.

    Returns
    -------
    list of Path
        The folder of the datastrip first.
    """
    strip = L0Strip.open(url, created)
    scenes = range(int(strip.attrs["scenes"]))
    granules = [_write_granule(strip, d, scene, folder, schemas) for d in strip.detectors for scene in scenes]
    return [_write_datastrip(strip, folder, schemas, pictures or {}), *granules]


def describe(
    strip: L0Strip, kind: str, name: DatastripName | GranuleName, detector: int = 0, scene: int = 0
) -> Product:
    """Return what manifest and inventory say of a granule or datastrip."""
    a, found, granule = strip.attrs, strip.attrs[LOCATION], kind == "Granule"
    facts = granule_facts(strip, detector, scene) if granule else None
    start = strip.sensing(detector, scene) if granule else parse_iso(a["sensing_start"])
    last = timedelta(seconds=(int(a["scenes"]) - 1) * SCENE_SECONDS)
    cloud = facts.cloud_percentage if facts else float(np.mean([entry["cloud"] for entry in found["granules"]]))
    degraded = facts.degraded_percentage if facts else datastrip_facts(strip).degradation[0]
    return Product(
        kind, str(name), str(strip.name) if granule else "", name.metadata, strip.name.unit, a["datatake_id"],
        str(a.get("datatake_type", "INS-NOBS")), a["baseline"], int(a["absolute_orbit"]), int(a["relative_orbit"]),
        detector, strip.created, start, start if granule else start + last,
        facts.footprint if facts else np.array(found["footprint"]), cloud, round(100.0 - degraded, 6),
        found["direction"] == "ASCENDING", (found["iers"]["file"], *found["gipps"]), strip.name.level,
    )  # fmt: skip


def _write_packets(strip: L0Strip, detector: int, scene: int, folder: Path, name: GranuleName) -> None:
    """Write a file of packets per band: those that came, each after its annotation."""
    channel = VCID_HALF_SCENE[half_scene(detector)]
    for b in strip.bands:
        packets, status, frames = (strip.read(detector, b, scene, key) for key in ("packets", "status", "frames"))
        told = zip(status, frames.tolist(), strip.downlink_times(detector, b, scene).tolist(), strict=True)
        heads = np.stack([
            np.frombuffer(annotation(channel, packets.shape[1], int(s == DEGRADED), count, time), np.uint8)
            for s, count, time in told
        ])  # fmt: skip
        np.concatenate([heads, packets], 1)[status != LOST].tofile(folder / name.packets(b.name))


def _write_granule(strip: L0Strip, detector: int, scene: int, target: Path, schemas: str | Path | None) -> Path:
    name = strip.granule(detector, scene)
    product = describe(strip, "Granule", name, detector, scene)
    folder = make_folders(target / str(name), ("IMG_DATA", "QI_DATA", "rep_info"))
    _write_packets(strip, detector, scene, folder / "IMG_DATA", name)
    write_document(granule_metadata(granule_facts(strip, detector, scene)), folder / name.metadata)
    counts = [strip.counts(detector, b, scene) for b in strip.bands]
    lost, degraded = (sum(c[i] for c in counts) for i in (1, 2))
    finish(product, folder, schemas, lost, degraded)
    return folder


def _write_datastrip(
    strip: L0Strip, target: Path, schemas: str | Path | None, pictures: Mapping[str, NDArray[np.uint16]]
) -> Path:
    name = strip.name
    product, facts = describe(strip, "Datastrip", name), datastrip_facts(strip)
    folder = make_folders(target / str(name), ("ANC_DATA", "QI_DATA", "rep_info"))
    write_ancillary(strip, folder / "ANC_DATA")
    for band, picture in pictures.items():
        write_jp2(folder / "QI_DATA" / name.quicklook(band), picture, None, _PICTURE_CODING)
    write_document(datastrip_metadata(facts), folder / name.metadata)
    told = sensor_inspections(strip.attrs)
    finish(product, folder, schemas, facts.degradation[1], facts.degradation[3], told)
    return folder


def make_folders(folder: Path, parts: tuple[str, ...]) -> Path:
    """Make the folders of a product and return its own."""
    for part in parts:
        (folder / part).mkdir(parents=True)
    return folder


def finish(
    product: Product, folder: Path, schemas: str | Path | None, lost: int, degraded: int,
    told: Sequence[CheckResult] = (),
) -> None:  # fmt: skip
    """Write schemas, manifest, reports and inventory, in this order: each looks at what is there."""
    if schemas is not None:
        for pattern in _SCHEMAS:
            source = Path(schemas) / pattern.format(title=product.title)
            if not source.is_file():
                raise InputMissing("a schema is missing", str(source), "give the folder of the mission's XSD files")
            shutil.copyfile(source, folder / "rep_info" / source.name.replace("S2_PDI_", "S2_"))
    write_document(manifest(product, folder), folder / "manifest.safe")
    record = {"lost_packets": lost, "degraded_packets": degraded, "corrupted_packets": degraded}
    write_item_reports(folder, record | {"missing_lines": LINES_PER_PACKET * lost}, told, product.created)
    write_document(inventory(product, folder), folder / "Inventory_Metadata.xml")
