"""MTD_TL.xml: the metadata of one tile."""

from dataclasses import dataclass, field

import numpy as np
from lxml import etree
from rasterio.crs import CRS

from s2dask.instrument import BANDS, RESOLUTIONS
from s2dask.release.safe_xml import PSD, add, add_angle_grid, add_mean_angle, document, section
from s2dask.release.tile_store import SITE, TileStore, iso


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask file of the tile.

    Attributes
    ----------
    kind : str
        ``MSK_QUALIT``.
    path : str
        Relative to the SAFE folder.
    band : str or None
    """

    kind: str
    path: str
    band: str | None = None


@dataclass(frozen=True, slots=True)
class TileContent:
    """What the metadata of a tile need beside its store.

    Attributes
    ----------
    quality : dict of str to float or str
        Elements of Image_Content_QI, in the order of the schema.
    masks : list of Mask
    pvi : str
        Path of the preview image, relative to the SAFE folder.
    l1c_tile : str or None
        Identifier of the L1C tile, at L2A.
    """

    quality: dict[str, float | str]
    masks: list[Mask] = field(default_factory=list)
    pvi: str = ""
    l1c_tile: str | None = None


def _general(root: etree._Element, store: TileStore, l1c_tile: str | None) -> None:
    names = store.names
    general = section(root, "General_Info")
    if store.level == "L2A":
        add(general, "L1C_TILE_ID", l1c_tile or str(names.tile).replace("_L2A_", "_L1C_"), metadataLevel="Brief")
    add(general, "TILE_ID", str(names.tile), metadataLevel="Brief")
    add(general, "DATASTRIP_ID", str(names.datastrip), metadataLevel="Standard")
    add(general, "DOWNLINK_PRIORITY", "NOMINAL", metadataLevel="Standard")
    add(general, "SENSING_TIME", iso(names.sensing_start), metadataLevel="Standard")
    archiving = add(general, "Archiving_Info", metadataLevel="Expertise")
    add(archiving, "ARCHIVING_CENTRE", SITE)
    add(archiving, "ARCHIVING_TIME", iso(names.tile.created, microseconds=True))


def utm_name(epsg: int) -> str:
    """Return ``WGS84 / UTM zone 28N``."""
    return str(CRS.from_epsg(epsg).to_dict(projjson=True)["name"]).replace("WGS 84", "WGS84")


def _geocoding(parent: etree._Element, store: TileStore) -> None:
    grid = store.grid
    out = add(parent, "Tile_Geocoding", metadataLevel="Brief")
    add(out, "HORIZONTAL_CS_NAME", utm_name(grid.epsg))
    add(out, "HORIZONTAL_CS_CODE", grid.crs)
    for resolution in RESOLUTIONS:
        rows, columns = grid.shape(resolution)
        size = add(out, "Size", resolution=resolution)
        add(size, "NROWS", rows)
        add(size, "NCOLS", columns)
    for resolution in RESOLUTIONS:
        corner = add(out, "Geoposition", resolution=resolution)
        pixel = grid.pixel(resolution)
        for name, value in (("ULX", grid.x0), ("ULY", grid.y0), ("XDIM", pixel), ("YDIM", -pixel)):
            add(corner, name, value)


def _angles(parent: etree._Element, store: TileStore) -> None:
    where = "conditions/geometry"
    detectors = [int(d) for d in store.read(f"{where}/detector")]
    views = store.read(f"{where}/viewing_incidence_angles")
    means = store.read(f"{where}/mean_viewing_incidence_angles")
    out = add(parent, "Tile_Angles", metadataLevel="Standard")
    add_angle_grid(add(out, "Sun_Angles_Grid"), store.read(f"{where}/sun_angles"))
    add_mean_angle(add(out, "Mean_Sun_Angle"), (store.attrs["solar_zenith"], store.attrs["solar_azimuth"]))
    for b in BANDS.values():
        for position, detector in enumerate(detectors):
            grid = views[b.index, position]
            if np.isfinite(grid).any():
                add_angle_grid(
                    add(out, "Viewing_Incidence_Angles_Grids", bandId=b.index, detectorId=detector), grid
                )
    listed = add(out, "Mean_Viewing_Incidence_Angle_List")
    for name in BANDS:
        index = BANDS[name].index
        if np.isfinite(means[index]).all():
            add_mean_angle(add(listed, "Mean_Viewing_Incidence_Angle", bandId=index), means[index])


def _quality(root: etree._Element, content: TileContent) -> None:
    out = section(root, "Quality_Indicators_Info", metadataLevel="Standard")
    image = add(out, "Image_Content_QI")
    for name, value in content.quality.items():
        add(image, name, value if isinstance(value, str) else f"{value:.6f}")
    masks = add(out, "Pixel_Level_QI", geometry="FULL_RESOLUTION")
    for mask in content.masks:
        identity: dict[str, object] = {} if mask.band is None else {"bandId": BANDS[mask.band].index}
        add(masks, "MASK_FILENAME", mask.path, **identity, type=mask.kind)
    if content.pvi:
        add(out, "PVI_FILENAME", content.pvi)


def tile_metadata(store: TileStore, content: TileContent) -> etree._Element:
    """Return MTD_TL.xml of an L1C or L2A tile.

    Parameters
    ----------
    store : TileStore
    content : TileContent
        Masks, preview and image content, as written beside it.

    Notes
    -----
    Sizes and corners are those of the images: a window of a tile says so, and a decimated product too.
    """
    level = store.level[1:]
    root = document(f"{PSD}/S2_PDI_Level-{level}_Tile_Metadata.xsd", f"Level-{level}_Tile_ID")
    _general(root, store, content.l1c_tile)
    geometry = section(root, "Geometric_Info")
    _geocoding(geometry, store)
    _angles(geometry, store)
    _quality(root, content)
    return root
