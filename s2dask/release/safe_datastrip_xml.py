"""MTD_DS.xml: the metadata of the datastrip that a tile comes from."""

from copy import deepcopy

from lxml import etree

from s2dask.instrument import BANDS, unit
from s2dask.release.safe_spectra import add_spectra
from s2dask.release.safe_xml import (
    PSD,
    Element,
    add,
    add_coding,
    add_datatake,
    add_display_order,
    add_gipps,
    add_reflectance_conversion,
    add_surface_references,
    document,
    section,
)
from s2dask.release.tile_store import SITE, TileStore, iso


def _take(parent: Element, told: Element | None, path: str) -> bool:
    """Append a section as the datastrip's own metadata have it; return whether they do."""
    found = None if told is None else told.find(path)
    if found is not None:
        parent.append(deepcopy(found))
    return found is not None


def _general(root: Element, store: TileStore, told: Element | None) -> None:
    a, names = store.attrs, store.names
    created = iso(names.datastrip.created, microseconds=True)
    general = section(root, "General_Info")
    add_datatake(general, store, metadataLevel="Brief")
    if not _take(general, told, "General_Info/Datastrip_Time_Info"):
        times = add(general, "Datastrip_Time_Info", metadataLevel="Brief")
        add(times, "DATASTRIP_SENSING_START", a.get("datastrip_start") or a["sensing_start"])
        add(times, "DATASTRIP_SENSING_STOP", a.get("datastrip_stop") or a["sensing_stop"])
    processing = add(general, "Processing_Info", metadataLevel="Expertise")
    add(processing, "PROCESSING_BASELINE", a["baseline"])
    add(processing, "PRODUCT_DOI", "Not applicable")
    add(processing, "PROCESSING_CENTER", SITE)
    add(processing, "UTC_DATE_TIME", created)
    if not _take(general, told, "General_Info/Downlink_Info"):
        downlink = add(general, "Downlink_Info", metadataLevel="Standard")
        add(downlink, "RECEPTION_STATION", str(a.get("station") or SITE))
        add(downlink, "DOWNLINK_ORBIT_NUMBER", int(a.get("downlink_orbit") or a["absolute_orbit"]))
    archiving = add(general, "Archiving_Info", metadataLevel="Expertise")
    add(archiving, "ARCHIVING_CENTRE", SITE)
    add(archiving, "ARCHIVING_TIME", created)


def _configuration(image: Element, store: TileStore) -> None:
    """Append the little of Sensor_Configuration that the tile itself knows."""
    a = store.attrs
    configuration = add(add(image, "Sensor_Configuration"), "Acquisition_Configuration")
    active = add(configuration, "Active_Detectors_List", metadataLevel="Expertise")
    for detector in a["detectors"]:
        add(active, "ACTIVE_DETECTOR", f"{int(detector):02d}")
    bands = add(configuration, "Spectral_Band_Info")
    flight = unit(str(a["unit"]))
    for name in [name for name in BANDS if name in a["physical_gains"]]:
        b = BANDS[name]
        entry = add(bands, "Spectral_Band_Information", bandId=b.index)
        add(entry, "PHYSICAL_GAINS", float(a["physical_gains"][name]), metadataLevel="Standard")
        add(entry, "COMPRESSION_RATE", b.compression_rate, metadataLevel="Expertise")
        milliseconds = round(1e3 * flight.bands[name].integration_time, 6)
        add(entry, "INTEGRATION_TIME", milliseconds, unit="ms", metadataLevel="Expertise")


def _image_data(root: Element, store: TileStore, told: Element | None) -> None:
    image = section(root, "Image_Data_Info")
    tiles = add(add(image, "Tiles_Information", metadataLevel="Standard"), "Tile_List")
    add(tiles, "Tile", tileId=store.names.tile)
    top = "Image_Data_Info"
    if not _take(image, told, f"{top}/Sensor_Configuration"):
        _configuration(image, store)
    radiometry = add(image, "Radiometric_Info", metadataLevel="Standard")
    for name in ("SWIR_REARRANGEMENT_PROC", "SATURATED_PIXELS_PROC"):
        _take(radiometry, told, f"{top}/Radiometric_Info/{name}")
    if not _take(radiometry, told, f"{top}/Radiometric_Info/Spectral_Information_List"):
        add_spectra(add(radiometry, "Spectral_Information_List"), str(store.attrs["unit"]), tuple(BANDS))
    add_display_order(radiometry)
    add_coding(radiometry, store)
    add_reflectance_conversion(radiometry, store)
    _take(image, told, f"{top}/Geometric_Info")


def _auxiliary(root: Element, store: TileStore, told: Element | None) -> None:
    """Append the auxiliary files; in another order than the metadata of the product, and with the bulletin's values."""
    a = store.attrs
    out = section(root, "Auxiliary_Data_Info", metadataLevel="Standard")
    _take(out, told, "Auxiliary_Data_Info/IERS_Bulletin")
    add_gipps(out, store)
    if a.get("ecmwf"):
        add(out, "ECMWF_DATA_REF", str(a["ecmwf"]))
    if a.get("cams"):
        add(out, "CAMS_DATA_REF", str(a["cams"]), type="FORECAST")
    add(out, "PRODUCTION_DEM_TYPE", str(a.get("dem") or "None"))
    add(out, "IERS_BULLETIN_FILENAME", str(a.get("iers_bulletin") or "None"))
    if not _take(out, told, "Auxiliary_Data_Info/GRI_List"):
        add(out, "GRI_List")
    if store.level == "L2A":
        add_surface_references(out, store)


def datastrip_metadata(store: TileStore) -> etree._Element:
    """Return MTD_DS.xml.

    Notes
    -----
    Packets, time stamps, orbit, attitude, refining and quality are those of the datastrip's own metadata, which travel
    with the tile (`s2dask.io.datastrip_document`). Of a tile that has none they are left out, and the file is not
    complete in the sense of the schema.
    """
    level, told = store.level[1:], store.datastrip
    root = document(f"{PSD}/S2_PDI_Level-{level}_Datastrip_Metadata.xsd", f"Level-{level}_DataStrip_ID")
    _general(root, store, told)
    _image_data(root, store, told)
    if told is not None:
        for name in ("Satellite_Ancillary_Data_Info", "Quality_Indicators_Info"):
            found = told.find(name)
            if found is not None:
                out = section(root, name, **{str(key): str(value) for key, value in found.attrib.items()})
                out.extend(deepcopy(part) for part in found if part.tag != "ANC_DATA_REF")
    _auxiliary(root, store, told)
    return root
