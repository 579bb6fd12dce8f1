"""Metadata of Level-0 granules and datastrips from their facts, element by element as in real products (PSD 14)."""

from collections.abc import Iterable
from itertools import groupby

import numpy as np
from lxml import etree

from s2dask.io.safe_l0_metadata import Counter, DatastripFacts, GranuleFacts
from s2dask.release.safe_xml import PSD, Element, add, document, number, section


def _words(values: Iterable[float]) -> str:
    return " ".join(number(float(v)) for v in values)


def _counts(parent: Element, counter: Counter) -> None:
    for tag, value in zip(("DATA_STRIP_START", "SCENE_POSITION", "NB_OF_SOURCE_PACKETS"), counter, strict=True):
        add(parent, tag, value)


def _angles(parent: Element, tag: str, angles: tuple[float, ...]) -> None:
    out = add(parent, tag)
    add(out, "ZENITH_ANGLE", angles[0], unit="deg")
    add(out, "AZIMUTH_ANGLE", angles[1], unit="deg")


def granule_metadata(facts: GranuleFacts) -> etree._Element:
    """Return MTD_L0__GR_….xml."""
    root = document(f"{PSD}/S2_PDI_Level-0_Granule_Metadata.xsd", "Level-0_Granule_ID")
    add_granule(root, facts)
    quality = add(section(root, "Quality_Indicators_Info"), "Image_Content_QI", metadataLevel="Standard")
    add_content(add(quality, "Common_IMG_QI"), facts)
    packets = add(add(quality, "Source_Packet_description"), "Source_Packet_Counters_List")
    for index, counter in facts.packets.items():
        _counts(add(packets, "Source_Packet_Counters", bandId=index), counter)
    return root


def add_granule(root: Element, facts: GranuleFacts) -> Element:
    """Append General_Info and Geometric_Info of a granule, and return the latter."""
    general = section(root, "General_Info")
    add(general, "GRANULE_ID", facts.granule, metadataLevel="Brief")
    add(general, "DETECTOR_ID", f"{facts.detector:02d}", metadataLevel="Brief")
    add(general, "DATASTRIP_ID", facts.datastrip, metadataLevel="Brief")
    add(general, "DOWNLINK_PRIORITY", facts.priority, metadataLevel="Standard")
    add(general, "SENSING_TIME", facts.sensing_time, metadataLevel="Standard")
    archiving = add(general, "Archiving_Info", metadataLevel="Expertise")
    add(archiving, "ARCHIVING_CENTRE", facts.centre)
    add(archiving, "ARCHIVING_TIME", facts.archived)
    if facts.parameters:
        special = add(general, "Processing_Specific_Parameters", metadataLevel="Expertise")
        add(special, "PROCESSING_SPECIFIC_PARAMETERS", facts.parameters)
    place = section(root, "Geometric_Info")
    _place(place, facts)
    return place


def add_content(parent: Element, facts: GranuleFacts) -> None:
    """Append the shares of clouds and of degraded data."""
    add(parent, "CLOUDY_PIXEL_PERCENTAGE", facts.cloud_percentage)
    add(parent, "DEGRADED_MSI_DATA_PERCENTAGE", facts.degraded_percentage)


def _place(out: Element, facts: GranuleFacts) -> None:
    outline = add(out, "Granule_Footprint", metadataLevel="Brief")
    foot = add(add(outline, "Granule_Footprint"), "Footprint")
    add(foot, "EXT_POS_LIST", _words(np.ravel(facts.footprint)))
    if facts.inner:
        add(foot, "INT_POS_LIST", _words(facts.inner))
    add(outline, "RASTER_CS_TYPE", "POINT")
    add(outline, "PIXEL_ORIGIN", 1)
    position = add(out, "Granule_Position", metadataLevel="Standard")
    add(position, "POSITION", facts.position)
    header = add(position, "Geometric_Header")
    add(header, "GROUND_CENTER", _words(facts.ground_centre))
    if facts.quicklook:
        add(header, "QL_CENTER", _words(facts.quicklook[0]))
    _angles(header, "Incidence_Angles", facts.incidence)
    _angles(header, "Solar_Angles", facts.sun)
    if facts.quicklook:
        add(position, "QL_FOOTPRINT", _words(facts.quicklook[1]))


def datastrip_metadata(facts: DatastripFacts) -> etree._Element:
    """Return MTD_L0__DS_….xml."""
    root = document(f"{PSD}/S2_PDI_Level-0_Datastrip_Metadata.xsd", "Level-0_DataStrip_ID")
    add_acquisition(root, facts)
    add_ancillary(root, facts)
    quality = section(root, "Quality_Indicators_Info", metadataLevel="Brief")
    for part in ("Geometric_Info", "Quicklook_Info"):
        keep(quality, f"Quality_Indicators_Info/{part}", facts)
    auxiliary = add_references(root, facts)
    if facts.references["band"]:
        add(auxiliary, "REFERENCE_BAND", facts.references["band"])
    return root


def add_acquisition(root: Element, facts: DatastripFacts, geometry: str = "QL") -> Element:
    """Append General_Info and Image_Data_Info of a datastrip, as far as all levels have it, and return the latter."""
    _general(section(root, "General_Info"), facts)
    image = section(root, "Image_Data_Info")
    detectors = add(add(image, "Granules_Information", metadataLevel="Standard"), "Detector_List")
    for detector, granules in facts.granules.items():
        listed = add(add(detectors, "Detector", detectorId=f"{detector:02d}"), "Granule_List")
        for name, position in granules:
            add(add(listed, "Granule", granuleId=name), "POSITION", position)
    sensor = add(image, "Sensor_Configuration")
    _configuration(add(sensor, "Acquisition_Configuration"), facts, geometry)
    _packets(add(sensor, "Source_Packet_Description"), facts)
    _dates(add(sensor, "Time_Stamp", usedModel=facts.model, metadataLevel="Standard"), facts)
    keep(image, "Image_Data_Info/Geometric_Header_List", facts)
    return image


def add_ancillary(root: Element, facts: DatastripFacts) -> None:
    """Append orbit, attitude and thermal data of a datastrip."""
    satellite, top = section(root, "Satellite_Ancillary_Data_Info"), "Satellite_Ancillary_Data_Info"
    keep(satellite, f"{top}/Time_Correlation_Data_List", facts)
    keep(satellite, f"{top}/Ephemeris", facts)
    attitudes = add(satellite, "Attitudes")
    keep(attitudes, f"{top}/Attitudes/Corrected_Attitudes", facts)
    keep(attitudes, f"{top}/Attitudes/Raw_Attitudes", facts)
    keep(satellite, f"{top}/Thermal_Data", facts)
    if facts.references["ancillary"]:
        add(satellite, "ANC_DATA_REF", facts.references["ancillary"], metadataLevel="Standard")


def add_references(root: Element, facts: DatastripFacts) -> Element:
    """Append the auxiliary data of a datastrip up to the bulletin, and return their section."""
    auxiliary = section(root, "Auxiliary_Data_Info", metadataLevel="Standard")
    for part in ("IERS_Bulletin", "GIPP_List"):
        keep(auxiliary, f"Auxiliary_Data_Info/{part}", facts)
    add(auxiliary, "PRODUCTION_DEM_TYPE", facts.references["dem"], version=facts.references["dem_version"])
    add(auxiliary, "IERS_BULLETIN_FILENAME", facts.references["iers"])
    return auxiliary


def keep(parent: Element, path: str, facts: DatastripFacts) -> None:
    """Append a section that is carried as it is, where there is one."""
    if path in facts.kept:
        parent.append(etree.fromstring(facts.kept[path]))


def _general(out: Element, facts: DatastripFacts) -> None:
    take, made = facts.datatake, facts.processing
    datatake = add(out, "Datatake_Info", datatakeIdentifier=take["id"], metadataLevel="Brief")
    add(datatake, "SPACECRAFT_NAME", take["spacecraft"])
    add(datatake, "DATATAKE_TYPE", take["type"])
    add(datatake, "DATATAKE_SENSING_START", take["start"])
    add(datatake, "SENSING_ORBIT_NUMBER", take["orbit"])
    add(datatake, "SENSING_ORBIT_DIRECTION", take["direction"])
    times = add(out, "Datastrip_Time_Info", metadataLevel="Brief")
    add(times, "DATASTRIP_SENSING_START", facts.start)
    add(times, "DATASTRIP_SENSING_STOP", facts.stop)
    processing = add(out, "Processing_Info", metadataLevel="Expertise")
    add(processing, "PROCESSING_BASELINE", made["baseline"])
    add(processing, "PROCESSING_CENTER", made["centre"])
    add(processing, "UTC_DATE_TIME", made["created"])
    downlink = add(out, "Downlink_Info", metadataLevel="Standard")
    add(downlink, "RECEPTION_STATION", made["station"])
    add(downlink, "DOWNLINK_ORBIT_NUMBER", made["downlink_orbit"])
    archiving = add(out, "Archiving_Info", metadataLevel="Expertise")
    add(archiving, "ARCHIVING_CENTRE", made["archiving_centre"])
    add(archiving, "ARCHIVING_TIME", made["archived"])


def _configuration(out: Element, facts: DatastripFacts, geometry: str) -> None:
    tags = {"COMPRESS_MODE": "compress", "EQUALIZATION_MODE": "equalization", "NUC_TABLE_ID": "nuc_table"}
    for tag, key in tags.items():
        add(out, tag, facts.configuration[key], metadataLevel="Expertise")
    active = add(out, "Active_Detectors_List", metadataLevel="Expertise")
    for detector in facts.detectors:
        add(active, "ACTIVE_DETECTOR", f"{detector:02d}")
    tdi = add(out, "TDI_Configuration_List", metadataLevel="Standard")
    for index, state in facts.tdi.items():
        add(tdi, "TDI_CONFIGURATION", state, bandId=index)
    bands = add(out, "Spectral_Band_Info")
    for index, (gain, rate, time) in facts.bands.items():
        entry = add(bands, "Spectral_Band_Information", bandId=index)
        add(entry, "PHYSICAL_GAINS", gain, geometry=geometry, metadataLevel="Standard")
        add(entry, "COMPRESSION_RATE", rate, metadataLevel="Expertise")
        add(entry, "INTEGRATION_TIME", time, unit="ms", metadataLevel="Expertise")


def _packets(out: Element, facts: DatastripFacts) -> None:
    detectors = add(add(out, "Source_Packet_Counters_List"), "Detector_List")
    for detector, entries in groupby(facts.packets.items(), key=lambda item: item[0][0]):
        bands = add(add(detectors, "Detector", detectorId=f"{detector:02d}"), "Band_List")
        for (_, index), counter in entries:
            _counts(add(bands, "Band", bandId=index), counter)
    percentage, *counts = facts.degradation
    summary = add(out, "Degradation_Summary", degradationPercentage=f"{percentage:g}")
    for kind, count in zip(("LOST", "TOO_DEGRADED", "KEPT_DEGRADED"), counts, strict=True):
        add(summary, f"NUMBER_OF_{kind}_PACKETS", count)


def _dates(out: Element, facts: DatastripFacts) -> None:
    add(out, "LINE_PERIOD", facts.line_period, unit="ms")
    for index in dict.fromkeys(index for _, index in facts.dates):
        stamp = add(out, "Band_Time_Stamp", bandId=index)
        for (detector, band), (line, date) in facts.dates.items():
            if band == index:
                entry = add(stamp, "Detector", detectorId=f"{detector:02d}")
                add(entry, "REFERENCE_LINE", line)
                add(entry, "GPS_TIME", date)
    add(out, "GPS_SYNC", facts.gps_sync)
    if facts.theoretical_period is not None:
        add(out, "THEORETICAL_LINE_PERIOD", facts.theoretical_period, unit="ms")
    if facts.residual is not None:
        quality = add(out, "Quality_Indicators")
        add(add(quality, "Global"), "RMOY", facts.residual, unit="s")
        groups = add(quality, "GSP_List")
        for name, residual in facts.residuals.items():
            add(add(groups, "GSP", gspId=name), "RMOY", residual, unit="s")
