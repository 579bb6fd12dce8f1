"""Metadata of L1A and L1B granules and datastrips, element by element as in real products (PSD 14 and 15)."""

from collections.abc import Mapping
from typing import Any, Final

from lxml import etree

from s2dask.instrument import BANDS, RESOLUTIONS, Unit, bands_of
from s2dask.io.safe_l0_metadata import DatastripFacts, GranuleFacts
from s2dask.release.names import DatastripName, GranuleName
from s2dask.release.safe_l0_xml import add_acquisition, add_ancillary, add_content, add_granule, add_references
from s2dask.release.safe_spectra import add_spectra
from s2dask.release.safe_xml import PSD, Element, add, add_by_band, add_display_order, document, number, section

PSD_OF: Final = {"L1A": PSD, "L1B": PSD.replace("psd-14", "psd-15")}
"""Namespaces by level: those of the real L1B (N05.00) are of PSD 15; of L1A only the schemas of PSD 14 are public."""
_QUALITY: Final = "Quality_Indicators_Info/Geometric_Info"
_QUICKLOOK_LINES: Final = 32
"""Lines of 10 m in a line of the quick-look."""
_ACCURACY: Final = {"CROSS_BAND_CALIBRATION_ACCURACY": 3.0, "MULTI_TEMPORAL_CALIBRATION_ACCURACY": 1.0}
"""Requirements of the mission, which real metadata state whatever the product [%]."""
_ABSOLUTE_ACCURACY: Final = 5.0
_UPDATED_LOCATION: Final = 12.0
"""Location with reference images by the mission's specification, 20 m without [m]."""


def _root(level: str, kind: str, name: str) -> Element:
    digits = level[1:]
    return document(f"{PSD_OF[level]}/S2_PDI_Level-{digits}_{kind}_Metadata.xsd", f"Level-{digits}_{name}_ID")


def granule_metadata(facts: GranuleFacts, name: GranuleName, bands: list[str]) -> etree._Element:
    """Return MTD_L1A_GR_….xml or MTD_L1B_GR_….xml.

    Parameters
    ----------
    facts : GranuleFacts
    name : GranuleName
    bands : list of str
        Bands whose images and quality masks are in the granule; the sizes of all resolutions are told in any case.
    """
    root = _root(name.level, "Granule", "Granule")
    dimensions = add(add_granule(root, facts), "Granule_Dimensions", metadataLevel="Standard")
    for resolution in RESOLUTIONS:
        b = BANDS[bands_of(resolution)[0]]
        size = add(dimensions, "Size", resolution=resolution)
        add(size, "NROWS", b.lines_per_scene)
        add(size, "NCOLS", b.columns if name.level == "L1B" else b.raw_columns)
    quality = section(root, "Quality_Indicators_Info", metadataLevel="Standard")
    add_content(add(quality, "Image_Content_QI"), facts)
    masks = add(quality, "Pixel_Level_QI", geometry="FULL_RESOLUTION")
    for band in bands:
        where = {"bandId": BANDS[band].index, "detectorId": f"{facts.detector:02d}"}
        add(masks, "MASK_FILENAME", name.mask(band), type="MSK_QUALIT", **where)
    return root


def datastrip_metadata(
    facts: DatastripFacts, name: DatastripName, radiometry: Mapping[str, Any], flight: Unit
) -> Element:
    """Return MTD_L1A_DS_….xml or MTD_L1B_DS_….xml.

    Parameters
    ----------
    facts : DatastripFacts
        Physical gains in `bands`; GIPP_List and orbit in `kept`.
    name : DatastripName
    radiometry : mapping
        Root attribute ``radiometry`` of the store, see `s2dask.io.safe_l1b_metadata`.
    flight : Unit
        Centre and width of the bands.
    """
    level = name.level
    root = _root(level, "Datastrip", "DataStrip")
    root.set("datastripIdentifier", str(name))
    image = add_acquisition(root, facts, "FULL_RESOLUTION")
    _headers(image, level)
    _radiometry(add(image, "Radiometric_Info", metadataLevel="Standard"), level, radiometry, flight)
    if level == "L1B":
        _refining(add(image, "Geometric_Info", metadataLevel="Standard"), facts, radiometry.get("refining") or {})
    add_ancillary(root, facts)
    _quality(section(root, "Quality_Indicators_Info", metadataLevel="Brief"), level, facts, radiometry, flight)
    auxiliary = add_references(root, facts)
    if level == "L1B":
        images = add(auxiliary, "GRI_List")
        for image_name in radiometry.get("reference_images") or ():
            add(images, "GRI_FILENAME", image_name)
    add(auxiliary, "REFERENCE_BAND", facts.references["band"])
    return root


def _headers(image: Element, level: str) -> None:
    """Restate the headers of the quick-look in lines of 10 m."""
    listed = image.find("Geometric_Header_List")
    if level == "L1B" and listed is not None:
        listed.attrib.pop("metadataLevel", "")  # PSD 15 does not have it any more
    for header in image.iterfind("Geometric_Header_List/Geometric_Header[@geometry='QL']"):
        header.set("geometry", "FULL_RESOLUTION")
        line = header.find("LINE_INDEX")
        if line is not None:
            line.text = str(int(line.text or 0) * _QUICKLOOK_LINES)


def _radiometry(out: Element, level: str, told: Mapping[str, Any], flight: Unit) -> None:
    add(out, "SWIR_REARRANGEMENT_PROC", told["swir_rearrangement"])
    if level == "L1B":
        _corrections(out, told)
    else:
        add(out, "DEFECTIVE_PIXELS_PROC", told["defective_pixels"])
    if level == "L1B":
        add(out, "BINNING_PROC", told["binning"])
    add(out, "PIXELS_NO_DATA_PROC", told["no_data_pixels"])
    add(out, "SATURATED_PIXELS_PROC", told["saturated_pixels"])
    listed = add(out, "Spectral_Information_List")
    add_spectra(listed, flight.name, told["physical_gains"], told.get("spectra"))
    add_display_order(out)
    if level == "L1B":
        offsets = dict.fromkeys(told["physical_gains"], int(told["radio_add_offset"]))
        add_by_band(add(out, "Radiometric_Offset_List"), "RADIO_ADD_OFFSET", offsets, "band_id")


def _corrections(out: Element, told: Mapping[str, Any]) -> None:
    """Append what the radiometric correction did, in the order of the schema."""
    equalised = told["equalised"]
    listed = add(add(out, "Equalization", processed=number(bool(equalised))), "Equalized_Band_List")
    for name, (offset, dark) in equalised.items():
        entry = add(listed, "Equalized_Band", bandId=BANDS[name].index)
        add(entry, "OFFSET_PROC", offset)
        add(entry, "DARK_SIGNAL_NON_UNIFORMITY_PROC", dark)
    for key in ("crosstalk_optical", "crosstalk_electronic", "remove_blind_pixels", "defective_pixels"):
        add(out, f"{key.upper()}_PROC", told[key])
    restored = add(add(out, "Restoration", processed=number(told["restored"])), "Restored_Band_List")
    for name, (scenario, low, high) in told["restoration"].items():
        entry = add(restored, "Restored_Band", bandId=BANDS[name].index)
        add(entry, "RESTORATION_SCENARIO", scenario)
        values = add(entry, "Levelling_Values")
        add(values, "XMIN", int(low))
        add(values, "XMAX", int(high))


def _refining(out: Element, facts: DatastripFacts, refining: Mapping[str, Any]) -> None:
    """Append whether the geometry is refined; the corrections as they are told, by part, axis and power of time."""
    add(out, "RGM", str(refining.get("rgm", "COMPUTED")))
    flag = add(out, "Image_Refining", flag="REFINED" if refining.get("refined") else "NOT_REFINED")
    if not refining.get("refined"):
        return
    characteristics = add(flag, "Refining_Characteristics")
    add(characteristics, "REFERENCE_BAND", facts.references["band"])
    add(characteristics, "Reference_Image_List")
    corrections = add(add(out, "Refined_Corrections_List"), "Refined_Corrections")
    _polynomials(add(corrections, "Spacecraft_Position"), refining.get("position") or {})
    _state(add(corrections, "MSI_State"), refining)
    for plane, told in (refining.get("focal_planes") or {}).items():
        _state(add(corrections, "Focal_Plane_State", focalPlaneId=plane), told)


def _state(out: Element, told: Mapping[str, Any]) -> None:
    for part in ("Rotation", "Homothety"):
        if told.get(part.lower()):
            _polynomials(add(out, part), told[part.lower()])


def _polynomials(out: Element, by_axis: Mapping[str, list[float]]) -> None:
    for axis, coefficients in by_axis.items():
        polynomial = add(out, axis)
        add(polynomial, "DEGREE", len(coefficients) - 1)
        add(polynomial, "COEFFICIENTS", " ".join(number(float(v)) for v in coefficients))


def _quality(out: Element, level: str, facts: DatastripFacts, told: Mapping[str, Any], flight: Unit) -> None:
    common = etree.fromstring(facts.kept[_QUALITY])
    if level == "L1A":
        out.append(common)
    else:
        geometric = add(out, "Geometric_Info")
        common.tag = "Geometric_QI"
        geometric.append(common)
        update = add(geometric, "Update_Absolute_Location")
        add(update, "VALUE", _UPDATED_LOCATION, unit="m")
        add(update, "MEASUREMENT_DATE", common.findtext("Absolute_Location/MEASUREMENT_DATE"))
    listed = add(add(out, "Radiometric_Info"), "Radiometric_Quality_List")
    for name in [name for name in BANDS if name in told["physical_gains"]]:
        alpha, beta = told["noise"].get(name) or (flight.bands[name].noise_alpha, flight.bands[name].noise_beta)
        entry = add(listed, "Radiometric_Quality", bandId=BANDS[name].index)
        noise = add(entry, "Noise_Model")
        add(noise, "ALPHA", alpha)
        add(noise, "BETA", beta)
        add(entry, "ABSOLUTE_CALIBRATION_ACCURACY", float(told["accuracy"].get(name, _ABSOLUTE_ACCURACY)))
        for tag, value in _ACCURACY.items():
            add(entry, tag, value)
    add(out, "DEGRADED_ANC_DATA_PERCENTAGE", float(told.get("degraded_ancillary", 0.0)))
