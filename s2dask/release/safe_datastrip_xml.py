"""MTD_DS.xml: the metadata of the datastrip a tile comes from, as far as the tile knows them."""

from lxml import etree

from s2dask.instrument import BANDS, unit
from s2dask.release.safe_xml import (
    PSD,
    add,
    add_by_band,
    add_datatake,
    add_display_order,
    add_gipps,
    add_references,
    add_reflectance_conversion,
    document,
    section,
)
from s2dask.release.tile_store import SITE, TileStore, iso


def _general(root: etree._Element, store: TileStore) -> None:
    a, names = store.attrs, store.names
    created = iso(names.datastrip.created, microseconds=True)
    general = section(root, "General_Info")
    add_datatake(general, store, metadataLevel="Brief")
    times = add(general, "Datastrip_Time_Info", metadataLevel="Brief")
    add(times, "DATASTRIP_SENSING_START", a.get("datastrip_start") or a["sensing_start"])
    add(times, "DATASTRIP_SENSING_STOP", a.get("datastrip_stop") or a["sensing_stop"])
    processing = add(general, "Processing_Info", metadataLevel="Expertise")
    add(processing, "PROCESSING_BASELINE", a["baseline"])
    add(processing, "PRODUCT_DOI", "Not applicable")
    add(processing, "PROCESSING_CENTER", SITE)
    add(processing, "UTC_DATE_TIME", created)
    downlink = add(general, "Downlink_Info", metadataLevel="Standard")
    add(downlink, "RECEPTION_STATION", str(a.get("station") or SITE))
    add(downlink, "DOWNLINK_ORBIT_NUMBER", int(a.get("downlink_orbit") or a["absolute_orbit"]))
    archiving = add(general, "Archiving_Info", metadataLevel="Expertise")
    add(archiving, "ARCHIVING_CENTRE", SITE)
    add(archiving, "ARCHIVING_TIME", created)


def _image_data(root: etree._Element, store: TileStore) -> None:
    a = store.attrs
    image = section(root, "Image_Data_Info")
    tiles = add(add(image, "Tiles_Information", metadataLevel="Standard"), "Tile_List")
    add(tiles, "Tile", tileId=store.names.tile)
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
    radiometry = add(image, "Radiometric_Info", metadataLevel="Standard")
    add_display_order(radiometry)
    add(radiometry, "QUANTIFICATION_VALUE", int(a["quantification"]), unit="none")
    key = "radio_add_offset" if store.level == "L1C" else "boa_add_offset"
    offsets = add(radiometry, "Radiometric_Offset_List")
    add_by_band(offsets, key.upper(), dict.fromkeys(BANDS, int(a[key])), "band_id")
    add_reflectance_conversion(radiometry, store)


def datastrip_metadata(store: TileStore) -> etree._Element:
    """Return MTD_DS.xml.

    Notes
    -----
    Names and order of the elements are those of the PSD. What only the datastrip knows (source packets, time stamps,
    ephemeris, attitude, refining) is left out, so the file is not complete in the sense of the schema.
    """
    level = store.level[1:]
    root = document(f"{PSD}/S2_PDI_Level-{level}_Datastrip_Metadata.xsd", f"Level-{level}_DataStrip_ID")
    _general(root, store)
    _image_data(root, store)
    auxiliary = section(root, "Auxiliary_Data_Info", metadataLevel="Standard")
    add_gipps(auxiliary, store)
    add_references(auxiliary, store)
    return root
