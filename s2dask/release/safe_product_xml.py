"""MTD_MSIL1C.xml and MTD_MSIL2A.xml: the metadata of a product."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from lxml import etree
from rasterio.warp import transform

from s2dask.instrument import BANDS
from s2dask.io.grids import TileGrid
from s2dask.qc.checks import STANDARD
from s2dask.release.safe_spectra import add_spectra
from s2dask.release.safe_tile_reports import Inspection
from s2dask.release.safe_xml import (
    PSD,
    add,
    add_by_band,
    add_coding,
    add_datatake,
    add_display_order,
    add_gipps,
    add_references,
    add_reflectance_conversion,
    add_surface_references,
    datatake_start,
    document,
    section,
)
from s2dask.release.tile_store import TileStore, iso

_SCENE_CLASSES: Final = (
    "SC_NODATA",
    "SC_SATURATED_DEFECTIVE",
    "SC_DARK_FEATURE_SHADOW",
    "SC_CLOUD_SHADOW",
    "SC_VEGETATION",
    "SC_NOT_VEGETATED",
    "SC_WATER",
    "SC_UNCLASSIFIED",
    "SC_CLOUD_MEDIUM_PROBA",
    "SC_CLOUD_HIGH_PROBA",
    "SC_THIN_CIRRUS",
    "SC_SNOW_ICE",
)
_FOOTPRINT_STEPS: Final = 4


def footprint(grid: TileGrid, steps: int = _FOOTPRINT_STEPS) -> list[tuple[float, float]]:
    """Return the outline of a grid as (longitude, latitude) [deg]: a closed ring, counter-clockwise.

    Each side has `steps` segments, so that the curvature of the projection stays below a few metres.
    """
    left, bottom, right, top = grid.bounds
    t = np.arange(steps) / steps
    east, north = t * (right - left), t * (top - bottom)
    x = np.concatenate([left + east, np.full(steps, right), right - east, np.full(steps, left)])
    y = np.concatenate([np.full(steps, bottom), bottom + north, np.full(steps, top), top - north])
    longitude, latitude = transform(grid.crs, "EPSG:4326", x.tolist(), y.tolist())
    ring = list(zip(longitude, latitude, strict=True))
    return [*ring, ring[0]]


def _product_info(parent: etree._Element, store: TileStore, images: Sequence[str]) -> None:
    names, level = store.names, store.level[1:]
    info = add(parent, "Product_Info")
    start = datatake_start(store)
    add(info, "PRODUCT_START_TIME", start)
    add(info, "PRODUCT_STOP_TIME", start)
    add(info, "PRODUCT_URI", names.product.safe)
    add(info, "PROCESSING_LEVEL", f"Level-{level}")
    add(info, "PRODUCT_TYPE", f"S2MSI{level}")
    add(info, "PROCESSING_BASELINE", store.attrs["baseline"])
    add(info, "PRODUCT_DOI", "Not applicable")
    add(info, "GENERATION_TIME", iso(names.tile.created, microseconds=True))
    add(info, "PREVIEW_IMAGE_URL", "Not applicable")
    add(info, "PREVIEW_GEO_INFO", "Not applicable")
    add_datatake(info, store)
    options = add(info, "Query_Options", completeSingleTile="true")
    if store.level == "L1C" and set(store.attrs["bands"]) != set(BANDS):
        listed = add(options, "Band_List")
        for name in store.attrs["bands"]:
            add(listed, "BAND_NAME", name.replace("B0", "B"))
    add(options, "PRODUCT_FORMAT", "SAFE_COMPACT")
    granules = add(add(info, "Product_Organisation"), "Granule_List")
    granule = add(
        granules, "Granule", datastripIdentifier=names.datastrip, granuleIdentifier=names.tile, imageFormat="JPEG2000"
    )
    for image in images:
        add(granule, "IMAGE_FILE", image)


def _image_characteristics(parent: etree._Element, store: TileStore) -> None:
    out = add(parent, "Product_Image_Characteristics")
    for text, value in (("NODATA", 0), ("SATURATED", 65535)):
        special = add(out, "Special_Values")
        add(special, "SPECIAL_VALUE_TEXT", text)
        add(special, "SPECIAL_VALUE_INDEX", value)
    add_display_order(out)
    add_coding(out, store)
    add_reflectance_conversion(out, store)
    add_spectra(add(out, "Spectral_Information_List"), str(store.attrs["unit"]), tuple(BANDS))
    add_by_band(out, "PHYSICAL_GAINS", store.attrs["physical_gains"])
    add(out, "REFERENCE_BAND", 3)
    if store.level == "L2A":
        classes = add(out, "Scene_Classification_List")
        for index, text in enumerate(_SCENE_CLASSES):
            entry = add(classes, "Scene_Classification_ID")
            add(entry, "SCENE_CLASSIFICATION_TEXT", text)
            add(entry, "SCENE_CLASSIFICATION_INDEX", index)


def _geometry(root: etree._Element, store: TileStore) -> None:
    geometry = section(root, "Geometric_Info")
    outer = add(geometry, "Product_Footprint")
    polygon = add(add(outer, "Product_Footprint"), "Global_Footprint")
    ring = " ".join(f"{latitude:.12g} {longitude:.12g}" for longitude, latitude in footprint(store.grid))
    add(polygon, "EXT_POS_LIST", ring)
    add(outer, "RASTER_CS_TYPE", "POINT")
    add(outer, "PIXEL_ORIGIN", 1)
    reference = add(geometry, "Coordinate_Reference_System")
    add(reference, "GEO_TABLES", "EPSG", version="1")
    add(reference, "HORIZONTAL_CS_TYPE", "GEOGRAPHIC")


def _auxiliary(root: etree._Element, store: TileStore) -> None:
    out = section(root, "Auxiliary_Data_Info")
    add_gipps(out, store)
    add_references(out, store)
    if store.level == "L2A":
        add_surface_references(out, store)


def _inspections(checks: etree._Element, store: TileStore, made: Sequence[Inspection]) -> None:
    """Append the status of each checklist, FAILED where a report of it failed, and those reports."""
    standard = [*STANDARD, "L2A_QUALITY"] if store.level == "L2A" else STANDARD
    failed = [one for one in made if one.status == "FAILED"]
    inspections = add(checks, "Quality_Inspections")
    for name in standard:
        status = "FAILED" if any(one.checklist == name for one in failed) else "PASSED"
        add(inspections, "quality_check", status, checkType=name)
    reports = add(checks, "Failed_Inspections")
    for kind, tag, attribute in (
        ("DATASTRIP", "Datastrip_Report", "datastripId"), ("TILE", "Granule_Report", "granuleId"),
    ):  # fmt: skip
        of_kind = [one for one in failed if one.kind == kind]
        if of_kind:
            report = add(reports, tag, **{attribute: of_kind[0].item})
            for one in of_kind:
                add(report, "REPORT_FILENAME", one.file)


def _quality(
    root: etree._Element, store: TileStore, quality: dict[str, float | str], made: Sequence[Inspection]
) -> None:
    out = section(root, "Quality_Indicators_Info")
    add(out, "Cloud_Coverage_Assessment", f"{float(quality['CLOUDY_PIXEL_PERCENTAGE']):.6f}")
    if store.level == "L1C":
        add(out, "Snow_Coverage_Assessment", f"{float(quality['SNOW_PIXEL_PERCENTAGE']):.6f}")
    technical = add(out, "Technical_Quality_Assessment")
    add(technical, "DEGRADED_ANC_DATA_PERCENTAGE", f"{float(store.attrs.get('degraded_ancillary_percentage', 0)):.6f}")
    add(technical, "DEGRADED_MSI_DATA_PERCENTAGE", f"{float(quality['DEGRADED_MSI_DATA_PERCENTAGE']):.6f}")
    checks = add(out, "Quality_Control_Checks")
    _inspections(checks, store, made)
    if store.level == "L2A":
        image = add(out, "Image_Content_QI")
        for name, value in quality.items():
            if name not in ("CLOUDY_PIXEL_PERCENTAGE", "DEGRADED_MSI_DATA_PERCENTAGE"):
                add(image, name, value if isinstance(value, str) else f"{value:.6f}")


def product_metadata(
    store: TileStore, images: Sequence[str], quality: dict[str, float | str], inspections: Sequence[Inspection] = ()
) -> etree._Element:
    """Return MTD_MSIL1C.xml or MTD_MSIL2A.xml.

    Parameters
    ----------
    store : TileStore
    images : sequence of str
        Image files relative to the SAFE folder, without suffix, in the order of real products.
    quality : dict
        Image_Content_QI of the tile.
    inspections : sequence of Inspection
        Reports of the quality control; they need the other metadata, and these metadata tell what they found.
    """
    level = store.level[1:]
    root = document(f"{PSD}/User_Product_Level-{level}.xsd", f"Level-{level}_User_Product")
    general = section(root, "General_Info")
    _product_info(general, store, images)
    _image_characteristics(general, store)
    _geometry(root, store)
    _auxiliary(root, store)
    _quality(root, store, quality, inspections)
    return root
