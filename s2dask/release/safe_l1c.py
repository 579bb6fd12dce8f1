"""The SAFE of an L1C tile, and what an L2A tile shares with it."""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from s2dask.io.meteorology import FILES, forecast_path
from s2dask.io.schema_tile import CLASSI_FLAGS
from s2dask.release.jpeg2000 import Profile
from s2dask.release.safe_datastrip_xml import datastrip_metadata
from s2dask.release.safe_inspire import inspire
from s2dask.release.safe_manifest import manifest
from s2dask.release.safe_pieces import L1C_CLASSES, Counts, Piece, masks_of, pieces, write_piece
from s2dask.release.safe_product_xml import product_metadata
from s2dask.release.safe_tile_reports import write_reports
from s2dask.release.safe_tile_xml import TileContent, tile_metadata
from s2dask.release.safe_xml import write_document
from s2dask.release.tile_store import TileStore


def mask_percentages(counts: Iterable[Counts]) -> tuple[float, float | None]:
    """Return the pixels with lost or degraded image data [%], and those with lost data, None without masks."""
    found = list(counts)
    degraded, lost, seen = (sum(one[i] for one in found) for i in range(3))
    return 100.0 * degraded / max(seen, 1), 100.0 * lost / seen if seen else None


def prepare(store: TileStore, folder: Path, meteo: str | None = None) -> None:
    """Make the folders of a SAFE, with the forecasts that the tile carries in AUX_DATA.

    An ECMWF file goes there also where one is given, or where the tile carries none and names one.
    """
    granule = folder / store.names.granule_folder
    for name in ("IMG_DATA", "QI_DATA", "AUX_DATA"):
        (granule / name).mkdir(parents=True, exist_ok=True)
    (folder / store.names.datastrip_folder / "QI_DATA").mkdir(parents=True, exist_ok=True)
    for kind, file in FILES.items():
        if store.has(forecast_path(kind)):
            (granule / "AUX_DATA" / file).write_bytes(store.read(forecast_path(kind)).tobytes())
    if meteo is None and not store.has(forecast_path("ecmwf")):
        meteo = store.attrs.get("meteo")
    if meteo and Path(meteo).is_file():
        shutil.copyfile(meteo, granule / "AUX_DATA" / FILES["ecmwf"])


def write_metadata(
    store: TileStore,
    folder: Path,
    made: Sequence[Piece],
    quality: dict[str, float | str],
    l1c_tile: str | None = None,
    lost: float | None = None,
) -> None:
    """Write every metadata file of a SAFE whose images and masks are there, the manifest last.

    The reports check what the other metadata say, and the metadata of the product tell what the reports found: they
    are written before and after.
    """
    names = store.names
    images = [piece.path(names).removesuffix(".jp2") for piece in made if piece.kind == "image"]
    masks = [piece.mask(names) for piece in made if piece.kind not in ("image", "PVI")]
    pvi = next((piece.path(names) for piece in made if piece.kind == "PVI"), "")
    content = TileContent(quality, masks, pvi, l1c_tile)
    write_document(tile_metadata(store, content), folder / names.granule_folder / "MTD_TL.xml")
    write_document(datastrip_metadata(store), folder / names.datastrip_folder / "MTD_DS.xml")
    target = folder / f"MTD_MSI{store.level}.xml"
    write_document(product_metadata(store, images, quality), target)
    write_document(inspire(store), folder / "INSPIRE.xml")
    inspections = write_reports(store, folder, lost)
    write_document(product_metadata(store, images, quality, inspections), target)
    write_document(manifest(store, folder), folder / "manifest.safe")


def _image_content(store: TileStore, degraded: float) -> dict[str, float | str]:
    """Return Image_Content_QI; snow is the share of MSK_CLASSI, clouds what the tile's attributes state."""
    classes = store.read(L1C_CLASSES)
    snow = dict(CLASSI_FLAGS)["SNOW_ICE"]
    return {
        "CLOUDY_PIXEL_PERCENTAGE": float(store.attrs["cloud_percentage"]),
        "DEGRADED_MSI_DATA_PERCENTAGE": degraded,
        "SNOW_PIXEL_PERCENTAGE": 100.0 * float(np.count_nonzero(classes & snow)) / classes.size,
    }


def finish_l1c(store: TileStore, folder: Path, counts: Iterable[Counts], meteo: str | None = None) -> Path:
    """Complete the SAFE of an L1C store whose images and masks are written.

    Parameters
    ----------
    store : TileStore
    folder : Path
        SAFE folder.
    counts : iterable of Counts
        What `s2dask.release.safe_pieces.write_piece` returned for its files.
    meteo : str, optional
        As for `write_safe_l1c`.
    """
    prepare(store, folder, meteo)
    made = pieces(store, masks_of(store))
    degraded, lost = mask_percentages(counts)
    write_metadata(store, folder, made, _image_content(store, degraded), lost=lost)
    return folder


def write_safe_l1c(
    tile_zarr: str, parent: str | Path, meteo: str | None = None, jp2_profile: Profile = "s2-strict"
) -> Path:
    """Write the SAFE of an L1C store, file after file.

    Parameters
    ----------
    tile_zarr : str
        L1C store; a whole tile or a window of one.
    parent : str or Path
        Folder that the SAFE is made in.
    meteo : str, optional
        ECMWF GRIB file to put into AUX_DATA.
    jp2_profile : {"s2-strict", "s2-fast", "htj2k"}
        How the images are coded: see `s2dask.release.jpeg2000`.

    Returns
    -------
    Path
        The ``.SAFE`` folder.
    """
    store = TileStore.open(tile_zarr, "L1C")
    folder, masked = Path(parent) / store.names.product.safe, masks_of(store)
    counts = [write_piece(store, masked, piece, folder, jp2_profile) for piece in pieces(store, masked)]
    return finish_l1c(store, folder, counts, meteo)
